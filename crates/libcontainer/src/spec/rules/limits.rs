//! Rules of `linux.resources`: values that no cgroup would take. What a value means, the cgroup room decides.

use super::Faults;
use super::devices::{HIGHEST_MAJOR, HIGHEST_MINOR, is_interface_name, number_is_in_range};
use crate::config::{Config, Cpu, Memory, Resources};
use crate::spec::{given, parse_list};

fn resources(config: &Config) -> Option<&Resources> {
    config.linux.resources.as_ref()
}

pub(super) fn memory_is_in_range(config: &Config, faults: &mut Faults) {
    let Some(memory) = resources(config).and_then(|resources| resources.memory.as_ref()) else { return };
    let Memory { limit, reservation, swap, kernel, kernel_tcp, .. } = *memory;
    for (name, value) in
        [("limit", limit), ("reservation", reservation), ("swap", swap), ("kernel", kernel), ("kernelTCP", kernel_tcp)]
    {
        if let Some(value) = value.filter(|value| *value < -1) {
            let what = format_args!("{value} bytes: only -1, no limit, may be negative");
            faults.error(format_args!("linux.resources.memory.{name}"), what);
        }
    }
    let field = "linux.resources.memory.swap";
    match (limit, swap) {
        (Some(-1), Some(1..)) => faults.error(field, "swap is limited and memory, which it includes, is not"),
        (Some(limit @ 1..), Some(swap @ 1..)) if swap < limit => {
            faults.error(field, format_args!("swap, which includes memory, is {swap} and below the limit of {limit}"));
        }
        _ => (),
    }
    if let Some(value) = memory.swappiness.filter(|value| *value > 100) {
        faults.error("linux.resources.memory.swappiness", format_args!("{value} is not between 0 and 100"));
    }
}

pub(super) fn memory_has_what_kernels_still_have(config: &Config, faults: &mut Faults) {
    let Some(memory) = resources(config).and_then(|resources| resources.memory.as_ref()) else { return };
    if memory.kernel.is_some_and(|value| value != 0) {
        faults.warn("linux.resources.memory.kernel", "a limit of kernel memory is deprecated and ignored");
    }
    if memory.use_hierarchy == Some(false) {
        let why = "ignored: memory is always counted with that of child cgroups since Linux 5.11";
        faults.warn("linux.resources.memory.useHierarchy", why);
    }
}

pub(super) fn cpu_is_in_range(config: &Config, faults: &mut Faults) {
    let Some(cpu) = resources(config).and_then(|resources| resources.cpu.as_ref()) else { return };
    let Cpu { quota, burst, period, realtime_runtime, realtime_period, idle, .. } = *cpu;
    let mut error = |name: &str, what: std::fmt::Arguments<'_>| {
        faults.error(format_args!("linux.resources.cpu.{name}"), what);
    };
    match quota {
        Some(quota @ ..-1) => error("quota", format_args!("{quota} us: only -1, no limit, may be negative")),
        Some(quota @ 1..1000) => error("quota", format_args!("{quota} us is shorter than the shortest, 1000 us")),
        _ => (),
    }
    if let Some(period) = period.filter(|period| *period != 0 && !(1000..=1_000_000).contains(period)) {
        error("period", format_args!("{period} us is not between 1000 us and 1000000 us"));
    }
    if let (Some(quota @ 1..), Some(burst)) = (quota, burst)
        && burst > quota.unsigned_abs()
    {
        error("burst", format_args!("a burst of {burst} us is longer than the quota of {quota} us"));
    }
    match (realtime_runtime, realtime_period) {
        (Some(runtime @ ..-1), _) => error("realtimeRuntime", format_args!("{runtime} us: only -1 may be negative")),
        (Some(runtime @ 1..), Some(period @ 1..)) if runtime.unsigned_abs() > period => {
            error("realtimeRuntime", format_args!("{runtime} us is longer than the period of {period} us"));
        }
        _ => (),
    }
    if let Some(idle) = idle.filter(|idle| !(0..=1).contains(idle)) {
        error("idle", format_args!("{idle} is neither 0 nor 1"));
    }
}

pub(super) fn cpu_lists_are_lists(config: &Config, faults: &mut Faults) {
    let Some(cpu) = resources(config).and_then(|resources| resources.cpu.as_ref()) else { return };
    for (name, list) in [("cpus", &cpu.cpus), ("mems", &cpu.mems)] {
        if let Err(what) = parse_list(given(list).unwrap_or_default()) {
            faults.error(format_args!("linux.resources.cpu.{name}"), what);
        }
    }
}

pub(super) fn pids_are_in_range(config: &Config, faults: &mut Faults) {
    let Some(limit) = resources(config).and_then(|resources| resources.pids.as_ref()?.limit) else { return };
    let what = format_args!("{limit}: only -1, no limit, may be negative");
    faults.require(limit >= -1, "linux.resources.pids.limit", what);
}

pub(super) fn block_io_weights_are_in_range(config: &Config, faults: &mut Faults) {
    let Some(io) = resources(config).and_then(|resources| resources.block_io.as_ref()) else { return };
    let mut require = |value: Option<u16>, field: std::fmt::Arguments<'_>| {
        // 0 is a weight that is not set.
        if let Some(value) = value.filter(|value| *value != 0 && !(10..=1000).contains(value)) {
            faults.error(field, format_args!("a weight is between 10 and 1000, not {value}"));
        }
    };
    require(io.weight, format_args!("linux.resources.blockIO.weight"));
    require(io.leaf_weight, format_args!("linux.resources.blockIO.leafWeight"));
    for (i, device) in io.weight_device.iter().enumerate() {
        let field = format_args!("linux.resources.blockIO.weightDevice[{i}]");
        require(device.weight, format_args!("{field}.weight"));
        require(device.leaf_weight, format_args!("{field}.leafWeight"));
    }
    for (i, device) in io.weight_device.iter().enumerate() {
        let field = format_args!("linux.resources.blockIO.weightDevice[{i}]");
        let given = device.weight.is_some() || device.leaf_weight.is_some();
        faults.require(given, field, "a weight or a leafWeight is required");
    }
}

pub(super) fn block_io_devices_are_numbered(config: &Config, faults: &mut Faults) {
    let Some(io) = resources(config).and_then(|resources| resources.block_io.as_ref()) else { return };
    let mut require = |list: &str, i: usize, major: i64, minor: i64| {
        for (name, number, highest) in [("major", major, HIGHEST_MAJOR), ("minor", minor, HIGHEST_MINOR)] {
            let field = format_args!("linux.resources.blockIO.{list}[{i}].{name}");
            number_is_in_range(number, 0, highest, name, field, faults);
        }
    };
    for (i, device) in io.weight_device.iter().enumerate() {
        require("weightDevice", i, device.major, device.minor);
    }
    let throttles = [
        ("throttleReadBpsDevice", &io.throttle_read_bps_device),
        ("throttleWriteBpsDevice", &io.throttle_write_bps_device),
        ("throttleReadIOPSDevice", &io.throttle_read_iops_device),
        ("throttleWriteIOPSDevice", &io.throttle_write_iops_device),
    ];
    for (list, devices) in throttles {
        for (i, device) in devices.iter().enumerate() {
            require(list, i, device.major, device.minor);
        }
    }
}

pub(super) fn hugepage_sizes_are_sizes(config: &Config, faults: &mut Faults) {
    let Some(resources) = resources(config) else { return };
    for (i, limit) in resources.hugepage_limits.iter().enumerate() {
        let size = &limit.page_size;
        let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
        let digits =
            number.is_some_and(|n| !n.is_empty() && !n.starts_with('0') && n.bytes().all(|b| b.is_ascii_digit()));
        let what = format_args!("{size:?} is not a page size such as 64KB, 2MB or 1GB");
        faults.require(digits, format_args!("linux.resources.hugepageLimits[{i}].pageSize"), what);
    }
}

pub(super) fn network_priorities_have_interfaces(config: &Config, faults: &mut Faults) {
    let Some(network) = resources(config).and_then(|resources| resources.network.as_ref()) else { return };
    for (i, priority) in network.priorities.iter().enumerate() {
        let what = format_args!("{:?} cannot be the name of a network interface", priority.name);
        let field = format_args!("linux.resources.network.priorities[{i}].name");
        faults.require(is_interface_name(&priority.name), field, what);
    }
}

pub(super) fn rdma_limits_something(config: &Config, faults: &mut Faults) {
    let Some(resources) = resources(config) else { return };
    for (device, limit) in &resources.rdma {
        let field = format_args!("linux.resources.rdma.{}", device.escape_debug());
        let named = !device.is_empty() && !device.contains(char::is_whitespace);
        faults.require(named, field, format_args!("{device:?} cannot be the name of an RDMA device"));
        let limited = limit.hca_handles.is_some() || limit.hca_objects.is_some();
        faults.require(limited, field, "hcaHandles or hcaObjects is required");
    }
}

pub(super) fn unified_names_are_files(config: &Config, faults: &mut Faults) {
    let Some(resources) = resources(config) else { return };
    for key in resources.unified.keys() {
        let file = !key.is_empty() && key != "." && key != ".." && !key.contains('/');
        let what = format_args!("{key:?} cannot be a file of a cgroup");
        faults.require(file, format_args!("linux.resources.unified.{}", key.escape_debug()), what);
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (
        r#"{"linux": {"resources": {"memory": {"limit": -2}}}}"#,
        "linux.resources.memory.limit",
        "-2 bytes: only -1, no limit, may be negative",
    ),
    (
        r#"{"linux": {"resources": {"memory": {"reservation": -9}}}}"#,
        "linux.resources.memory.reservation",
        "-9 bytes: only -1, no limit, may be negative",
    ),
    (
        r#"{"linux": {"resources": {"memory": {"limit": -1, "swap": 1024}}}}"#,
        "linux.resources.memory.swap",
        "swap is limited and memory, which it includes, is not",
    ),
    (
        r#"{"linux": {"resources": {"memory": {"limit": 1024, "swap": 1023}}}}"#,
        "linux.resources.memory.swap",
        "swap, which includes memory, is 1023 and below the limit of 1024",
    ),
    (r#"{"linux": {"resources": {"memory": {"limit": 1024, "swap": -1, "reservation": 4096, "kernel": 0}}}}"#, "", ""),
    (
        r#"{"linux": {"resources": {"memory": {"swappiness": 101}}}}"#,
        "linux.resources.memory.swappiness",
        "101 is not between 0 and 100",
    ),
    (
        r#"{"linux": {"resources": {"memory": {"kernel": 4096}}}}"#,
        "linux.resources.memory.kernel",
        "warning: a limit of kernel memory is deprecated and ignored",
    ),
    (r#"{"linux": {"resources": {"memory": {"useHierarchy": true}}}}"#, "", ""),
    (
        r#"{"linux": {"resources": {"memory": {"useHierarchy": false}}}}"#,
        "linux.resources.memory.useHierarchy",
        "warning: ignored: memory is always counted with that of child cgroups since Linux 5.11",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"quota": -2}}}}"#,
        "linux.resources.cpu.quota",
        "-2 us: only -1, no limit, may be negative",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"quota": 999}}}}"#,
        "linux.resources.cpu.quota",
        "999 us is shorter than the shortest, 1000 us",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"period": 1000001}}}}"#,
        "linux.resources.cpu.period",
        "1000001 us is not between 1000 us and 1000000 us",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"quota": 1000, "burst": 1001}}}}"#,
        "linux.resources.cpu.burst",
        "a burst of 1001 us is longer than the quota of 1000 us",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"quota": -1, "burst": 0, "period": 0, "shares": 0, "idle": 1, "cpus": "0-3,7", "mems": ""}}}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"realtimeRuntime": -2}}}}"#,
        "linux.resources.cpu.realtimeRuntime",
        "-2 us: only -1 may be negative",
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"realtimeRuntime": 200, "realtimePeriod": 100}}}}"#,
        "linux.resources.cpu.realtimeRuntime",
        "200 us is longer than the period of 100 us",
    ),
    (r#"{"linux": {"resources": {"cpu": {"idle": 2}}}}"#, "linux.resources.cpu.idle", "2 is neither 0 nor 1"),
    (
        r#"{"linux": {"resources": {"cpu": {"cpus": "all"}}}}"#,
        "linux.resources.cpu.cpus",
        r#""all" is not a number or range such as 0-3,7"#,
    ),
    (
        r#"{"linux": {"resources": {"cpu": {"mems": "1-0"}}}}"#,
        "linux.resources.cpu.mems",
        r#"the range "1-0" runs backwards"#,
    ),
    (
        r#"{"linux": {"resources": {"pids": {"limit": -2}}}}"#,
        "linux.resources.pids.limit",
        "-2: only -1, no limit, may be negative",
    ),
    (r#"{"linux": {"resources": {"pids": {"limit": 0}}}}"#, "", ""),
    (
        r#"{"linux": {"resources": {"blockIO": {"weight": 9}}}}"#,
        "linux.resources.blockIO.weight",
        "a weight is between 10 and 1000, not 9",
    ),
    (
        r#"{"linux": {"resources": {"blockIO": {"leafWeight": 1001}}}}"#,
        "linux.resources.blockIO.leafWeight",
        "a weight is between 10 and 1000, not 1001",
    ),
    (
        r#"{"linux": {"resources": {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1}]}}}}"#,
        "linux.resources.blockIO.weightDevice[0].weight",
        "a weight is between 10 and 1000, not 1",
    ),
    (
        r#"{"linux": {"resources": {"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}}}"#,
        "linux.resources.blockIO.weightDevice[0]",
        "a weight or a leafWeight is required",
    ),
    (
        r#"{"linux": {"resources": {"blockIO": {"throttleReadIOPSDevice": [{"major": -1, "minor": 0, "rate": 1}]}}}}"#,
        "linux.resources.blockIO.throttleReadIOPSDevice[0].major",
        "the major number -1 is not between 0 and 4095",
    ),
    (
        r#"{"linux": {"resources": {"blockIO": {"weight": 0, "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 0}]}}}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 0}, {"pageSize": "2M", "limit": 0}]}}}"#,
        "linux.resources.hugepageLimits[1].pageSize",
        r#""2M" is not a page size such as 64KB, 2MB or 1GB"#,
    ),
    (
        r#"{"linux": {"resources": {"hugepageLimits": [{"pageSize": "GB", "limit": 0}]}}}"#,
        "linux.resources.hugepageLimits[0].pageSize",
        r#""GB" is not a page size such as 64KB, 2MB or 1GB"#,
    ),
    (
        r#"{"linux": {"resources": {"network": {"priorities": [{"name": "", "priority": 1}]}}}}"#,
        "linux.resources.network.priorities[0].name",
        r#""" cannot be the name of a network interface"#,
    ),
    (
        r#"{"linux": {"resources": {"rdma": {"mlx5_1": {}}}}}"#,
        "linux.resources.rdma.mlx5_1",
        "hcaHandles or hcaObjects is required",
    ),
    (
        r#"{"linux": {"resources": {"rdma": {"mlx5 1": {"hcaObjects": 1}}}}}"#,
        "linux.resources.rdma.mlx5 1",
        r#""mlx5 1" cannot be the name of an RDMA device"#,
    ),
    (
        r#"{"linux": {"resources": {"unified": {"memory.high": "1", "../memory.high": "1"}}}}"#,
        "linux.resources.unified.../memory.high",
        r#""../memory.high" cannot be a file of a cgroup"#,
    ),
];

//! Limits as the files of cgroup version 1.

use super::limits::{Asked, Bound, Rate, Setting};
use super::write::{Absent, Write};

/// The controller that has the files of a setting; `None` if version 1 has none.
pub(crate) fn controller(setting: &Setting) -> Option<&'static str> {
    Some(match setting {
        Setting::Memory { .. }
        | Setting::MemoryReservation(_)
        | Setting::MemoryKernelTcp(_)
        | Setting::Swappiness(_)
        | Setting::NoOomKiller => "memory",
        Setting::CpuIdle(_) | Setting::CpuShares(_) | Setting::CpuBandwidth { .. } | Setting::CpuRealtime { .. } => {
            "cpu"
        }
        Setting::Cpus(_) | Setting::Mems(_) => "cpuset",
        Setting::Pids(_) => "pids",
        Setting::BlockWeight(_)
        | Setting::BlockLeafWeight(_)
        | Setting::BlockDeviceWeight { .. }
        | Setting::BlockThrottle { .. } => "blkio",
        Setting::Hugepage { .. } => "hugetlb",
        Setting::Rdma { .. } => "rdma",
        Setting::NetClass(_) => "net_cls",
        Setting::NetPriority { .. } => "net_prio",
        Setting::Unified { .. } => return None,
    })
}

/// Version 1 writes "without limit" as -1.
fn number(bound: Bound) -> String {
    match bound {
        Bound::Max => "-1".to_owned(),
        Bound::At(value) => value.to_string(),
    }
}

/// The writes that make a setting; they belong together (see [`super::write::write_group`]).
pub(crate) fn render(asked: &Asked) -> Vec<Write> {
    let field = asked.field.as_str();
    let one = |file: &str, value: &dyn ToString| vec![Write::new(file, value.to_string(), field)];
    let part = |file: &str, value: String, name: &str| Write::new(file, value, format!("{field}.{name}"));
    match &asked.setting {
        Setting::Memory { limit, total, .. } => {
            let mut writes = Vec::new();
            writes.extend(limit.map(|limit| part("memory.limit_in_bytes", number(limit), "limit")));
            writes.extend(total.map(|total| {
                // Without swap accounting there is no limit to lift.
                let absent = if total == Bound::Max { Absent::Accept } else { Absent::Refuse };
                part("memory.memsw.limit_in_bytes", number(total), "swap").absent(absent)
            }));
            writes
        }
        Setting::MemoryReservation(bound) => one("memory.soft_limit_in_bytes", &number(*bound)),
        Setting::MemoryKernelTcp(bound) => one("memory.kmem.tcp.limit_in_bytes", &number(*bound)),
        Setting::Swappiness(value) => one("memory.swappiness", value),
        Setting::NoOomKiller => one("memory.oom_control", &1),
        Setting::CpuIdle(idle) => one("cpu.idle", idle),
        Setting::CpuShares(shares) => one("cpu.shares", shares),
        Setting::CpuBandwidth { quota, period, burst } => {
            let mut writes = Vec::new();
            writes.extend(period.map(|period| part("cpu.cfs_period_us", period.to_string(), "period")));
            writes.extend(quota.map(|quota| part("cpu.cfs_quota_us", number(quota), "quota")));
            writes.extend(burst.map(|burst| part("cpu.cfs_burst_us", burst.to_string(), "burst")));
            writes
        }
        Setting::CpuRealtime { runtime, period } => {
            let mut writes = Vec::new();
            writes.extend(period.map(|period| part("cpu.rt_period_us", period.to_string(), "realtimePeriod")));
            writes.extend(runtime.map(|runtime| part("cpu.rt_runtime_us", runtime.to_string(), "realtimeRuntime")));
            writes
        }
        Setting::Cpus(list) => one("cpuset.cpus", list),
        Setting::Mems(list) => one("cpuset.mems", list),
        Setting::Pids(bound) => one("pids.max", bound),
        Setting::BlockWeight(weight) => {
            vec![either("blkio.weight", "blkio.bfq.weight", weight.to_string(), field.to_owned())]
        }
        Setting::BlockLeafWeight(weight) => one("blkio.leaf_weight", weight),
        Setting::BlockDeviceWeight { device, weight, leaf } => {
            let mut writes = Vec::new();
            writes.extend(weight.map(|weight| {
                let (value, field) = (format!("{device} {weight}"), format!("{field}.weight"));
                either("blkio.weight_device", "blkio.bfq.weight_device", value, field)
            }));
            writes.extend(leaf.map(|leaf| part("blkio.leaf_weight_device", format!("{device} {leaf}"), "leafWeight")));
            writes
        }
        Setting::BlockThrottle { rate, device, limit } => {
            let file = match rate {
                Rate::ReadBytes => "blkio.throttle.read_bps_device",
                Rate::WriteBytes => "blkio.throttle.write_bps_device",
                Rate::ReadOperations => "blkio.throttle.read_iops_device",
                Rate::WriteOperations => "blkio.throttle.write_iops_device",
            };
            one(file, &format!("{device} {limit}"))
        }
        Setting::Hugepage { size, limit } => vec![
            Write::new(format!("hugetlb.{size}.limit_in_bytes"), limit, field),
            Write::new(format!("hugetlb.{size}.rsvd.limit_in_bytes"), limit, field).absent(Absent::Accept),
        ],
        Setting::Rdma { device, handles, objects } => one("rdma.max", &rdma(device, *handles, *objects)),
        Setting::NetClass(class) => one("net_cls.classid", class),
        Setting::NetPriority { interface, priority } => one("net_prio.ifpriomap", &format!("{interface} {priority}")),
        Setting::Unified { .. } => Vec::new(),
    }
}

/// A file of the CFQ scheduler, or where that is gone, of its successor BFQ.
fn either(file: &str, other: &str, value: String, field: String) -> Write {
    let instead = Write::new(other, &value, &field);
    Write::new(file, value, field).absent(Absent::Instead(Box::new(instead)))
}

/// A line of `rdma.max`, the same in both versions.
pub(crate) fn rdma(device: &str, handles: Option<u32>, objects: Option<u32>) -> String {
    let mut line = device.to_owned();
    line.extend(handles.map(|n| format!(" hca_handle={n}")));
    line.extend(objects.map(|n| format!(" hca_object={n}")));
    line
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;

    /// `file=value` of each write, groups divided by `|`, what an absent file means in brackets.
    fn rendered(json: &str) -> String {
        let limits = Limits::new(&serde_json::from_str(json).unwrap()).unwrap();
        let show = |write: &Write| match &write.absent {
            Absent::Refuse => format!("{}={}", write.file, write.value),
            Absent::Accept => format!("{}={}[]", write.file, write.value),
            Absent::Instead(other) => format!("{}={}[{}={}]", write.file, write.value, other.file, other.value),
        };
        let groups = limits.asked.iter().map(|asked| render(asked).iter().map(show).collect::<Vec<_>>().join(" "));
        groups.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn memory() {
        assert_eq!(
            rendered(r#"{"memory":{"limit":100,"swap":200}}"#),
            "memory.limit_in_bytes=100 memory.memsw.limit_in_bytes=200"
        );
        assert_eq!(rendered(r#"{"memory":{"limit":-1}}"#), "memory.limit_in_bytes=-1 memory.memsw.limit_in_bytes=-1[]");
        assert_eq!(
            rendered(r#"{"memory":{"reservation":-1,"swappiness":0,"disableOOMKiller":true,"kernel":5}}"#),
            "memory.soft_limit_in_bytes=-1 | memory.swappiness=0 | memory.oom_control=1"
        );
    }

    #[test]
    fn cpu() {
        assert_eq!(
            rendered(r#"{"cpu":{"shares":512,"quota":-1,"period":50000,"burst":0,"cpus":"0-1","mems":"0","idle":0}}"#),
            "cpu.idle=0 | cpu.shares=512 | cpu.cfs_period_us=50000 cpu.cfs_quota_us=-1 cpu.cfs_burst_us=0 | cpuset.cpus=0-1 | cpuset.mems=0"
        );
        assert_eq!(
            rendered(r#"{"cpu":{"realtimeRuntime":-1,"realtimePeriod":1000}}"#),
            "cpu.rt_period_us=1000 cpu.rt_runtime_us=-1"
        );
    }

    #[test]
    fn pids() {
        assert_eq!(rendered(r#"{"pids":{"limit":0}}"#), "pids.max=0");
        assert_eq!(rendered(r#"{"pids":{"limit":-1}}"#), "pids.max=max");
    }

    #[test]
    fn block() {
        let json = r#"{"blockIO":{"weight":10,"leafWeight":20,
            "weightDevice":[{"major":8,"minor":0,"weight":30,"leafWeight":40},{"major":8,"minor":1,"leafWeight":50}],
            "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2}],
            "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":3}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#;
        assert_eq!(
            rendered(json),
            "blkio.weight=10[blkio.bfq.weight=10] | blkio.leaf_weight=20 \
             | blkio.weight_device=8:0 30[blkio.bfq.weight_device=8:0 30] blkio.leaf_weight_device=8:0 40 \
             | blkio.leaf_weight_device=8:1 50 | blkio.throttle.read_bps_device=8:0 1 | blkio.throttle.write_bps_device=8:0 2 \
             | blkio.throttle.read_iops_device=8:0 3 | blkio.throttle.write_iops_device=8:0 0"
        );
    }

    #[test]
    fn pages_network_rdma() {
        let json = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":7}],"network":{"classID":1048577,
            "priorities":[{"name":"eth0","priority":5}]},"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":4},"none":{}}}"#;
        assert_eq!(
            rendered(json),
            "hugetlb.2MB.limit_in_bytes=7 hugetlb.2MB.rsvd.limit_in_bytes=7[] | rdma.max=mlx5_1 hca_handle=3 hca_object=4 \
             | net_cls.classid=1048577 | net_prio.ifpriomap=eth0 5"
        );
    }

    #[test]
    fn a_part_names_its_own_field() {
        let limits = Limits::new(&serde_json::from_str(r#"{"memory":{"limit":1,"swap":2}}"#).unwrap()).unwrap();
        let fields: Vec<_> = render(&limits.asked[0]).into_iter().map(|write| write.field).collect();
        assert_eq!(fields, ["linux.resources.memory.limit", "linux.resources.memory.swap"]);
    }
}

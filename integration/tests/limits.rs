//! Limits of `linux.resources` beyond the common ones: read inside the container where this machine has the controller,
//! a clear error where it has not.

use integration::{Runtime, Value, json};
use std::fs;

/// Runs `cat` of files below the container's own /sys/fs/cgroup.
fn inside(rt: &Runtime, resources: &[(&str, Value)], files: &[&str]) -> Vec<String> {
    let mut bundle = rt.bundle_named(rt.fresh("b").file_name().unwrap().to_str().unwrap());
    bundle.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())));
    for (name, value) in resources {
        bundle.set(&format!("/linux/resources/{name}"), value.clone());
    }
    let mut args = vec!["cat".to_owned()];
    args.extend(files.iter().map(|file| format!("/sys/fs/cgroup/{file}")));
    bundle.set("/process/args", json!(args));
    rt.run(&bundle).ok().lines().map(str::to_owned).collect()
}

#[test]
fn memory_with_swap_and_swappiness() {
    let rt = Runtime::new();
    let memory = json!({"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20, "swappiness": 17, "disableOOMKiller": true});
    let files = [
        "memory/memory.limit_in_bytes",
        "memory/memory.soft_limit_in_bytes",
        "memory/memory.memsw.limit_in_bytes",
        "memory/memory.swappiness",
        "memory/memory.oom_control",
    ];
    let seen = inside(&rt, &[("memory", memory)], &files);
    assert_eq!(seen[..5], ["67108864", "33554432", "100663296", "17", "oom_kill_disable 1"]);
}

#[test]
fn memory_without_limit() {
    let rt = Runtime::new();
    let memory = json!({"limit": -1, "reservation": -1, "swap": -1, "disableOOMKiller": false, "useHierarchy": true});
    let files = [
        "memory/memory.limit_in_bytes",
        "memory/memory.soft_limit_in_bytes",
        "memory/memory.memsw.limit_in_bytes",
        "memory/memory.oom_control",
        "memory/memory.use_hierarchy",
    ];
    let seen = inside(&rt, &[("memory", memory)], &files);
    assert!(seen[..3].iter().all(|limit| limit == "9223372036854771712"), "{seen:?}");
    assert_eq!((seen[3].as_str(), seen.last().unwrap().as_str()), ("oom_kill_disable 0", "1"));
}

#[test]
fn limits_no_kernel_has_any_more_are_told() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (field, value) in [("kernel", json!(1 << 20)), ("kernelTCP", json!(1 << 20)), ("useHierarchy", json!(false))] {
        bundle.set("/linux/resources/memory", json!({field: value})).args(&["echo", "ran"]);
        let output = rt.run(&bundle).exits(0).says(&format!("linux.resources.memory.{field}"));
        assert_eq!(output.stdout, "ran\n");
    }
}

#[test]
fn a_limit_below_the_usage_is_refused() {
    // On version 1 by the kernel, with checkBeforeUpdate or without; on version 2 by hull.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 128 << 20})).unmount("/dev/shm");
    bundle.mount("/dev/shm", "tmpfs", "shm", &["size=64m"]);
    if fs::read_to_string("/proc/swaps").unwrap().lines().count() > 1 {
        println!("skipped: this machine has swap, into which the usage would go");
        return;
    }
    let container = rt.sleeper(&mut bundle);
    container.exec(&["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=32"]).ok();
    for check in [true, false] {
        let resources = json!({"memory": {"limit": 4 << 20, "checkBeforeUpdate": check}}).to_string();
        let update = rt.call(["update", "--resources", "-", &container.id]).input(resources).go();
        update.exits(1).says("linux.resources.memory.limit").one_line();
        assert_eq!(container.exec(&["cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]).word(), "134217728");
    }
    assert_eq!(container.status(), "running", "and nobody was killed");
}

#[test]
fn processor_time() {
    let rt = Runtime::new();
    let cpu = json!({"quota": 40000, "period": 80000, "burst": 2000, "shares": 333, "cpus": "0", "mems": "0"});
    let files = [
        "cpu/cpu.cfs_quota_us",
        "cpu/cpu.cfs_period_us",
        "cpu/cpu.cfs_burst_us",
        "cpu/cpu.shares",
        "cpuset/cpuset.cpus",
        "cpuset/cpuset.mems",
    ];
    assert_eq!(inside(&rt, &[("cpu", cpu)], &files), ["40000", "80000", "2000", "333", "0", "0"]);
    let cpu = json!({"realtimePeriod": 900_000, "realtimeRuntime": 2000});
    assert_eq!(inside(&rt, &[("cpu", cpu)], &["cpu/cpu.rt_period_us", "cpu/cpu.rt_runtime_us"]), ["900000", "2000"]);
    for (idle, seen) in [(0, "0"), (1, "1")] {
        assert_eq!(inside(&rt, &[("cpu", json!({"idle": idle}))], &["cpu/cpu.idle"]), [seen]);
    }
}

#[test]
fn a_burst_longer_than_the_quota_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/cpu", json!({"quota": 40000, "period": 80000, "burst": 40001})).args(&["true"]);
    rt.run(&bundle).exits(1).says("linux.resources.cpu.burst").one_line();
}

#[test]
fn no_process_is_a_limit() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 0})).script("cat /sys/fs/cgroup/pids/pids.max; echo forked");
    let output = rt.run(&bundle);
    assert_eq!((output.code == 0, output.stdout.as_str()), (false, ""), "the shell cannot fork: {output}");
    bundle.script("read max < /sys/fs/cgroup/pids/pids.max; echo $max");
    assert_eq!(rt.run(&bundle).word(), "0");
    bundle.set("/linux/resources/pids", json!({"limit": -1}));
    assert_eq!(rt.run(&bundle).word(), "max");
    bundle.set("/linux/resources/pids", json!({}));
    assert_eq!(rt.run(&bundle).word(), "max", "absent is unchanged");
}

#[test]
fn huge_pages() {
    // The controller is version 2's on this machine, beside the hierarchies of version 1; cgroup_v2.rs sees it from inside.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}]));
    let _container = rt.sleeper(&mut bundle);
    let file = format!("/sys/fs/cgroup/unified/{}/hugetlb.2MB.max", rt.tag());
    assert_eq!(fs::read_to_string(file).unwrap(), "4194304\n");
    let mut other = rt.bundle_named("two");
    other.set("/linux/resources/hugepageLimits", json!([{"pageSize": "64KB", "limit": 0}])).write();
    let output = rt.call(["run", "--bundle"]).arg(other.dir()).arg(rt.id("two")).go();
    output.exits(1).says("linux.resources.hugepageLimits[0]").one_line();
}

#[test]
fn weights_of_block_devices() {
    let rt = Runtime::new();
    assert_eq!(inside(&rt, &[("blockIO", json!({"weight": 123}))], &["blkio/blkio.bfq.weight"]), ["123"]);
    let disk = fs::read_to_string("/proc/partitions").unwrap();
    let disk = disk.lines().find(|line| line.ends_with(" vda") || line.ends_with(" sda") || line.ends_with(" loop0"));
    let Some(disk) = disk else {
        println!("skipped: this machine has no block device");
        return;
    };
    let numbers: Vec<u64> = disk.split_whitespace().take(2).map(|word| word.parse().unwrap()).collect();
    let device = json!([{"major": numbers[0], "minor": numbers[1], "weight": 321}]);
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/blockIO", json!({"weightDevice": device}));
    bundle.args(&["cat", "/sys/fs/cgroup/blkio/blkio.bfq.weight_device"]);
    let output = rt.run(&bundle);
    // A weight of one device is the scheduler's to keep: where it is not the device's, the kernel refuses it.
    let seen = output.stdout.lines().any(|line| line == format!("{}:{} 321", numbers[0], numbers[1]));
    let refused = output.code == 1 && output.mentions("linux.resources.blockIO.weightDevice[0].weight");
    assert!(seen || refused, "{output}");
}

/// Whether a hierarchy of version 1 has this controller: an engine may have mounted one.
fn mounted(controller: &str) -> bool {
    let table = fs::read_to_string("/proc/cgroups").unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
    lines.any(|words| words[0] == controller && words[1] != "0")
}

#[test]
fn what_this_machine_has_no_controller_for_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    let whole = bundle.config.clone();
    // Leaf weights went with the CFQ scheduler in Linux 5.0.
    let device = json!([{"major": 8, "minor": 0, "leafWeight": 100}]);
    for (name, value, controller) in [
        ("network", json!({"classID": 1_048_577}), "net_cls"),
        ("network", json!({"priorities": [{"name": "lo", "priority": 5}]}), "net_prio"),
        ("rdma", json!({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}), "rdma"),
        ("blockIO", json!({"leafWeight": 100}), "leaf_weight"),
        ("blockIO", json!({"weightDevice": device}), "leaf_weight"),
    ] {
        if mounted(controller) {
            println!("skipped: the hierarchy of {controller} is mounted");
            continue;
        }
        bundle.config = whole.clone();
        bundle.set(&format!("/linux/resources/{name}"), value.clone());
        let output = rt.run(&bundle).exits(1).says(&format!("linux.resources.{name}")).one_line();
        assert!(output.mentions(controller), "{value}: {output}");
    }
}

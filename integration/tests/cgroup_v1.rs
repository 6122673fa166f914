//! Limits on a machine with cgroup v1: read back from the files of its hierarchies.

use integration::cgroup::{are_v1_here, is_v1_of, limit, read, some_disk};
use integration::{Bundle, Runtime, json};
use std::fs;

fn resources(rt: &Runtime, value: integration::Value) -> Bundle {
    let mut bundle = rt.bundle();
    limit(&mut bundle, &value);
    bundle
}

#[test]
fn memory() {
    if !are_v1_here(&["memory"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle =
        resources(&rt, json!({"memory": {"limit": 64 << 20, "reservation": 32 << 20, "disableOOMKiller": true}}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(read(&rt, "memory.soft_limit_in_bytes"), (32 << 20).to_string());
    assert!(read(&rt, "memory.oom_control").contains("oom_kill_disable 1"));
}

#[test]
fn unlimited_memory() {
    if !are_v1_here(&["memory"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"memory": {"limit": -1}}));
    let _container = rt.sleeper(&mut bundle);
    assert!(read(&rt, "memory.limit_in_bytes").parse::<u64>().unwrap() > 1 << 60);
}

#[test]
fn cpu() {
    if !are_v1_here(&["cpu", "cpuset"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(
        &rt,
        json!({"cpu": {"shares": 512, "quota": 50000, "period": 100_000, "burst": 1000, "cpus": "0", "mems": "0"}}),
    );
    let container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "cpu.shares"), "512");
    assert_eq!(read(&rt, "cpu.cfs_quota_us"), "50000");
    assert_eq!(read(&rt, "cpu.cfs_period_us"), "100000");
    assert_eq!(read(&rt, "cpu.cfs_burst_us"), "1000");
    assert_eq!(read(&rt, "cpuset.cpus"), "0");
    assert_eq!(read(&rt, "cpuset.mems"), "0");
    assert_eq!(container.exec(&["nproc"]).word(), "1");
}

#[test]
fn an_unset_cpuset_is_the_parents() {
    if !are_v1_here(&["cpuset"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let _container = rt.sleeper(&mut bundle);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        assert_eq!(read(&rt, file), fs::read_to_string(format!("/sys/fs/cgroup/cpuset/{file}")).unwrap().trim());
    }
}

#[test]
fn cpu_idle() {
    if !are_v1_here(&["cpu"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"cpu": {"idle": 1}}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "cpu.idle"), "1");
}

#[test]
fn pids() {
    if !are_v1_here(&["pids"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"pids": {"limit": 8}}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "pids.max"), "8");
    let output = container.sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 >/dev/null 2>&1 & done; echo never");
    assert_ne!(output.code, 0, "{output}");
    drop(bundle);
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"pids": {"limit": -1}}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "pids.max"), "max");
}

#[test]
fn block_io() {
    if !are_v1_here(&["blkio"]) {
        return;
    }
    let Some((major, minor)) = some_disk() else { return };
    let rt = Runtime::new();
    let throttle = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let mut bundle = resources(
        &rt,
        json!({"blockIO": {
            "throttleReadBpsDevice": throttle(1 << 20), "throttleWriteBpsDevice": throttle(2 << 20),
            "throttleReadIOPSDevice": throttle(100), "throttleWriteIOPSDevice": throttle(200)
        }}),
    );
    let _container = rt.sleeper(&mut bundle);
    for (file, rate) in [("read_bps", 1 << 20), ("write_bps", 2 << 20), ("read_iops", 100), ("write_iops", 200)] {
        assert_eq!(read(&rt, &format!("blkio.throttle.{file}_device")), format!("{major}:{minor} {rate}"), "{file}");
    }
}

#[test]
fn device_rules() {
    if !are_v1_here(&["devices"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.push(
        "/linux/resources/devices",
        json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}),
    );
    bundle.push("/linux/resources/devices", json!({"allow": true, "type": "b", "major": 7, "access": "m"}));
    let _container = rt.sleeper(&mut bundle);
    let list = read(&rt, "devices.list");
    // What is allowed to be made of all devices may or may not be repeated with one.
    for rule in ["c 10:229 rw", "c 1:3 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm", "c *:* m", "b *:* m"] {
        assert!(list.lines().any(|line| line.starts_with(rule)), "{rule} in {list}");
    }
    assert!(!list.lines().any(|line| line.starts_with("b ") && line.contains('r')), "{list}");
    assert!(!list.lines().any(|line| line.starts_with("a ")), "{list}");
}

#[test]
fn all_devices() {
    if !are_v1_here(&["devices"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"devices": [{"allow": true, "access": "rwm"}]}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "devices.list"), "a *:* rwm");
}

#[test]
fn a_limit_the_kernel_refuses_is_named() {
    if !are_v1_here(&["cpu"]) {
        return;
    }
    let rt = Runtime::new();
    for (key, value) in [
        ("cpu", json!({"quota": 5, "period": 100_000})),
        ("cpu", json!({"cpus": "4000-4001"})),
        ("cpu", json!({"mems": "77"})),
    ] {
        let mut bundle = rt.bundle_named(&format!("b{}", value.to_string().len()));
        bundle.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())));
        bundle.set(&format!("/linux/resources/{key}"), value.clone()).args(&["true"]);
        let output = rt.run(&bundle).exits(1).one_line();
        assert!(
            output.stderr.contains("cfs_quota_us")
                || output.stderr.contains("cpuset")
                || output.stderr.contains("linux.resources"),
            "{value}: {output}"
        );
    }
}

#[test]
fn a_controller_that_is_missing_is_named() {
    if is_v1_of("net_cls") {
        println!("skipped: this machine has a hierarchy of net_cls");
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"network": {"classID": 1_048_577}}));
    bundle.args(&["true"]);
    let output = rt.run(&bundle).exits(1).one_line();
    assert!(output.stderr.contains("net_cls") || output.stderr.contains("linux.resources.network"), "{output}");
}

#[test]
fn one_mebibyte_is_enough_to_start() {
    if !are_v1_here(&["memory"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"memory": {"limit": 1 << 20}}));
    // busybox itself fits into half of it.
    bundle.args(&["busybox", "true"]);
    rt.run(&bundle).ok();
}

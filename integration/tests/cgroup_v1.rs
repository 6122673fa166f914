//! cgroups on a v1 machine: limits read back from the kernel, places, update, removal.

use integration::cgroup::{is_v1_here, is_v1_of};
use integration::{Bundle, Runtime, json, view};
use std::fs;
use std::path::PathBuf;

fn dir(rt: &Runtime, controller: &str) -> PathBuf {
    PathBuf::from(format!("/sys/fs/cgroup/{controller}/{}", rt.tag()))
}

fn read(rt: &Runtime, controller: &str, file: &str) -> String {
    let path = dir(rt, controller).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

/// Whether these controllers are in hierarchies of version 1; says so where not.
fn are_here(controllers: &[&str]) -> bool {
    let missing = controllers.iter().find(|name| !is_v1_of(name));
    if let Some(name) = missing {
        println!("skipped: this machine has no hierarchy of version 1 for {name}");
    }
    missing.is_none()
}

fn resources(rt: &Runtime, value: integration::Value) -> Bundle {
    let mut bundle = rt.bundle();
    for (key, part) in value.as_object().unwrap() {
        bundle.set(&format!("/linux/resources/{key}"), part.clone());
    }
    bundle
}

#[test]
fn a_container_is_in_every_hierarchy() {
    if !is_v1_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let text = integration::proc::read(container.pid(), "cgroup");
    let all = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"];
    for controller in all.into_iter().filter(|name| is_v1_of(name)) {
        let is_it = |name: &str| name.trim_start_matches("name=") == controller;
        let line = text.lines().find(|line| line.split(':').nth(1).unwrap().split(',').any(is_it)).unwrap();
        assert!(line.ends_with(&format!(":/{}", rt.tag())), "{line}");
    }
}

#[test]
fn memory() {
    if !are_here(&["memory"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle =
        resources(&rt, json!({"memory": {"limit": 64 << 20, "reservation": 32 << 20, "disableOOMKiller": true}}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "memory", "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(read(&rt, "memory", "memory.soft_limit_in_bytes"), (32 << 20).to_string());
    assert!(read(&rt, "memory", "memory.oom_control").contains("oom_kill_disable 1"));
}

#[test]
fn unlimited_memory() {
    if !are_here(&["memory"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"memory": {"limit": -1}}));
    let _container = rt.sleeper(&mut bundle);
    assert!(read(&rt, "memory", "memory.limit_in_bytes").parse::<u64>().unwrap() > 1 << 60);
}

#[test]
fn cpu() {
    if !are_here(&["cpu", "cpuset"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(
        &rt,
        json!({"cpu": {"shares": 512, "quota": 50000, "period": 100_000, "burst": 1000, "cpus": "0", "mems": "0"}}),
    );
    let container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "cpu", "cpu.shares"), "512");
    assert_eq!(read(&rt, "cpu", "cpu.cfs_quota_us"), "50000");
    assert_eq!(read(&rt, "cpu", "cpu.cfs_period_us"), "100000");
    assert_eq!(read(&rt, "cpu", "cpu.cfs_burst_us"), "1000");
    assert_eq!(read(&rt, "cpuset", "cpuset.cpus"), "0");
    assert_eq!(read(&rt, "cpuset", "cpuset.mems"), "0");
    assert_eq!(container.exec(&["nproc"]).word(), "1");
}

#[test]
fn an_unset_cpuset_is_the_parents() {
    if !are_here(&["cpuset"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let _container = rt.sleeper(&mut bundle);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        assert_eq!(
            read(&rt, "cpuset", file),
            fs::read_to_string(format!("/sys/fs/cgroup/cpuset/{file}")).unwrap().trim()
        );
    }
}

#[test]
fn cpu_idle() {
    if !are_here(&["cpu"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"cpu": {"idle": 1}}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "cpu", "cpu.idle"), "1");
}

#[test]
fn pids() {
    if !are_here(&["pids"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"pids": {"limit": 8}}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "pids", "pids.max"), "8");
    let output = container.sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 >/dev/null 2>&1 & done; echo never");
    assert_ne!(output.code, 0, "{output}");
    drop(bundle);
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"pids": {"limit": -1}}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "pids", "pids.max"), "max");
}

#[test]
fn block_io() {
    if !are_here(&["blkio"]) {
        return;
    }
    let rt = Runtime::new();
    let (major, minor) = block_device();
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
        assert_eq!(
            read(&rt, "blkio", &format!("blkio.throttle.{file}_device")),
            format!("{major}:{minor} {rate}"),
            "{file}"
        );
    }
}

/// The disk of the root file system, or any the kernel lists.
fn block_device() -> (u64, u64) {
    let text = fs::read_to_string("/proc/partitions").unwrap();
    let line =
        text.lines().find(|line| line.ends_with(" vda") || line.ends_with(" sda") || line.ends_with("loop0")).unwrap();
    let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn device_rules() {
    if !are_here(&["devices"]) {
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
    let list = read(&rt, "devices", "devices.list");
    // What is allowed to be made of all devices may or may not be repeated with one.
    for rule in ["c 10:229 rw", "c 1:3 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm", "c *:* m", "b *:* m"] {
        assert!(list.lines().any(|line| line.starts_with(rule)), "{rule} in {list}");
    }
    assert!(!list.lines().any(|line| line.starts_with("b ") && line.contains('r')), "{list}");
    assert!(!list.lines().any(|line| line.starts_with("a ")), "{list}");
}

#[test]
fn all_devices() {
    if !are_here(&["devices"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"devices": [{"allow": true, "access": "rwm"}]}));
    let _container = rt.sleeper(&mut bundle);
    assert_eq!(read(&rt, "devices", "devices.list"), "a *:* rwm");
}

#[test]
fn a_path_that_is_absent_is_the_id() {
    if !are_here(&["pids"]) {
        return;
    }
    let mut rt = Runtime::new();
    let parent = format!("{}-parent", rt.tag());
    rt.wrap(view::in_cgroup(&parent));
    let mut bundle = rt.bundle();
    bundle.unset("/linux/cgroupsPath");
    let container = rt.sleeper(&mut bundle);
    let text = integration::proc::read(container.pid(), "cgroup");
    let line = text.lines().find(|line| line.contains(":pids:")).unwrap();
    assert!(line.ends_with(&format!("/{parent}/{}", container.id)), "{line}");
    container.stop().verb(&["delete"]).ok();
    remove(&parent);
}

#[test]
fn a_relative_path() {
    if !are_here(&["pids"]) {
        return;
    }
    let mut rt = Runtime::new();
    let parent = format!("{}-parent", rt.tag());
    rt.wrap(view::in_cgroup(&parent));
    let mut bundle = rt.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("{}-rel/inner", rt.tag())));
    let container = rt.sleeper(&mut bundle);
    let text = integration::proc::read(container.pid(), "cgroup");
    let line = text.lines().find(|line| line.contains(":pids:")).unwrap();
    assert!(line.ends_with(&format!("/{parent}/{}-rel/inner", rt.tag())), "{line}");
    container.stop().verb(&["delete"]).ok();
    // In the hybrid's v2 hierarchy a relative path may start at the top.
    for path in
        integration::residue::cgroups(rt.tag()).iter().filter(|path| path.ends_with(format!("{}-rel", rt.tag())))
    {
        fs::remove_dir(path).unwrap();
    }
    remove(&parent);
}

/// Removes a cgroup which the test made from every hierarchy.
fn remove(name: &str) {
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let path = hierarchy.path().join(name);
        if path.exists() {
            fs::remove_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

#[test]
fn a_nested_absolute_path() {
    if !are_here(&["freezer"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("/{0}/a/b", rt.tag())));
    let container = rt.sleeper(&mut bundle);
    assert!(integration::proc::read(container.pid(), "cgroup").contains(&format!(":freezer:/{}/a/b\n", rt.tag())));
    container.stop().verb(&["delete"]).ok();
    assert!(!dir(&rt, "pids").exists(), "the parents that create made go with it");
}

#[test]
fn dots_do_not_lead_out() {
    if !are_here(&["pids"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("/../../../{}", rt.tag())));
    let container = rt.sleeper(&mut bundle);
    assert!(integration::proc::read(container.pid(), "cgroup").contains(&format!(":pids:/{}\n", rt.tag())));
}

#[test]
fn removal_takes_sub_cgroups_with_it() {
    if !are_here(&["pids", "freezer"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", integration::bundle::Join::New);
    bundle.unmount("/sys/fs/cgroup").mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "relatime", "rw"],
    );
    let container = rt.sleeper(&mut bundle);
    container.sh("for c in pids freezer; do mkdir -p /sys/fs/cgroup/$c/a/b; done; echo 0 > /sys/fs/cgroup/pids/a/b/cgroup.procs; ls /sys/fs/cgroup/pids/a").ok();
    container.verb(&["delete", "--force"]).ok();
    assert!(!dir(&rt, "pids").exists());
}

#[test]
fn a_cgroup_with_strangers_is_refused() {
    if !are_here(&["pids"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let first = rt.sleeper(&mut bundle);
    let mut second = rt.bundle_named("two");
    second.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag()))).args(&["true"]).write();
    let output = rt.call(["create", "--bundle"]).arg(second.dir()).arg(rt.id("two")).go().exits(1);
    output.says("container's cgroup is not empty: 1 process(es) found").one_line();
    assert_eq!(first.status(), "running");
    assert!(dir(&rt, "pids").exists(), "and it is left as it was");
}

#[test]
fn a_frozen_cgroup_is_refused() {
    if !are_here(&["freezer"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    fs::create_dir(dir(&rt, "freezer")).unwrap();
    fs::write(dir(&rt, "freezer").join("freezer.state"), "FROZEN").unwrap();
    let output = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    let _ = fs::write(dir(&rt, "freezer").join("freezer.state"), "THAWED");
    let _ = fs::remove_dir(dir(&rt, "freezer"));
    let output = output.exits(1).one_line();
    assert!(output.stderr.contains("frozen"), "{output}");
}

#[test]
fn a_limit_the_kernel_refuses_is_named() {
    if !are_here(&["cpu"]) {
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
fn exec_joins_the_first_process_where_a_hierarchy_lost_the_container() {
    if !are_here(&["blkio"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    // systemd does so where none of its units needs the controller.
    fs::write("/sys/fs/cgroup/blkio/cgroup.procs", container.pid().to_string()).unwrap();
    fs::remove_dir(dir(&rt, "blkio")).unwrap();
    assert_eq!(container.sh("grep -c blkio:/$ /proc/self/cgroup").word(), "1");
    assert_eq!(container.sh(&format!("grep -c freezer:/{} /proc/self/cgroup", rt.tag())).word(), "1");
    container.verb(&["delete", "--force"]).ok();
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
    if !are_here(&["memory"]) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = resources(&rt, json!({"memory": {"limit": 1 << 20}}));
    // busybox itself fits into half of it.
    bundle.args(&["busybox", "true"]);
    rt.run(&bundle).ok();
}

//! Version 1 and hybrid: this machine's own layout.

use super::*;

/// A site, if this machine has version 1 and we are root.
fn site() -> Option<Site> {
    usable().then(Site::new)
}

fn usable() -> bool {
    if std::env::var_os(INSIDE).is_some() || !is_root() {
        return false;
    }
    if Layout::detect().unwrap().is_v2() {
        eprintln!("skipped: this machine has no cgroup v1");
        return false;
    }
    true
}

#[test]
fn stand_still() {
    site().iter().for_each(frozen_processes_stand_still);
}

#[test]
fn kill() {
    site().iter().for_each(a_kill_reaches_everybody);
}

#[test]
fn forks() {
    site().iter().for_each(forks_do_not_escape);
}

#[test]
fn kill_frozen() {
    site().iter().for_each(a_frozen_container_can_be_killed);
}

#[test]
fn signal() {
    site().iter().for_each(a_signal_reaches_everybody);
}

#[test]
fn removal_waits() {
    site().iter().for_each(removal_waits_for_the_last_process);
}

#[test]
fn devices() {
    site().iter().for_each(devices_are_denied_and_allowed);
}

#[test]
fn deep() {
    site().iter().for_each(|site| a_tree_deeper_than_any_path(site, "freezer"));
}

#[test]
fn errors() {
    if !usable() {
        return;
    }
    let site = Site::bare();
    let error = an_error_leaves_nothing_behind(&site, r#"{"cpu":{"cpus":"4000"}}"#, "linux.resources.cpu.cpus");
    assert!(error.what().starts_with("write \"4000\" to \"/sys/fs/cgroup/cpuset/hull-test-"), "{error}");
}

#[test]
fn missing_controllers_are_named() {
    if !usable() {
        return;
    }
    let site = Site::bare();
    let mounted: Vec<String> = Layout::detect().unwrap().v1_controllers().map(str::to_owned).collect();
    if mounted.iter().any(|name| name == "net_cls") {
        eprintln!("skipped: this machine has every controller");
        return;
    }
    let error = site.create(r#"{"network":{"classID":5}}"#).unwrap_err();
    assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some("linux.resources.network.classID")));
    let error = site.create(r#"{"unified":{"memory.high":"1"}}"#).unwrap_err();
    assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some("linux.resources.unified")), "{error}");
    assert_eq!(site.left(), [] as [&Path; 0]);
}

#[test]
fn limits_are_what_the_kernel_has() {
    let Some(site) = site() else { return };
    let resources = r#"{"memory":{"limit":33554432,"swap":67108864,"reservation":16777216,"kernelTCP":8388608,"swappiness":7,"disableOOMKiller":true},
        "cpu":{"shares":512,"quota":20000,"period":50000,"burst":1000,"cpus":"0","mems":"0"},"pids":{"limit":17}}"#;
    let mut cgroup = site.create(resources).unwrap();
    assert_eq!(cgroup.limits_skipped(), [] as [String; 0]);
    let expected = [
        ("memory", "memory.limit_in_bytes", "33554432"),
        ("memory", "memory.memsw.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "16777216"),
        ("memory", "memory.kmem.tcp.limit_in_bytes", "8388608"),
        ("memory", "memory.swappiness", "7"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpu", "cpu.cfs_burst_us", "1000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
        ("pids", "pids.max", "17"),
    ];
    for (controller, file, value) in expected {
        assert_eq!(site.read(controller, file), value, "{file}");
    }
    assert!(site.read("memory", "memory.oom_control").starts_with("oom_kill_disable 1"));

    let _shell = family(&mut cgroup);
    let stats = cgroup.stats().unwrap();
    assert_eq!((stats.pids.current, stats.pids.limit), (3, 17));
    assert_eq!((stats.memory.usage.limit, stats.memory.swap.limit), (33_554_432, 67_108_864));
    assert!(stats.memory.usage.usage > 0 && stats.memory.raw.contains_key("rss"));
    assert!(
        stats.cpu.total > 0
            && !stats.cpu.percpu.is_empty()
            && stats.cpu.percpu_user.len() == stats.cpu.percpu_kernel.len()
    );
    assert_eq!((stats.cpuset.cpus.as_slice(), stats.cpuset.sched_relax_domain_level), (&[0][..], -1));
}

#[test]
fn an_update_finds_the_order() {
    let Some(site) = site() else { return };
    let mut cgroup =
        site.create(r#"{"memory":{"limit":33554432,"swap":33554432},"cpu":{"quota":20000,"period":50000}}"#).unwrap();
    let mut update = |resources: &str, controller: &str, files: [(&str, &str); 2]| {
        cgroup.update(&resources_of(resources)).unwrap();
        for (file, value) in files {
            assert_eq!(site.read(controller, file), value, "{resources}: {file}");
        }
    };
    let memory = |limit, total| [("memory.limit_in_bytes", limit), ("memory.memsw.limit_in_bytes", total)];
    update(r#"{"memory":{"limit":67108864,"swap":134217728}}"#, "memory", memory("67108864", "134217728"));
    update(r#"{"memory":{"limit":16777216,"swap":16777216}}"#, "memory", memory("16777216", "16777216"));
    let unlimited = "9223372036854771712";
    update(r#"{"memory":{"limit":-1}}"#, "memory", memory(unlimited, unlimited));
    let cpu = |quota, period| [("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", period)];
    update(r#"{"cpu":{"quota":500000,"period":1000000}}"#, "cpu", cpu("500000", "1000000"));
    update(r#"{"cpu":{"quota":2000,"period":5000}}"#, "cpu", cpu("2000", "5000"));
    update(r#"{"cpu":{"quota":-1}}"#, "cpu", cpu("-1", "5000"));
    update(r#"{"pids":{"limit":0}}"#, "pids", [("pids.max", "0"), ("pids.max", "0")]);
    let error = cgroup.update(&resources_of(r#"{"memory":{"limit":134217728,"swap":67108864}}"#)).unwrap_err();
    assert_eq!(error.config_field(), Some("linux.resources.memory.swap"));
}

#[test]
fn zero_processes_is_a_limit_that_one_can_walk_into() {
    let Some(site) = site() else { return };
    let mut cgroup = site.create(r#"{"pids":{"limit":0}}"#).unwrap();
    let mut shell = Shell::inside(&mut cgroup, "(exit 0) && exit 0; exit 5");
    assert_ne!(shell.ends().unwrap().code(), Some(0), "it could fork");
}

#[test]
fn a_limit_below_the_usage_tells_the_usage() {
    let Some(site) = site() else { return };
    let mut cgroup = site.create(r#"{"memory":{"limit":134217728}}"#).unwrap();
    // 32 MB of anonymous memory that cannot be given back: there is no swap here.
    let _shell = ready(&mut cgroup, "x=$(head -c 33554432 /dev/zero | tr '\\0' x); READY; read more");
    if std::fs::read_to_string("/proc/swaps").unwrap().lines().count() > 1 {
        eprintln!("skipped: this machine has swap");
        return;
    }
    let error = cgroup.update(&resources_of(r#"{"memory":{"limit":4194304}}"#)).unwrap_err();
    assert!(error.what().starts_with("unable to set memory limit to 4194304 (current usage: "), "{error}");
    assert_eq!(error.config_field(), Some("linux.resources.memory.limit"));
}

#[test]
fn device_rules_are_in_the_list() {
    let Some(site) = site() else { return };
    let cgroup = site.create(r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}]}"#).unwrap();
    let list = site.read("devices", "devices.list");
    let mut lines: Vec<_> = list.lines().collect();
    lines.sort_unstable();
    let mut expected = vec!["b *:* m", "c *:* m", "c 10:229 rw"];
    expected.extend([
        "c 10:200 rwm",
        "c 136:* rwm",
        "c 1:3 rwm",
        "c 1:5 rwm",
        "c 1:7 rwm",
        "c 1:8 rwm",
        "c 1:9 rwm",
        "c 5:0 rwm",
        "c 5:2 rwm",
    ]);
    expected.sort_unstable();
    assert_eq!(lines, expected);
    drop(cgroup);
}

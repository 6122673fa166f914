//! What a container has when systemd writes to its cgroup by itself: after a `daemon-reload` or a `set-property` (in the
//! machine of integration/machine).

use integration::cgroup::some_disk;
use integration::systemd::{Instance, bundle, is_here, is_here_with_v2, read, sleeper, unit};
use integration::{Bundle, Runtime, json};
use std::fs;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

const SYSTEM: Instance = Instance::System;

/// A reload has systemd write every limit of every unit as it knows it, a quota in whole percents: who looks at exact values
/// holds this for reading.
static RELOADS: RwLock<()> = RwLock::new(());

fn reload() {
    let _alone = RELOADS.write().unwrap_or_else(PoisonError::into_inner);
    SYSTEM.systemctl(&["daemon-reload"]).go().ok();
}

/// Has systemd write all that it knows of a unit's controllers.
fn rewrite(unit: &str) {
    let all = ["MemoryAccounting=yes", "CPUAccounting=yes", "IOAccounting=yes", "TasksAccounting=yes"];
    SYSTEM.systemctl(&[&["set-property", "--runtime", unit][..], &all].concat()).go().ok();
    SYSTEM.show(unit, "Id"); // it answers the call before it writes, and takes the next one afterwards
}

fn no_reload() -> RwLockReadGuard<'static, ()> {
    RELOADS.read().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn an_update_survives_a_reload() {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    let container = sleeper(&rt, &mut bundle);
    let unit = unit(&rt);
    let cgroup = SYSTEM.cgroup(&unit);
    let undisturbed = no_reload();
    // Again and again: systemd writes to the cgroup on its own time, and hull's exact values must come after.
    for i in 0..20 {
        let quota = format!("{}", 20_001 + i);
        container.verb(&["update", "--memory", "33554432", "--pids-limit", "7", "--cpu-quota", &quota]).ok();
        assert_eq!(read(&cgroup, "cpu.max"), format!("{quota} 100000"));
    }
    assert_eq!(SYSTEM.show(&unit, "MemoryMax"), "33554432");
    assert_eq!(SYSTEM.show(&unit, "CPUQuotaPerSecUSec"), "210ms");
    container.verb(&["update", "--cpu-period", "50000"]).ok();
    assert_eq!(read(&cgroup, "cpu.max"), "20020 50000", "the quota stays");
    assert_eq!(SYSTEM.show(&unit, "CPUQuotaPerSecUSec"), "410ms");
    container.verb(&["update", "--cpu-quota", "30000"]).ok();
    assert_eq!(read(&cgroup, "cpu.max"), "30000 50000", "and so does the period");
    assert_eq!(SYSTEM.show(&unit, "CPUQuotaPerSecUSec"), "600ms");
    drop(undisturbed);
    reload();
    for (file, value) in [("memory.max", "33554432"), ("pids.max", "7")] {
        assert_eq!(read(&cgroup, file), value, "{file}");
    }
    container.verb(&["update", "--memory", "-1", "--pids-limit", "-1"]).ok();
    assert_eq!((read(&cgroup, "memory.max").as_str(), read(&cgroup, "pids.max").as_str()), ("max", "max"));
    assert_eq!(SYSTEM.show(&unit, "MemoryMax"), "infinity");
}

#[test]
fn idle_is_a_weight_of_systemd_too() {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/cpu", json!({"idle": 1}));
    sleeper(&rt, &mut bundle);
    reload();
    assert_eq!(read(&SYSTEM.cgroup(&unit(&rt)), "cpu.idle"), "1");
    assert_eq!(SYSTEM.show(&unit(&rt), "CPUWeight"), "idle");
}

/// The device of the root file system.
fn root_disk() -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = table.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    root.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn what_is_set_by_name_survives() {
    if !is_here_with_v2() {
        return;
    }
    let _undisturbed = no_reload();
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    let max = format!("{} rbps=1048576 wbps=max riops=max wiops=50", root_disk());
    let wanted = [
        ("io.weight", "default 333"),
        ("io.max", &max),
        ("memory.oom.group", "1"),
        ("memory.high", "50331648"),
        ("memory.low", "4194304"),
        ("memory.min", "1048576"),
        ("memory.swap.max", "0"),
        ("memory.swap.high", "8388608"),
        ("cpu.weight", "77"),
        ("cpu.max", "30000 60000"),
        ("cpu.max.burst", "1000"),
        ("cpuset.cpus", "0"),
        ("pids.max", "44"),
        ("hugetlb.2MB.max", "2097152"),
    ];
    let files: serde_json::Map<_, _> = wanted.iter().map(|(file, value)| ((*file).to_owned(), json!(value))).collect();
    bundle.set("/linux/resources/unified", json!(files));
    let container = sleeper(&rt, &mut bundle);
    let cgroup = SYSTEM.cgroup(&unit(&rt));
    let stand =
        |when: &str| wanted.iter().for_each(|(file, value)| assert_eq!(read(&cgroup, file), *value, "{file} {when}"));
    stand("at first");
    rewrite(&unit(&rt));
    stand("when systemd has written all");
    // Of one device systemd writes all four limits at once.
    let more = format!("IOReadBandwidthMax=/dev/block/{} 2M", root_disk());
    SYSTEM.systemctl(&["set-property", "--runtime", &unit(&rt), &more]).go().ok();
    SYSTEM.show(&unit(&rt), "Id");
    assert_eq!(read(&cgroup, "io.max"), max.replace("1048576", "2000000"), "the others stay");
    let other = json!({"unified": {"io.weight": "444", "io.max": format!("{} wiops=max", root_disk())}});
    rt.call(["update", "--resources", "-", &container.id]).input(other.to_string()).go().ok();
    rewrite(&unit(&rt));
    assert_eq!(read(&cgroup, "io.weight"), "default 444");
    assert_eq!(SYSTEM.show(&unit(&rt), "IOWeight"), "444");
    assert!(read(&cgroup, "io.max").ends_with("wiops=max"), "{}", read(&cgroup, "io.max"));
}

#[test]
fn resources_count_more_than_an_annotation() {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/annotations", json!({"org.systemd.property.TasksMax": "uint64 22"}));
    bundle.set("/linux/resources/pids", json!({"limit": 33}));
    sleeper(&rt, &mut bundle);
    assert_eq!(SYSTEM.show(&unit(&rt), "TasksMax"), "33");
    rewrite(&unit(&rt));
    assert_eq!(read(&SYSTEM.cgroup(&unit(&rt)), "pids.max"), "33");
}

/// Which of two devices can be opened.
const LOOK: &str = "for d in null disk-it; do (true < /dev/$d) 2>/dev/null && echo $d open || echo $d denied; done";

/// A bundle with a device file that its rules do not allow.
fn bundle_with_disk(rt: &Runtime, major: u32, minor: u32) -> Bundle {
    let mut bundle = bundle(rt);
    let disk = json!({"path": "/dev/disk-it", "type": "b", "major": major, "minor": minor, "fileMode": 0o666});
    bundle.set("/linux/devices", json!([disk]));
    bundle
}

#[test]
fn device_rules_hold_and_survive_a_reload() {
    if !is_here() {
        return;
    }
    let rt = Runtime::new();
    let (major, minor) = some_disk().expect("a disk");
    let container = sleeper(&rt, &mut bundle_with_disk(&rt, major, minor));
    let denied = "null open\ndisk-it denied\n";
    assert_eq!(container.sh(LOOK).ok(), denied);
    reload();
    assert_eq!(container.sh(LOOK).ok(), denied);
    SYSTEM.systemctl(&["set-property", "--runtime", &unit(&rt), "CPUWeight=50"]).go();
    assert_eq!(container.sh(LOOK).ok(), denied);
    let rules = json!({"devices": [{"allow": true, "type": "b", "major": major, "minor": minor, "access": "r"}]});
    rt.call(["update", "--resources", "-", &container.id]).input(rules.to_string()).go().ok();
    assert_eq!(container.sh(LOOK).ok(), "null open\ndisk-it open\n");
}

#[test]
fn whoever_allows_a_device_by_systemd_does_not_overrule_the_config() {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    let (major, minor) = some_disk().expect("a disk");
    let container = sleeper(&rt, &mut bundle_with_disk(&rt, major, minor));
    let allow = format!("DeviceAllow=/dev/block/{major}:{minor} rwm");
    SYSTEM.systemctl(&["set-property", "--runtime", &unit(&rt), &allow]).go().ok();
    assert!(SYSTEM.show(&unit(&rt), "DeviceAllow").contains("rwm"));
    assert_eq!(container.sh(LOOK).ok(), "null open\ndisk-it denied\n");
    reload();
    assert_eq!(container.sh(LOOK).ok(), "null open\ndisk-it denied\n");
    SYSTEM.systemctl(&["set-property", "--runtime", &unit(&rt), "DevicePolicy=strict"]).go().ok();
    SYSTEM.show(&unit(&rt), "Id");
    assert_eq!(container.sh(LOOK).ok(), "null denied\ndisk-it denied\n", "but may forbid more");
}

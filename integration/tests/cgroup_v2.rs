//! cgroups in a pure v2 view: the controllers of this machine are v1's, so what is here is the tree, the freezer, kill,
//! device rules as eBPF, and clear errors for what is missing.

use integration::bundle::Join;
use integration::{Bundle, Runtime, json, proc, view};
use std::fs;
use std::path::PathBuf;

/// Where the host, which may see a hybrid, has the container's v2 cgroup.
fn dir(rt: &Runtime) -> PathBuf {
    view::v2_root().join(rt.tag())
}

fn bundle(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New);
    bundle
}

#[test]
fn the_container_is_in_its_cgroup_and_nowhere_else() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    let container = rt.sleeper(&mut bundle);
    let text = proc::read(container.pid(), "cgroup");
    assert!(text.lines().any(|line| line == format!("0::/{}", rt.tag())), "{text}");
    assert!(!text.lines().any(|line| !line.starts_with("0::") && line.contains(rt.tag())), "{text}");
    assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), "0::/", "exec, in the same cgroup namespace");
    container.verb(&["delete", "--force"]).ok();
    assert!(!dir(&rt).exists());
}

#[test]
fn the_cgroup_mount_is_v2() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    let seen = rt.sh(&mut bundle, "grep ' /sys/fs/cgroup ' /proc/self/mountinfo; cat /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x || echo read-only").ok();
    assert!(seen.contains(" - cgroup2 "), "{seen}");
    assert!(seen.contains("\n1\n"), "{seen}");
    assert!(seen.ends_with("read-only\n"), "{seen}");
}

/// The options of cgroup2, which are one file system on the whole machine.
fn options() -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).unwrap();
    line.split(' ').nth(3).unwrap().to_owned()
}

/// `nsdelegate` keeps containers from lifting their own limits.
#[test]
fn the_options_of_the_machines_cgroup2_are_left_alone() {
    let before = options();
    if !before.contains("nsdelegate") {
        println!("skipped: cgroup2 has no option that could get lost; integration/machine has a machine where it has");
        return;
    }
    let rt = Runtime::pure_v2();
    // With the machine's own cgroup namespace.
    let mut bundle = rt.bundle();
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro"]);
    let container = rt.sleeper(&mut bundle);
    assert_eq!(options(), before);
    let seen = container.exec(&["cat", "/sys/fs/cgroup/cgroup.controllers"]).ok();
    assert!(seen.contains("hugetlb"), "it is mounted all the same: {seen}");
}

#[test]
fn pause_and_resume() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    let container = rt.sleeper(&mut bundle);
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    assert_eq!(fs::read_to_string(dir(&rt).join("cgroup.freeze")).unwrap(), "1\n");
    assert!(
        fs::read_to_string(dir(&rt).join("cgroup.events")).unwrap().contains("frozen 1"),
        "paused means frozen, not asked to be"
    );
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "running");
    assert!(fs::read_to_string(dir(&rt).join("cgroup.events")).unwrap().contains("frozen 0"));
}

#[test]
fn delete_of_a_paused_container() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    let container = rt.sleeper(&mut bundle);
    container.verb(&["pause"]).ok();
    container.verb(&["delete", "--force"]).ok();
    assert!(!dir(&rt).exists());
}

#[test]
fn kill_all_takes_every_process() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.namespace("pid", Join::None);
    let said = bundle.fifo("/said");
    bundle.script("sleep 1000 & (setsid sleep 1000 &); echo up > /said; wait");
    let container = rt.detach(&bundle);
    said.line();
    let pids: Vec<i32> = serde_json::from_str(&container.verb(&["ps", "--format", "json"]).ok()).unwrap();
    assert!(pids.len() >= 3, "{pids:?}");
    container.verb(&["delete", "--force"]).ok();
    assert!(!pids.into_iter().any(proc::alive));
}

#[test]
fn ps_and_sub_cgroups() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    let container = rt.sleeper(&mut bundle);
    let sub = dir(&rt).join("sub");
    fs::create_dir(&sub).unwrap();
    container.exec_call(&["--detach", "--cgroup", "sub"], &["sleep", "1001"]).go().ok();
    assert_eq!(fs::read_to_string(sub.join("cgroup.procs")).unwrap().lines().count(), 1);
    let pids: Vec<i32> = serde_json::from_str(&container.verb(&["ps", "--format", "json"]).ok()).unwrap();
    assert_eq!(pids.len(), 2, "those of sub-cgroups too");
    container.exec_call(&["--cgroup", "../.."], &["true"]).go().exits(255).one_line();
    container.verb(&["delete", "--force"]).ok();
}

#[test]
fn device_rules_are_in_force() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.set(
        "/linux/devices",
        json!([
            {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666},
            {"path": "/dev/loop-it", "type": "c", "major": 10, "minor": 237, "fileMode": 0o666}
        ]),
    );
    bundle
        .script("for d in null fuse loop-it; do (true < /dev/$d) 2>/dev/null && echo $d open || echo $d denied; done");
    assert_eq!(rt.run(&bundle).ok(), "null open\nfuse denied\nloop-it denied\n");
    bundle.push(
        "/linux/resources/devices",
        json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}),
    );
    bundle.push("/linux/resources/devices", json!({"allow": true, "type": "c", "minor": 237, "access": "w"}));
    assert_eq!(rt.run(&bundle).ok(), "null open\nfuse open\nloop-it denied\n");
    bundle.script("(true > /dev/fuse) 2>/dev/null || echo fuse not to be written; (true > /dev/loop-it) && echo loop-it to be written");
    assert_eq!(rt.run(&bundle).ok(), "fuse not to be written\nloop-it to be written\n");
}

#[test]
fn device_rules_hold_for_exec_and_survive_update() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.set(
        "/linux/devices",
        json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]),
    );
    let container = rt.sleeper(&mut bundle);
    container.exec(&["sh", "-c", "true < /dev/fuse"]).exits(1);
    container.exec(&["sh", "-c", "true < /dev/zero"]).ok();
    rt.call(["update", "--resources", "-", &container.id]).input("{}").go().ok();
    container.exec(&["sh", "-c", "true < /dev/fuse"]).exits(1);
}

#[test]
fn a_controller_that_is_missing_is_named() {
    let here = fs::read_to_string(view::v2_root().join("cgroup.controllers")).unwrap();
    for (resource, value, name) in [
        ("pids", json!({"limit": 10}), "pids"),
        ("memory", json!({"limit": 64 << 20}), "memory"),
        ("cpu", json!({"cpus": "0"}), "cpuset"),
        ("cpu", json!({"quota": 1000, "period": 100_000}), "cpu"),
    ] {
        if here.split_whitespace().any(|controller| controller == name) {
            println!("skipped: this machine has the controller {name} of version 2");
            continue;
        }
        let rt = Runtime::pure_v2();
        let mut bundle = bundle(&rt);
        bundle.set(&format!("/linux/resources/{resource}"), value).args(&["true"]);
        let output = rt.run(&bundle).exits(1).one_line();
        assert!(output.stderr.contains(name), "{name}: {output}");
    }
}

#[test]
fn unified() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/unified", json!({"cgroup.max.depth": "3", "cgroup.max.descendants": "7"}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(fs::read_to_string(dir(&rt).join("cgroup.max.depth")).unwrap(), "3\n");
    assert_eq!(fs::read_to_string(dir(&rt).join("cgroup.max.descendants")).unwrap(), "7\n");
    container.verb(&["delete", "--force"]).ok();
    bundle.set("/linux/resources/unified", json!({"no.such.file": "1"})).args(&["true"]);
    rt.run(&bundle).exits(1).says_one_of(&["no.such.file", "linux.resources.unified"]).one_line();
    bundle.set("/linux/resources/unified", json!({"../cgroup.max.depth": "1"}));
    rt.run(&bundle).exits(1).one_line();
}

#[test]
fn huge_pages_are_limited_in_use_and_in_reservation() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}]));
    let container = rt.sleeper(&mut bundle);
    let read = |file: &str| fs::read_to_string(dir(&rt).join(file)).unwrap();
    let both = || [read("hugetlb.2MB.max"), read("hugetlb.2MB.rsvd.max")];
    assert_eq!(both(), ["4194304\n"; 2]);
    let update = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}).to_string();
    rt.call(["update", "--resources", "-", &container.id]).input(update).go().ok();
    assert_eq!(both(), ["0\n"; 2]);
    container.verb(&["delete", "--force"]).ok();
    bundle.set("/linux/resources/unified", json!({"hugetlb.2MB.rsvd.max": "2097152"}));
    rt.sleeper(&mut bundle);
    assert_eq!(both(), ["4194304\n", "2097152\n"], "what is set by name comes last");
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "3MB", "limit": 0}])).args(&["true"]);
    rt.container().verb(&["delete", "--force"]).ok();
    rt.run(&bundle).exits(1).one_line().says("linux.resources.hugepageLimits[0]");
}

#[test]
fn a_v1_only_resource_is_an_error() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/network", json!({"classID": 5})).args(&["true"]);
    let output = rt.run(&bundle).exits(1).one_line();
    assert!(output.stderr.contains("network") || output.stderr.contains("net_cls"), "{output}");
}

#[test]
fn a_cgroup_with_strangers_is_refused() {
    let rt = Runtime::pure_v2();
    let mut first = bundle(&rt);
    let first = rt.sleeper(&mut first);
    let mut second = rt.bundle_named("two");
    second
        .namespace("cgroup", Join::New)
        .set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())))
        .args(&["true"])
        .write();
    let output = rt.call(["create", "--bundle"]).arg(second.dir()).arg(rt.id("two")).go().exits(1);
    output.says("container's cgroup is not empty: 1 process(es) found").one_line();
    assert_eq!(first.status(), "running");
}

#[test]
fn stats() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    let container = rt.sleeper(&mut bundle);
    let event = container.verb(&["events", "--stats"]).json();
    assert_eq!(event["type"], "stats");
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{event}");
}

#[test]
fn removal_takes_sub_cgroups_with_it() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
    let container = rt.sleeper(&mut bundle);
    container.sh("mkdir -p /sys/fs/cgroup/a/b/c /sys/fs/cgroup/d").ok();
    container.verb(&["delete", "--force"]).ok();
    assert!(!dir(&rt).exists());
}

#[test]
fn exec_finds_a_first_process_that_has_moved_down() {
    let rt = Runtime::pure_v2();
    let mut bundle = bundle(&rt);
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 0}]));
    // What systemd does in a container: a cgroup with controllers for its children has no processes of its own.
    let moved = bundle.fifo("moved");
    bundle.script(
        "cd /sys/fs/cgroup; mkdir init; echo $$ > init/cgroup.procs; echo +hugetlb > cgroup.subtree_control; \
         echo yes > /moved; exec sleep 1000",
    );
    let container = rt.detach(&bundle);
    assert_eq!(moved.line(), "yes");
    assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), "0::/init");
}

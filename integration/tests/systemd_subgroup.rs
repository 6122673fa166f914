//! Cgroups below a scope of systemd's, which the annotations `run.oci.systemd.subgroup` and `run.oci.delegate-cgroup` ask for,
//! with a real systemd (in the machine of integration/machine).

use integration::fifo::Fifo;
use integration::systemd::{
    Instance, bundle, cgroup_of, is_here_with_v2, login_bundle, login_runtime, read, sleeper, unit,
};
use integration::{Bundle, Container, Runtime, json, proc};
use serde_json::Value;
use std::path::PathBuf;

const SUBGROUP: &str = "run.oci.systemd.subgroup";
const DELEGATED: &str = "run.oci.delegate-cgroup";

/// The container of the one instance, and the other's.
fn on_both(test: impl Fn(&Runtime, Bundle, Instance)) {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    test(&rt, bundle(&rt), Instance::System);
    let rt = login_runtime();
    test(&rt, login_bundle(&rt), Instance::User);
}

fn pids(container: &Container<'_>) -> Vec<i32> {
    serde_json::from_str(&container.verb(&["ps", "--format", "json"]).ok()).unwrap()
}

/// The directory of the container's scope, which systemd tells.
fn scope(rt: &Runtime, instance: Instance) -> PathBuf {
    instance.cgroup(&unit(rt))
}

#[test]
fn every_verb_finds_the_subgroup() {
    on_both(|rt, mut bundle, instance| {
        bundle.set("/annotations", json!({SUBGROUP: "payload"}));
        bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}}));
        let container = sleeper(rt, &mut bundle);
        let scope = scope(rt, instance);
        assert_eq!(cgroup_of(container.pid()), scope.join("payload"));
        assert_eq!(
            container.sh("cat /proc/self/cgroup").word(),
            "0::/",
            "an exec is there, and it is the root of its view"
        );
        assert_eq!(read(&scope, "memory.max"), "67108864", "the limits are the scope's");
        assert_eq!(read(&scope.join("payload"), "memory.max"), "max");
        assert_eq!(instance.show(&unit(rt), "MemoryMax"), "67108864");
        assert_eq!(pids(&container), [container.pid()]);

        let stats = container.verb(&["events", "--stats"]).json();
        assert_eq!(stats["data"]["pids"]["current"], 1, "{stats}");
        assert_eq!(stats["data"]["pids"]["limit"], 50, "{stats}");
        assert_eq!(stats["data"]["memory"]["usage"]["limit"], 64 << 20, "{stats}");

        container.verb(&["update", "--memory", "33554432", "--pids-limit", "40"]).ok();
        assert_eq!((read(&scope, "memory.max").as_str(), read(&scope, "pids.max").as_str()), ("33554432", "40"));
        assert_eq!(instance.show(&unit(rt), "TasksMax"), "40");

        container.verb(&["pause"]).ok();
        assert_eq!(container.status(), "paused");
        assert!(read(&scope.join("payload"), "cgroup.events").contains("frozen 1"));
        container.verb(&["resume"]).ok();
        assert_eq!(container.status(), "running");

        container.exec_call(&["--detach"], &["sleep", "999"]).go().ok();
        let all = pids(&container);
        assert_eq!(all.len(), 2, "{all:?}");
        rt.call(["kill", "--all", &container.id, "KILL"]).go().ok();
        assert!(all.iter().all(|&pid| proc::ended(pid)), "{all:?}");
        container.verb(&["delete"]).ok();
        assert!(!scope.exists() && !instance.knows(&unit(rt)));
    });
}

/// Below its cgroup the container's first process makes one with a limit, and tells what it sees.
const MANAGES: &str = "set -e; cd /sys/fs/cgroup$1; mkdir leaf limited; echo 0 > leaf/cgroup.procs
    echo +pids +memory > cgroup.subtree_control; echo 7 > limited/pids.max; echo 8388608 > limited/memory.max
    echo $(cat /proc/self/cgroup limited/pids.max limited/memory.max cgroup.controllers) > /said; exec sleep 1000";

fn manager(bundle: &mut Bundle, instance: Instance, annotations: Value, below: &str) -> Fifo {
    bundle.set("/annotations", annotations);
    bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}}));
    if instance == Instance::System {
        bundle.unmount("/sys/fs/cgroup"); // that of an ordinary user's bundle is not there
    }
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev"]);
    let said = bundle.fifo("/said");
    bundle.args(&["sh", "-c", MANAGES, "sh", below]);
    said
}

#[test]
fn a_delegated_cgroup_below_the_scope_is_the_containers_to_manage() {
    on_both(|rt, mut bundle, instance| {
        let said = manager(&mut bundle, instance, json!({DELEGATED: "init"}), "/init");
        let container = rt.make(&bundle, "", &["--systemd-cgroup", "run", "--detach"]);
        let line = said.line();
        assert!(
            line.starts_with("0::/init/leaf 7 8388608 ") && line.contains(" memory ") && line.contains(" pids"),
            "{line}"
        );
        let scope = scope(rt, instance);
        assert_eq!(cgroup_of(container.pid()), scope.join("init/leaf"));
        assert_eq!((read(&scope, "memory.max").as_str(), read(&scope, "pids.max").as_str()), ("67108864", "50"));
        assert_eq!(read(&scope.join("init"), "pids.max"), "max");
        assert_eq!(container.sh("echo joined").word(), "joined");
        assert_eq!(pids(&container), [container.pid()]);
        container.verb(&["update", "--pids-limit", "40"]).ok();
        assert_eq!(read(&scope, "pids.max"), "40");
        container.verb(&["pause"]).ok();
        assert_eq!(container.status(), "paused");
        container.verb(&["delete", "--force"]).ok();
        assert!(!scope.exists() && !instance.knows(&unit(rt)));
    });
}

#[test]
fn a_delegated_cgroup_in_a_subgroup() {
    on_both(|rt, mut bundle, instance| {
        let said = manager(&mut bundle, instance, json!({SUBGROUP: "payload", DELEGATED: "a/b"}), "/a/b");
        let container = rt.make(&bundle, "", &["--systemd-cgroup", "create"]);
        let scope = scope(rt, instance);
        assert_eq!(cgroup_of(container.pid()), scope.join("payload/a/b"));
        container.start();
        let line = said.line();
        assert!(
            line.starts_with("0::/a/b/leaf 7 8388608 ") && line.contains(" memory ") && line.contains(" pids"),
            "{line}"
        );
        assert_eq!(container.sh("echo joined").word(), "joined");
        container.verb(&["delete", "--force"]).ok();
        assert!(!scope.exists() && !instance.knows(&unit(rt)));
    });
}

#[test]
fn a_subgroup_that_is_none() {
    if !is_here_with_v2() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = bundle(&rt);
    bundle.set("/annotations", json!({SUBGROUP: "cgroup.procs"})).args(&["true"]).write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    call.go().exits(1).says(SUBGROUP).one_line();
    assert!(!Instance::System.knows(&unit(&rt)));
}

//! The systemd driver's whole way through a container's life, with a systemd that is played: pure v2, on any machine.

use integration::bundle::Join;
use integration::systemd::played::Played;
use integration::{Bundle, Container, Runtime, json, proc, view};
use rustix::process::Signal;

fn runtime(systemd: &Played) -> Runtime {
    let mut wrapper = systemd.wrapper();
    wrapper.extend(view::pure_v2());
    Runtime::wrapped(wrapper)
}

fn bundle(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("{}.slice:hull:1", rt.tag())));
    bundle.namespace("cgroup", Join::New);
    bundle
}

fn cgroup(rt: &Runtime) -> String {
    format!("/{}.slice/hull-1.scope", rt.tag())
}

fn sleeper<'rt>(rt: &'rt Runtime, bundle: &mut Bundle) -> Container<'rt> {
    bundle.args(&["sleep", "1000"]);
    rt.make(bundle, "", &["--systemd-cgroup", "run", "--detach"])
}

fn is_in(container: &Container<'_>, cgroup: &str) -> bool {
    proc::read(container.pid(), "cgroup").lines().any(|line| line == format!("0::{cgroup}"))
}

#[test]
fn from_its_scope_to_the_end_of_it() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    let container = sleeper(&rt, &mut bundle);
    assert_eq!(systemd.calls(), ["StartTransientUnit"]);
    assert!(is_in(&container, &cgroup(&rt)));
    assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), "0::/", "the scope is the root of its view");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    assert_eq!(systemd.calls(), [] as [&str; 0], "none of that is systemd's");
    // The controllers of a build machine are version 1's, so what comes after systemd's part fails.
    container.verb(&["update", "--pids-limit", "5"]);
    assert_eq!(systemd.calls(), ["SetUnitProperties", "Ping"]);
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(systemd.calls(), ["StopUnit"], "systemd forgets it by itself");
}

#[test]
fn a_created_container_waits_there() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    bundle.args(&["sleep", "1000"]);
    let container = rt.make(&bundle, "", &["--systemd-cgroup", "create"]);
    assert!(is_in(&container, &cgroup(&rt)));
    container.start();
    assert_eq!(container.status(), "running");
}

#[test]
fn a_process_that_forks_on_its_way_is_found_all_the_same() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    bundle.namespace("user", Join::New);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    integration::bundle::chown_tree(&bundle.rootfs(), 100_000);
    bundle.args(&["sleep", "1000"]);
    let container = rt.make(&bundle, "", &["--systemd-cgroup", "create"]);
    assert!(is_in(&container, &cgroup(&rt)));
    assert!(proc::read(container.pid(), "status").contains("Uid:\t100000"), "the pid is that of the forked one");
    container.start();
    assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), "0::/");
}

#[test]
fn a_scope_that_exists_is_somebody_elses() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    let first = sleeper(&rt, &mut bundle);
    systemd.calls();
    let id = rt.id("second");
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(&id);
    let said = call.go().exits(1).one_line();
    assert!(said.stderr.contains("hull-1.scope") && said.stderr.contains("already loaded"), "{said}");
    assert_eq!(systemd.calls(), ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"], "and no StopUnit");
    assert_eq!(first.status(), "running");
    assert!(is_in(&first, &cgroup(&rt)));
}

#[test]
fn a_limit_that_cannot_be_set_leaves_no_scope() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    bundle.set("/linux/resources/unified", json!({"no_such.file": "1"})).write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let said = call.go().exits(1).one_line();
    assert!(said.stderr.contains("linux.resources.unified"), "{said}");
    assert_eq!(systemd.calls(), ["StartTransientUnit", "StopUnit"]);
}

#[test]
fn an_annotation_without_sense_is_found_before_systemd_is_asked() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    bundle.set("/annotations", json!({"org.systemd.property.TasksMax": "uint64 many"})).write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let said = call.go().exits(1).one_line();
    assert!(said.stderr.contains("org.systemd.property.TasksMax"), "{said}");
    assert_eq!(systemd.calls(), [] as [&str; 0]);
}

#[test]
fn a_runtime_killed_while_systemd_is_silent_leaves_nothing_alive() {
    let systemd = Played::new();
    systemd.fall_silent();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    bundle.args(&["sleep", "1000"]).write();
    let call = rt.call(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
    let running = call.spawn();
    systemd.wait_for("StartTransientUnit");
    running.signal(Signal::KILL);
    running.wait();
    let container = rt.container();
    assert_eq!(container.status(), "stopped");
    container.verb(&["delete", "--force"]).ok();
}

#[test]
fn a_subgroup_of_the_scope_is_the_containers_root() {
    let systemd = Played::new();
    let rt = runtime(&systemd);
    let mut bundle = bundle(&rt);
    bundle.set("/annotations", json!({"run.oci.systemd.subgroup": "payload"}));
    let container = sleeper(&rt, &mut bundle);
    assert!(is_in(&container, &format!("{}/payload", cgroup(&rt))));
    assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), "0::/", "an exec is there, too");
    let pids: Vec<i32> = serde_json::from_str(&container.verb(&["ps", "--format", "json"]).ok()).unwrap();
    assert_eq!(pids, [container.pid()]);
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["delete", "--force"]).ok();
    assert!(!std::path::Path::new("/sys/fs/cgroup/unified").join(&cgroup(&rt)[1..]).exists());
    bundle.set("/annotations", json!({"run.oci.systemd.subgroup": "../payload"}));
    rt.run(&bundle).exits(1).says("run.oci.systemd.subgroup").one_line();
}

#[test]
fn a_delegated_cgroup_is_below_the_scope_and_its_subgroup() {
    for (annotations, below) in [
        (json!({"run.oci.delegate-cgroup": "a/b"}), "/a/b"),
        (json!({"run.oci.delegate-cgroup": "a", "run.oci.systemd.subgroup": "payload"}), "/payload/a"),
    ] {
        let systemd = Played::new();
        let rt = runtime(&systemd);
        let mut bundle = bundle(&rt);
        bundle.set("/annotations", annotations);
        let container = sleeper(&rt, &mut bundle);
        assert!(is_in(&container, &format!("{}{below}", cgroup(&rt))), "{below}");
        let seen = below.trim_start_matches("/payload");
        assert_eq!(container.sh("grep ^0: /proc/self/cgroup").word(), format!("0::{seen}"), "an exec is there, too");
        container.verb(&["delete", "--force"]).ok();
        assert!(!std::path::Path::new("/sys/fs/cgroup/unified").join(&cgroup(&rt)[1..]).exists());
    }
}

//! Where a container's cgroups are on a machine with cgroup v1: paths, who is in them already, removal.

use integration::cgroup::{are_v1_here, is_v1_here, is_v1_of};
use integration::{Container, Runtime, json, view};
use std::fs;
use std::path::PathBuf;

fn dir(rt: &Runtime, controller: &str) -> PathBuf {
    PathBuf::from(format!("/sys/fs/cgroup/{controller}/{}", rt.tag()))
}

/// A runtime whose caller is in a cgroup of its own, and that cgroup's name.
fn below_parent() -> (Runtime, String) {
    let mut rt = Runtime::new();
    let parent = format!("{}-parent", rt.tag());
    rt.wrap(view::in_cgroup(&parent));
    (rt, parent)
}

/// Where a container is in the hierarchy of pids.
fn in_pids(container: &Container<'_>) -> String {
    let text = integration::proc::read(container.pid(), "cgroup");
    text.lines().find(|line| line.contains(":pids:")).unwrap().to_owned()
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
fn a_path_that_is_absent_is_the_id() {
    if !are_v1_here(&["pids"]) {
        return;
    }
    let (rt, parent) = below_parent();
    let mut bundle = rt.bundle();
    bundle.unset("/linux/cgroupsPath");
    let container = rt.sleeper(&mut bundle);
    let line = in_pids(&container);
    assert!(line.ends_with(&format!("/{parent}/{}", container.id)), "{line}");
    container.stop().verb(&["delete"]).ok();
    remove(&parent);
}

#[test]
fn a_relative_path() {
    if !are_v1_here(&["pids"]) {
        return;
    }
    let (rt, parent) = below_parent();
    let mut bundle = rt.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("{}-rel/inner", rt.tag())));
    let container = rt.sleeper(&mut bundle);
    let line = in_pids(&container);
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
    if !are_v1_here(&["freezer"]) {
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
    if !are_v1_here(&["pids"]) {
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
    if !are_v1_here(&["pids", "freezer"]) {
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
    if !are_v1_here(&["pids"]) {
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
    if !are_v1_here(&["freezer"]) {
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
fn exec_joins_the_first_process_where_a_hierarchy_lost_the_container() {
    if !are_v1_here(&["blkio"]) {
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

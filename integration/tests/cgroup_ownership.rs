//! Who owns a container's cgroup: its own user where the container may write it, root everywhere else.

use integration::bundle::Join;
use integration::{Runtime, cgroup, json, view};
use std::os::unix::fs::MetadataExt;

const BASE: u32 = 700_000;

/// A container with a user namespace and a cgroup namespace, or (`None`) without either: (owner of the directory, of the files that may be delegated,
/// of all others).
fn owners(rt: &Runtime, base: Option<u32>, option: &str, uid: u32) -> (u32, Vec<u32>, Vec<u32>) {
    let mut bundle = rt.bundle();
    bundle.set("/process/user", json!({"uid": uid, "gid": uid}));
    if let Some(base) = base {
        bundle.userns(base, 65536).namespace("cgroup", Join::New);
    }
    bundle.unmount("/sys/fs/cgroup").mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", option],
    );
    let container = rt.sleeper(&mut bundle);
    let dir = view::v2_root().join(rt.tag());
    let may = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap();
    let (mut delegated, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let uid = entry.metadata().unwrap().uid();
        if may.lines().any(|line| line == name) { delegated.push(uid) } else { others.push(uid) }
    }
    let owner = std::fs::metadata(&dir).unwrap().uid();
    container.verb(&["delete", "--force"]).ok();
    delegated.dedup();
    others.dedup();
    (owner, delegated, others)
}

#[test]
fn the_containers_user_gets_a_cgroup_they_may_write() {
    if !view::has_v2_root() {
        return;
    }
    let rt = Runtime::pure_v2();
    assert_eq!(owners(&rt, Some(BASE), "rw", 0), (BASE, vec![BASE], vec![0]));
    let rt = Runtime::pure_v2();
    assert_eq!(
        owners(&rt, Some(BASE), "rw", 1000),
        (BASE + 1000, vec![BASE + 1000], vec![0]),
        "process.user.uid, on the host"
    );
}

#[test]
fn nobody_gets_a_cgroup_they_may_not_write() {
    if !view::has_v2_root() {
        return;
    }
    let rt = Runtime::pure_v2();
    assert_eq!(owners(&rt, Some(BASE), "ro", 0), (0, vec![0], vec![0]));
    let rt = Runtime::pure_v2();
    assert_eq!(owners(&rt, None, "rw", 1000), (0, vec![0], vec![0]), "the cgroup namespace is the runtime's");
}

#[test]
fn version_1_is_never_given_away() {
    if !cgroup::is_v1_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536).namespace("cgroup", Join::New);
    bundle.unmount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    // By itself it would be below the caller's, which is another one in each hierarchy.
    bundle.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())));
    let _container = rt.sleeper(&mut bundle);
    // A kernel may have a controller for version 2 alone: systemd's directory for it is empty then.
    let is_mounted = |controller: &&str| std::fs::exists(format!("/sys/fs/cgroup/{controller}/cgroup.procs")).unwrap();
    let controllers: Vec<_> = ["memory", "pids", "devices", "freezer"].into_iter().filter(is_mounted).collect();
    assert!(controllers.contains(&"pids"), "{controllers:?}");
    for controller in controllers {
        let dir = format!("/sys/fs/cgroup/{controller}/{}", rt.tag());
        assert_eq!(std::fs::metadata(&dir).unwrap().uid(), 0, "{dir}");
        assert_eq!(std::fs::metadata(format!("{dir}/cgroup.procs")).unwrap().uid(), 0, "{dir}");
    }
}

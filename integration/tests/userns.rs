//! User namespaces: maps, what root inside owns outside, joining, exec, devices and mounts inside.

use integration::bundle::Join;
use integration::{Runtime, json, proc};

const BASE: u32 = 700_000;

#[test]
fn root_inside_is_an_ordinary_id_outside() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536);
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("id -u; id -g").ok(), "0\n0\n");
    let id = BASE.to_string();
    let ids = proc::field(container.pid(), "Uid").unwrap();
    assert_eq!(ids.split_whitespace().collect::<Vec<_>>(), [&id; 4]);
    let ids = proc::field(container.pid(), "Gid").unwrap();
    assert_eq!(ids.split_whitespace().collect::<Vec<_>>(), [&id; 4]);
    assert_eq!(proc::read(container.pid(), "uid_map").split_whitespace().collect::<Vec<_>>(), ["0", &id, "65536"]);
    assert_ne!(
        proc::link(container.pid(), "ns/user"),
        std::fs::read_link("/proc/self/ns/user").unwrap().to_str().unwrap()
    );
}

#[test]
fn several_ranges() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 1000);
    let map = json!([
        {"containerID": 0, "hostID": BASE, "size": 1000},
        {"containerID": 1000, "hostID": 5000, "size": 1},
        {"containerID": 1001, "hostID": BASE + 1001, "size": 500}
    ]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("id -u").word(), "1000");
    assert_eq!(proc::field(container.pid(), "Uid").unwrap().split_whitespace().next(), Some("5000"));
    assert_eq!(proc::read(container.pid(), "uid_map").lines().count(), 3);
}

#[test]
fn the_usual_mounts_and_devices_are_there() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536);
    let seen = rt
        .sh(
            &mut bundle,
            "echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1 && ls -ln /dev/null /dev/tty && mount",
        )
        .ok();
    assert!(seen.contains("00 00 00 00"), "{seen}");
    for place in [
        "on /proc type proc",
        "on /dev type tmpfs",
        "on /dev/pts type devpts",
        "on /dev/mqueue type mqueue",
        "on /sys type sysfs",
    ] {
        assert!(seen.contains(place), "{place}: {seen}");
    }
}

#[test]
fn exec_joins_it() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536);
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("readlink /proc/self/ns/user").word(), proc::link(container.pid(), "ns/user"));
    assert_eq!(
        container
            .exec_call(&["--user", "1000:1000"], &["sh", "-c", "id -u; id -g; cat /proc/self/uid_map"])
            .go()
            .ok()
            .lines()
            .next(),
        Some("1000")
    );
    container.exec_call(&["--user", "100000"], &["true"]).go().exits(255).one_line();
}

#[test]
fn another_containers_user_namespace() {
    let rt = Runtime::new();
    let mut first = rt.bundle();
    first.userns(BASE, 65536);
    let first = rt.sleeper(&mut first);
    let mut second = rt.bundle_named("two");
    integration::bundle::chown_tree(&second.rootfs(), BASE);
    for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        second.namespace(kind, Join::Path(format!("/proc/{}/ns/{file}", first.pid())));
    }
    second.unset("/hostname").args(&["sleep", "1000"]);
    let second = rt.detach_named(&second, "two");
    for ns in ["user", "net", "ipc", "uts", "pid"] {
        assert_eq!(proc::link(second.pid(), &format!("ns/{ns}")), proc::link(first.pid(), &format!("ns/{ns}")), "{ns}");
    }
    second.verb(&["delete", "--force"]).ok();
}

#[test]
fn files_made_inside_belong_to_the_mapped_id() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536).writable().caps(&integration::config::MANY_CAPS);
    rt.sh(&mut bundle, "echo x > /mine && echo x > /theirs && chown 1000:2000 /theirs").ok();
    use std::os::unix::fs::MetadataExt;
    let owner = |name: &str| {
        let meta = std::fs::metadata(bundle.inside(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(owner("/mine"), (BASE, BASE));
    assert_eq!(owner("/theirs"), (BASE + 1000, BASE + 2000));
}

#[test]
fn the_file_systems_belong_to_root_inside() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536);
    // The root of an mqueue is made with the ipc namespace, by who makes that.
    let seen = rt.sh(&mut bundle, "stat -c '%n %u %g' /dev /dev/pts /dev/shm /dev/mqueue").ok();
    assert_eq!(seen, "/dev 0 0\n/dev/pts 0 0\n/dev/shm 0 0\n/dev/mqueue 0 0\n");
}

#[test]
fn maps_without_a_user_namespace_are_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let map = json!([{"containerID": 0, "hostID": BASE, "size": 10}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    rt.run(&bundle).exits(1).says_one_of(&["uidMappings", "ser namespace mappings specified"]).one_line();
}

#[test]
fn a_user_outside_the_map_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 10).set("/process/user/uid", json!(4000));
    bundle.args(&["true"]);
    rt.run(&bundle).exits(1).one_line();
}

#[test]
fn capabilities_inside_are_full_and_outside_none() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(BASE, 65536).caps(&integration::config::MANY_CAPS);
    bundle.bind(std::path::Path::new("/etc"), "/mnt/host", &["rbind", "ro"]);
    let seen = rt.sh(&mut bundle, "mkdir -p /dev/shm/m && mount -t tmpfs none /dev/shm/m && echo mounted; cat /mnt/host/shadow || echo denied").ok();
    assert!(seen.contains("mounted"), "{seen}");
    assert!(seen.contains("denied"), "{seen}");
}

//! Devices: the default ones, configured ones, the links of /dev, and what the image may not do with them.

use integration::{Runtime, json};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn the_default_set() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let seen = rt
        .sh(&mut bundle, "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' /dev/$d; done")
        .ok();
    assert_eq!(
        seen,
        "/dev/null character special file 1:3 666 0:0\n\
         /dev/zero character special file 1:5 666 0:0\n\
         /dev/full character special file 1:7 666 0:0\n\
         /dev/random character special file 1:8 666 0:0\n\
         /dev/urandom character special file 1:9 666 0:0\n\
         /dev/tty character special file 5:0 666 0:0\n"
    );
}

#[test]
fn they_work_although_all_others_are_denied() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&integration::config::MANY_CAPS);
    let seen = rt.sh(
        &mut bundle,
        "echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 5 /dev/urandom | wc -c; echo y > /dev/full || echo full; \
         mknod /dev/mem b 253 0 2>&1; mknod /dev/shm/null c 1 3 && echo made",
    );
    let seen = seen.ok();
    assert!(seen.starts_with(" 00 00 00\n5\nfull\n"), "{seen}");
    assert!(seen.contains("made"), "any device may be made that needs no access: {seen}");
}

#[test]
fn the_links() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let seen =
        rt.sh(&mut bundle, "for l in fd stdin stdout stderr ptmx; do echo $l $(readlink /dev/$l); done; ls /dev").ok();
    for link in [
        "fd /proc/self/fd",
        "stdin /proc/self/fd/0",
        "stdout /proc/self/fd/1",
        "stderr /proc/self/fd/2",
        "ptmx pts/ptmx",
    ] {
        assert!(seen.lines().any(|line| line == link), "{link}: {seen}");
    }
    assert!(!seen.lines().any(|name| name == "kmsg" || name == "vda"), "{seen}");
    assert!(!seen.lines().any(|name| name == "console"), "no console without a terminal: {seen}");
}

#[test]
fn configured_devices() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/devices",
        json!([
            {"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8},
            {"path": "/dev/sub/dir/zero", "type": "c", "major": 1, "minor": 5},
            {"path": "/opt/unbuffered", "type": "u", "major": 1, "minor": 7, "fileMode": 0o666},
            {"path": "/dev/pipe", "type": "p", "fileMode": 0o600},
            {"path": "/dev/block", "type": "b", "major": 7, "minor": 77, "fileMode": 0o600}
        ]),
    );
    let seen = rt
        .sh(&mut bundle, "stat -c '%F %t:%T %a %u:%g' /dev/mine /dev/sub/dir/zero /opt/unbuffered /dev/pipe /dev/block")
        .ok();
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[0], "character special file 1:3 640 7:8");
    assert!(lines[1].starts_with("character special file 1:5 "), "{seen}");
    assert_eq!(lines[2], "character special file 1:7 666 0:0");
    assert!(lines[3].starts_with("fifo"), "{seen}");
    assert_eq!(lines[4], "block special file 7:4d 600 0:0");
}

#[test]
fn a_file_that_is_something_else_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let device = |kind: &str, minor: u32| json!([{"path": "/opt/there", "type": kind, "major": 1, "minor": minor}]);
    bundle.writable().set("/linux/devices", device("c", 3)).args(&["stat", "-c", "%F %t:%T", "/opt/there"]);
    assert_eq!(rt.run(&bundle).ok(), "character special file 1:3\n");
    assert_eq!(rt.run(&bundle).ok(), "character special file 1:3\n", "the node of before is the one that is asked for");
    for other in [device("c", 5), device("b", 3), json!([{"path": "/opt/there", "type": "p"}])] {
        bundle.set("/linux/devices", other.clone());
        rt.run(&bundle).exits(1).says("linux.devices[0]").one_line();
    }
    bundle.set("/linux/devices", json!([{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}]));
    rt.run(&bundle).exits(1).says("linux.devices[0]").one_line();
    assert!(bundle.inside("/etc/passwd").is_file(), "and is left as it was");
}

#[test]
fn the_mode_is_not_narrowed_by_a_umask() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .set("/linux/devices", json!([{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]));
    bundle.args(&["stat", "-c", "%a", "/dev/mine", "/dev/null"]).write();
    let script = format!("umask 077; exec \"$@\" run --bundle {} {}", bundle.dir().display(), rt.id(""));
    let call = integration::Call::new("sh").args(["-c", &script, "sh"]).arg(integration::binary::path());
    assert_eq!(call.arg("--root").arg(rt.root()).go().ok(), "666\n666\n");
}

#[test]
fn a_configured_default_replaces_it() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/devices",
        json!([{"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o600, "uid": 5}]),
    );
    assert_eq!(rt.sh(&mut bundle, "stat -c '%a %u' /dev/full").word(), "600 5");
}

#[test]
fn access_rules_of_the_config() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/devices",
        json!([
            {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666},
            {"path": "/dev/loop-it", "type": "c", "major": 10, "minor": 237, "fileMode": 0o666}
        ]),
    );
    bundle.script("true < /dev/fuse && echo open || echo denied; true < /dev/loop-it && echo open || echo denied");
    assert_eq!(rt.run(&bundle).ok(), "denied\ndenied\n");
    bundle.push(
        "/linux/resources/devices",
        json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}),
    );
    assert_eq!(rt.run(&bundle).ok(), "open\ndenied\n");
    bundle.push(
        "/linux/resources/devices",
        json!({"allow": false, "type": "c", "major": 10, "minor": 229, "access": "r"}),
    );
    assert_eq!(rt.run(&bundle).ok(), "denied\ndenied\n", "the last rule wins");
}

#[test]
fn access_is_per_kind() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/devices",
        json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]),
    );
    bundle.push(
        "/linux/resources/devices",
        json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}),
    );
    bundle.script("true < /dev/fuse && echo read; true > /dev/fuse || echo no write");
    assert_eq!(rt.run(&bundle).ok(), "read\nno write\n");
}

#[test]
fn the_images_dev_is_not_followed_out() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let outside = rt.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("ptmx"), "precious").unwrap();
    bundle.unmount("/dev").unmount("/dev/pts").unmount("/dev/shm").unmount("/dev/mqueue");
    fs::remove_dir(bundle.inside("/dev")).unwrap();
    symlink(&outside, bundle.inside("/dev")).unwrap();
    bundle.args(&["true"]);
    rt.run(&bundle);
    assert_eq!(fs::read_to_string(outside.join("ptmx")).unwrap(), "precious");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was made outside");
}

#[test]
fn a_false_null_device_is_not_used() {
    // CVE-2025-31133: the image's /dev/null as a link to something the masking would then expose.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.unmount("/dev").unmount("/dev/pts").unmount("/dev/shm").unmount("/dev/mqueue");
    symlink("/proc/sys/kernel/core_pattern", bundle.inside("/dev/null")).unwrap();
    bundle.set("/linux/maskedPaths", json!(["/proc/kcore", "/etc/passwd"]));
    bundle.script("cat /etc/passwd; echo x > /etc/passwd; true");
    let output = rt.run(&bundle);
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert!(!output.stdout.contains(pattern.trim()), "{output}");
    assert_ne!(pattern, "x\n");
}

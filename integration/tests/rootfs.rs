//! The root file system: read-only, propagation, pivot and no pivot, no way out.

use integration::{Runtime, json};
use std::fs;

#[test]
fn read_only_and_writable() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("echo x > /file && echo rw || echo ro");
    assert_eq!(rt.run(&bundle).word(), "ro");
    assert!(!bundle.inside("/file").exists());
    bundle.writable();
    assert_eq!(rt.run(&bundle).word(), "rw");
    assert_eq!(fs::read_to_string(bundle.inside("/file")).unwrap(), "x\n");
    bundle.unset("/root/readonly");
    assert_eq!(rt.run(&bundle).word(), "rw", "writable is the default");
}

#[test]
fn the_old_root_is_gone() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let table = rt.sh(&mut bundle, "cat /proc/self/mountinfo; ls /").ok();
    let places: Vec<_> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(places.iter().filter(|place| **place == "/").count(), 1, "{table}");
    assert!(!table.contains("process_api") || table.contains("/memory"), "{table}");
    for place in &places {
        assert!(["/proc", "/dev", "/sys"].iter().any(|top| place.starts_with(top)) || *place == "/", "{place}");
    }
    let listing: Vec<_> = table.lines().filter(|line| !line.contains(' ')).collect();
    assert_eq!(listing, ["bin", "dev", "etc", "proc", "root", "sys"]);
}

#[test]
fn without_pivot_root() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("ls / && echo $$ && cat /proc/self/mountinfo");
    let seen = rt.run_with(&bundle, &["--no-pivot"]).ok();
    assert_eq!(seen.lines().take(7).collect::<Vec<_>>(), ["bin", "dev", "etc", "proc", "root", "sys", "1"]);
    let container = rt.make(bundle.args(&["sleep", "1000"]), "", &["create", "--no-pivot"]);
    container.start();
    assert_eq!(container.sh("ls /").ok().lines().count(), 6, "exec sees the same root");
}

#[test]
fn dot_dot_stays_inside() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    assert_eq!(rt.sh(&mut bundle, "cd ../../../..; pwd; ls -a ../../.. | sort | head -n 3").ok(), "/\n.\n..\nbin\n");
}

#[test]
fn propagation_of_the_root() {
    for (mode, tag) in [
        ("shared", Some("shared:")),
        ("slave", Some("master:")),
        ("private", None),
        ("unbindable", Some("unbindable")),
        ("rshared", Some("shared:")),
        ("rslave", Some("master:")),
        ("rprivate", None),
        ("runbindable", Some("unbindable")),
    ] {
        // The bundle is below a shared mount, as on a host with systemd.
        let rt = Runtime::wrapped(integration::view::in_mount_namespace("mount --make-rshared /"));
        let mut bundle = rt.bundle();
        bundle.set("/linux/rootfsPropagation", json!(mode)).script("cat /proc/self/mountinfo");
        let table = rt.run(&bundle).ok();
        let root = table.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        let tags: Vec<_> = root.split(" - ").next().unwrap().split(' ').skip(6).collect();
        match tag {
            Some(tag) => assert!(tags.iter().any(|have| have.starts_with(tag)), "{mode}: {root}"),
            None => assert!(tags.is_empty(), "{mode}: {root}"),
        }
    }
}

#[test]
fn mounts_of_a_container_do_not_reach_the_host() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&integration::config::MANY_CAPS).writable();
    let container = rt.sleeper(&mut bundle);
    container.sh("mkdir -p /m && mount -t tmpfs none /m && echo x > /m/f").ok();
    assert_eq!(integration::residue::mounts(rt.tag()), Vec::<String>::new());
    assert_eq!(container.sh("cat /m/f").word(), "x", "exec sees it");
}

#[test]
fn an_absolute_root_path_and_one_through_dots() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "ok"]);
    for path in [bundle.rootfs().display().to_string(), "./rootfs".into(), "../bundle/rootfs/.".into()] {
        bundle.set("/root/path", json!(path));
        assert_eq!(rt.run(&bundle).ok(), "ok\n", "{path}");
    }
}

#[test]
fn a_root_elsewhere() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["ls", "/"]);
    let elsewhere = rt.path("elsewhere");
    fs::rename(bundle.rootfs(), &elsewhere).unwrap();
    bundle.set("/root/path", json!(elsewhere));
    assert_eq!(rt.run(&bundle).ok().lines().count(), 6);
}

#[test]
fn a_bundle_path_with_odd_characters() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "ok"]).write();
    let odd = rt.path("a b\t'\"\\,:=*\u{e9}");
    fs::rename(bundle.dir(), &odd).unwrap();
    let output = rt.call(["run", "--bundle"]).arg(&odd).arg(rt.id("")).go();
    assert_eq!(output.ok(), "ok\n");
    fs::rename(&odd, bundle.dir()).unwrap();
}

#[test]
fn a_file_for_a_root_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/root/path", json!("config.json")).args(&["true"]);
    rt.run(&bundle).exits(1).says_one_of(&["root.path", "not a directory"]).one_line();
}

/// The host's mounts stay below the container's root then, and must not let a new user namespace have a bare procfs.
#[test]
fn without_pivot_root_there_is_no_bare_procfs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("unshare -Urmpf mount -t proc none /proc && echo mounted");
    let output = rt.run_with(&bundle, &["--no-pivot"]);
    assert!(!output.stdout.contains("mounted"), "{output}");
    assert!(output.stderr.contains("ermitted") || output.stderr.contains("denied"), "{output}");
}

//! The table of mount options of config.md, option by option: each is known, each recursive one reaches what is below.

use integration::proc::mount_entry;
use integration::{Runtime, json, view};

/// All options the table marks MUST or SHOULD, and those it allows, but for bind, propagation and id maps.
const FLAGS: [&str; 28] = [
    "async",
    "atime",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "relatime",
    "ro",
    "rw",
    "silent",
    "strictatime",
    "symfollow",
];

#[test]
fn every_option_is_known_and_none_reaches_the_file_system() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // tmpfs refuses parameters it does not know.
    for option in FLAGS.into_iter().chain(["suid", "sync", "tmpcopyup"]) {
        bundle.mount(&format!("/m/{option}"), "tmpfs", "tmpfs", &[option]);
    }
    let seen = rt.sh(&mut bundle, "grep -c ' /m/' /proc/self/mountinfo").word();
    assert_eq!(seen, "31");
}

#[test]
fn an_unknown_option_is_the_file_systems() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["size=3m,nr_inodes=77"]);
    let entry = rt.sh(&mut bundle, "grep ' /mnt ' /proc/self/mountinfo").ok();
    assert!(entry.contains("size=3072k,nr_inodes=77"), "{entry}");
    bundle.mount("/other", "tmpfs", "tmpfs", &["nosuchoption"]);
    rt.run(&bundle).exits(1).says("mounts[8]").one_line();
}

#[test]
fn remount_changes_what_is_there() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["size=1m"]);
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["remount", "nosuid", "noexec", "ro"]);
    let table = rt.sh(&mut bundle, "cat /proc/self/mountinfo").ok();
    assert_eq!(table.lines().filter(|line| line.contains(" /mnt ")).count(), 1, "{table}");
    let entry = mount_entry(&table, "/mnt");
    let flags = entry.split(' ').nth(5).unwrap();
    assert!(["ro", "nosuid", "noexec"].iter().all(|flag| flags.split(',').any(|have| have == *flag)), "{entry}");
}

#[test]
fn recursive_options_reach_the_mounts_below() {
    // (what the mount below has, option, words its entry must have, words it must not)
    for (before, option, with, without) in [
        ("rw", "rro", "ro", ""),
        ("ro", "rrw", "rw", "ro"),
        ("rw", "rnosuid", "nosuid", ""),
        ("nosuid", "rsuid", "", "nosuid"),
        ("rw", "rnodev", "nodev", ""),
        ("nodev", "rdev", "", "nodev"),
        ("rw", "rnoexec", "noexec", ""),
        ("noexec", "rexec", "", "noexec"),
        ("rw", "rnodiratime", "nodiratime", ""),
        ("nodiratime", "rdiratime", "", "nodiratime"),
        ("rw", "rnoatime", "noatime", "relatime"),
        ("noatime", "ratime", "", "noatime"),
        ("noatime", "rrelatime", "relatime", "noatime"),
        ("noatime", "rstrictatime", "", "noatime"),
        ("strictatime", "rnostrictatime", "relatime", ""),
        ("noatime", "rnorelatime", "noatime", ""),
        ("rw", "rnosymfollow", "nosymfollow", ""),
        ("nosymfollow", "rsymfollow", "", "nosymfollow"),
    ] {
        let rt = Runtime::wrapped(view::in_mount_namespace(
            "mount -t tmpfs it-tmpfs $SUB && mount -o remount,bind,$FLAG $SUB",
        ));
        let dir = rt.host_dir("dir");
        let mut bundle = rt.bundle();
        bundle.mount("/mnt", "none", dir.to_str().unwrap(), &["rbind", option]).script("cat /proc/self/mountinfo");
        let call = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).env("FLAG", before);
        let entry = mount_entry(&call.go().ok(), "/mnt/sub");
        let flags: Vec<_> = entry.split(' ').nth(5).unwrap().split(',').collect();
        assert!(with.is_empty() || flags.contains(&with), "{option} on {before}: {entry}");
        assert!(without.is_empty() || !flags.contains(&without), "{option} on {before}: {entry}");
    }
}

#[test]
fn a_relative_bind_and_a_dummy_type() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    rt.host_dir("beside");
    bundle.push(
        "/mounts",
        json!({"destination": "/mnt", "type": "nosuchfs", "source": "../beside", "options": ["bind"]}),
    );
    assert_eq!(rt.sh(&mut bundle, "cat /mnt/file").ok(), "from the host");
}

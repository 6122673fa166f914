//! Mount options that crun has beyond the specification, seen from inside.

use integration::bundle::{Join, chown_tree};
use integration::proc::mount_entry;
use integration::{Runtime, json};
use std::os::unix::fs::symlink;

/// The words of a mount's own options, and of its file system's.
fn options(entry: &str) -> Vec<String> {
    entry.split(' ').nth(5).unwrap().split(',').map(str::to_owned).collect()
}

#[test]
fn copy_symlink_makes_the_symlink_again() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    symlink("../nowhere/else", dir.join("link")).unwrap();
    symlink("/to/be/kept", dir.join("kept")).unwrap();
    symlink("/to/be/kept", bundle.inside("/etc/kept")).unwrap();
    bundle.bind(&dir.join("link"), "/made/for/it/link", &["copy-symlink"]);
    bundle.bind(&dir.join("link"), "/top", &["copy-symlink", "ro"]);
    bundle.bind(&dir.join("kept"), "/etc/kept", &["copy-symlink"]);
    bundle.bind(&dir.join("file"), "/plain", &["copy-symlink"]);
    // What is mounted on it goes where it leads.
    symlink("/etc", dir.join("up")).unwrap();
    bundle.mount("/tmp", "tmpfs", "tmpfs", &[]).bind(&dir.join("up"), "/tmp/up", &["copy-symlink"]);
    bundle.bind(&dir.join("file"), "/tmp/up/below", &[]);
    let script = "cat /etc/below; echo; for l in /made/for/it/link /top /etc/kept; do readlink $l; done; cat /plain; echo; grep -c ' /plain ' /proc/self/mountinfo; \
                  grep -c -e /top -e kept -e /it/link /proc/self/mountinfo";
    let seen = rt.sh(&mut bundle, script);
    assert_eq!(
        seen.stdout, "from the host\n../nowhere/else\n../nowhere/else\n/to/be/kept\nfrom the host\n1\n0\n",
        "{seen}"
    );
}

#[test]
fn copy_symlink_stays_in_the_root_and_takes_nothing_away() {
    let rt = Runtime::new();
    let dir = rt.host_dir("dir");
    symlink("target", dir.join("link")).unwrap();
    let mut bundle = rt.bundle();
    symlink(rt.dir(), bundle.inside("/out")).unwrap();
    bundle.bind(&dir.join("link"), "/out/link", &["copy-symlink"]).args(&["true"]);
    rt.run(&bundle).ok();
    assert!(rt.path("link").symlink_metadata().is_err(), "made on the host");

    bundle.file("/taken", "");
    bundle.bind(&dir.join("link"), "/taken", &["copy-symlink"]);
    rt.run(&bundle).exits(1).says("/taken").says("file exists").one_line();
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.bind(&dir.join("missing"), "/x", &["copy-symlink"]);
    rt.run(&bundle).exits(1).says("dir/missing").says("no such file").one_line();
    for other in ["src-nofollow", "dest-nofollow"] {
        bundle.config["mounts"].as_array_mut().unwrap().pop();
        bundle.bind(&dir.join("link"), "/x", &["copy-symlink", other]);
        rt.run(&bundle).exits(1).says(other).one_line();
    }
}

#[test]
fn copy_symlink_in_a_user_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(700_000, 65536);
    let dir = rt.host_dir("dir");
    symlink("target", dir.join("link")).unwrap();
    bundle.bind(&dir.join("link"), "/etc/link", &["copy-symlink"]);
    assert_eq!(rt.sh(&mut bundle, "readlink /etc/link; stat -c %u /etc/link").ok(), "target\n0\n");
}

#[test]
fn src_nofollow_mounts_the_symlink_itself() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    symlink("file", dir.join("link")).unwrap();
    symlink("nowhere", bundle.inside("/etc/there")).unwrap();
    bundle.bind(&dir.join("link"), "/followed", &[]);
    bundle.bind(&dir.join("link"), "/etc/there", &["src-nofollow", "dest-nofollow"]);
    let seen = rt.sh(&mut bundle, "cat /followed; echo; readlink /etc/there");
    assert_eq!(seen.ok(), "from the host\nfile\n");
}

#[test]
fn dest_nofollow_mounts_over_the_symlink() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    symlink("target", bundle.inside("/etc/link")).unwrap();
    bundle.file("/etc/target", "the image's");
    bundle.bind(&dir.join("file"), "/etc/link", &["dest-nofollow"]);
    let script = "cat /etc/link; echo; cat /etc/target; echo; [ -L /etc/link ] && echo link || echo mount";
    assert_eq!(rt.sh(&mut bundle, script).ok(), "from the host\nthe image's\nmount\n");
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.bind(&dir.join("file"), "/etc/link", &[]);
    assert_eq!(rt.sh(&mut bundle, script).ok(), "from the host\nfrom the host\nlink\n");
}

#[test]
fn every_recursive_flag_reaches_the_mounts_below() {
    // What the mount below has, options, words that must be there then, words that must not.
    let table = [
        ["rw", "rro", "ro", "rw"],
        ["ro", "rrw", "rw", "ro"],
        ["rw", "rnosuid rnodev rnoexec", "nosuid nodev noexec", ""],
        ["nosuid,nodev,noexec", "rsuid rdev rexec", "", "nosuid nodev noexec"],
        ["rw", "rnoatime", "noatime", "relatime"],
        ["noatime", "ratime", "relatime", "noatime"],
        ["noatime", "rrelatime", "relatime", "noatime"],
        ["rw", "rstrictatime", "", "relatime noatime"],
        ["strictatime", "rnostrictatime", "relatime", ""],
        ["rw", "rnodiratime", "nodiratime", ""],
        ["nodiratime", "rdiratime", "", "nodiratime"],
        ["rw", "rnosymfollow", "nosymfollow", ""],
        ["nosymfollow", "rsymfollow", "", "nosymfollow"],
    ];
    for [before, flags, with, without] in table {
        let prepare = format!("mount -t tmpfs -o {before} it-tmpfs $SUB");
        let rt = Runtime::wrapped(integration::view::in_mount_namespace(&prepare));
        let dir = rt.host_dir("dir");
        let mut bundle = rt.bundle();
        let all: Vec<_> = ["rbind"].into_iter().chain(flags.split(' ')).collect();
        bundle.bind(&dir, "/mnt", &all).script("cat /proc/self/mountinfo");
        let seen = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go().ok();
        for place in ["/mnt", "/mnt/sub"] {
            let entry = mount_entry(&seen, place);
            let words = options(&entry);
            let there = |word: &str| words.iter().any(|found| found == word);
            assert!(with.split_whitespace().all(there), "{flags} on {before}: {entry}");
            assert!(!without.split_whitespace().any(there), "{flags} on {before}: {entry}");
        }
    }
}

#[test]
fn rnorelatime_asks_for_nothing() {
    // As mount(8) has norelatime: the kernel's default, and no way to ask for other than to name one.
    let rt = Runtime::wrapped(integration::view::in_mount_namespace("mount -t tmpfs -o noatime it-tmpfs $SUB"));
    let dir = rt.host_dir("dir");
    let mut bundle = rt.bundle();
    bundle.bind(&dir, "/mnt", &["rbind", "rnorelatime"]).script("cat /proc/self/mountinfo");
    let seen = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go().ok();
    assert!(options(&mount_entry(&seen, "/mnt/sub")).contains(&"noatime".to_owned()), "{seen}");
}

#[test]
fn flags_of_a_superblock_are_told_to_be_no_mounts() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    for flag in ["rsync", "rasync", "rdirsync", "rmand", "rnomand"] {
        bundle.bind(&dir, "/mnt", &["rbind", flag]).args(&["true"]);
        rt.run(&bundle).exits(0).says(flag).says("mounts[").one_line();
        bundle.config["mounts"].as_array_mut().unwrap().pop();
    }
}

#[test]
fn idmap_has_ranges_of_its_own() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    chown_tree(&dir, 1005);
    std::os::unix::fs::chown(dir.join("file"), Some(3000), Some(1001)).unwrap();
    let ranges = "idmap=uids=1000-0-10#3000-77-1;gids=1000-500-10";
    bundle.bind(&dir, "/mnt", &[ranges]).caps(&integration::config::MANY_CAPS);
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /mnt /mnt/file").ok(), "5:505\n77:501\n");
    for (wrong, why) in
        [("idmap=uids=0-1-2", "gids"), ("idmap=uids=a;gids=0-0-1", "\"a\""), ("idmap=x=0-0-1", "x=0-0-1")]
    {
        bundle.config["mounts"].as_array_mut().unwrap().pop();
        bundle.bind(&dir, "/mnt", &[wrong]);
        rt.run(&bundle).exits(1).says(why).one_line();
    }
}

#[test]
fn idmap_relative_to_the_user_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("user", Join::New);
    let map = json!([
        {"containerID": 0, "hostID": 700_000, "size": 10},
        {"containerID": 10, "hostID": 800_000, "size": 100}
    ]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    chown_tree(&bundle.rootfs(), 700_000);
    let dir = rt.host_dir("dir");
    std::os::unix::fs::chown(dir.join("file"), Some(1001), Some(1001)).unwrap();
    // 0 on the disk is 3 in the container, 1000 is 20.
    let ranges = "idmap=uids=@0-3-1#@1000-20-5;gids=@0-3-1#@1000-20-5";
    bundle.bind(&dir, "/mnt", &[ranges]);
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /mnt /mnt/file").ok(), "3:3\n21:21\n");
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.bind(&dir, "/mnt", &["idmap=uids=@0-500-1;gids=@0-0-1"]);
    rt.run(&bundle).exits(1).says("maps no id 500").says("options").one_line();
}

#[test]
fn tmpcopyup_brings_what_the_image_has() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.file("/data/deep/file", "the image's");
    symlink("deep/file", bundle.inside("/data/link")).unwrap();
    std::os::unix::fs::chown(bundle.inside("/data/deep/file"), Some(7), Some(8)).unwrap();
    rustix::fs::chmod(bundle.inside("/data"), rustix::fs::Mode::from_raw_mode(0o1751)).unwrap();
    bundle.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "nosuid"]);
    bundle.mount("/missing", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let script = "cat /data/link; echo; stat -c %a /data; stat -c %u:%g:%a /data/deep/file; echo x > /data/deep/file; \
                  ls -A /missing | wc -l; grep -c ' /data .*nosuid.* tmpfs ' /proc/self/mountinfo";
    assert_eq!(rt.sh(&mut bundle, script).ok(), "the image's\n1751\n7:8:644\n0\n1\n");
    assert_eq!(std::fs::read_to_string(bundle.inside("/data/deep/file")).unwrap(), "the image's");
}

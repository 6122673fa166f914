//! What every mount option means, in numbers of the kernel's headers.

use super::*;

fn options(words: &[&str]) -> MountOptions {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    parse(&words, "mounts[0]").unwrap()
}

/// Every name and its meaning in numbers of linux/mount.h and linux/fs.h, apart from the table above.
#[test]
fn every_name_means_what_the_kernel_headers_say() {
    let plain = MountOptions::default;
    let set = |attr| MountOptions { attr_set: attr, ..plain() };
    let clear = |attr| MountOptions { attr_clr: attr, ..plain() };
    let time = |value| MountOptions { attr_set: value, attr_clr: 0x70, ..plain() };
    let rset = |attr| MountOptions { rec_attr_set: attr, ..plain() };
    let rclear = |attr| MountOptions { rec_attr_clr: attr, ..plain() };
    let rtime = |value| MountOptions { rec_attr_set: value, rec_attr_clr: 0x70, ..plain() };
    let sb = |flag| MountOptions { sb_flags: flag, ..plain() };
    let nosb = |flag| MountOptions { sb_clear: flag, ..plain() };
    let spread = |flag, recursive| MountOptions { propagation: vec![(flag, recursive)], ..plain() };
    let mapped = |recursive| MountOptions { idmap: Some(Idmap { recursive, ..Idmap::default() }), ..plain() };
    let cases = [
        ("async", nosb(16)),
        ("atime", time(0)),
        ("bind", MountOptions { bind: true, ..plain() }),
        ("copy-symlink", MountOptions { copy_symlink: true, ..plain() }),
        ("defaults", plain()),
        ("dest-nofollow", MountOptions { dest_nofollow: true, ..plain() }),
        ("dev", clear(4)),
        ("diratime", clear(0x80)),
        ("dirsync", sb(128)),
        ("exec", clear(8)),
        ("idmap", mapped(false)),
        ("iversion", sb(1 << 23)),
        ("lazytime", sb(1 << 25)),
        ("loud", nosb(1 << 15)),
        ("mand", sb(64)),
        ("noatime", time(0x10)),
        ("nodev", set(4)),
        ("nodiratime", set(0x80)),
        ("noexec", set(8)),
        ("noiversion", nosb(1 << 23)),
        ("nolazytime", nosb(1 << 25)),
        ("nomand", nosb(64)),
        ("norelatime", plain()),
        ("nostrictatime", time(0)),
        ("nosuid", set(2)),
        ("nosymfollow", set(0x20_0000)),
        ("private", spread(1 << 18, false)),
        ("ratime", rtime(0)),
        ("rbind", MountOptions { bind: true, recursive_bind: true, ..plain() }),
        ("rdev", rclear(4)),
        ("rdiratime", rclear(0x80)),
        ("relatime", time(0)),
        ("remount", MountOptions { remount: true, ..plain() }),
        ("rexec", rclear(8)),
        ("ridmap", mapped(true)),
        ("rnoatime", rtime(0x10)),
        ("rnodev", rset(4)),
        ("rnodiratime", rset(0x80)),
        ("rnoexec", rset(8)),
        ("rnorelatime", plain()),
        ("rnostrictatime", rtime(0)),
        ("rnosuid", rset(2)),
        ("rnosymfollow", rset(0x20_0000)),
        ("ro", MountOptions { attr_set: 1, sb_flags: 1, ..plain() }),
        ("rprivate", spread(1 << 18, true)),
        ("rrelatime", rtime(0)),
        ("rro", rset(1)),
        ("rrw", rclear(1)),
        ("rshared", spread(1 << 20, true)),
        ("rslave", spread(1 << 19, true)),
        ("rstrictatime", rtime(0x20)),
        ("rsuid", rclear(2)),
        ("rsymfollow", rclear(0x20_0000)),
        ("runbindable", spread(1 << 17, true)),
        ("rw", MountOptions { attr_clr: 1, sb_clear: 1, ..plain() }),
        ("shared", spread(1 << 20, false)),
        ("silent", sb(1 << 15)),
        ("slave", spread(1 << 19, false)),
        ("src-nofollow", MountOptions { src_nofollow: true, ..plain() }),
        ("strictatime", time(0x20)),
        ("suid", clear(2)),
        ("symfollow", clear(0x20_0000)),
        ("sync", sb(16)),
        ("tmpcopyup", MountOptions { tmpcopyup: true, ..plain() }),
        ("unbindable", spread(1 << 17, false)),
    ];
    assert_eq!(known().collect::<Vec<_>>(), cases.each_ref().map(|case| case.0));
    for (name, expected) in cases {
        assert_eq!(options(&[name]), expected, "{name}");
    }
}

#[test]
fn the_last_name_wins() {
    assert_eq!(options(&["ro", "noexec", "rw", "exec"]), options(&["rw", "exec"]));
    assert_eq!(options(&["exec", "rw", "noexec", "ro"]), options(&["noexec", "ro"]));
    assert_eq!(options(&["noatime", "strictatime"]), options(&["strictatime"]));
    assert_eq!(options(&["strictatime", "relatime"]), options(&["relatime"]));
    assert_eq!(options(&["rro", "rrw"]), options(&["rrw"]));
    assert_eq!(options(&["async", "sync"]), options(&["sync"]));
}

#[test]
fn access_times_are_set_and_their_field_cleared_whatever_stands_beside() {
    let all = options(&["nosuid", "noatime", "nodiratime", "dev"]);
    assert_eq!((all.attr_set, all.attr_clr), (2 | 0x10 | 0x80, 0x70 | 4));
}

#[test]
fn unknown_names_are_the_filesystems_one_each() {
    let tmpfs = options(&["nosuid", "mode=755", "size=64k,nr_inodes=2", "context=\"a:b:c1,c2\""]);
    assert_eq!(tmpfs.data, ["mode=755", "size=64k", "nr_inodes=2", "context=\"a:b:c1,c2\""]);
    assert_eq!(options(&[r"lowerdir=/a\,b:/c"]).data, [r"lowerdir=/a\,b:/c"]);
    assert_eq!(parameter("context=\"a:b:c1,c2\""), ("context", Some("a:b:c1,c2")));
    assert_eq!((parameter("size=64k"), parameter("huge")), (("size", Some("64k")), ("huge", None)));
}

#[test]
fn the_type_bind_is_a_bind_mount_without_the_option() {
    let mount = Mount { kind: Some("bind".to_owned()), ..Mount::default() };
    assert_eq!(parse_mount(&mount, "mounts[0]").unwrap(), options(&["bind"]));
}

#[test]
fn idmap_takes_ranges() {
    let idmap = options(&["ridmap=uids=0-1-2;gids=0-3-4"]).idmap.unwrap();
    assert_eq!((idmap.recursive, idmap.uids[0].mapping.host_id, idmap.gids[0].mapping.size), (true, 1, 4));
    let error = parse(&["idmap=uids=0-1-2".to_owned()], "mounts[1]").unwrap_err();
    assert_eq!(error.to_string(), "\"idmap=uids=0-1-2\": both uids and gids are required (mounts[1].options)");
}

#[test]
fn superblock_flags_have_the_names_of_fsconfig() {
    let names = |words: &[&str]| options(words).super_parameters().collect::<Vec<_>>();
    assert_eq!(
        names(&["ro", "sync", "dirsync", "lazytime", "mand", "silent", "iversion"]),
        ["ro", "sync", "dirsync", "mand", "lazytime"]
    );
    assert_eq!(names(&["rw", "async"]), [""; 0]);
    assert_eq!(
        names(&["remount", "rw", "async", "nolazytime", "nomand", "loud"]),
        ["rw", "async", "nomand", "nolazytime"]
    );
}

//! Options of mounts: flags set and cleared, recursive ones, propagation, id maps.

use integration::proc::mount_entry;
use integration::{Runtime, json};

#[test]
fn recursive_read_only() {
    for (options, below) in [(&["rbind", "ro"][..], "rw"), (&["rbind", "rro"], "ro")] {
        let rt = Runtime::wrapped(integration::view::in_mount_namespace("mount -t tmpfs it-tmpfs $SUB"));
        let dir = rt.host_dir("dir");
        let mut bundle = rt.bundle();
        bundle.mount("/mnt", "none", dir.to_str().unwrap(), options);
        bundle.script(
            "touch /mnt/x 2>/dev/null && echo rw || echo ro; touch /mnt/sub/x 2>/dev/null && echo rw || echo ro",
        );
        let output = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go();
        assert_eq!(output.ok(), format!("ro\n{below}\n"), "{options:?}");
    }
}

#[test]
fn every_flag_of_mount_8() {
    // (options, words that must be there, words that must not)
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (&["ro"], &["ro"], &["rw"]),
        (&["nosuid", "nodev", "noexec"], &["nosuid", "nodev", "noexec"], &[]),
        (&["noatime"], &["noatime"], &["relatime"]),
        (&["nodiratime"], &["nodiratime"], &[]),
        (&["relatime"], &["relatime"], &["noatime"]),
        (&["strictatime"], &[], &["noatime", "relatime"]),
        (&["nosymfollow"], &["nosymfollow"], &[]),
        (&["nosuid", "suid"], &[], &["nosuid"]),
        (&["nodev", "dev"], &[], &["nodev"]),
        (&["noexec", "exec"], &[], &["noexec"]),
        (&["ro", "rw"], &["rw"], &[]),
        (&["defaults"], &["rw"], &["nosuid"]),
        (&["noatime", "atime"], &[], &["noatime"]),
    ];
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (number, (options, _, _)) in table.iter().enumerate() {
        bundle.mount(&format!("/m/{number}"), "tmpfs", "tmpfs", options);
    }
    let seen = rt.sh(&mut bundle, "cat /proc/self/mountinfo").ok();
    for (number, (options, with, without)) in table.iter().enumerate() {
        let entry = mount_entry(&seen, &format!("/m/{number}"));
        let flags: Vec<_> = entry.split(' ').nth(5).unwrap().split(',').collect();
        assert!(with.iter().all(|word| flags.contains(word)), "{options:?}: {entry}");
        assert!(!without.iter().any(|word| flags.contains(word)), "{options:?}: {entry}");
    }
}

#[test]
fn superblock_flags() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/a", "tmpfs", "tmpfs", &["sync"]).mount("/b", "tmpfs", "tmpfs", &["dirsync", "lazytime"]);
    let table = rt.sh(&mut bundle, "cat /proc/self/mountinfo").ok();
    assert!(mount_entry(&table, "/a").contains(",sync"), "{table}");
    assert!(mount_entry(&table, "/b").contains(",dirsync,lazytime"), "{table}");
}

#[test]
fn a_bind_mount_keeps_or_clears_flags() {
    let prepare = "mount -t tmpfs it-tmpfs $SUB && mount -o remount,bind,ro,nosuid,nodev,noexec,noatime $SUB";
    for (options, with, without) in [
        (&["rbind"][..], &["nosuid", "nodev", "noexec", "ro"][..], &[][..]),
        (&["rbind", "rw", "exec"], &["nosuid", "nodev", "rw"], &["noexec", "ro"]),
        (&["rbind", "suid", "dev"], &["noexec", "ro"], &["nosuid", "nodev"]),
    ] {
        let rt = Runtime::wrapped(integration::view::in_mount_namespace(prepare));
        let dir = rt.host_dir("dir");
        let mut bundle = rt.bundle();
        bundle.mount("/mnt", "none", dir.join("sub").to_str().unwrap(), options).script("cat /proc/self/mountinfo");
        let table = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go().ok();
        let entry = mount_entry(&table, "/mnt");
        let flags: Vec<_> = entry.split(' ').nth(5).unwrap().split(',').collect();
        assert!(with.iter().all(|word| flags.contains(word)), "{options:?}: {entry}");
        assert!(!without.iter().any(|word| flags.contains(word)), "{options:?}: {entry}");
    }
}

#[test]
fn propagation_of_each_mount() {
    for (option, tag) in [
        ("shared", Some("shared:")),
        ("slave", Some("master:")),
        ("private", None),
        ("unbindable", Some("unbindable")),
        ("rshared", Some("shared:")),
        ("rslave", Some("master:")),
        ("rprivate", None),
    ] {
        let rt = Runtime::wrapped(integration::view::in_mount_namespace(
            "mount -t tmpfs it-tmpfs $SUB && mount --make-shared $SUB",
        ));
        let dir = rt.host_dir("dir");
        let mut bundle = rt.bundle();
        bundle.set("/linux/rootfsPropagation", json!("slave"));
        bundle
            .mount("/mnt", "none", dir.join("sub").to_str().unwrap(), &["rbind", option])
            .script("cat /proc/self/mountinfo");
        let table = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go().ok();
        let entry = mount_entry(&table, "/mnt");
        let fields: Vec<_> = entry.split(" - ").next().unwrap().split(' ').skip(6).collect();
        match tag {
            Some(tag) => assert!(fields.iter().any(|field| field.starts_with(tag)), "{option}: {entry}"),
            None => assert!(fields.is_empty(), "{option}: {entry}"),
        }
    }
}

#[test]
fn a_shared_volume_gives_mounts_back() {
    for (option, comes_back) in [("rshared", true), ("rslave", false), ("rprivate", false)] {
        let script = "mount --make-rprivate / && mount -t tmpfs it-tmpfs $SUB && mount --make-shared $SUB && \
                      \"$@\" && grep -c \" $SUB/in \" /proc/self/mountinfo || true";
        let rt = Runtime::wrapped(["unshare", "--mount", "sh", "-c", script, "sh"].map(str::to_owned).to_vec());
        let dir = rt.host_dir("dir");
        let mut bundle = rt.bundle();
        bundle.set("/linux/rootfsPropagation", json!("shared")).caps(&integration::config::MANY_CAPS);
        bundle.mount("/mnt", "none", dir.join("sub").to_str().unwrap(), &["rbind", option]);
        bundle.script("mkdir /mnt/in && mount -t tmpfs it-inner /mnt/in");
        let seen = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go().word();
        assert_eq!(seen, if comes_back { "1" } else { "0" }, "{option}");
    }
}

#[test]
fn id_mapped_bind() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    integration::bundle::chown_tree(&dir, 1000);
    let map = json!([{"containerID": 1000, "hostID": 0, "size": 10}]);
    bundle.push("/mounts", json!({
        "destination": "/mnt", "type": "bind", "source": dir, "options": ["bind"], "uidMappings": map, "gidMappings": map
    }));
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /mnt/file").word(), "0:0");
    assert!(!mount_entry(&rt.sh(&mut bundle, "cat /proc/self/mountinfo").ok(), "/mnt").is_empty());
}

#[test]
fn id_mapped_with_the_containers_map() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(700_000, 65536);
    let dir = rt.host_dir("dir");
    integration::bundle::chown_tree(&dir, 3);
    bundle.bind(&dir, "/plain", &[]).bind(&dir, "/mapped", &["idmap"]);
    assert_eq!(rt.sh(&mut bundle, "stat -c %u:%g /plain/file /mapped/file").ok(), "65534:65534\n3:3\n");
}

#[test]
fn recursively_id_mapped() {
    for (option, below) in [("idmap", "9"), ("ridmap", "8")] {
        let rt = Runtime::wrapped(integration::view::in_mount_namespace("mount -t tmpfs -o uid=9 it-tmpfs $SUB"));
        let dir = rt.host_dir("dir");
        std::os::unix::fs::chown(dir.join("file"), Some(9), Some(9)).unwrap();
        let map = json!([{"containerID": 9, "hostID": 8, "size": 1}]);
        let mut bundle = rt.bundle();
        bundle.push("/mounts", json!({
            "destination": "/mnt", "type": "bind", "source": dir, "options": ["rbind", option], "uidMappings": map, "gidMappings": map
        }));
        bundle.script("stat -c %u /mnt/file /mnt/sub");
        let output = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go();
        assert_eq!(output.ok(), format!("8\n{below}\n"), "{option}");
    }
}

#[test]
fn id_mapped_with_the_map_of_a_joined_user_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle_named("first");
    bundle.userns(700_000, 65536);
    bundle.args(&["sleep", "1000"]);
    let container = rt.detach_named(&bundle, "first");
    let mut second = rt.bundle_named("second");
    integration::bundle::chown_tree(&second.rootfs(), 700_000);
    let user = format!("/proc/{}/ns/user", container.pid());
    second.namespace("user", integration::bundle::Join::Path(user));
    let dir = rt.host_dir("dir");
    integration::bundle::chown_tree(&dir, 3);
    second.bind(&dir, "/mapped", &["idmap"]);
    assert_eq!(rt.sh(&mut second, "stat -c %u:%g /mapped/file").ok(), "3:3\n");
}

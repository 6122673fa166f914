//! Mounts: every kind of file system, bind mounts of directories and files, where they land.

use integration::cgroup::{either, inside};
use integration::proc::mount_entry;
use integration::{Runtime, json};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn bind_of_a_directory() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.bind(&dir, "/mnt", &[]);
    assert_eq!(rt.sh(&mut bundle, "cat /mnt/file; echo back > /mnt/new").ok(), "from the host");
    assert_eq!(fs::read_to_string(dir.join("new")).unwrap(), "back\n");
}

#[test]
fn bind_of_a_file() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.host_dir("dir").join("file");
    bundle.bind(&file, "/etc/new-file", &["ro"]).bind(&file, "/etc/passwd", &["ro"]);
    let seen = rt.sh(&mut bundle, "cat /etc/new-file /etc/passwd; echo no > /etc/passwd || echo read-only").ok();
    assert_eq!(seen, "from the hostfrom the hostread-only\n");
    assert!(bundle.inside("/etc/new-file").is_file(), "the target was made as a file");
}

#[test]
fn bind_needs_no_type() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.push("/mounts", json!({"destination": "/a", "source": dir, "options": ["rbind"]}));
    assert_eq!(rt.sh(&mut bundle, "cat /a/file").ok(), "from the host");
}

/// As with mount(2) and mount(8), what the options say of a file system is not a bind mount's to change.
#[test]
fn bind_has_its_own_options_and_a_warning_about_a_file_systems() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.bind(&dir, "/mnt", &["mode=700", "nosuid", "size=1k", "noexec"]);
    let output = rt.sh(&mut bundle, "grep ' /mnt ' /proc/self/mountinfo; stat -c %a /mnt").exits(0);
    assert!(output.stderr.contains("mode=700,size=1k") && output.stderr.contains("mounts[7].options"), "{output}");
    let (entry, mode) = output.stdout.trim_end().rsplit_once('\n').unwrap();
    assert!(entry.contains("nosuid") && entry.contains("noexec"), "{entry}");
    assert_eq!(mode, "755");
}

#[test]
fn a_relative_source_is_below_the_bundle() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let extra = bundle.rootfs().join("extra");
    fs::create_dir(&extra).unwrap();
    fs::write(extra.join("file"), "relative").unwrap();
    bundle.mount("/mnt", "bind", "rootfs/extra", &["rbind"]);
    assert_eq!(rt.sh(&mut bundle, "cat /mnt/file").ok(), "relative");
}

#[test]
fn a_relative_destination_is_below_the_root() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.bind(&dir, "relative/place", &[]);
    assert_eq!(rt.sh(&mut bundle, "cat /relative/place/file").ok(), "from the host");
}

#[test]
fn rbind_brings_the_mounts_below_and_bind_does_not() {
    let rt = Runtime::wrapped(integration::view::in_mount_namespace(
        "mount -t tmpfs it-tmpfs $SUB && echo deep > $SUB/deep",
    ));
    let dir = rt.host_dir("dir");
    let mut bundle = rt.bundle();
    bundle.mount("/with", "none", dir.to_str().unwrap(), &["rbind"]).bind(&dir, "/without", &[]);
    bundle.script("cat /with/sub/deep; ls /without/sub");
    let output = rt.run_call(&bundle, &[]).env("SUB", dir.join("sub")).go();
    assert_eq!(output.ok(), "deep\n");
}

#[test]
fn tmpfs_with_options() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&integration::config::MANY_CAPS);
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "size=1m", "mode=1750", "uid=3", "gid=4"]);
    let seen = rt.sh(&mut bundle, "stat -c '%a %u %g' /mnt; dd if=/dev/zero of=/mnt/x bs=1k count=2000 2>&1 | grep -c 'No space'; grep ' /mnt ' /proc/self/mountinfo").ok();
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[..2], ["1750 3 4", "1"]);
    assert!(lines[2].contains("nosuid") && lines[2].contains("size=1024k"), "{seen}");
}

#[test]
fn tmpfs_keeps_the_mode_of_its_target() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let place = bundle.inside("/mnt");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o1751)).unwrap();
    bundle.mount("/mnt", "tmpfs", "tmpfs", &[]);
    assert_eq!(rt.sh(&mut bundle, "stat -c %a /mnt").word(), "1751");
}

#[test]
fn tmpcopyup() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.file("/data/file", "below");
    fs::set_permissions(bundle.inside("/data/file"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    symlink("file", bundle.inside("/data/link")).unwrap();
    fs::create_dir(bundle.inside("/data/dir")).unwrap();
    std::os::unix::fs::chown(bundle.inside("/data/dir"), Some(5), Some(6)).unwrap();
    bundle.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let seen = rt.sh(&mut bundle, "cat /data/file; echo; stat -c %a /data/file; readlink /data/link; stat -c %u:%g /data/dir; echo new > /data/file; cat /data/link").ok();
    assert_eq!(seen, "below\n640\nfile\n5:6\nnew\n");
    assert_eq!(fs::read_to_string(bundle.inside("/data/file")).unwrap(), "below", "the root file system is as it was");
}

#[test]
fn proc_sysfs_devpts_mqueue_cgroup_are_what_they_say() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let table = rt.sh(&mut bundle, "cat /proc/self/mountinfo").ok();
    for (place, kind, option) in [
        ("/proc", "proc", "rw"),
        ("/dev", "tmpfs", "nosuid"),
        ("/dev/pts", "devpts", "mode=620"),
        ("/dev/pts", "devpts", "ptmxmode=666"),
        ("/dev/pts", "devpts", "gid=5"),
        ("/dev/shm", "tmpfs", "noexec"),
        ("/dev/mqueue", "mqueue", "nodev"),
        ("/sys", "sysfs", "ro"),
        ("/sys/fs/cgroup", either("tmpfs", "cgroup2"), "noexec"),
        (either("/sys/fs/cgroup/pids", "/sys/fs/cgroup"), either("cgroup", "cgroup2"), "ro"),
        (either("/sys/fs/cgroup/memory", "/sys/fs/cgroup"), either("cgroup", "cgroup2"), either("memory", "nosuid")),
    ] {
        let entry = mount_entry(&table, place);
        assert!(entry.contains(&format!(" - {kind} ")), "{place} {kind}: {entry}");
        assert!(entry.split([' ', ',']).any(|word| word == option), "{place} {option}: {entry}");
    }
}

#[test]
fn the_cgroup_mount_shows_the_containers_own() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 77}));
    let whole = inside(&rt, "pids.max");
    assert_eq!(rt.sh(&mut bundle, &format!("cat {}", whole.display())).word(), "77");
    bundle.namespace("cgroup", integration::bundle::Join::New);
    let own = either("/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max");
    assert_eq!(rt.sh(&mut bundle, &format!("cat {own}")).word(), "77");
}

#[test]
fn recursive_options_of_a_cgroup_mount_are_its_own() {
    for rt in [Runtime::new(), Runtime::pure_v2()] {
        let mut bundle = rt.bundle();
        bundle.unmount("/sys/fs/cgroup");
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rro", "rnosuid", "rnoexec"]);
        let seen =
            rt.sh(&mut bundle, "grep ' /sys/fs/cgroup' /proc/self/mountinfo; mkdir /sys/fs/cgroup/new; true").ok();
        assert!(!seen.is_empty());
        for line in seen.lines() {
            assert!(line.contains(" ro,nosuid,noexec,"), "{line}");
        }
        bundle.config["mounts"].as_array_mut().unwrap().pop();
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "idmap=uids=0-1000-1;gids=0-1000-1"]);
        rt.run(&bundle).exits(1).says("mounts[6]").one_line();
    }
}

#[test]
fn symlinks_in_the_root_lead_nowhere_else() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    let outside = rt.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bundle.inside("/absolute")).unwrap();
    symlink("../../../../../../../../etc", bundle.inside("/up")).unwrap();
    symlink("/real", bundle.inside("/dangling")).unwrap();
    bundle.bind(&dir, "/absolute/made", &[]).bind(&dir, "/up/made", &[]).bind(&dir, "/dangling/made", &[]);
    bundle.bind(&dir, "/../../dots", &[]);
    let seen = rt.sh(&mut bundle, "cat /etc/made/file /real/made/file /dots/file; cat /absolute/made/file").ok();
    assert_eq!(seen, "from the host".repeat(4));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was made through the symlink");
    assert!(!std::path::Path::new("/etc/made").exists());
    assert!(bundle.inside("/etc/made").is_dir());
}

#[test]
fn a_destination_that_is_a_symlink() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    fs::create_dir(bundle.inside("/target")).unwrap();
    symlink("/target", bundle.inside("/link")).unwrap();
    bundle.bind(&dir, "/link", &[]);
    assert_eq!(rt.sh(&mut bundle, "cat /target/file; readlink /link").ok(), "from the host/target\n");
}

#[test]
fn proc_must_not_be_behind_a_symlink() {
    for place in ["proc", "sys"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        fs::remove_dir(bundle.inside(place)).unwrap();
        fs::create_dir(bundle.inside("/elsewhere")).unwrap();
        symlink("elsewhere", bundle.inside(place)).unwrap();
        bundle.args(&["true"]);
        rt.run(&bundle).exits(1).says_one_of(&["must be mounted on ordinary directory", "mounts["]).one_line();
    }
}

#[test]
fn nothing_may_be_mounted_into_proc() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.bind(&dir, "/proc/sys", &[]).args(&["true"]);
    rt.run(&bundle).exits(1).says("/proc").one_line();
}

#[test]
fn mounts_are_made_in_their_order() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.mount("/mnt", "tmpfs", "tmpfs", &[]).bind(&dir, "/mnt/deep/er", &[]).bind(
        &dir.join("file"),
        "/mnt/one",
        &[],
    );
    let seen = rt.sh(&mut bundle, "ls /mnt; cat /mnt/deep/er/file /mnt/one").ok();
    assert_eq!(seen, "deep\none\nfrom the hostfrom the host");
    assert_eq!(fs::read_dir(bundle.inside("/mnt")).unwrap().count(), 0, "targets were made in the tmpfs");
}

#[test]
fn a_missing_source_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.bind(std::path::Path::new("/no/such/source"), "/mnt", &[]).args(&["true"]);
    rt.run(&bundle).exits(1).says("/no/such/source").says("no such file or directory").one_line();
}

#[test]
fn a_directory_on_a_file_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    bundle.bind(&dir, "/etc/passwd", &[]).args(&["true"]);
    rt.run(&bundle).exits(1).says("not a directory").one_line();
}

#[test]
fn an_unknown_file_system_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/mnt", "nosuchfs", "none", &[]).args(&["true"]);
    rt.run(&bundle).exits(1).says("no such device").one_line();
}

#[test]
fn a_hundred_mounts() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let dir = rt.host_dir("dir");
    for number in 0..100 {
        bundle.bind(&dir, &format!("/many/{number}"), &["ro"]);
    }
    assert_eq!(rt.sh(&mut bundle, "grep -c ' /many/' /proc/self/mountinfo").word(), "100");
}

/// fsconfig(2) takes values of 255 bytes; an engine's list of lower layers is longer.
#[test]
fn an_option_longer_than_fsconfig_takes() {
    let rt = Runtime::new();
    let layers = ["first", "second"].map(|name| {
        let dir = rt.host_dir(name).join("long".repeat(50));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), name).unwrap();
        dir
    });
    let lower = format!("lowerdir={}:{}", layers[0].display(), layers[1].display());
    let mut bundle = rt.bundle();
    bundle.mount("/image", "overlay", "layers", &[&lower, "ro", "noexec", "noatime"]);
    bundle.mount("/named", "tmpfs", &"name".repeat(100), &["mode=0711", "nodev"]);
    let seen =
        rt.sh(&mut bundle, "cat /image/first /image/second; echo; stat -c %a /named; cat /proc/self/mountinfo").ok();
    assert!(seen.starts_with("firstsecond\n711\n"), "{seen}");
    let image = mount_entry(&seen, "/image");
    assert!(image.contains(" ro,noexec,noatime ") && image.contains(" - overlay layers "), "{image}");
    let named = mount_entry(&seen, "/named");
    assert!(named.contains(" rw,nodev,relatime ") && named.contains("namename"), "{named}");
    assert_eq!(seen.lines().filter(|line| line.split(' ').nth(4) == Some("/")).count(), 1, "over the root: {seen}");
}

#[test]
fn options_longer_than_mount_takes_are_refused() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let lower = format!("lowerdir=/{}", "a".repeat(5000));
    bundle.mount("/image", "overlay", "overlay", &[&lower]);
    rt.sh(&mut bundle, "true").exits(1).says("options of 5010 bytes");
}

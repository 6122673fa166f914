//! The attacks that other runtimes fell to, tried on real containers: one test for each that has no better place.
//!
//! Elsewhere: 2016-9962 and 2019-5736 (`cves_in_sight`), 2019-5736 and leaked descriptors (`descriptors`), the AppArmor half of 2019-16884,
//! 2023-28642 and 2025-52881 (`apparmor_callers`), 2024-21626 (`program`), 2022-29162 and 2026-30892 (`exec`),
//! 2026-41579 and 2026-47766 (`devices`), 2014-8989 (`rootless`).

use integration::console::FdSocket;
use integration::user;
use integration::{Bundle, Runtime, config, json, proc, residue, view};
use rustix::fs::{CWD, RenameFlags};
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file of the host's kernel that the attacks aim at.
const TARGET: &str = "/proc/sys/kernel/core_pattern";

/// A bundle without the mounts on and below /dev, so that its /dev is the image's.
fn with_the_images_dev(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.unmount("/dev").unmount("/dev/pts").unmount("/dev/shm").unmount("/dev/mqueue").writable();
    bundle
}

/// Directories exchanged with a symlink while the test lasts, as a container that shares the volume would do.
fn while_exchanging(volume: &Path, act: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let (one, other) = (volume.join("place"), volume.join("other"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let end = End(&over);
        act();
        drop(end);
    });
}

/// Ends the exchange also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn cve_2021_30465_and_2024_45310_a_mount_target_exchanged_with_a_symlink() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let (volume, outside) = (rt.path("volume"), rt.path("outside"));
    fs::create_dir_all(volume.join("place")).unwrap();
    fs::create_dir_all(outside.join("deep")).unwrap();
    // Resolved on the host it leads out of the root; resolved in the root, to what is made there.
    symlink(&outside, volume.join("other")).unwrap();
    bundle.writable().bind(&volume, "/volume", &["rbind", "rw"]);
    bundle.mount("/volume/place/new/inner", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.bind(Path::new("/bin/busybox"), "/volume/place/file", &["ro"]);
    bundle.mount("/volume/place/deep", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.script("cat /proc/self/mountinfo; echo x > /volume/place/deep/from-inside");
    let (mut ran, mut refused) = (0, 0);
    while_exchanging(&volume, || {
        for _ in 0..60 {
            let output = rt.run(&bundle);
            // Whoever loses the race is told so; what is made is made inside.
            if output.code == 0 {
                ran += 1
            } else {
                refused += 1
            }
            let made: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(made, ["deep"], "made outside of the root: {output}");
            assert_eq!(fs::read_dir(outside.join("deep")).unwrap().count(), 0, "written outside of the root: {output}");
            assert_eq!(residue::mounts(rt.tag()), Vec::<String>::new(), "mounted on the host");
        }
    });
    assert!(ran > 0, "no container ran at all ({refused} refused): the test shows nothing");
}

#[test]
fn cve_2019_19921_2023_27561_2025_54867_a_kernel_file_system_behind_a_symlink() {
    for top in ["proc", "sys"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        fs::create_dir_all(bundle.inside("/fake/self/attr")).unwrap();
        fs::remove_dir(bundle.inside(top)).unwrap();
        symlink("/fake", bundle.inside(top)).unwrap();
        let output = rt.sh(&mut bundle, "echo ran").exits(1);
        assert_eq!(output.stdout, "", "{top}: {output}");
        output.says("must be mounted on ordinary directory").one_line();
        // Nor with a symlink on the way.
        bundle.unmount(&format!("/{top}")).mount(&format!("/{top}/self"), top_kind(top), top, &[]);
        bundle.config["mounts"].as_array_mut().unwrap().rotate_right(1);
        rt.sh(&mut bundle, "echo ran").exits(1).one_line();
    }
}

fn top_kind(top: &str) -> &'static str {
    if top == "proc" { "proc" } else { "sysfs" }
}

#[test]
fn cve_2025_31133_a_null_device_that_is_a_symlink() {
    let pattern = fs::read_to_string(TARGET).unwrap();
    for own_null in ["symlink", "file", "directory"] {
        let rt = Runtime::new();
        let mut bundle = with_the_images_dev(&rt);
        // The image's, or a volume's, whole /dev: bound, so that no device is made in it.
        let dev = rt.path("dev");
        fs::create_dir_all(dev.join("pts")).unwrap();
        match own_null {
            "symlink" => symlink(TARGET, dev.join("null")).unwrap(),
            "file" => fs::write(dev.join("null"), "a file").unwrap(),
            _ => fs::create_dir(dev.join("null")).unwrap(),
        }
        bundle.bind(&dev, "/dev", &["rbind", "rw"]);
        bundle.file("/hidden", "secret");
        bundle.set("/linux/maskedPaths", json!(["/proc/keys", "/hidden"]));
        let seen = rt.sh(&mut bundle, "stat -c '%F %t:%T' /hidden /proc/keys; cat /hidden; echo pwned > /hidden").ok();
        assert_eq!(seen, "character special file 1:3\ncharacter special file 1:3\n", "{own_null}");
        assert_eq!(fs::read_to_string(TARGET).unwrap(), pattern);
        assert_eq!(fs::read_to_string(bundle.inside("/hidden")).unwrap(), "secret");
    }
}

#[test]
fn cve_2025_52565_a_console_that_is_a_symlink_and_a_false_devpts() {
    let pattern = fs::read_to_string(TARGET).unwrap();
    let run = |rt: &Runtime, bundle: &Bundle, socket: &FdSocket| {
        bundle.write();
        rt.call(["run", "--detach", "--console-socket", socket.arg(), "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go()
    };
    // A devpts of the image's making has a ptmx and a terminal of its own, and none of it is one.
    for fake in ["files", "symlinks", "nodes"] {
        let rt = Runtime::new();
        let socket = FdSocket::new(rt.path("console"));
        let mut bundle = with_the_images_dev(&rt);
        bundle.set("/process/terminal", json!(true)).script("sleep 1000");
        fs::create_dir_all(bundle.inside("/dev/pts")).unwrap();
        for name in ["ptmx", "0"] {
            let path = bundle.inside("/dev/pts").join(name);
            match fake {
                "files" => fs::write(&path, "").unwrap(),
                "symlinks" => symlink(TARGET, &path).unwrap(),
                _ => rustix::fs::mknodat(
                    CWD,
                    &path,
                    rustix::fs::FileType::CharacterDevice,
                    0o666.into(),
                    rustix::fs::makedev(5, 2),
                )
                .unwrap(),
            }
        }
        run(&rt, &bundle, &socket).exits(1).says("dev/pts").one_line();
    }
    // A true one, and a console that leads elsewhere: never followed.
    for target in [TARGET, "/etc/passwd", "/nowhere"] {
        let rt = Runtime::new();
        let socket = FdSocket::new(rt.path("console"));
        let mut bundle = rt.bundle();
        bundle.unmount("/dev").unmount("/dev/shm").unmount("/dev/mqueue").writable();
        bundle.set("/process/terminal", json!(true)).script("echo pwned > /dev/console; sleep 1000");
        symlink(target, bundle.inside("/dev/console")).unwrap();
        run(&rt, &bundle, &socket).exits(1).says("dev/console").one_line();
        let passwd = fs::read_to_string(bundle.inside("/etc/passwd")).unwrap();
        assert!(passwd.starts_with("root:"), "{target}");
        assert!(!bundle.inside("/nowhere").exists());
    }
    assert_eq!(fs::read_to_string(TARGET).unwrap(), pattern);
}

#[test]
fn cve_2019_16884_and_2025_52881_what_is_meant_for_the_kernel_goes_to_the_kernel() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let fake = rt.path("fake");
    fs::create_dir_all(fake.join("self/attr")).unwrap();
    fs::create_dir_all(fake.join("sys/kernel")).unwrap();
    let takers = ["self/attr/exec", "self/oom_score_adj", "sys/kernel/domainname"].map(|file| fake.join(file));
    for taker in &takers {
        fs::write(taker, "").unwrap();
    }
    // By name.
    for inner in
        ["/proc/self/attr", "/proc/self/attr/exec", "/proc/sysrq-trigger", "/proc/sys/kernel", "/proc/../proc/1"]
    {
        let mut refused = rt.bundle_named(&inner.replace('/', ""));
        refused.bind(&fake, inner, &["rw"]).script("echo ran");
        let output = rt.run(&refused).exits(1);
        assert_eq!(output.stdout, "", "{output}");
        output.says("inside /proc").one_line();
    }
    // In the place of all of it; another procfs is welcome.
    let mut refused = rt.bundle_named("whole");
    refused.bind(&fake, "/proc", &["rw"]).script("echo ran");
    rt.run(&refused).exits(1).says("not of type proc").one_line();
    let mut refused = rt.bundle_named("tmpfs");
    refused.push("/mounts", json!({"destination": "/proc", "type": "tmpfs"})).script("echo ran");
    rt.run(&refused).exits(1).says("not of type proc").one_line();
    let mut welcome = rt.bundle_named("procfs");
    welcome.bind(Path::new("/proc"), "/proc", &["rw"]).script("echo ran");
    assert_eq!(rt.run(&welcome).ok(), "ran\n");
    // By a symlink of the image's, which makes the whole /proc of the container a false one.
    symlink("/proc", bundle.inside("/data")).unwrap();
    bundle.bind(&fake, "/data", &["rw"]);
    bundle.unset("/linux/maskedPaths").unset("/linux/readonlyPaths");
    bundle
        .set("/process/oomScoreAdj", json!(654))
        .set("/linux/sysctl", json!({"kernel.domainname": "told.the.kernel"}));
    let container = rt.sleeper(&mut bundle);
    let pid = container.pid();
    assert_eq!(proc::read(pid, "oom_score_adj"), "654\n");
    assert_eq!(domain_name(pid), "told.the.kernel");
    container.exec(&["true"]).ok();
    for taker in &takers {
        assert_eq!(fs::read_to_string(taker).unwrap(), "", "{}", taker.display());
    }
}

/// The NIS domain name in the uts namespace of a process.
fn domain_name(pid: i32) -> String {
    let uts = format!("--uts=/proc/{pid}/ns/uts");
    integration::Call::new("nsenter").args([&uts, "cat", "/proc/sys/kernel/domainname"]).go().word()
}

/// Starts the container of [`Agent::before_the_program`], which lets its first process go on.
#[test]
fn cve_2023_25809_the_hosts_cgroups_are_not_writable_without_a_cgroup_namespace() {
    let mut wrapper = view::pure_v2();
    wrapper.extend(view::as_user(user::USER));
    let rt = user::runtime_with(wrapper);
    let mut bundle = user::bundle(&rt);
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime"]);
    let output = rt.sh(
        &mut bundle,
        "mkdir /sys/fs/cgroup/pwned && echo made; for f in /sys/fs/cgroup/*; do (: >>$f) 2>/dev/null && echo $f; done
         grep ' /sys/fs/cgroup ' /proc/mounts | tail -n 1 | cut -d, -f1 | cut -d' ' -f4",
    );
    assert_eq!(output.stdout, "ro\n", "{output}");
}

#[test]
fn cve_2021_43784_sizes_beyond_every_counter() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let long = "x".repeat(100_000);
    bundle
        .push("/process/env", json!(format!("LONG={long}")))
        .set("/annotations", json!({"long": "y".repeat(1 << 20)}));
    let many: Vec<_> = (0..1500).map(|i| format!("/proc/not-there-{i}-{}", "z".repeat(60))).collect();
    bundle.set("/linux/maskedPaths", json!(many)).set("/linux/readonlyPaths", json!(many));
    assert_eq!(rt.sh(&mut bundle, "echo ${#LONG}").word(), "100000");
    // A path longer than the kernel's longest is refused, wherever it is.
    let path = format!("/{}", "d/".repeat(3000));
    let mut far = rt.bundle_named("far");
    far.mount(&path, "tmpfs", "tmpfs", &[]).script("echo ran");
    let output = rt.run(&far).exits(1);
    assert_eq!(output.stdout, "");
    output.says("mounts[7]");
}

#[test]
fn cve_2024_3154_unsafe_annotations_are_told_of() {
    let rt = Runtime::new();
    let features = rt.call(["features"]).go().json();
    let named = features["potentiallyUnsafeConfigAnnotations"].as_array().unwrap();
    assert!(named.iter().any(|name| name == "org.systemd.property."), "{features}");
}

#[test]
fn cve_2014_8989_negative_groups_are_kept() {
    let rt = user::runtime();
    let mut bundle = user::bundle(&rt);
    bundle.set("/process/user/additionalGids", json!([0]));
    rt.sh(&mut bundle, "echo ran").exits(1).says("process.user.additionalGids").one_line();
}

#[test]
fn cve_2026_41579_a_dev_that_is_a_symlink_in_every_form() {
    for target in ["absolute", "relative", "dangling"] {
        let rt = Runtime::new();
        let mut bundle = with_the_images_dev(&rt);
        let outside = rt.path("outside");
        fs::create_dir(&outside).unwrap();
        symlink("elsewhere", outside.join("ptmx")).unwrap();
        fs::remove_dir(bundle.inside("/dev")).unwrap();
        let to = match target {
            "absolute" => outside.clone(),
            "relative" => PathBuf::from("../../outside"),
            _ => rt.path("outside/new"),
        };
        symlink(to, bundle.inside("/dev")).unwrap();
        bundle
            .caps(&config::MANY_CAPS)
            .push("/linux/devices", json!({"path": "/dev/sub/made", "type": "c", "major": 1, "minor": 3}));
        // With a terminal's files as well; inside, all of it is where the symlink leads below the root.
        let output = rt.sh(&mut bundle, "stat -c %F /dev/null /dev/sub/made");
        assert_eq!(output.ok(), "character special file\n".repeat(2), "{target}");
        let entries: Vec<_> = fs::read_dir(&outside).unwrap().flatten().collect();
        assert_eq!(entries.len(), 1, "{target}: {entries:?}");
        assert_eq!(fs::read_link(outside.join("ptmx")).unwrap(), Path::new("elsewhere"));
        assert!(!entries[0].file_type().unwrap().is_char_device());
    }
}

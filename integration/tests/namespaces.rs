//! Namespaces: each kind new, absent, and joined by path; another container's; wrong ones.

use integration::bundle::Join;
use integration::{Bundle, Runtime, json, proc};

const KINDS: [(&str, &str); 7] = [
    ("pid", "pid"),
    ("network", "net"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn host(file: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{file}")).unwrap().to_string_lossy().into_owned()
}

/// Without its own uts namespace a container may not name itself.
fn without(bundle: &mut Bundle, kind: &str) {
    bundle.namespace(kind, Join::None);
    if kind == "uts" {
        bundle.unset("/hostname");
    }
}

#[test]
fn every_kind_can_be_new() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for (kind, _) in KINDS {
        bundle.namespace(kind, Join::New);
    }
    let container = rt.sleeper(&mut bundle);
    for (kind, file) in KINDS {
        assert_ne!(proc::link(container.pid(), &format!("ns/{file}")), host(file), "{kind}");
    }
    assert_eq!(proc::link(container.pid(), "ns/user"), host("user"));
    assert!(container.sh("echo $$").word().parse::<i32>().unwrap() > 1, "exec is in the new pid namespace");
}

#[test]
fn a_kind_not_asked_for_is_the_hosts() {
    for (kind, file) in KINDS {
        if kind == "mount" {
            continue; // A root file system without a mount namespace is another matter: see below.
        }
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        if ["cgroup", "time"].contains(&kind) {
            bundle.namespace(kind, Join::None);
        } else {
            without(&mut bundle, kind);
        }
        if kind == "network" {
            // sysfs is of a network namespace: one cannot be mounted for the host's with this /sys read-only and the like.
            bundle.unmount("/sys/fs/cgroup");
        }
        let container = rt.sleeper(&mut bundle);
        assert_eq!(proc::link(container.pid(), &format!("ns/{file}")), host(file), "{kind}");
    }
}

#[test]
fn the_first_process_is_number_one() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    assert_eq!(rt.sh(&mut bundle, "echo $$; ps | wc -l; ls /proc | grep -c '^[0-9]'").ok().lines().next(), Some("1"));
    bundle.namespace("pid", Join::None);
    let pid: i32 = rt.sh(&mut bundle, "echo $$").word().parse().unwrap();
    assert!(pid > 1);
}

#[test]
fn a_new_network_has_a_loopback_that_is_up() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let seen = rt
        .sh(
            &mut bundle,
            "cat /sys/class/net/lo/flags; ls /sys/class/net; ping -c 1 -w 5 127.0.0.1 >/dev/null 2>&1; ifconfig lo",
        )
        .ok();
    let mut lines = seen.lines();
    let flags = u32::from_str_radix(lines.next().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(flags & 1, 1, "IFF_UP: {seen}");
    assert_eq!(lines.next(), Some("lo"), "and nothing else: {seen}");
    assert!(seen.contains("127.0.0.1"), "{seen}");
}

#[test]
fn another_containers_namespaces_by_path() {
    for (kind, file) in KINDS {
        if kind == "mount" || kind == "cgroup" {
            continue;
        }
        let rt = Runtime::new();
        let mut first = rt.bundle();
        if kind == "time" {
            first.namespace("time", Join::New);
        }
        let first = rt.sleeper(&mut first);
        let mut second = rt.bundle_named("two");
        second.args(&["sleep", "1000"]).namespace(kind, Join::Path(format!("/proc/{}/ns/{file}", first.pid())));
        if kind == "uts" {
            second.unset("/hostname");
        }
        let second = rt.detach_named(&second, "two");
        let ns = |pid, file| proc::link(pid, &format!("ns/{file}"));
        assert_eq!(ns(second.pid(), file), ns(first.pid(), file), "{kind} is joined");
        let other = if kind == "ipc" { "uts" } else { "ipc" };
        assert_ne!(ns(second.pid(), other), ns(first.pid(), other), "{other} is its own");
        second.verb(&["delete", "--force"]).ok();
        assert_eq!(first.status(), "running");
    }
}

#[test]
fn all_of_another_containers_namespaces_at_once() {
    let rt = Runtime::new();
    let mut first = rt.bundle();
    let first = rt.sleeper(&mut first);
    let mut second = rt.bundle_named("two");
    for (kind, file) in [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        second.namespace(kind, Join::Path(format!("/proc/{}/ns/{file}", first.pid())));
    }
    second.unset("/hostname").args(&["sleep", "1000"]);
    let second = rt.detach_named(&second, "two");
    assert!(second.sh("ps").ok().lines().filter(|line| line.contains("sleep 1000")).count() >= 2);
    second.verb(&["delete", "--force"]).ok();
    assert!(proc::alive(first.pid()), "deleting one of a pod leaves the other");
}

#[test]
fn a_named_namespace_file() {
    let rt = Runtime::new();
    let file = rt.path("netns");
    std::fs::write(&file, "").unwrap();
    let held = integration::Call::new("unshare")
        .arg(format!("--net={}", file.display()))
        .args(["readlink", "/proc/self/ns/net"]);
    let name = held.go().word();
    let mut bundle = rt.bundle();
    bundle.namespace("network", Join::Path(file.display().to_string()));
    let seen = rt.sh(&mut bundle, "readlink /proc/self/ns/net").word();
    rustix::mount::unmount(&file, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(seen, name);
}

#[test]
fn a_wrong_kind_of_path_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("network", Join::Path("/proc/self/ns/uts".into()));
    rt.run(&bundle).exits(1).says("namespace").one_line();
    bundle.namespace("network", Join::Path("/no/such/ns".into()));
    rt.run(&bundle).exits(1).says("/no/such/ns").one_line();
    bundle.namespace("network", Join::Path("/etc/passwd".into()));
    rt.run(&bundle).exits(1).says("namespace").one_line();
    // A FIFO nobody writes to: an open of it must not wait.
    let fifo = rt.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    bundle.namespace("network", Join::Path(fifo.display().to_string()));
    rt.run_call(&bundle, &[]).go().exits(1).says("namespace").one_line();
}

#[test]
fn a_kind_twice_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.push("/linux/namespaces", json!({"type": "pid"}));
    rt.run(&bundle).exits(1).says_one_of(&["linux.namespaces", "duplicate"]).one_line();
}

#[test]
fn ipc_is_the_containers_own() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/sysctl", json!({"kernel.msgmax": "12345"}));
    assert_eq!(rt.sh(&mut bundle, "cat /proc/sys/kernel/msgmax").word(), "12345");
    assert_ne!(std::fs::read_to_string("/proc/sys/kernel/msgmax").unwrap().trim(), "12345");
}

#[test]
fn a_cgroup_namespace_hides_the_path() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New);
    let seen = rt.sh(&mut bundle, "cat /proc/self/cgroup").ok();
    let line = integration::cgroup::either("pids:/", "0::/");
    assert!(seen.contains(&format!("{line}\n")), "{seen}");
    assert!(!seen.contains(rt.tag()), "{seen}");
    bundle.namespace("cgroup", Join::None);
    assert!(rt.sh(&mut bundle, "cat /proc/self/cgroup").ok().contains(&format!("{line}{}\n", rt.tag())));
}

#[test]
fn time_offsets() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("time", Join::New);
    bundle.set(
        "/linux/timeOffsets",
        json!({"monotonic": {"secs": 7881, "nanosecs": 2718281}, "boottime": {"secs": 1337, "nanosecs": 3141519}}),
    );
    let seen = rt.sh(&mut bundle, "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime").ok();
    let words: Vec<Vec<_>> = seen.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["monotonic", "7881", "2718281"]);
    assert_eq!(words[1], ["boottime", "1337", "3141519"]);
    let host: f64 = std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let inside: f64 = words[2][0].parse().unwrap();
    assert!((inside - host - 1337.0).abs() < 600.0, "{inside} inside, {host} outside");
    let container = rt.sleeper(&mut bundle);
    assert!(container.sh("cat /proc/self/timens_offsets").ok().contains("1337"), "exec is in it too");
}

#[test]
fn exec_without_a_mount_namespace_stays_in_the_root() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("mount", Join::None).writable();
    bundle.set("/mounts", json!([])).unset("/linux/maskedPaths").unset("/linux/readonlyPaths");
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("ls /; pwd; ls ..").ok(), container_root_twice(), "not the caller's root");
    // And where nothing else would be joined either.
    drop(container);
    rt.assert_clean();
    for kind in ["pid", "network", "ipc", "uts"] {
        without(&mut bundle, kind);
    }
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh("ls /; pwd; ls ..").ok(), container_root_twice());
}

fn container_root_twice() -> String {
    let list = "bin\ndev\netc\nproc\nroot\nsys\n";
    format!("{list}/\n{list}")
}

#[test]
fn time_offsets_in_a_user_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(700_000, 65536).namespace("time", Join::New);
    bundle.set("/linux/timeOffsets", json!({"monotonic": {"secs": 7881, "nanosecs": 0}}));
    assert!(rt.sh(&mut bundle, "cat /proc/self/timens_offsets").ok().contains("7881"));
}

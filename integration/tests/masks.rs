//! Masked paths, read-only paths, sysctl, host name.

use integration::bundle::Join;
use integration::{Runtime, json};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_masked_file_is_empty_and_a_masked_directory_too() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.file("/secret/file", "secret");
    bundle
        .set("/linux/maskedPaths", json!(["/etc/passwd", "/secret", "/not/there", "/proc/timer_list", "/etc/passwd"]));
    let seen = rt
        .sh(&mut bundle, "cat /etc/passwd; ls -a /secret; echo x > /secret/new || echo read-only; cat /proc/timer_list")
        .ok();
    assert_eq!(seen, ".\n..\nread-only\n");
    assert_eq!(fs::read_to_string(bundle.inside("/secret/file")).unwrap(), "secret");
}

#[test]
fn a_mask_through_a_symlink_is_refused_or_harmless() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let outside = rt.path("outside");
    fs::write(&outside, "outside").unwrap();
    symlink(&outside, bundle.inside("/link")).unwrap();
    bundle.set("/linux/maskedPaths", json!(["/link"]));
    rt.sh(&mut bundle, "true");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside");
}

#[test]
fn read_only_paths() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.writable().file("/data/file", "x");
    bundle.file("/single", "x");
    bundle.set("/linux/readonlyPaths", json!(["/data", "/single", "/proc/sys", "/not/there"]));
    let seen = rt.sh(
        &mut bundle,
        "echo y > /data/file || echo ro; echo y > /single || echo ro; echo y > /other && echo rw; \
         echo z > /proc/sys/kernel/domainname || echo ro; cat /data/file",
    );
    assert_eq!(seen.ok(), "ro\nro\nrw\nro\nx");
}

#[test]
fn the_root_itself_is_refused_and_not_passed_over() {
    let rt = Runtime::new();
    for field in ["maskedPaths", "readonlyPaths"] {
        for root in ["/", "/.", "//", "/etc/.."] {
            let mut bundle = rt.bundle_named(&format!("{field}{}", root.len()));
            bundle.writable().set(&format!("/linux/{field}"), json!(["/proc/keys", root]));
            let output = rt.sh(&mut bundle, "echo ran").exits(1);
            assert_eq!(output.stdout, "", "{output}");
            output.says(&format!("linux.{field}[1]")).one_line();
            fs::remove_dir_all(bundle.dir()).unwrap();
        }
    }
}

#[test]
fn read_only_paths_keep_the_flags_below() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/data", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec"]);
    bundle.set("/linux/readonlyPaths", json!(["/data"]));
    let seen = rt.sh(&mut bundle, "grep ' /data ' /proc/self/mountinfo | tail -n 1").ok();
    let flags = seen.split(' ').nth(5).unwrap();
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(flags.split(',').any(|have| have == flag), "{flag}: {seen}");
    }
}

#[test]
fn masks_and_read_only_paths_in_a_user_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.userns(700_000, 65536);
    bundle
        .set("/linux/maskedPaths", json!(["/proc/timer_list", "/sys/firmware"]))
        .set("/linux/readonlyPaths", json!(["/proc/sys"]));
    assert_eq!(
        rt.sh(&mut bundle, "wc -c < /proc/timer_list; ls /sys/firmware; echo x > /proc/sys/kernel/hostname || echo ro")
            .ok(),
        "0\nro\n"
    );
}

#[test]
fn the_defaults_of_spec_hold() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let seen = rt
        .sh(&mut bundle, "wc -c < /proc/keys; ls /sys/firmware | wc -l; echo 1 > /proc/sysrq-trigger || echo ro")
        .ok();
    assert_eq!(seen, "0\n0\nro\n");
}

#[test]
fn sysctls_of_the_containers_namespaces() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/linux/sysctl",
        json!({
            "net.ipv4.ip_forward": "1", "kernel.shmmax": "123456789", "fs.mqueue.msg_max": "20",
            "net/ipv4/conf/lo/rp_filter": "2"
        }),
    );
    let seen = rt
        .sh(
            &mut bundle,
            "cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax fs/mqueue/msg_max net/ipv4/conf/lo/rp_filter",
        )
        .ok();
    assert_eq!(seen, "1\n123456789\n20\n2\n");
}

#[test]
fn sysctls_of_the_host_are_refused() {
    for (key, kind) in [
        ("net.ipv4.ip_forward", Some("network")),
        ("kernel.shmmax", Some("ipc")),
        ("kernel.pid_max", None),
        ("vm.swappiness", None),
        ("kernel.core_pattern", None),
        ("kernel.hostname", Some("uts")),
    ] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        if let Some(kind) = kind {
            bundle.namespace(kind, Join::None);
            if kind == "uts" {
                bundle.unset("/hostname");
            }
        }
        bundle.set("/linux/sysctl", json!({key: "1"})).args(&["true"]);
        rt.run(&bundle).exits(1).says(key).one_line();
    }
}

/// Docker 20.10 gives the host's network by its path.
#[test]
fn sysctls_of_the_host_are_refused_where_its_namespace_has_a_path() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let host = format!("/proc/{}/ns/net", std::process::id());
    bundle
        .namespace("network", Join::Path(host))
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
        .args(&["true"]);
    rt.run(&bundle).exits(1).says("net.ipv4.ip_forward").says("linux.namespaces").one_line();
    bundle.set("/linux/sysctl", json!({"kernel.shmmax": "123456789"}));
    rt.run(&bundle).ok();
}

#[test]
fn an_unknown_sysctl_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/sysctl", json!({"net.no.such.key": "1"})).args(&["true"]);
    rt.run(&bundle)
        .exits(1)
        .says_one_of(&["net.no.such.key", "net/no/such/key"])
        .says("no such file or directory")
        .one_line();
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "many"}));
    rt.run(&bundle).exits(1).says("invalid argument").one_line();
}

#[test]
fn host_name_and_domain_name() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/hostname", json!("a-name")).set("/domainname", json!("a.domain"));
    assert_eq!(
        rt.sh(&mut bundle, "hostname; cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname").ok(),
        "a-name\na-name\na.domain\n"
    );
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "a-name\n");
}

#[test]
fn a_name_needs_a_uts_namespace() {
    for key in ["/hostname", "/domainname"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.unset("/hostname").namespace("uts", Join::None).args(&["true"]).set(key, json!("name"));
        let output = rt.run(&bundle).exits(1).one_line();
        assert!(output.stderr.to_lowercase().contains("uts") || output.stderr.contains(&key[1..]), "{output}");
    }
}

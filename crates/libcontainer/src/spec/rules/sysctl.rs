//! The rule of `linux.sysctl`: only what a namespace of the container holds may be set.

use super::Faults;
use super::namespaces::has;
use crate::config::Config;

/// Files of `/proc/sys/kernel` that each ipc namespace has for itself, beside all of `fs/mqueue`.
const IPC: &[&str] = &[
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// The file below `/proc/sys` that a key names, after sysctl(8): the first separator, `.` or `/`, is the key's separator,
/// and the other one stands for itself (`net.ipv4.conf.eno2/100.rp_filter` is `net/ipv4/conf/eno2.100/rp_filter`).
/// `None` if that is not a plain path.
pub fn sysctl_path(key: &str) -> Option<String> {
    let dotted = key.find(['.', '/']).is_some_and(|at| key.as_bytes()[at] == b'.');
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = if dotted { key.chars().map(swap).collect() } else { key.to_owned() };
    let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    Some(path).filter(|_| plain)
}

pub(super) fn keys_are_namespaced(config: &Config, faults: &mut Faults) {
    for key in config.linux.sysctl.keys() {
        let field = format_args!("linux.sysctl.{}", key.escape_debug());
        let Some(path) = sysctl_path(key) else {
            faults.error(field, format_args!("{key:?} does not name a kernel parameter"));
            continue;
        };
        match kind_of(&path) {
            None => faults.error(field, format_args!("{key:?} belongs to no namespace: it would change the host")),
            Some("uts") if path == "kernel/hostname" => {
                faults.error(field, format_args!("{key} is set by the field hostname"));
            }
            Some(kind) => {
                let what = format_args!("{key:?} would change the host without a namespace of type {kind}");
                faults.require(has(config, kind), field, what);
            }
        }
    }
}

/// The kind of namespace that holds the parameter a key names.
pub fn sysctl_namespace(key: &str) -> Option<&'static str> {
    kind_of(&sysctl_path(key)?)
}

fn kind_of(path: &str) -> Option<&'static str> {
    match path {
        "kernel/hostname" | "kernel/domainname" => Some("uts"),
        _ if IPC.contains(&path) || path.starts_with("fs/mqueue/") => Some("ipc"),
        _ if path.starts_with("net/") => Some("network"),
        _ if path.starts_with("user/") => Some("user"),
        _ => None,
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}}"#, "", ""),
    (r#"{"linux": {"sysctl": {"net/ipv4/conf/eno2.100/rp_filter": "1"}}}"#, "", ""),
    (r#"{"linux": {"sysctl": {"net.ipv4.conf.eno2/100.rp_filter": "1"}}}"#, "", ""),
    (
        r#"{"linux": {"namespaces": [], "sysctl": {"net.ipv4.ip_forward": "1"}}}"#,
        "linux.sysctl.net.ipv4.ip_forward",
        r#""net.ipv4.ip_forward" would change the host without a namespace of type network"#,
    ),
    (r#"{"linux": {"sysctl": {"fs.mqueue.msg_max": "1"}}}"#, "", ""),
    (
        r#"{"linux": {"namespaces": [], "sysctl": {"kernel.shmmax": "1"}}}"#,
        "linux.sysctl.kernel.shmmax",
        r#""kernel.shmmax" would change the host without a namespace of type ipc"#,
    ),
    (r#"{"linux": {"sysctl": {"kernel.domainname": "1"}}}"#, "", ""),
    (
        r#"{"linux": {"sysctl": {"kernel.hostname": "1"}}}"#,
        "linux.sysctl.kernel.hostname",
        "kernel.hostname is set by the field hostname",
    ),
    (
        r#"{"linux": {"sysctl": {"user.max_user_namespaces": "1"}}}"#,
        "linux.sysctl.user.max_user_namespaces",
        r#""user.max_user_namespaces" would change the host without a namespace of type user"#,
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user", "path": "/run/user"}], "sysctl": {"user.max_user_namespaces": "1"}}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"sysctl": {"kernel.core_pattern": "1"}}}"#,
        "linux.sysctl.kernel.core_pattern",
        r#""kernel.core_pattern" belongs to no namespace: it would change the host"#,
    ),
    (
        r#"{"linux": {"sysctl": {"vm/swappiness": "1"}}}"#,
        "linux.sysctl.vm/swappiness",
        r#""vm/swappiness" belongs to no namespace: it would change the host"#,
    ),
    (
        r#"{"linux": {"sysctl": {"net/../kernel/core_pattern": "1"}}}"#,
        "linux.sysctl.net/../kernel/core_pattern",
        r#""net/../kernel/core_pattern" does not name a kernel parameter"#,
    ),
    (
        r#"{"linux": {"sysctl": {"net.//.kernel.core_pattern": "1"}}}"#,
        "linux.sysctl.net.//.kernel.core_pattern",
        r#""net.//.kernel.core_pattern" does not name a kernel parameter"#,
    ),
    (r#"{"linux": {"sysctl": {"": "1"}}}"#, "linux.sysctl.", r#""" does not name a kernel parameter"#),
];

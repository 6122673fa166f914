//! The config that `hull spec` writes: in content what runc writes.

use rustix::fs::statfs;
use serde_json::{Value, json};

/// What a statfs(2) of a cgroup2 filesystem says.
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// An example config, ready to run on a root filesystem with a shell. With `rootless`, the caller's (uid, gid), it is one
/// that an ordinary user can run: a user namespace mapping only these, the host's network and `/sys`, no cgroup limits.
///
/// As runc's, it asks for a cgroup namespace exactly if the machine has cgroup v2 alone.
pub fn default_config(rootless: Option<(u32, u32)>) -> Value {
    let cgroup2 = statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.f_type as u64 == CGROUP2_MAGIC);
    config(rootless, cgroup2)
}

fn config(rootless: Option<(u32, u32)>, cgroup2: bool) -> Value {
    let mut namespaces = vec!["pid", "network", "ipc", "uts", "mount"];
    if cgroup2 {
        namespaces.push("cgroup");
    }
    if rootless.is_some() {
        namespaces.retain(|name| *name != "network");
        namespaces.push("user");
    }
    let namespaces: Vec<_> = namespaces.iter().map(|name| json!({ "type": name })).collect();
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mut linux = json!({
        "namespaces": namespaces,
        "maskedPaths": [
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
            "/sys/devices/virtual/tpm",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    match rootless {
        Some((uid, gid)) => {
            linux["uidMappings"] = json!([{ "containerID": 0, "hostID": uid, "size": 1 }]);
            linux["gidMappings"] = json!([{ "containerID": 0, "hostID": gid, "size": 1 }]);
        }
        None => linux["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }] }),
    }
    json!({
        "ociVersion": "1.3.0",
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "runc",
        "mounts": mounts(rootless.is_some()),
        "linux": linux,
    })
}

fn mounts(rootless: bool) -> Value {
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    let mut sys = json!({
        "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"],
    });
    if rootless {
        // A new sysfs needs a network namespace of one's own user namespace; an unmapped gid cannot own a terminal.
        sys = json!({
            "destination": "/sys", "type": "none", "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
        });
    } else {
        pts.push("gid=5");
    }
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        {
            "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts },
        {
            "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        },
        {
            "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"],
        },
        sys,
        {
            "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::spec::Spec;

    fn checked(value: &Value) -> Spec {
        let config: Config = serde_json::from_value(value.clone()).unwrap();
        let (spec, warnings) = Spec::check(config).unwrap();
        assert_eq!(warnings, []);
        spec
    }

    #[test]
    fn the_default_breaks_no_rule() {
        for rootless in [None, Some((1000, 100))] {
            for cgroup2 in [false, true] {
                checked(&config(rootless, cgroup2));
            }
        }
    }

    #[test]
    fn every_field_is_one_that_the_parser_reads() {
        for rootless in [None, Some((1000, 100))] {
            let value = config(rootless, true);
            let mut again = serde_json::to_value(&*checked(&value)).unwrap();
            // Defaults are not written back.
            again["process"]["user"] = json!({ "uid": 0, "gid": 0 });
            for field in ["uidMappings", "gidMappings"] {
                if let Some(range) = again["linux"].get_mut(field) {
                    range[0]["containerID"] = 0.into();
                }
            }
            if rootless.is_none() {
                again["linux"]["resources"]["devices"][0]["allow"] = false.into();
            }
            assert_eq!(again, value);
        }
    }

    #[test]
    fn the_rootless_default_maps_the_caller_and_shares_network_and_sys() {
        let spec = checked(&config(Some((1000, 100)), true));
        let kinds: Vec<_> = spec.linux.namespaces.iter().map(|namespace| namespace.kind.as_str()).collect();
        assert_eq!(kinds, ["pid", "ipc", "uts", "mount", "cgroup", "user"]);
        assert_eq!((spec.linux.uid_mappings[0].host_id, spec.linux.gid_mappings[0].host_id), (1000, 100));
        let sys = spec.mounts.iter().find(|mount| mount.destination == "/sys").unwrap();
        assert_eq!(sys.options[0], "rbind");
        let options: Vec<_> = spec.mounts.iter().flat_map(|mount| &mount.options).collect();
        assert!(!options.iter().any(|option| option.starts_with("gid=")));
        assert_eq!(spec.linux.resources, None);
    }
}

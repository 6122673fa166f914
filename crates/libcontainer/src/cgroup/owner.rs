//! Who owns a container's cgroup: its user, where the container may write it (config-linux.md#cgroup-ownership).

use super::dir::Dir;
use crate::config::{Config, Process};
use crate::error::Result;
use rustix::fs::Uid;
use rustix::io::Errno;

/// What the kernel lets whoever manages a cgroup own (cgroups(7), "delegation").
const LIST: &str = "/sys/kernel/cgroup/delegate";

/// What it is where the kernel does not say.
const DEFAULT_LIST: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";

/// The user of the host to own the cgroup: only a new cgroup namespace with a mount that may be written has one, and only
/// where the config says who they are, not a user namespace that is joined.
pub(crate) fn owner(config: &Config, process: &Process) -> Option<u32> {
    let given = |path: &Option<String>| path.as_deref().is_some_and(|path| !path.is_empty());
    let namespaces = &config.linux.namespaces;
    let new = namespaces.iter().any(|ns| ns.kind == "cgroup" && !given(&ns.path));
    let joined = namespaces.iter().any(|ns| ns.kind == "user" && given(&ns.path));
    let writable = config.mounts.iter().any(|mount| {
        mount.source.as_deref() == Some("cgroup")
            && mount.destination == "/sys/fs/cgroup"
            && !mount.options.iter().any(|option| option == "ro")
    });
    let uid = process.user.uid;
    let maps = &config.linux.uid_mappings;
    let mapped = maps.iter().find_map(|map| {
        let offset = uid.checked_sub(map.container_id).filter(|offset| *offset < map.size)?;
        map.host_id.checked_add(offset)
    });
    let host = if maps.is_empty() { Some(uid) } else { mapped };
    host.filter(|_| new && writable && !joined)
}

/// Gives the cgroup and the files in it that may be delegated to `uid`.
pub(super) fn hand_over(dir: &Dir, uid: u32) -> Result<()> {
    let names = std::fs::read_to_string(LIST).unwrap_or_else(|_| DEFAULT_LIST.to_owned());
    // Not every file of the list is in every cgroup.
    let give = |name: &str| match rustix::fs::chown(dir.path().join(name), Some(Uid::from_raw(uid)), None) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(dir.failed("chown", name, errno)),
    };
    give("")?;
    names.lines().try_for_each(give)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_may_write_it_owns_it() {
        let owner = |namespace: serde_json::Value, options: serde_json::Value, uid: u32| {
            let config = json!({
                "process": {"user": {"uid": uid, "gid": 0}},
                "mounts": [{"destination": "/sys/fs/cgroup", "source": "cgroup", "options": options}],
                "linux": {"namespaces": [namespace], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}]}
            });
            let config: Config = serde_json::from_value(config).unwrap();
            owner(&config, config.process.as_ref().unwrap())
        };
        let new = json!({"type": "cgroup"});
        assert_eq!(owner(new.clone(), json!(["rw"]), 3), Some(1003));
        assert_eq!(owner(new.clone(), json!([]), 10), None, "nobody of the host");
        assert_eq!(owner(new, json!(["ro"]), 3), None);
        assert_eq!(owner(json!({"type": "cgroup", "path": "/proc/1/ns/cgroup"}), json!(["rw"]), 3), None);
        assert_eq!(owner(json!({"type": "user"}), json!(["rw"]), 3), None);
    }
}

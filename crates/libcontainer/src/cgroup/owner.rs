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

/// The host's user who gets the cgroup: the process's, where it sees its cgroup as the root of a file system that it may write to.
pub(crate) fn of_cgroup(config: &Config, process: &Process) -> Option<u32> {
    let is_new = |n: &crate::config::Namespace| n.kind == "cgroup" && n.path.as_deref().unwrap_or("").is_empty();
    let writable = |m: &crate::config::Mount| {
        matches!(m.kind.as_deref(), Some("cgroup" | "cgroup2"))
            && m.destination.trim_end_matches('/') == "/sys/fs/cgroup"
            && !m.options.iter().any(|option| option == "ro" || option == "rro")
    };
    let manages = config.linux.namespaces.iter().any(is_new) && config.mounts.iter().any(writable);
    if manages { host_uid(config, process.user.uid) } else { None }
}

/// The host's user who is `uid` in the container, unless that is the host's root, who owns it anyway, or one that only
/// the namespace to be joined knows.
pub(crate) fn host_uid(config: &Config, uid: u32) -> Option<u32> {
    let user = config.linux.namespaces.iter().any(|n| n.kind == "user");
    let maps = |m: &&crate::config::IdMapping| uid.checked_sub(m.container_id).is_some_and(|nth| nth < m.size);
    let mapped =
        || config.linux.uid_mappings.iter().find(maps).and_then(|m| m.host_id.checked_add(uid - m.container_id));
    let host = if user { mapped() } else { Some(uid) };
    host.filter(|host| *host != 0)
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

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_a_writable_cgroup_of_its_own_is_given_away() {
        let owner = |namespaces: &str, options: &str| {
            let text = format!(
                r#"{{"process": {{"user": {{"uid": 7}}}}, "linux": {{"namespaces": [{namespaces}]}},
                "mounts": [{{"destination": "/sys/fs/cgroup", "type": "cgroup", "options": [{options}]}}]}}"#
            );
            let config = config(&text);
            of_cgroup(&config, config.process.as_ref().unwrap())
        };
        assert_eq!(owner(r#"{"type": "cgroup"}"#, r#""nosuid""#), Some(7));
        assert_eq!(owner(r#"{"type": "cgroup"}"#, r#""ro""#), None);
        assert_eq!(owner(r#"{"type": "cgroup", "path": "/x"}"#, ""), None);
        assert_eq!(owner("", ""), None);
    }

    #[test]
    fn users_of_a_user_namespace_are_the_hosts_own() {
        let mapped = r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [
            {"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 1, "hostID": 100000, "size": 9}]}}"#;
        let host = |uid| host_uid(&config(mapped), uid);
        assert_eq!((host(0), host(1), host(9), host(10)), (Some(1000), Some(100_000), Some(100_008), None));
        assert_eq!((host_uid(&config("{}"), 0), host_uid(&config("{}"), 5)), (None, Some(5)));
        let joined = r#"{"linux": {"namespaces": [{"type": "user", "path": "/p"}]}}"#;
        assert_eq!(host_uid(&config(joined), 5), None);
    }
}

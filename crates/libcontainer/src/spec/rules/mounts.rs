//! Rules of `mounts`, but for the meaning of options, which the plan decides.

use super::Faults;
use super::namespaces::{has, map_is_whole};
use crate::config::Config;
use crate::spec::{given, is_bind};

pub(super) fn destination_is_given(config: &Config, faults: &mut Faults) {
    for (i, mount) in config.mounts.iter().enumerate() {
        let field = format_args!("mounts[{i}].destination");
        if mount.destination.is_empty() {
            faults.error(field, "the destination of the mount is required");
        } else if !mount.destination.starts_with('/') {
            let what = format_args!("{:?} is taken below /: relative destinations are deprecated", mount.destination);
            faults.warn(field, what);
        }
    }
}

/// A remount changes what is at the destination: it needs neither source nor type.
pub(super) fn source_and_type_are_given(config: &Config, faults: &mut Faults) {
    for (i, mount) in config.mounts.iter().enumerate() {
        if mount.options.iter().any(|option| option == "remount") {
            continue;
        }
        if is_bind(mount) {
            let sourced = given(&mount.source).is_some();
            faults.require(sourced, format_args!("mounts[{i}].source"), "a bind mount requires a source");
        } else {
            let typed = given(&mount.kind).is_some_and(|kind| kind != "none");
            let what = "a mount requires a type, or one of the options bind and rbind";
            faults.require(typed, format_args!("mounts[{i}].type"), what);
        }
    }
}

pub(super) fn id_mappings_are_whole(config: &Config, faults: &mut Faults) {
    for (i, mount) in config.mounts.iter().enumerate() {
        map_is_whole(&mount.uid_mappings, format_args!("mounts[{i}].uidMappings"), faults);
        map_is_whole(&mount.gid_mappings, format_args!("mounts[{i}].gidMappings"), faults);
        match (mount.uid_mappings.is_empty(), mount.gid_mappings.is_empty()) {
            (true, false) => faults.error(format_args!("mounts[{i}].uidMappings"), "gidMappings require uidMappings"),
            (false, true) => faults.error(format_args!("mounts[{i}].gidMappings"), "uidMappings require gidMappings"),
            _ => (),
        }
    }
}

pub(super) fn id_mapped_mounts_have_a_mapping(config: &Config, faults: &mut Faults) {
    for (i, mount) in config.mounts.iter().enumerate() {
        let asked = mount.options.iter().find(|option| *option == "idmap" || *option == "ridmap");
        if let Some(option) = asked.filter(|_| mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty()) {
            let what = format_args!("{option} requires uidMappings and gidMappings of the mount, or a user namespace");
            faults.require(has(config, "user"), format_args!("mounts[{i}].options"), what);
        }
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"type": "tmpfs"}]}"#,
        "mounts[1].destination",
        "the destination of the mount is required",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "tmp", "type": "tmpfs"}]}"#,
        "mounts[1].destination",
        r#"warning: "tmp" is taken below /: relative destinations are deprecated"#,
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp"}]}"#,
        "mounts[1].type",
        "a mount requires a type, or one of the options bind and rbind",
    ),
    (
        r#"{"mounts": [{"destination": "/tmp", "type": "none", "options": ["rslave"]}]}"#,
        "mounts[0].type",
        "a mount requires a type, or one of the options bind and rbind",
    ),
    (r#"{"mounts": [{"destination": "/tmp", "options": ["bind", "remount"]}]}"#, "", ""),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "options": ["remount", "ro"]}]}"#,
        "",
        "",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "options": ["rbind"]}]}"#,
        "mounts[1].source",
        "a bind mount requires a source",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "bind", "source": ""}]}"#,
        "mounts[1].source",
        "a bind mount requires a source",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "options": ["bind"], "source": "data"}]}"#,
        "",
        "",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs", "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]}"#,
        "mounts[1].gidMappings",
        "uidMappings require gidMappings",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs", "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]}"#,
        "mounts[1].uidMappings",
        "gidMappings require uidMappings",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs", "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 0}]}]}"#,
        "mounts[1].uidMappings[0].size",
        "a range of ids must not be empty",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs", "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "options": ["idmap"]}]}"#,
        "",
        "",
    ),
    (
        r#"{"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "source": "/tmp", "options": ["rbind", "ridmap"]}]}"#,
        "mounts[1].options",
        "ridmap requires uidMappings and gidMappings of the mount, or a user namespace",
    ),
    (
        r#"{"mounts": [{"destination": "/tmp", "source": "/tmp", "options": ["bind", "idmap"]}], "linux": {"namespaces": [{"type": "user", "path": "/run/user"}]}}"#,
        "",
        "",
    ),
];

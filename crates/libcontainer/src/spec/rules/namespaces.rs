//! Rules of `linux.namespaces`, the user namespace's id maps and the time namespace's offsets.

use super::Faults;
use crate::config::{Config, IdMapping, Namespace};
use crate::spec::{given, names};
use std::fmt::Display;

/// The most lines of an id map, user_namespaces(7).
const MOST_MAPPINGS: usize = 340;

/// The largest offset of a clock, in seconds: what the kernel's 64 bits of nanoseconds hold.
const LARGEST_OFFSET: u64 = i64::MAX as u64 / 1_000_000_000;

/// The entry for a kind of namespace, if the container does not share its caller's.
pub(super) fn find<'a>(config: &'a Config, kind: &str) -> Option<&'a Namespace> {
    config.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
}

/// Whether the container has a namespace of this kind, new or joined.
pub(super) fn has(config: &Config, kind: &str) -> bool {
    find(config, kind).is_some()
}

/// Whether the container gets a new namespace of this kind.
pub(super) fn has_new(config: &Config, kind: &str) -> bool {
    find(config, kind).is_some_and(|namespace| given(&namespace.path).is_none())
}

pub(super) fn kinds_are_known_once(config: &Config, faults: &mut Faults) {
    let all = &config.linux.namespaces;
    for (i, namespace) in all.iter().enumerate() {
        let field = format_args!("linux.namespaces[{i}].type");
        let kind = &namespace.kind;
        if kind.is_empty() {
            faults.error(field, "the type of the namespace is required");
        } else if names::NAMESPACES.get(kind).is_none() {
            let choices = names::NAMESPACES.choices();
            faults.error(field, format_args!("unknown namespace {kind:?}: it is one of {choices}"));
        } else if all[..i].iter().any(|earlier| earlier.kind == *kind) {
            faults.error(field, format_args!("the {kind} namespace is given twice"));
        }
    }
}

pub(super) fn paths_are_absolute(config: &Config, faults: &mut Faults) {
    for (i, namespace) in config.linux.namespaces.iter().enumerate() {
        if let Some(path) = given(&namespace.path).filter(|path| !path.starts_with('/')) {
            let what = format_args!("the path of a namespace must be absolute, not {path:?}");
            faults.error(format_args!("linux.namespaces[{i}].path"), what);
        }
    }
}

/// The two id maps with their fields.
fn maps(config: &Config) -> [(&'static str, &[IdMapping]); 2] {
    [("linux.uidMappings", &config.linux.uid_mappings), ("linux.gidMappings", &config.linux.gid_mappings)]
}

pub(super) fn mappings_go_with_a_new_user_namespace(config: &Config, faults: &mut Faults) {
    for (field, map) in maps(config) {
        match find(config, "user") {
            None => faults.require(map.is_empty(), field, "an id map requires a user namespace"),
            Some(user) if given(&user.path).is_none() => {
                faults.require(!map.is_empty(), field, "a new user namespace requires an id map");
            }
            // containerd and CRI-O write both, the map being a copy of the joined namespace's.
            Some(_) if !map.is_empty() => faults.warn(field, "the joined user namespace has its id map already"),
            Some(_) => (),
        }
    }
}

pub(super) fn mappings_are_whole(config: &Config, faults: &mut Faults) {
    for (field, map) in maps(config) {
        map_is_whole(map, field, faults);
    }
}

/// What the kernel demands of an id map: no empty or wrapping range, no overlap on either side, not too many lines.
pub(super) fn map_is_whole(map: &[IdMapping], field: impl Display, faults: &mut Faults) {
    if map.len() > MOST_MAPPINGS {
        let what = format_args!("an id map has at most {MOST_MAPPINGS} ranges, this has {}", map.len());
        return faults.error(&field, what);
    }
    for (i, range) in map.iter().enumerate() {
        if range.size == 0 {
            faults.error(format_args!("{field}[{i}].size"), "a range of ids must not be empty");
            continue;
        }
        for (name, start) in [("containerID", range.container_id), ("hostID", range.host_id)] {
            let fits = u64::from(start) + u64::from(range.size) <= u64::from(u32::MAX);
            let what = format_args!("the range of {} ids from {start} passes the highest id", range.size);
            faults.require(fits, format_args!("{field}[{i}].{name}"), what);
        }
        for (j, earlier) in map[..i].iter().enumerate() {
            let inside = overlap(earlier.container_id, earlier.size, range.container_id, range.size);
            let what = format_args!("the range overlaps that of {field}[{j}] in the container");
            faults.require(!inside, format_args!("{field}[{i}].containerID"), what);
            let outside = overlap(earlier.host_id, earlier.size, range.host_id, range.size);
            let what = format_args!("the range overlaps that of {field}[{j}] on the host");
            faults.require(!outside, format_args!("{field}[{i}].hostID"), what);
        }
    }
}

fn overlap(a: u32, a_size: u32, b: u32, b_size: u32) -> bool {
    let end = |start: u32, size: u32| u64::from(start) + u64::from(size);
    u64::from(a) < end(b, b_size) && u64::from(b) < end(a, a_size)
}

pub(super) fn time_offsets_go_with_a_new_time_namespace(config: &Config, faults: &mut Faults) {
    if !config.linux.time_offsets.is_empty() && !has_new(config, "time") {
        let what = match has(config, "time") {
            true => "the clocks of a joined time namespace cannot be shifted",
            false => "shifted clocks require a time namespace",
        };
        faults.error("linux.timeOffsets", what);
    }
}

pub(super) fn time_offsets_are_in_range(config: &Config, faults: &mut Faults) {
    for (clock, offset) in &config.linux.time_offsets {
        let field = format_args!("linux.timeOffsets.{}", clock.escape_debug());
        if names::CLOCKS.get(clock).is_none() {
            let choices = names::CLOCKS.choices();
            faults.error(field, format_args!("unknown clock {clock:?}: it is {choices}"));
            continue;
        }
        let what = format_args!("a clock cannot be shifted by more than {LARGEST_OFFSET} seconds");
        faults.require(offset.secs.unsigned_abs() <= LARGEST_OFFSET, format_args!("{field}.secs"), what);
        let whole = offset.nanosecs < 1_000_000_000;
        faults.require(whole, format_args!("{field}.nanosecs"), "nanoseconds must be less than one second");
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (
        r#"{"linux": {"namespaces": [{"type": ""}]}}"#,
        "linux.namespaces[0].type",
        "the type of the namespace is required",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "mount"}, {"type": "net"}]}}"#,
        "linux.namespaces[1].type",
        r#"unknown namespace "net": it is one of time, mount, cgroup, uts, ipc, user, pid or network"#,
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "pid"}, {"type": "uts"}, {"type": "pid", "path": "/proc/1/ns/pid"}]}}"#,
        "linux.namespaces[2].type",
        "the pid namespace is given twice",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "network", "path": "netns/a"}]}}"#,
        "linux.namespaces[0].path",
        r#"the path of a namespace must be absolute, not "netns/a""#,
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "network", "path": ""}, {"type": "pid", "path": "/proc/1/ns/pid"}]}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}}"#,
        "linux.uidMappings",
        "an id map requires a user namespace",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}}"#,
        "linux.gidMappings",
        "a new user namespace requires an id map",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user", "path": "/run/user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}}"#,
        "linux.uidMappings",
        "warning: the joined user namespace has its id map already",
    ),
    (r#"{"linux": {"namespaces": [{"type": "user", "path": "/run/user"}]}}"#, "", ""),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 10, "hostID": 0, "size": 1000}]}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 5, "hostID": 5, "size": 0}]}}"#,
        "linux.gidMappings[1].size",
        "a range of ids must not be empty",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 4294967294, "size": 2}]}}"#,
        "linux.gidMappings[0].hostID",
        "the range of 2 ids from 4294967294 passes the highest id",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 4294967294, "hostID": 1, "size": 2}]}}"#,
        "linux.gidMappings[1].containerID",
        "the range of 2 ids from 4294967294 passes the highest id",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 0, "size": 4294967295}]}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 9, "hostID": 10, "size": 1}]}}"#,
        "linux.gidMappings[1].containerID",
        "the range overlaps that of linux.gidMappings[0] in the container",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 5, "size": 10}, {"containerID": 10, "hostID": 0, "size": 6}]}}"#,
        "linux.gidMappings[1].hostID",
        "the range overlaps that of linux.gidMappings[0] on the host",
    ),
    (
        r#"{"linux": {"timeOffsets": {"monotonic": {"secs": 1}}}}"#,
        "linux.timeOffsets",
        "shifted clocks require a time namespace",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "time", "path": "/run/time"}], "timeOffsets": {"monotonic": {"secs": 1}}}}"#,
        "linux.timeOffsets",
        "the clocks of a joined time namespace cannot be shifted",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "time"}], "timeOffsets": {"realtime": {"secs": 1}}}}"#,
        "linux.timeOffsets.realtime",
        r#"unknown clock "realtime": it is monotonic or boottime"#,
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "time"}], "timeOffsets": {"boottime": {"nanosecs": 1000000000}}}}"#,
        "linux.timeOffsets.boottime.nanosecs",
        "nanoseconds must be less than one second",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "time"}], "timeOffsets": {"boottime": {"secs": -9223372037}}}}"#,
        "linux.timeOffsets.boottime.secs",
        "a clock cannot be shifted by more than 9223372036 seconds",
    ),
    (
        r#"{"linux": {"namespaces": [{"type": "time"}], "timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 999999999}}}}"#,
        "",
        "",
    ),
];

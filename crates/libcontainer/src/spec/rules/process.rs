//! Rules of `process`: program, user, limits and capabilities.

use super::Faults;
use super::namespaces::has_new;
use crate::config::{Capabilities, Config, IdMapping};
use crate::spec::names;

/// The most supplementary groups of setgroups(2).
const MOST_GROUPS: usize = 65_536;

pub(super) fn args_are_given(config: &Config, faults: &mut Faults) {
    let Some(process) = &config.process else { return };
    let given = process.args.as_ref().is_some_and(|args| !args.is_empty());
    faults.require(given, "process.args", "a program to run is required");
}

pub(super) fn cwd_is_absolute(config: &Config, faults: &mut Faults) {
    let Some(process) = &config.process else { return };
    if process.cwd.is_empty() {
        faults.error("process.cwd", "a working directory is required");
    } else if !process.cwd.starts_with('/') {
        faults.error("process.cwd", format_args!("the working directory must be absolute, not {:?}", process.cwd));
    }
}

pub(super) fn env_is_assignments(config: &Config, faults: &mut Faults) {
    let Some(process) = &config.process else { return };
    for (i, entry) in process.env.iter().enumerate() {
        match entry.find('=') {
            None => faults.error(format_args!("process.env[{i}]"), format_args!("{entry:?} has no = and value")),
            Some(0) => faults.error(format_args!("process.env[{i}]"), format_args!("{entry:?} has no name")),
            Some(_) => (),
        }
    }
}

pub(super) fn console_fits_a_terminal(config: &Config, faults: &mut Faults) {
    let Some(process) = config.process.as_ref().filter(|process| process.terminal) else { return };
    let Some(size) = &process.console_size else { return };
    for (name, value) in [("height", size.height), ("width", size.width)] {
        let fits = value <= u64::from(u16::MAX);
        let what = format_args!("a terminal's {name} is at most {}", u16::MAX);
        faults.require(fits, format_args!("process.consoleSize.{name}"), what);
    }
}

/// -1 is no id for the kernel, and in setresuid(2) it means "leave it as it is": a process would stay what it was.
pub(super) fn user_has_valid_ids(config: &Config, faults: &mut Faults) {
    let Some(process) = &config.process else { return };
    let user = &process.user;
    let what = format_args!("{} is not a valid id", u32::MAX);
    faults.require(user.uid != u32::MAX, "process.user.uid", what);
    faults.require(user.gid != u32::MAX, "process.user.gid", what);
    for (i, gid) in user.additional_gids.iter().enumerate() {
        faults.require(*gid != u32::MAX, format_args!("process.user.additionalGids[{i}]"), what);
    }
    let fits = user.additional_gids.len() <= MOST_GROUPS;
    faults.require(fits, "process.user.additionalGids", format_args!("a process has at most {MOST_GROUPS} groups"));
    if let Some(umask) = user.umask.filter(|umask| *umask > 0o777) {
        faults.error("process.user.umask", format_args!("the umask {umask:#o} has bits above 0o777"));
    }
}

pub(super) fn user_is_mapped(config: &Config, faults: &mut Faults) {
    let Some(process) = config.process.as_ref().filter(|_| has_new(config, "user")) else { return };
    let user = &process.user;
    let mut require = |map: &[IdMapping], id: u32, kind: &str, field: std::fmt::Arguments<'_>| {
        // An absent map is another rule's fault.
        let mapped = map.is_empty()
            || map.iter().any(|range| id.checked_sub(range.container_id).is_some_and(|n| n < range.size));
        faults.require(mapped, field, format_args!("{id} is not in linux.{kind}Mappings"));
    };
    require(&config.linux.uid_mappings, user.uid, "uid", format_args!("process.user.uid"));
    require(&config.linux.gid_mappings, user.gid, "gid", format_args!("process.user.gid"));
    for (i, gid) in user.additional_gids.iter().enumerate() {
        require(&config.linux.gid_mappings, *gid, "gid", format_args!("process.user.additionalGids[{i}]"));
    }
}

pub(super) fn rlimits_are_known_once_and_ordered(config: &Config, faults: &mut Faults) {
    let Some(process) = &config.process else { return };
    for (i, limit) in process.rlimits.iter().enumerate() {
        let field = format_args!("process.rlimits[{i}].type");
        let kind = &limit.kind;
        if kind.is_empty() {
            faults.error(field, "the type of the limit is required");
        } else if names::RLIMITS.get(kind).is_none() {
            faults.error(field, format_args!("unknown limit {kind:?}"));
        } else if process.rlimits[..i].iter().any(|earlier| earlier.kind == *kind) {
            faults.error(field, format_args!("the limit {kind} is given twice"));
        }
        let ordered = limit.soft <= limit.hard;
        let what = format_args!("the soft limit {} is above the hard limit {}", limit.soft, limit.hard);
        faults.require(ordered, format_args!("process.rlimits[{i}].soft"), what);
    }
}

/// The five sets with their names.
fn sets(capabilities: &Capabilities) -> [(&'static str, &[String]); 5] {
    [
        ("bounding", &capabilities.bounding),
        ("effective", &capabilities.effective),
        ("inheritable", &capabilities.inheritable),
        ("permitted", &capabilities.permitted),
        ("ambient", &capabilities.ambient),
    ]
}

pub(super) fn capabilities_are_known(config: &Config, faults: &mut Faults) {
    let Some(capabilities) = config.process.as_ref().and_then(|process| process.capabilities.as_ref()) else { return };
    for (set, names) in sets(capabilities) {
        for (i, name) in names.iter().enumerate().filter(|(_, name)| names::CAPABILITIES.get(name).is_none()) {
            let what = format_args!("unknown capability {name:?} is not granted");
            faults.warn(format_args!("process.capabilities.{set}[{i}]"), what);
        }
    }
}

pub(super) fn capabilities_can_be_granted(config: &Config, faults: &mut Faults) {
    let Some(capabilities) = config.process.as_ref().and_then(|process| process.capabilities.as_ref()) else { return };
    let mask = |names: &[String]| names::capability_mask(names);
    let permitted = mask(&capabilities.permitted);
    let bounds = [("effective", &capabilities.effective, permitted, "permitted")];
    for (set, names, bound, bound_name) in bounds {
        for (i, name) in names.iter().enumerate() {
            if names::CAPABILITIES.get(name).is_some_and(|bit| bound & (1 << bit) == 0) {
                let what = format_args!("{name} is not granted: it is not {bound_name} as well");
                faults.warn(format_args!("process.capabilities.{set}[{i}]"), what);
            }
        }
    }
}

pub(super) fn oom_score_adj_is_in_range(config: &Config, faults: &mut Faults) {
    let Some(value) = config.process.as_ref().and_then(|process| process.oom_score_adj) else { return };
    let what = format_args!("{value} is not between -1000 and 1000");
    faults.require((-1000..=1000).contains(&value), "process.oomScoreAdj", what);
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"process": null}"#, "", ""),
    (r#"{"process": {"args": null}}"#, "process.args", "a program to run is required"),
    (r#"{"process": {"args": []}}"#, "process.args", "a program to run is required"),
    (r#"{"process": {"cwd": ""}}"#, "process.cwd", "a working directory is required"),
    (r#"{"process": {"cwd": "tmp"}}"#, "process.cwd", r#"the working directory must be absolute, not "tmp""#),
    (r#"{"process": {"env": ["A=1", "PATH"]}}"#, "process.env[1]", r#""PATH" has no = and value"#),
    (r#"{"process": {"env": ["=1"]}}"#, "process.env[0]", r#""=1" has no name"#),
    (r#"{"process": {"env": ["A=", "B==", "a b.c=\n"]}}"#, "", ""),
    (
        r#"{"process": {"terminal": true, "consoleSize": {"height": 65536, "width": 80}}}"#,
        "process.consoleSize.height",
        "a terminal's height is at most 65535",
    ),
    (r#"{"process": {"terminal": false, "consoleSize": {"height": 65536, "width": 80}}}"#, "", ""),
    (r#"{"process": {"user": {"uid": 4294967295}}}"#, "process.user.uid", "4294967295 is not a valid id"),
    (r#"{"process": {"user": {"gid": 4294967295}}}"#, "process.user.gid", "4294967295 is not a valid id"),
    (
        r#"{"process": {"user": {"additionalGids": [5, 4294967295]}}}"#,
        "process.user.additionalGids[1]",
        "4294967295 is not a valid id",
    ),
    (r#"{"process": {"user": {"umask": 512}}}"#, "process.user.umask", "the umask 0o1000 has bits above 0o777"),
    (
        r#"{"process": {"user": {"uid": 1}}, "linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}}"#,
        "process.user.uid",
        "1 is not in linux.uidMappings",
    ),
    (
        r#"{"process": {"user": {"additionalGids": [4, 5]}}, "linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1, "size": 5}]}}"#,
        "process.user.additionalGids[1]",
        "5 is not in linux.gidMappings",
    ),
    (
        r#"{"process": {"rlimits": [{"soft": 1, "hard": 1}]}}"#,
        "process.rlimits[0].type",
        "the type of the limit is required",
    ),
    (
        r#"{"process": {"rlimits": [{"type": "RLIMIT_NOFILES", "soft": 1, "hard": 1}]}}"#,
        "process.rlimits[0].type",
        r#"unknown limit "RLIMIT_NOFILES""#,
    ),
    (
        r#"{"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]}}"#,
        "process.rlimits[1].type",
        "the limit RLIMIT_CPU is given twice",
    ),
    (
        r#"{"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}}"#,
        "process.rlimits[0].soft",
        "the soft limit 2 is above the hard limit 1",
    ),
    (
        r#"{"process": {"rlimits": [{"type": "RLIMIT_CORE", "soft": 18446744073709551615, "hard": 18446744073709551615}]}}"#,
        "",
        "",
    ),
    (
        r#"{"process": {"capabilities": {"bounding": ["CAP_KILL", "CAP_TIME_TRAVEL"]}}}"#,
        "process.capabilities.bounding[1]",
        r#"warning: unknown capability "CAP_TIME_TRAVEL" is not granted"#,
    ),
    (
        r#"{"process": {"capabilities": {"ambient": ["cap_kill"]}}}"#,
        "process.capabilities.ambient[0]",
        r#"warning: unknown capability "cap_kill" is not granted"#,
    ),
    (
        r#"{"process": {"capabilities": {"effective": ["CAP_KILL"]}}}"#,
        "process.capabilities.effective[0]",
        "warning: CAP_KILL is not granted: it is not permitted as well",
    ),
    (r#"{"process": {"oomScoreAdj": -1001}}"#, "process.oomScoreAdj", "-1001 is not between -1000 and 1000"),
    (r#"{"process": {"oomScoreAdj": 1000}}"#, "", ""),
];

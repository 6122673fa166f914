//! Rules of `linux.seccomp` that need no libseccomp: what must be there, and what goes with what.

use super::Faults;
use crate::config::{Config, Seccomp};
use crate::spec::given;

/// A system call has six arguments.
const ARGUMENTS: u32 = 6;

/// The data of a seccomp return value has 16 bits.
const HIGHEST_ERRNO: u32 = u16::MAX as u32;

/// Neither a default nor rules: the object asks for no filter, as runc takes it.
fn seccomp(config: &Config) -> Option<&Seccomp> {
    config.linux.seccomp.as_ref().filter(|filter| !filter.default_action.is_empty() || !filter.syscalls.is_empty())
}

pub(super) fn actions_are_given(config: &Config, faults: &mut Faults) {
    let Some(seccomp) = seccomp(config) else { return };
    let given = !seccomp.default_action.is_empty();
    faults.require(given, "linux.seccomp.defaultAction", "a default action is required");
    for (i, rule) in seccomp.syscalls.iter().enumerate() {
        let field = format_args!("linux.seccomp.syscalls[{i}]");
        faults.require(!rule.action.is_empty(), format_args!("{field}.action"), "an action is required");
        let named = !rule.names.is_empty() && rule.names.iter().all(|name| !name.is_empty());
        faults.require(named, format_args!("{field}.names"), "the names of the system calls are required");
    }
}

pub(super) fn errno_goes_with_its_actions(config: &Config, faults: &mut Faults) {
    let Some(seccomp) = seccomp(config) else { return };
    let mut require = |action: &str, errno: Option<u32>, field: std::fmt::Arguments<'_>| {
        let Some(errno) = errno else { return };
        let takes = matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE" | "");
        faults.require(takes, field, format_args!("the action {} takes no errno", action.escape_debug()));
        faults.require(errno <= HIGHEST_ERRNO, field, format_args!("the errno {errno} is above {HIGHEST_ERRNO}"));
    };
    let field = format_args!("linux.seccomp.defaultErrnoRet");
    require(&seccomp.default_action, seccomp.default_errno_ret, field);
    for (i, rule) in seccomp.syscalls.iter().enumerate() {
        require(&rule.action, rule.errno_ret, format_args!("linux.seccomp.syscalls[{i}].errnoRet"));
    }
}

pub(super) fn arguments_are_indexed(config: &Config, faults: &mut Faults) {
    let Some(seccomp) = seccomp(config) else { return };
    for (i, rule) in seccomp.syscalls.iter().enumerate() {
        for (j, arg) in rule.args.iter().enumerate() {
            let field = format_args!("linux.seccomp.syscalls[{i}].args[{j}]");
            let what = format_args!("a system call has no argument {}: they are 0 to {}", arg.index, ARGUMENTS - 1);
            faults.require(arg.index < ARGUMENTS, format_args!("{field}.index"), what);
            faults.require(!arg.op.is_empty(), format_args!("{field}.op"), "an operator is required");
        }
    }
}

pub(super) fn listener_is_whole(config: &Config, faults: &mut Faults) {
    let Some(seccomp) = seccomp(config) else { return };
    let path = given(&seccomp.listener_path);
    let kept = given(&seccomp.listener_metadata).is_none() || path.is_some();
    faults.require(kept, "linux.seccomp.listenerMetadata", "listenerMetadata requires listenerPath");
    let mut actions = seccomp.syscalls.iter().map(|rule| &rule.action).chain([&seccomp.default_action]);
    let notifies = actions.any(|action| action == "SCMP_ACT_NOTIFY");
    let kept = !notifies || path.is_some();
    faults.require(kept, "linux.seccomp.listenerPath", "SCMP_ACT_NOTIFY requires a listener");
    if let Some(path) = path.filter(|path| notifies && !path.starts_with('/')) {
        let what = format_args!("the path of the listener must be absolute, not {path:?}");
        faults.error("linux.seccomp.listenerPath", what);
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"linux": {"seccomp": {"defaultAction": "", "flags": []}}}"#, "", ""),
    (
        r#"{"linux": {"seccomp": {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}}}"#,
        "linux.seccomp.defaultAction",
        "a default action is required",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"]}]}}}"#,
        "linux.seccomp.syscalls[0].action",
        "an action is required",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}]}}}"#,
        "linux.seccomp.syscalls[0].names",
        "the names of the system calls are required",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}}}"#,
        "linux.seccomp.defaultErrnoRet",
        "the action SCMP_ACT_KILL takes no errno",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 65536}}}"#,
        "linux.seccomp.defaultErrnoRet",
        "the errno 65536 is above 65535",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [{"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 1}]}}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}]}}}"#,
        "linux.seccomp.syscalls[0].errnoRet",
        "the action SCMP_ACT_ALLOW takes no errno",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}}}"#,
        "linux.seccomp.syscalls[0].args[0].index",
        "a system call has no argument 6: they are 0 to 5",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 5, "value": 0}]}]}}}"#,
        "linux.seccomp.syscalls[0].args[0].op",
        "an operator is required",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}}}"#,
        "linux.seccomp.listenerMetadata",
        "listenerMetadata requires listenerPath",
    ),
    (r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "x"}}}"#, "", ""),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"}]}}}"#,
        "linux.seccomp.listenerPath",
        "SCMP_ACT_NOTIFY requires a listener",
    ),
    (
        r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "sock", "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"}]}}}"#,
        "linux.seccomp.listenerPath",
        r#"the path of the listener must be absolute, not "sock""#,
    ),
];

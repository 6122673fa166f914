//! Rules of `hooks`.

use super::Faults;
use crate::config::{Config, Hook};
use crate::spec::names;

/// Every hook with its kind and its place among the hooks of that kind.
pub(super) fn all(config: &Config) -> impl Iterator<Item = (&'static str, usize, &Hook)> {
    let hooks = &config.hooks;
    let lists = [
        &hooks.prestart,
        &hooks.create_runtime,
        &hooks.create_container,
        &hooks.start_container,
        &hooks.poststart,
        &hooks.poststop,
    ];
    let kinds = names::HOOKS.names().zip(lists);
    kinds.flat_map(|(kind, list)| list.iter().enumerate().map(move |(i, hook)| (kind, i, hook)))
}

pub(super) fn path_is_absolute(config: &Config, faults: &mut Faults) {
    for (kind, i, hook) in all(config) {
        let field = format_args!("hooks.{kind}[{i}].path");
        if hook.path.is_empty() {
            faults.error(field, "the path of the hook is required");
        } else if !hook.path.starts_with('/') {
            faults.error(field, format_args!("the path of a hook must be absolute, not {:?}", hook.path));
        }
    }
}

pub(super) fn timeout_is_positive(config: &Config, faults: &mut Faults) {
    for (kind, i, hook) in all(config) {
        if let Some(seconds) = hook.timeout.filter(|seconds| *seconds <= 0) {
            let what = format_args!("a hook's timeout must be greater than zero, not {seconds}");
            faults.error(format_args!("hooks.{kind}[{i}].timeout"), what);
        }
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"hooks": {"prestart": [{}]}}"#, "hooks.prestart[0].path", "the path of the hook is required"),
    (
        r#"{"hooks": {"createContainer": [{"path": "/bin/a"}, {"path": "b"}]}}"#,
        "hooks.createContainer[1].path",
        r#"the path of a hook must be absolute, not "b""#,
    ),
    (
        r#"{"hooks": {"poststop": [{"path": "/bin/a", "timeout": 0}]}}"#,
        "hooks.poststop[0].timeout",
        "a hook's timeout must be greater than zero, not 0",
    ),
    (r#"{"hooks": {"startContainer": [{"path": "/bin/a", "timeout": 1, "env": ["A"]}], "poststart": null}}"#, "", ""),
];

//! Rules of the annotations that hull acts on.

use super::Faults;
use crate::config::Config;
use crate::spec::annotations::{
    DELEGATE_CGROUP, HOOKS_STDERR, HOOKS_STDOUT, MOUNT_CONTEXT_TYPE, MOUNT_CONTEXT_TYPES, PIDFD_RECEIVER,
    SECCOMP_RECEIVER, SYSTEMD_SUBGROUP, asked, field,
};

pub(super) fn paths_are_absolute(config: &Config, faults: &mut Faults) {
    for name in [HOOKS_STDOUT, HOOKS_STDERR, SECCOMP_RECEIVER, PIDFD_RECEIVER] {
        let Some(path) = asked(config, name) else { continue };
        let kept = path.starts_with('/') && !path.contains('\0');
        faults.require(kept, field(name), format_args!("{path:?} is not an absolute path"));
    }
}

pub(super) fn cgroups_are_below(config: &Config, faults: &mut Faults) {
    for name in [DELEGATE_CGROUP, SYSTEMD_SUBGROUP] {
        let Some(path) = asked(config, name) else { continue };
        let named = path.split('/').any(|part| !matches!(part, "" | "."));
        let kept = named && !path.split('/').any(|part| part == "..") && !path.contains('\0');
        faults.require(kept, field(name), format_args!("{path:?} names no cgroup below the container's"));
    }
}

pub(super) fn mount_context_type_is_known(config: &Config, faults: &mut Faults) {
    let Some(kind) = asked(config, MOUNT_CONTEXT_TYPE) else { return };
    let what = format_args!("{kind:?} is not one of {}", MOUNT_CONTEXT_TYPES.join(", "));
    faults.require(MOUNT_CONTEXT_TYPES.contains(&kind), field(MOUNT_CONTEXT_TYPE), what);
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (
        r#"{"annotations": {"run.oci.hooks.stdout": "out"}}"#,
        r#"annotations["run.oci.hooks.stdout"]"#,
        r#""out" is not an absolute path"#,
    ),
    (
        r#"{"annotations": {"run.oci.pidfd_receiver": "sock"}}"#,
        r#"annotations["run.oci.pidfd_receiver"]"#,
        r#""sock" is not an absolute path"#,
    ),
    (r#"{"annotations": {"run.oci.hooks.stderr": "/err", "run.oci.pidfd_receiver": ""}}"#, "", ""),
    (
        r#"{"annotations": {"run.oci.delegate-cgroup": "a/../b"}}"#,
        r#"annotations["run.oci.delegate-cgroup"]"#,
        r#""a/../b" names no cgroup below the container's"#,
    ),
    (
        r#"{"annotations": {"run.oci.delegate-cgroup": "/"}}"#,
        r#"annotations["run.oci.delegate-cgroup"]"#,
        r#""/" names no cgroup below the container's"#,
    ),
    (r#"{"annotations": {"run.oci.delegate-cgroup": "/init"}}"#, "", ""),
    (
        r#"{"annotations": {"run.oci.systemd.subgroup": "../a"}}"#,
        r#"annotations["run.oci.systemd.subgroup"]"#,
        r#""../a" names no cgroup below the container's"#,
    ),
    (
        r#"{"annotations": {"run.oci.mount_context_type": "ctx"}}"#,
        r#"annotations["run.oci.mount_context_type"]"#,
        r#""ctx" is not one of context, fscontext, defcontext, rootcontext"#,
    ),
];

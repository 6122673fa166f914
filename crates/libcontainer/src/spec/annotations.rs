//! Annotations by which a config asks for more than its fields can say. The names are crun's; engines set them.

use crate::config::{Config, Map};

/// The groups of the caller stay, and `additionalGids` are not set. Any value.
pub const KEEP_ORIGINAL_GROUPS: &str = "run.oci.keep_original_groups";
/// A file to which the hooks' standard output is appended.
pub const HOOKS_STDOUT: &str = "run.oci.hooks.stdout";
/// A file to which the hooks' standard error is appended.
pub const HOOKS_STDERR: &str = "run.oci.hooks.stderr";
/// A cgroup below the container's, in which its process starts and which it manages itself.
pub const DELEGATE_CGROUP: &str = "run.oci.delegate-cgroup";
/// With systemd on version 2: a cgroup below the scope, in which the container is. Its limits stay above, on the scope.
pub const SYSTEMD_SUBGROUP: &str = "run.oci.systemd.subgroup";
/// A socket that gets the seccomp listener: `linux.seccomp.listenerPath` under another name.
pub const SECCOMP_RECEIVER: &str = "run.oci.seccomp.receiver";
/// A socket that gets a pidfd of the container's process.
pub const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
/// The mount option by which file systems get `linux.mountLabel`.
pub const MOUNT_CONTEXT_TYPE: &str = "run.oci.mount_context_type";

/// What [`MOUNT_CONTEXT_TYPE`] can be, the default first: mount(8), "context".
pub const MOUNT_CONTEXT_TYPES: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// The value of an annotation of a config; an empty one asks for nothing.
pub fn asked<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    value(&config.annotations, name)
}

/// The value of one of `annotations`; an empty one asks for nothing.
pub fn value<'a>(annotations: &'a Map<String>, name: &str) -> Option<&'a str> {
    annotations.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// How an annotation is called in errors.
pub fn field(name: &str) -> String {
    format!("annotations[{name:?}]")
}

/// Puts what annotations say in the place of the fields they stand for, where those say nothing.
pub fn settle(config: &mut Config) {
    let receiver = asked(config, SECCOMP_RECEIVER).filter(|path| path.starts_with('/')).map(str::to_owned);
    if let (Some(receiver), Some(seccomp)) = (receiver, &mut config.linux.seccomp)
        && super::given(&seccomp.listener_path).is_none()
    {
        seccomp.listener_path = Some(receiver);
    }
}

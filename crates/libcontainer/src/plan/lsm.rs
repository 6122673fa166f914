//! Security labels of the program and of its mounts: SELinux. A label that cannot be applied is an error, never silence.

use super::builder::{Builder, origin};
use crate::error::{Error, Kind, Result};
use hull_init::op::Op;

/// Sets the label that the next exec takes.
pub(super) fn label(b: &mut Builder<'_>) -> Result<()> {
    let process = b.input.process;
    let host = b.input.host;
    if let Some(label) = process.selinux_label.as_deref().filter(|label| !label.is_empty()) {
        if !host.selinux {
            let what = format!("SELinux label {label:?} cannot be applied: SELinux is not enabled on this host");
            return Err(Error::new(Kind::Unsupported, what).field("process.selinuxLabel"));
        }
        write(b, "process.selinuxLabel", "self/attr/exec", label);
    }
    Ok(())
}

/// `linux.mountLabel`, where it can be applied.
pub(super) fn mount_label<'a>(b: &Builder<'a>) -> Result<Option<&'a str>> {
    let label = b.input.config.linux.mount_label.as_deref().filter(|label| !label.is_empty());
    match label {
        Some(label) if !b.input.host.selinux => {
            let what = format!("SELinux label {label:?} cannot be applied: SELinux is not enabled on this host");
            Err(Error::new(Kind::Unsupported, what).field("linux.mountLabel"))
        }
        label => Ok(label),
    }
}

fn write(b: &mut Builder<'_>, field: &'static str, path: &str, value: &str) {
    let dir = b.procfs();
    let why = origin(field, format!("write {value:?} to /proc/{path}"));
    let (path, data) = (b.string(path), b.bytes(value.as_bytes()));
    b.step(why, Op::Write { dir, path, data });
}

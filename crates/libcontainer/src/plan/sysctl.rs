//! Kernel parameters of the container's namespaces.

use super::builder::{Builder, origin};
use crate::error::Result;
use crate::spec::sysctl_path;
use hull_init::op::Op;

/// Writes each parameter through the host's procfs: which namespace it belongs to is decided by who writes.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let config = b.input.config;
    for (key, value) in &config.linux.sysctl {
        let proc = b.procfs();
        let why = origin(format!("linux.sysctl.{key}"), format!("set {key} to {value:?}"));
        let path = sysctl_path(key).unwrap_or_default();
        let (path, data) = (b.string(format!("sys/{path}")), b.bytes(value.as_bytes()));
        b.step(why, Op::Write { dir: proc, path, data });
    }
    Ok(())
}

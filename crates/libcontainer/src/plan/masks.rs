//! Masked and read-only paths.

use super::builder::{Builder, inside, origin};
use super::mounts;
use crate::error::{Error, Result};
use hull_init::op::{Addr, Op, Slot};
use std::collections::BTreeSet;

/// Read-only paths first: a masked path below one must stay masked, not be copied bare. Duplicates are done once.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let linux = &b.input.config.linux;
    if !b.has_namespace("mount") {
        return Ok(());
    }
    for (name, paths) in [("readonlyPaths", &linux.readonly_paths), ("maskedPaths", &linux.masked_paths)] {
        if let Some(i) = paths.iter().position(|path| inside(path).is_empty()) {
            let what = format!("{:?} is the root itself, of which root.readonly decides", paths[i]);
            return Err(Error::spec(format!("linux.{name}[{i}]"), what));
        }
    }
    let mut seen = BTreeSet::new();
    for (i, path) in linux.readonly_paths.iter().enumerate() {
        if seen.insert(inside(path)) {
            let why = origin(format!("linux.readonlyPaths[{i}]"), format!("make {path:?} read-only"));
            let (root, path, own) = place(b, &inside(path));
            b.step(why, Op::Readonly { root, path, own });
        }
    }
    if linux.masked_paths.is_empty() {
        return Ok(());
    }
    let why = || origin("linux.maskedPaths", "prepare what masked paths are hidden under");
    let path = b.string("/dev/null");
    let null = b.step_to_slot(why(), Op::CloneTree { dir: Slot::CWD, path, flags: 0 });
    // One inode is the root's: nothing can ever be in it.
    let kind = b.string("tmpfs");
    let params = mounts::own_tmpfs(b, "nr_inodes", "1")?;
    let attrs = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    let dir = b.step_to_slot(why(), Op::Filesystem { kind, params, attrs });
    seen.clear();
    for (i, path) in linux.masked_paths.iter().enumerate() {
        if seen.insert(inside(path)) {
            let why = origin(format!("linux.maskedPaths[{i}]"), format!("mask {path:?}"));
            let (root, path, own) = place(b, &inside(path));
            b.step(why, Op::Mask { root, path, null, dir, own });
        }
    }
    Ok(())
}

/// Where a path is best looked for: from the procfs or sysfs of this plan that it is in, else from the root.
fn place(b: &mut Builder<'_>, path: &str) -> (Slot, Addr, bool) {
    match b.own_kernel_file_system(path) {
        Some((slot, rest)) => (slot, b.string(rest), true),
        None => (b.root, b.string(path), false),
    }
}

//! Masked and read-only paths.

use super::builder::{Builder, inside, origin};
use crate::error::Result;
use hull_init::op::{Op, Slot};
use std::collections::HashSet;

/// Read-only paths first: a masked path below one must stay masked, not be copied bare. Duplicates are done once.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let linux = &b.input.config.linux;
    if !b.has_namespace("mount") {
        return Ok(());
    }
    let root = b.root;
    let mut seen = HashSet::new();
    for (i, path) in linux.readonly_paths.iter().enumerate() {
        if seen.insert(inside(path)) {
            let why = origin(format!("linux.readonlyPaths[{i}]"), format!("make {path:?} read-only"));
            let path = b.string(inside(path));
            b.step(why, Op::Readonly { root, path });
        }
    }
    if linux.masked_paths.is_empty() {
        return Ok(());
    }
    let why = || origin("linux.maskedPaths", "prepare what masked paths are hidden under");
    let path = b.string("/dev/null");
    let null = b.step_to_slot(why(), Op::CloneTree { dir: Slot::CWD, path, flags: 0 });
    let kind = b.string("tmpfs");
    let params = b.bytes(b"\x01nr_blocks\x001\x00\x01nr_inodes\x001\x00");
    let attrs = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    let dir = b.step_to_slot(why(), Op::Filesystem { kind, params, attrs });
    seen.clear();
    for (i, path) in linux.masked_paths.iter().enumerate() {
        if seen.insert(inside(path)) {
            let why = origin(format!("linux.maskedPaths[{i}]"), format!("mask {path:?}"));
            let path = b.string(inside(path));
            b.step(why, Op::Mask { root, path, null, dir });
        }
    }
    Ok(())
}

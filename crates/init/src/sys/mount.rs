//! Mounts, by the interface that has a descriptor for each: fsopen(2), open_tree(2), move_mount(2), mount_setattr(2).

use super::fs::AT_EMPTY_PATH;
use super::{Fd, Result, Text, call, nr};

/// All mounts below, too.
pub const AT_RECURSIVE: u64 = 0x8000;
/// The mount, or what is set of it, is read-only.
pub const MOUNT_ATTR_RDONLY: u64 = 1;

const OPEN_TREE_CLONE: u64 = 1;
const CLOEXEC: u64 = super::fs::O_CLOEXEC;

/// fsopen(2): a context in which a file system is configured.
pub fn fsopen(kind: Text) -> Result<Fd> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::FSOPEN, kind.as_ptr(), 1) }.map(|fd| fd as Fd)
}

/// fsconfig(2): a parameter; without a value, a flag.
pub fn fsconfig(context: Fd, key: Text, value: Option<Text>) -> Result<()> {
    let (command, value) = value.map_or((0, core::ptr::null()), |value| (1, value.as_ptr()));
    // SAFETY: the strings live through the call.
    unsafe { call!(nr::FSCONFIG, context, command, key.as_ptr(), value, 0) }.map(drop)
}

/// fsconfig(2) FSCONFIG_CMD_CREATE: makes the file system that was described.
pub fn create(context: Fd) -> Result<()> {
    // SAFETY: this command takes no pointer.
    unsafe { call!(nr::FSCONFIG, context, 6, 0, 0, 0) }.map(drop)
}

/// fsmount(2): the file system as a detached mount with these attributes (`MOUNT_ATTR_*`).
pub fn fsmount(context: Fd, attributes: u64) -> Result<Fd> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::FSMOUNT, context, 1, attributes) }.map(|fd| fd as Fd)
}

/// open_tree(2) with OPEN_TREE_CLONE: a detached clone of what is mounted there.
pub fn clone_tree(dir: Fd, path: Text, flags: u64) -> Result<Fd> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::OPEN_TREE, dir, path.as_ptr(), flags | OPEN_TREE_CLONE | CLOEXEC) }.map(|fd| fd as Fd)
}

/// move_mount(2) of the mount behind `tree` to `path` at `target`, of which no last symlink is followed; an empty path is `target` itself.
pub fn move_mount(tree: Fd, target: Fd, path: Text) -> Result<()> {
    const FROM_EMPTY_PATH: u64 = 0x4;
    const TO_EMPTY_PATH: u64 = 0x40;
    let (from, flags) = (Text::EMPTY.as_ptr(), FROM_EMPTY_PATH | TO_EMPTY_PATH);
    // SAFETY: the strings live through the call.
    unsafe { call!(nr::MOVE_MOUNT, tree, from, target, path.as_ptr(), flags) }.map(drop)
}

/// mount_setattr(2) on the mount behind `tree`; `flags` may be [`AT_RECURSIVE`]. The four words of struct mount_attr: set, clear,
/// propagation, user namespace.
pub fn set_attributes(tree: Fd, attributes: &[u64; 4], flags: u64) -> Result<()> {
    let (path, size) = (Text::EMPTY.as_ptr(), size_of_val(attributes));
    // SAFETY: the structure lives through the call.
    unsafe { call!(nr::MOUNT_SETATTR, tree, path, flags | AT_EMPTY_PATH, attributes.as_ptr(), size) }.map(drop)
}

/// pivot_root(2) with both ends the working directory: the old root then lies on top of the new one.
pub fn pivot_here() -> Result<()> {
    let here = c".".as_ptr();
    // SAFETY: the string is static.
    unsafe { call!(nr::PIVOT_ROOT, here, here) }.map(drop)
}

/// umount2(2) with MNT_DETACH of what lies on top at the working directory.
pub fn detach_here() -> Result<()> {
    // SAFETY: the string is static.
    unsafe { call!(nr::UMOUNT2, c".".as_ptr(), 2) }.map(drop)
}

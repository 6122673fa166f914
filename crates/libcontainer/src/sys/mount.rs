//! The mount API by descriptors: open_tree(2), mount_setattr(2), fsopen(2) and their kin.

use rustix::fs::{CWD, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `struct mount_attr` without the user namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MountAttr {
    /// MOUNT_ATTR_* to set.
    pub set: u64,
    /// MOUNT_ATTR_* to clear first.
    pub clear: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or 0.
    pub propagation: u64,
}

impl MountAttr {
    /// Whether it would change anything.
    pub fn is_nothing(&self) -> bool {
        *self == MountAttr::default()
    }

    /// As the kernel reads it (`MOUNT_ATTR_SIZE_VER0`).
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.set.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.clear.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.propagation.to_ne_bytes());
        bytes
    }
}

/// A detached clone of what is mounted at `path`, with `recursive` of all below it, too: open_tree(2).
pub fn clone_tree(path: &Path, recursive: bool, no_follow: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if no_follow {
        flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    }
    rustix::mount::open_tree(CWD, path, flags)
}

/// Changes the attributes of a mount, with `recursive` of all below it, too; `user` maps its ids: mount_setattr(2).
pub fn set_attr(mount: BorrowedFd<'_>, attr: MountAttr, recursive: bool, user: Option<BorrowedFd<'_>>) -> Result<()> {
    let mut bytes = attr.to_bytes();
    if let Some(user) = user {
        let set = attr.set | libc::MOUNT_ATTR_IDMAP;
        bytes[..8].copy_from_slice(&set.to_ne_bytes());
        bytes[24..].copy_from_slice(&(user.as_raw_fd() as u64).to_ne_bytes());
    }
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: an empty NUL-terminated path and a mount_attr of the size given.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), flags, bytes.as_ptr(), bytes.len())
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// A detached file system of its own, with its parameters and MOUNT_ATTR_* attributes: fsopen(2) to fsmount(2).
pub fn file_system(kind: &str, params: &[(String, Option<String>)], attrs: u64) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in params {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), key, value)?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), key)?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    let attrs = MountAttrFlags::from_bits_retain(attrs as u32);
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attrs)
}

/// Another descriptor for what an `O_PATH` descriptor stands for, to read or write it.
pub fn reopen(fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(fd, ".", flags | OFlags::CLOEXEC, rustix::fs::Mode::empty())
}

pub(super) fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

//! The host's procfs, verified: what goes through it can be misled by no mount and no link.

use crate::error::{Error, Kind, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// linux/magic.h.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
/// The inode number of a procfs root, fs/proc.
const PROC_ROOT_INO: u64 = 1;

/// /proc as an `O_PATH` descriptor, after a look that it is the root of a procfs.
pub fn open() -> Result<OwnedFd> {
    let failed = |errno| Error::sys("open /proc", errno);
    let proc =
        rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let magic = rustix::fs::fstatfs(&proc).map_err(failed)?.f_type;
    let inode = rustix::fs::fstat(&proc).map_err(failed)?.st_ino;
    if magic as i64 == PROC_SUPER_MAGIC && inode == PROC_ROOT_INO {
        Ok(proc)
    } else {
        Err(Error::new(Kind::Unsupported, "/proc is not a procfs"))
    }
}

/// A file beneath a procfs, by a path that may cross `self` but no mount and no magic link.
pub fn open_beneath(proc: &OwnedFd, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(proc, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => continue,
            result => return result,
        }
    }
}

/// Writes a whole value to a file beneath the host's procfs.
pub fn write(path: &str, value: &str) -> Result<()> {
    let failed = |errno| Error::sys(format!("write {value:?} to /proc/{path}"), errno);
    let file = open_beneath(&open()?, path, OFlags::WRONLY).map_err(failed)?;
    rustix::io::write(&file, value.as_bytes()).map_err(failed).map(|_| ())
}

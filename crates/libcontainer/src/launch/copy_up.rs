//! `tmpcopyup`: a tmpfs that begins with what the image has at its place.

use super::open::{in_root, rootfs};
use crate::error::{Error, Result};
use crate::sys;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A detached tmpfs with a copy of the directory `from` below the root file system; one that is not there is empty.
pub(super) fn tmpfs(root: &Path, from: &str, params: &[(String, Option<String>)], attrs: u64) -> Result<OwnedFd> {
    let failed = |errno| Error::sys(format!("copy /{from} into its tmpfs"), errno);
    let read_only = libc::MOUNT_ATTR_RDONLY;
    let mount = sys::mount::file_system("tmpfs", params, attrs & !read_only).map_err(failed)?;
    // A mount's own descriptor is O_PATH.
    let top = sys::mount::reopen(mount.as_fd(), OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
    match in_root(&rootfs(root).map_err(failed)?, from, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(source) => {
            copy_dir(source.as_fd(), top.as_fd())
                .and_then(|()| copy_owner(source.as_fd(), top.as_fd()))
                .map_err(failed)?;
        }
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let attr = sys::mount::MountAttr { set: attrs & read_only, ..Default::default() };
    if !attr.is_nothing() {
        sys::mount::set_attr(mount.as_fd(), attr, false, None).map_err(failed)?;
    }
    Ok(mount)
}

type Done = std::result::Result<(), Errno>;

/// Copies what is in `from`, itself open, into `to`. Everything is opened relative to its directory without following links.
fn copy_dir(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Done {
    for entry in rustix::fs::Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = rustix::fs::openat(from, name, flags, Mode::empty())?;
                let copy = rustix::fs::openat(to, name, flags, Mode::empty())?;
                copy_dir(inner.as_fd(), copy.as_fd())?;
                copy_owner(inner.as_fd(), copy.as_fd())?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(&target, to, name)?;
                own(to, name, &stat)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let copy = rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
                let (mut reader, mut writer) = (std::fs::File::from(source), std::fs::File::from(copy));
                std::io::copy(&mut reader, &mut writer).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
                copy_owner(reader.as_fd(), writer.as_fd())?;
            }
            kind => {
                rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?;
                own(to, name, &stat)?;
                rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
            }
        }
    }
    Ok(())
}

fn own(dir: BorrowedFd<'_>, name: &std::ffi::CStr, stat: &rustix::fs::Stat) -> Done {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Owner first: a change of owner takes setuid bits away.
fn copy_owner(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Done {
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

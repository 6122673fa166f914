//! Devices and symlinks in a directory of the container.

use super::{Run, release};
use crate::op::{Addr, LINK_KEEP, LINK_REPLACE, Slot};
use crate::sys::fs::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, S_IFMT};
use crate::sys::{Errno, Fd, Result, Text};

impl Run {
    pub(super) fn node(&self, dir: Slot, name: Addr, mode: u32, device: u64, owner: (u32, u32)) -> Result<()> {
        let (dir, name) = (self.plan.fd(dir)?, self.plan.text(name)?);
        match fs::mknodat(dir, name, mode, device) {
            Ok(()) if owner == (0, 0) => Ok(()),
            Ok(()) => fs::fchownat(dir, name, owner.0, owner.1, AT_SYMLINK_NOFOLLOW),
            Err(Errno::EXIST) => keep(dir, name, mode, device, owner),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn symlink(&self, target: Addr, dir: Slot, name: Addr, other: u32) -> Result<()> {
        let (target, dir, name) = (self.plan.text(target)?, self.plan.fd(dir)?, self.plan.text(name)?);
        match fs::symlinkat(target, dir, name) {
            Err(Errno::EXIST) if other == LINK_KEEP || points_to(dir, name, target) => Ok(()),
            Err(Errno::EXIST) if other == LINK_REPLACE => {
                fs::unlinkat(dir, name)?;
                fs::symlinkat(target, dir, name)
            }
            made => made,
        }
    }
}

/// Keeps the node that is there, if it is the one that is wanted, with the wanted mode and owner.
#[inline(never)]
fn keep(dir: Fd, name: Text, mode: u32, device: u64, owner: (u32, u32)) -> Result<()> {
    let node = fs::openat(dir, name, fs::O_PATH | fs::O_NOFOLLOW)?;
    let kept = settle(dir, name, node, mode, device, owner);
    release(node);
    kept
}

/// What is behind `node` was found as `name` in `dir`.
fn settle(dir: Fd, name: Text, node: Fd, mode: u32, device: u64, owner: (u32, u32)) -> Result<()> {
    let stat = fs::fstat(node)?;
    let kind = mode & S_IFMT;
    let numbered = kind == fs::S_IFCHR || kind == fs::S_IFBLK;
    if stat.kind() != kind || numbered && (stat.rdev_major, stat.rdev_minor) != numbers(device) {
        return Err(Errno::EXIST);
    }
    if (stat.uid, stat.gid) != owner {
        fs::fchownat(node, Text::EMPTY, owner.0, owner.1, AT_EMPTY_PATH)?;
    }
    if u32::from(stat.mode) != mode {
        match fs::chmod(node, mode & !S_IFMT) {
            // Before Linux 6.6 no call changes the mode of a descriptor that is not open, and one that takes the name might follow a symlink that
            // has taken the node's place; these two never do.
            Err(Errno::NOSYS) => {
                fs::unlinkat(dir, name)?;
                fs::mknodat(dir, name, mode, device)?;
                fs::fchownat(dir, name, owner.0, owner.1, AT_SYMLINK_NOFOLLOW)?;
            }
            changed => changed?,
        }
    }
    Ok(())
}

#[inline(never)]
fn points_to(dir: Fd, name: Text, target: Text) -> bool {
    let mut there = [0; fs::PATH_MAX];
    fs::readlinkat(dir, name, &mut there).is_ok_and(|len| there[..len] == *target.bytes())
}

/// Major and minor of a device number as makedev(3) puts them together and mknod(2) takes them.
fn numbers(device: u64) -> (u32, u32) {
    (((device >> 8) & 0xfff) as u32, ((device & 0xff) | ((device >> 12) & 0xfff00)) as u32)
}

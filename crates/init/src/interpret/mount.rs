//! Mounts: file systems made, trees attached, the root entered, paths hidden and made read-only.

use super::paths::{self, IN_ROOT, Leaf};
use super::{Run, release};
use crate::op::{self, Addr, Bytes, Slot};
use crate::sys::mount::{self, AT_RECURSIVE, MOUNT_ATTR_RDONLY};
use crate::sys::{AT_FDCWD, Errno, Fd, Result, Text, fs};
use crate::wire::TEXT;

/// The magic number of procfs.
const PROCFS: u64 = 0x9fa0;

/// Gives the root of a new file system the permissions of the directory it will hide; where there is none it keeps its own.
fn keep_mode(tree: Fd, root: Fd, path: Text) -> Result<()> {
    let hidden = match fs::openat2(root, path, fs::O_PATH, IN_ROOT) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mode = fs::fstat(hidden)?.mode & 0o7777;
    release(hidden);
    // The mount's own descriptor is O_PATH, and fchmodat2(2) is younger than hull's oldest kernel.
    let top = fs::openat(tree, c".".into(), fs::O_DIRECTORY)?;
    let changed = fs::fchmod(top, u32::from(mode));
    release(top);
    changed
}

fn is_directory(fd: Fd) -> Result<bool> {
    Ok(fs::fstat(fd)?.kind() == fs::S_IFDIR)
}

impl Run {
    pub(super) fn attach(&mut self, tree: Slot, root: Slot, path: Addr, flags: u32) -> Result<()> {
        let (tree, root, path) = (self.plan.fd(tree)?, self.plan.fd(root)?, self.plan.text(path)?);
        if flags & op::ATTACH_PROCFS != 0 && fs::filesystem(tree)? != PROCFS {
            self.object = b"not of type proc";
            return Err(Errno::INVAL);
        }
        let leaf = if flags & op::ATTACH_DIRECTORY != 0 { Leaf::Directory(paths::MODE) } else { Leaf::Like(tree) };
        if flags & op::ATTACH_FRESH != 0 {
            match leaf.make(root, path) {
                Err(Errno::EXIST) => {}
                made => return made.and_then(|()| mount::move_mount(tree, root, path)),
            }
        }
        // A single name cannot lead anywhere else, since move_mount(2) does not follow it, and neither can the kernel's own. Where it
        // is no directory, a symlink to one included, or missing, the walk below knows what to do or to say.
        let single = !path.bytes().contains(&b'/') && !path.bytes().is_empty() || flags & op::ATTACH_OWN != 0;
        let plain = flags & (op::ATTACH_DIRECTORY | op::ATTACH_KEEP_MODE) == op::ATTACH_DIRECTORY;
        if single && plain && mount::move_mount(tree, root, path).is_ok() {
            return Ok(());
        }
        let how = match flags & (op::ATTACH_NO_SYMLINK | op::ATTACH_NO_FOLLOW) {
            0 => paths::FOLLOW,
            op::ATTACH_NO_FOLLOW => paths::NO_FOLLOW,
            _ => paths::NO_SYMLINK,
        };
        if flags & op::ATTACH_KEEP_MODE != 0 {
            keep_mode(tree, root, path)?;
        }
        let target = paths::reach(root, path, leaf, how)?;
        match mount::move_mount(tree, target, Text::EMPTY) {
            // The kernel does not say which of its rules was broken; this one people meet.
            Err(Errno::INVAL) if is_directory(tree)? != is_directory(target)? => return Err(Errno::NOTDIR),
            moved => moved?,
        }
        release(target);
        Ok(())
    }

    pub(super) fn filesystem(&mut self, kind: Addr, params: Bytes, attrs: u64) -> Result<Fd> {
        let context = mount::fsopen(self.plan.text(kind)?)?;
        let params = self.plan.bytes(params)?;
        match self.configure(context, params).and_then(|()| mount::fsmount(context, attrs)) {
            Ok(made) => {
                release(context);
                Ok(made)
            }
            Err(errno) => {
                self.read_log(context);
                Err(errno)
            }
        }
    }

    fn configure(&mut self, context: Fd, params: &'static [u8]) -> Result<()> {
        let mut rest = params.split_inclusive(|byte| *byte == 0);
        // The byte in front of a key is PARAM_FLAG, which is a NUL and thereby a piece of its own, or PARAM_STRING, which begins the key's.
        while let Some(piece) = rest.next() {
            let (key, value) = match piece {
                [op::PARAM_FLAG] => (rest.next().ok_or(Errno::INVAL)?, None),
                [op::PARAM_STRING, key @ ..] => (key, Some(string(rest.next().ok_or(Errno::INVAL)?)?)),
                _ => return Err(Errno::INVAL),
            };
            self.object = key.split_last().map_or(b"", |(_, key)| key);
            mount::fsconfig(context, string(key)?, value)?;
        }
        self.object = b"";
        mount::create(context)
    }

    /// Makes what the kernel says about the failure its object: `message; message`.
    #[cold]
    fn read_log(&mut self, context: Fd) {
        let mut used = 0;
        while used + 2 < TEXT {
            let at = if used == 0 { 0 } else { used + 2 };
            // A message is one read: a letter for its weight, a space, the text.
            let Ok(len @ 3..) = fs::read(context, &mut self.log[at..]) else { break };
            self.log.copy_within(at + 2..at + len, at);
            if at > 0 {
                self.log[used..at].copy_from_slice(b"; ");
            }
            used = at + len - 2;
            if self.log[used - 1] == b'\n' {
                used -= 1;
            }
        }
        if used > 0 {
            self.logged = used;
        }
    }

    pub(super) fn enter(&mut self, root: Slot, pivot: bool, shared: bool) -> Result<()> {
        const SLAVE: [u64; 4] = [0, 0, 1 << 19, 0];
        let root = self.plan.fd(root)?;
        let old = if shared { Some(fs::openat(AT_FDCWD, c"/".into(), fs::O_PATH | fs::O_DIRECTORY)?) } else { None };
        fs::fchdir(root)?;
        if pivot {
            // The old root then lies on top of the new one, where the working directory, as a mount point, leads to it.
            mount::pivot_here()?;
            if let Some(old) = old {
                mount::set_attributes(old, &SLAVE, AT_RECURSIVE)?;
                release(old);
            }
            return mount::detach_here();
        }
        fs::chroot(c".".into())
    }

    pub(super) fn mask(&mut self, root: Slot, path: Addr, null: Slot, dir: Slot, own: bool) -> Result<()> {
        let (root, path) = (self.plan.fd(root)?, self.plan.text(path)?);
        let (target, name, kind) = if own {
            let Some(stat) = there(fs::stat(root, path, fs::AT_SYMLINK_NOFOLLOW))? else { return Ok(()) };
            (root, path, stat.kind())
        } else {
            let Some(target) = there(fs::openat2(root, path, fs::O_PATH | fs::O_NOFOLLOW, IN_ROOT))? else {
                return Ok(());
            };
            (target, Text::EMPTY, fs::fstat(target)?.kind())
        };
        let (slot, place) = match kind {
            fs::S_IFLNK => return Err(Errno::LOOP),
            fs::S_IFDIR => (dir, 0),
            _ => (null, 1),
        };
        let cover = self.plan.fd(slot)?;
        if self.attached[place] == slot {
            let cover = mount::clone_tree(cover, Text::EMPTY, fs::AT_EMPTY_PATH)?;
            mount::move_mount(cover, target, name)?;
            release(cover);
        } else {
            mount::move_mount(cover, target, name)?;
            self.attached[place] = slot;
        }
        if !own {
            release(target);
        }
        Ok(())
    }

    pub(super) fn readonly(&mut self, root: Slot, path: Addr, own: bool) -> Result<()> {
        if own {
            let (root, path) = (self.plan.fd(root)?, self.plan.text(path)?);
            let Some(tree) = there(mount::clone_tree(root, path, AT_RECURSIVE))? else { return Ok(()) };
            mount::set_attributes(tree, &[MOUNT_ATTR_RDONLY, 0, 0, 0], AT_RECURSIVE)?;
            mount::move_mount(tree, root, path)?;
            release(tree);
            return Ok(());
        }
        let Some(target) = there(fs::openat2(self.plan.fd(root)?, self.plan.text(path)?, fs::O_PATH, IN_ROOT))? else {
            return Ok(());
        };
        let tree = mount::clone_tree(target, Text::EMPTY, fs::AT_EMPTY_PATH | AT_RECURSIVE)?;
        mount::set_attributes(tree, &[MOUNT_ATTR_RDONLY, 0, 0, 0], AT_RECURSIVE)?;
        mount::move_mount(tree, target, Text::EMPTY)?;
        release(tree);
        release(target);
        Ok(())
    }
}

/// What is there, if anything is.
fn there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

/// A piece of the parameters that ends with NUL.
fn string(piece: &'static [u8]) -> Result<Text<'static>> {
    core::ffi::CStr::from_bytes_with_nul(piece).map(Text::from).map_err(|_| Errno::INVAL)
}

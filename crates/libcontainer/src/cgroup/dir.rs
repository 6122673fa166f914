//! One directory of a cgroup file system, its files and what is below it, always by descriptor.
//!
//! A container may own what is below its cgroup, so no name there is followed further than one step: cgroup file systems
//! have no symbolic links, and `openat2` refuses them all the same.

use crate::error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat2, unlinkat};
use rustix::io::Errno;
use std::ffi::CString;
use std::path::{Path, PathBuf};

type Io<T> = rustix::io::Result<T>;

/// A cgroup's directory: by its path until it is opened.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    fd: Option<OwnedFd>,
}

impl Dir {
    /// The directory at `path`, not opened: for one access or two this is cheaper than a descriptor.
    pub fn at(path: &Path) -> Dir {
        Dir { path: path.to_owned(), fd: None }
    }

    /// Opens the directory.
    pub fn open(path: &Path) -> Io<Dir> {
        let fd = open_below(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Dir { path: path.to_owned(), fd: Some(fd) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor, opened now if need be.
    pub fn fd(&mut self) -> Io<BorrowedFd<'_>> {
        if self.fd.is_none() {
            self.fd = Dir::open(&self.path)?.fd;
        }
        self.fd.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    /// The descriptor as its owner.
    pub fn into_fd(mut self) -> Io<OwnedFd> {
        self.fd()?;
        self.fd.ok_or(Errno::BADF)
    }

    /// Opens one file of the cgroup.
    pub fn file(&self, name: &str, flags: OFlags) -> Io<OwnedFd> {
        match &self.fd {
            Some(fd) => open_below(fd.as_fd(), Path::new(name), flags),
            None => open_below(CWD, &self.path.join(name), flags),
        }
    }

    /// All of a file's text.
    pub fn read(&self, name: &str) -> Io<String> {
        read_all(self.file(name, OFlags::RDONLY)?.as_fd())
    }

    /// The one digit that a file holds.
    pub fn read_digit(&self, name: &str) -> Io<u8> {
        let mut digit = [0];
        rustix::io::retry_on_intr(|| rustix::io::read(self.file(name, OFlags::RDONLY)?, &mut digit))?;
        Ok(digit[0])
    }

    /// Writes `value` in one write, as the kernel's cgroup files want it.
    pub fn write(&self, name: &str, value: &str) -> Io<()> {
        write_whole(self.file(name, OFlags::WRONLY)?.as_fd(), value)
    }

    /// The value of `key` in a file of lines `key value`.
    pub fn read_key(&self, name: &str, key: &str) -> Io<Option<u64>> {
        Ok(value_of(&self.read(name)?, key))
    }

    /// A file with one number; `max` is the largest.
    pub fn read_number(&self, name: &str) -> Io<u64> {
        parse_number(&self.read(name)?).ok_or(Errno::INVAL)
    }

    /// Puts path, reason and object of a failed access into words: `read "/sys/fs/cgroup/x/cgroup.procs": ...`.
    pub fn failed(&self, act: &str, name: &str, errno: Errno) -> Error {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        Error::sys(format!("{act} \"{}\"", path.display()), errno).object(path.display().to_string())
    }

    /// The processes of this cgroup and of all below it; processes that the caller's pid namespace does not show are left out.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        let mut by_thread = None;
        self.walk(|dir| {
            let list = match read_file(dir, "cgroup.procs") {
                // A threaded cgroup has no list of processes: that of the cgroup above has them, unless it is all threaded.
                Err(Errno::OPNOTSUPP) if *by_thread.get_or_insert(true) => read_file(dir, "cgroup.threads")?,
                Err(Errno::OPNOTSUPP) => return Ok(()),
                other => other?,
            };
            by_thread.get_or_insert(false);
            pids.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|&pid| pid > 0));
            Ok(())
        })
        .map_err(|errno| self.failed("read the processes of", "", errno))?;
        Ok(pids)
    }

    /// Calls `visit` for this cgroup and for all below it. One that vanishes meanwhile is passed over. Two descriptors
    /// are open at most and no path is built, for a container can make its tree as deep as it likes.
    fn walk(&self, mut visit: impl FnMut(BorrowedFd<'_>) -> Io<()>) -> Io<()> {
        let mut current = open_below(CWD, &self.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        visit(current.as_fd())?;
        let mut levels = vec![children(current.as_fd())?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.pop() else {
                levels.pop();
                if !levels.is_empty() {
                    current = parent(current.as_fd())?;
                }
                continue;
            };
            let child = match open_child(current.as_fd(), &name) {
                Ok(child) => child,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            };
            match visit(child.as_fd()).and_then(|()| children(child.as_fd())) {
                Ok(names) => levels.push(names),
                Err(Errno::NOENT | Errno::NODEV) => continue,
                Err(errno) => return Err(errno),
            }
            current = child;
        }
        Ok(())
    }

    /// Removes every cgroup below this one, the deepest first. Those that still have processes are passed over.
    pub fn remove_children(&self) -> Io<()> {
        let mut current = open_below(CWD, &self.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut levels = vec![(CString::default(), children(current.as_fd())?)];
        while let Some((_, level)) = levels.last_mut() {
            if let Some(name) = level.pop() {
                if remove_child(current.as_fd(), &name).is_ok() {
                    continue;
                }
                match open_child(current.as_fd(), &name) {
                    Ok(child) => {
                        levels.push((name, children(child.as_fd())?));
                        current = child;
                    }
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
                continue;
            }
            if let Some((name, _)) = levels.pop()
                && !levels.is_empty()
            {
                current = parent(current.as_fd())?;
                match remove_child(current.as_fd(), &name) {
                    Ok(()) | Err(Errno::NOENT | Errno::BUSY) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }
}

fn open_below(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Io<OwnedFd> {
    let mut resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    if path.is_relative() {
        resolve |= ResolveFlags::BENEATH;
    }
    openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn open_child(dir: BorrowedFd<'_>, name: &CString) -> Io<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// A cgroup cannot be moved to another parent, so that `..` is the directory we came from.
fn parent(dir: BorrowedFd<'_>) -> Io<OwnedFd> {
    rustix::fs::openat(dir, c"..", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn remove_child(dir: BorrowedFd<'_>, name: &CString) -> Io<()> {
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// The names of the cgroups directly below.
fn children(dir: BorrowedFd<'_>) -> Io<Vec<CString>> {
    // kernfs counts subdirectories in the link count: most cgroups have none, and their files need not be listed.
    if rustix::fs::fstat(dir)?.st_nlink == 2 {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn read_file(dir: BorrowedFd<'_>, name: &str) -> Io<String> {
    read_all(open_below(dir, Path::new(name), OFlags::RDONLY)?.as_fd())
}

pub(crate) fn read_all(fd: BorrowedFd<'_>) -> Io<String> {
    let mut text = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    String::from_utf8(text).map_err(|_| Errno::ILSEQ)
}

pub(crate) fn write_whole(fd: BorrowedFd<'_>, value: &str) -> Io<()> {
    loop {
        match rustix::io::write(fd, value.as_bytes()) {
            Ok(count) if count == value.len() => return Ok(()),
            Ok(_) => return Err(Errno::IO),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub(crate) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.split_once(' ').filter(|(name, _)| *name == key))
        .and_then(|(_, v)| v.trim().parse().ok())
}

pub(crate) fn parse_number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_keyed_files() {
        let text = "populated 1\nfrozen 0\n";
        assert_eq!(
            (value_of(text, "frozen"), value_of(text, "populated"), value_of(text, "froz")),
            (Some(0), Some(1), None)
        );
        assert_eq!((parse_number("max\n"), parse_number("7\n"), parse_number("")), (Some(u64::MAX), Some(7), None));
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", temporary.path().join("cgroup.procs")).unwrap();
        assert_eq!(Dir::at(temporary.path()).read("cgroup.procs").unwrap_err(), Errno::LOOP);
        assert_eq!(Dir::open(temporary.path()).unwrap().read("cgroup.procs").unwrap_err(), Errno::LOOP);
    }
}

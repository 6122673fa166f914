//! One container's directory, held open and locked for a change.

use super::record::{self, Contents, Record};
use super::{DIRECTORY, failed};
use crate::Result;
use rustix::fs::{AtFlags, FlockOperation, Mode};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The directory of a container with its lock. Dropping it gives the lock back and leaves everything as it is.
#[derive(Debug)]
pub struct Entry {
    dir: OwnedFd,
    path: PathBuf,
}

/// The directory of a container without its lock: to be kept over a long wait, and locked again after it.
#[derive(Debug)]
pub struct Unlocked(Entry);

impl Entry {
    pub(super) fn locked(dir: OwnedFd, path: PathBuf) -> Entry {
        Entry { dir, path }
    }

    /// The directory, for what other rooms keep in it (close-on-exec).
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The directory's path: the store's root and the id.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is stored.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](crate::Kind::Corrupt) where the record cannot be understood.
    pub fn read(&self) -> Result<Contents> {
        record::load(self.dir(), Path::new(record::NAME), &self.path)
    }

    /// Stores `record` in place of the one before, in one step: a reader sees the one or the other.
    ///
    /// # Errors
    /// What the file system refuses (a full disk); the record before stays.
    pub fn write(&self, record: &Record) -> Result<()> {
        record::store(self.dir(), &self.path, record)
    }

    /// Deletes the directory with all that is in it. The record goes first: killed in between, this leaves
    /// [`Contents::Unfinished`], so whatever only the record can find (cgroup, processes) has to be gone already.
    ///
    /// # Errors
    /// What the file system refuses; what is missing already is none.
    pub fn remove(self) -> Result<()> {
        tolerate(rustix::fs::unlinkat(&self.dir, record::NAME, AtFlags::empty()))
            .map_err(|errno| failed("remove", &self.path.join(record::NAME), errno))?;
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return Err(failed("remove", &self.path, errno)),
        }
        empty(self.dir(), &self.path)?;
        tolerate(rustix::fs::rmdir(&self.path)).map_err(|errno| failed("remove", &self.path, errno))
    }

    /// Gives the lock back without closing the directory.
    ///
    /// # Errors
    /// Those of flock(2).
    pub fn unlock(self) -> Result<Unlocked> {
        match rustix::fs::flock(&self.dir, FlockOperation::Unlock) {
            Ok(()) => Ok(Unlocked(self)),
            Err(errno) => Err(failed("unlock", &self.path, errno)),
        }
    }
}

impl Unlocked {
    /// Takes the lock again, waiting for it. `None`: another process removed the container meanwhile.
    ///
    /// # Errors
    /// Those of flock(2).
    pub fn lock(self) -> Result<Option<Entry>> {
        let Entry { dir, path } = &self.0;
        rustix::io::retry_on_intr(|| rustix::fs::flock(dir, FlockOperation::LockExclusive))
            .map_err(|errno| failed("lock", path, errno))?;
        Ok((!removed(dir, path)?).then_some(self.0))
    }
}

/// Whether a directory that is held open has lost its name.
pub(super) fn removed(dir: &OwnedFd, path: &Path) -> Result<bool> {
    rustix::fs::fstat(dir).map(|stat| stat.st_nlink == 0).map_err(|errno| failed("look at", path, errno))
}

fn tolerate(result: std::result::Result<(), Errno>) -> std::result::Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Deletes what is in `dir`, whose path is for errors only: everything is reached from the descriptor, no symlink is
/// followed.
fn empty(dir: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let listing = rustix::fs::Dir::read_from(dir).map_err(|errno| failed("read directory", path, errno))?;
    for entry in listing {
        let entry = entry.map_err(|errno| failed("read directory", path, errno))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let child = || path.join(name.to_string_lossy().as_ref());
        let refused = |operation, errno| failed(operation, &child(), errno);
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR) => {}
            Err(errno) => return Err(refused("remove", errno)),
        }
        match rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()) {
            Ok(inner) => empty(inner.as_fd(), &child())?,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(refused("open", errno)),
        }
        tolerate(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)).map_err(|errno| refused("remove", errno))?;
    }
    Ok(())
}

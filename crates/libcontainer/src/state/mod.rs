//! What is remembered of containers between two calls: a directory for each under one root, with one record in it.
//!
//! ```text
//! <root>/                    0700
//!   <id>/                    0700, locked with flock(2) by whoever changes the container
//!     state.json             the record, replaced by rename, read without a lock
//!     ...                    what other rooms put there (a start socket); removed with the directory
//!   @...                     what is no container: no id contains '@'
//! ```
//!
//! # What a kill at any instant leaves
//!
//! A container's directory is made and locked under a name of its own (`@new-TIME-N`) and only then renamed to its id:
//! it appears locked, and two creators of one id cannot both succeed. So a reader finds one of these:
//!
//! | found | meaning | what a verb does |
//! |---|---|---|
//! | no directory | no such container | [`Kind::NotFound`](crate::Kind) |
//! | [`Contents::Record`] | the container as last written; whether its process lives is asked of [`Process`] | its work |
//! | [`Contents::Unfinished`], [`Store::try_open`] gives `None` | its creator (or a `delete`) is at work on it now | reports `creating`, or waits with [`Store::open`] |
//! | [`Contents::Unfinished`], [`Store::try_open`] gives the entry | the remains of a creator or of a `delete` that was killed: no process and no cgroup is known of it | `delete --force` calls [`Entry::remove`] |
//! | `@new-...` | the remains of a creator killed within four system calls; an empty directory | [`Store::list`] removes it |
//!
//! A record therefore has to be written (with [`Phase::Creating`]) before anything is made that only the record could
//! find again, as a cgroup.
//!
//! The kernel drops the lock with the last descriptor of its holder, so a lock never outlives a killed process. Nothing
//! is synced to disk: the root is on a tmpfs, and no container survives a boot.

mod alive;
mod clock;
mod entry;
mod id;
pub mod oci;
mod record;

pub use alive::{Found, Process};
pub use clock::{now, ticks, timestamp};
pub use entry::{Entry, Unlocked};
pub use id::Id;
pub use record::{Contents, Phase, Record};

use crate::{Error, Kind, Result};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Prefix of the names under which directories are made before they get their id.
const UNBORN: &str = "@new-";

/// How a directory of a container is opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What an ordinary user can do who may not make the root directory.
const OWN_ROOT: &str =
    "an ordinary user needs a directory of their own: XDG_RUNTIME_DIR, which a login sets, or --root";

/// The containers below one root directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `root`, which need not exist. Makes no system call.
    pub fn at(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// The root directory, as given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the root for something that is no container (a cache): `<root>/@name`. No id can be equal to it, and
    /// [`list`](Store::list) does not show it. Makes nothing.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(format!("@{name}"))
    }

    /// Makes the directory of a new container, and the root where it is missing; the entry holds the lock.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] where the id is taken, be it by the remains of a killed `create`.
    pub fn create(&self, id: &Id) -> Result<Entry> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let path = self.path(id);
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            // The time alone nearly always makes the name one of its own, and costs no system call.
            let time = crate::sys::process::since_boot().as_nanos();
            let unborn = self.root.join(format!("{UNBORN}{time}-{serial}"));
            match rustix::fs::mkdir(&unborn, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue, // made by another process in the same instant, or in that of an earlier boot
                Err(Errno::NOENT) => {
                    self.make_root()?;
                    continue;
                }
                Err(Errno::ACCESS) => return Err(failed("make", &unborn, Errno::ACCESS).hint(OWN_ROOT)),
                Err(errno) => return Err(failed("make", &unborn, errno)),
            }
            match self.bear(&unborn, &path) {
                Ok(Some(dir)) => return Ok(Entry::locked(dir, path)),
                Ok(None) => continue,
                Err(error) => {
                    let _ = rustix::fs::rmdir(&unborn); // the first error is the one to tell
                    return Err(error);
                }
            }
        }
    }

    /// Locks the directory `unborn` and gives it its name. `None` where a `list` took it for remains meanwhile.
    fn bear(&self, unborn: &Path, path: &Path) -> Result<Option<OwnedFd>> {
        let dir = match rustix::fs::openat(CWD, unborn, DIRECTORY, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed("open", unborn, errno)),
        };
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(failed("lock", unborn, errno)),
        }
        match rustix::fs::renameat_with(CWD, unborn, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::EXIST) => Err(Error::new(Kind::AlreadyExists, "container with given ID already exists")
                .object(path.display().to_string())),
            Err(errno) => Err(failed("rename to", path, errno)),
        }
    }

    fn make_root(&self) -> Result<()> {
        let failed = |error: &std::io::Error| Error::io(format!("make directory {:?}", self.root), error);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => failed(&error).hint(OWN_ROOT),
            _ => failed(&error),
        })
    }

    /// Opens a container for a change, and waits for as long as another process holds its lock: the whole of a
    /// `create`, hooks included. A hook must therefore not come here for its own container; [`read`](Store::read)
    /// does not wait.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such container, or where the holder of the lock removed it.
    pub fn open(&self, id: &Id) -> Result<Entry> {
        match self.open_with(id, FlockOperation::LockExclusive)? {
            Some(entry) => Ok(entry),
            None => Err(failed("lock", &self.path(id), Errno::WOULDBLOCK)),
        }
    }

    /// As [`open`](Store::open), with `None` instead of the wait: another process (or another entry of this one) is at
    /// work on the container.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such container.
    pub fn try_open(&self, id: &Id) -> Result<Option<Entry>> {
        self.open_with(id, FlockOperation::NonBlockingLockExclusive)
    }

    fn open_with(&self, id: &Id, lock: FlockOperation) -> Result<Option<Entry>> {
        let path = self.path(id);
        loop {
            let dir = match rustix::fs::openat(CWD, &path, DIRECTORY, Mode::empty()) {
                Ok(dir) => dir,
                Err(Errno::NOENT) => return Err(missing(&path)),
                Err(errno) => return Err(failed("open", &path, errno)),
            };
            match rustix::io::retry_on_intr(|| rustix::fs::flock(&dir, lock)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(failed("lock", &path, errno)),
            }
            // The holder we waited for may have removed the directory; one of that name is then another container's.
            if !entry::removed(&dir, &path)? {
                return Ok(Some(Entry::locked(dir, path)));
            }
        }
    }

    /// What is stored of a container, as it was at one instant. Takes no lock and never waits.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such container; [`Kind::Corrupt`] where its record cannot be understood.
    pub fn read(&self, id: &Id) -> Result<Contents> {
        let path = self.path(id);
        let contents = record::load(CWD, &path.join(record::NAME), &path)?;
        if matches!(contents, Contents::Unfinished) {
            match rustix::fs::stat(&path) {
                Ok(_) => {}
                Err(Errno::NOENT) => return Err(missing(&path)),
                Err(errno) => return Err(failed("look at", &path, errno)),
            }
        }
        Ok(contents)
    }

    /// Every container, by id; one that is removed meanwhile is left out. A container whose record cannot be read
    /// comes with its error. Removes what killed creators left before their container had its id.
    ///
    /// # Errors
    /// Where the root exists and cannot be read; a missing root has no containers.
    pub fn list(&self) -> Result<Vec<(Id, Result<Contents>)>> {
        let unreadable = |error| Error::io(format!("read directory {:?}", self.root), &error);
        let names = match std::fs::read_dir(&self.root) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut found = Vec::new();
        for name in names {
            let name = name.map_err(unreadable)?;
            if !name.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let file = name.file_name();
            let Some(file) = file.to_str() else { continue };
            if file.starts_with(UNBORN) {
                bury(&name.path());
            } else if let Ok(id) = Id::new(file) {
                match self.read(&id) {
                    Err(error) if error.kind() == Kind::NotFound => {}
                    contents => found.push((id, contents)),
                }
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn path(&self, id: &Id) -> PathBuf {
        self.root.join(id.as_str())
    }
}

/// Removes a directory that never got its id, if its maker is gone. A maker that lives either holds the lock or finds
/// the directory gone and makes another: nothing can be lost, so failures are nobody's concern.
fn bury(unborn: &Path) {
    if let Ok(dir) = rustix::fs::openat(CWD, unborn, DIRECTORY, Mode::empty())
        && rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
    {
        let _ = rustix::fs::rmdir(unborn);
    }
}

fn missing(path: &Path) -> Error {
    Error::new(Kind::NotFound, "container does not exist").object(path.display().to_string())
}

fn failed(operation: &str, path: &Path, errno: Errno) -> Error {
    Error::sys(format!("{operation} {path:?}"), errno).object(path.display().to_string())
}

#[cfg(test)]
mod tests;

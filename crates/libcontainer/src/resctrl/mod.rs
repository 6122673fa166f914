//! resctrl: the class of service a container runs in (`linux.intelRdt`), and the group that counts what it uses.
//!
//! ```text
//! /sys/fs/resctrl/             the default class, closID "/"
//!   schemata tasks info/
//!   mon_groups/<id>/tasks      enableMonitoring with closID "/"
//!   <closID>/                  the class that closID names, shared by whoever names it
//!     schemata tasks
//!     mon_groups/<id>/tasks    enableMonitoring
//!   <id>/                      without closID: the container's own class
//! ```
//!
//! Unlike a cgroup the file system has one level and two dozen classes at most, which programs share. So every look that leads
//! to a change is made under the lock on the mount point which the kernel's documentation names (resctrl.rst, "Resctrl and
//! locking"), and what is to be made is decided before it is ([`Claim::of`]), so that the container's record can tell it:
//!
//! | killed | left | `delete --force` |
//! |---|---|---|
//! | before the record is written | nothing | |
//! | before the directories are made | the record, which names them | finds nothing to remove |
//! | later | directories, perhaps with tasks | ends the tasks, removes what the record says was made |
//!
//! A class made for a closID is removed with the container that made it, unless others have come to use it.

mod schema;
mod stats;

pub use stats::{BandwidthInfo, CacheInfo, MonitoringStats, Stats};

use crate::config::IntelRdt;
use crate::error::{Error, Kind, Result};
use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A container's place in resctrl, and what of it was made for the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The mount point.
    root: PathBuf,
    /// The directory of the class.
    class: PathBuf,
    owner: Owner,
    /// The directory of the container's own monitoring group.
    monitoring: Option<PathBuf>,
}

/// Whose a class is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Owner {
    /// The container's alone, by its id.
    Container,
    /// Made for the container under a name that others may use too.
    Shared,
    /// It was there before.
    Others,
}

impl Group {
    /// The place of the container `id`, given where resctrl is mounted. Makes no system call.
    ///
    /// # Errors
    /// `Unsupported` where it is not mounted.
    pub fn of(root: Option<&Path>, rdt: &IntelRdt, id: &str) -> Result<Group> {
        let root = root.ok_or_else(|| {
            Error::new(Kind::Unsupported, "no resctrl file system is mounted")
                .field("linux.intelRdt")
                .hint("where the processor has it: mount -t resctrl resctrl /sys/fs/resctrl")
        })?;
        let (class, owner) = match rdt.clos_id.as_deref().filter(|name| !name.is_empty()) {
            None => (root.join(id), Owner::Container),
            Some("/") => (root.to_owned(), Owner::Others),
            Some(name) => (root.join(name), Owner::Others),
        };
        let monitoring = rdt.enable_monitoring.then(|| class.join("mon_groups").join(id));
        Ok(Group { root: root.to_owned(), class, owner, monitoring })
    }

    /// Puts a process of one thread into the class, then into the monitoring group: the kernel takes only tasks of the class there.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn enter(&self, pid: i32) -> Result<()> {
        [Some(&self.class), self.monitoring.as_ref()].into_iter().flatten().try_for_each(|dir| {
            let file = dir.join("tasks");
            let written = write(&file, &pid.to_string());
            written.map_err(|errno| self.failed(format!("write {pid} to {file:?}"), errno, "linux.intelRdt"))
        })
    }

    /// Changes what the class may use, for everybody in it.
    ///
    /// # Errors
    /// What the kernel refuses, with its field.
    pub fn update(&self, rdt: &IntelRdt) -> Result<()> {
        let _lock =
            self.lock().map_err(|errno| self.failed(format!("lock {:?}", self.root), errno, "linux.intelRdt"))?;
        self.write(&schema::writes(rdt))
    }

    /// What the container uses of caches and memory bandwidth, and what it may.
    ///
    /// # Errors
    /// Where its class is gone.
    pub fn stats(&self) -> Result<Stats> {
        stats::read(&self.root, &self.class, self.monitoring.as_deref().unwrap_or(&self.class))
    }

    /// Removes what was made for the container; what is gone already is as good. No process of it may be left.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn remove(&self) -> Result<()> {
        if self.owner == Owner::Others && self.monitoring.is_none() {
            return Ok(());
        }
        match self.lock() {
            Ok(_lock) => self.remove_locked(),
            Err(Errno::NOENT) => Ok(()), // whoever unmounted it has removed all classes
            Err(errno) => Err(self.failed(format!("lock {:?}", self.root), errno, "linux.intelRdt")),
        }
    }

    fn remove_locked(&self) -> Result<()> {
        if let Some(monitoring) = &self.monitoring {
            self.rmdir(monitoring)?;
        }
        match self.owner {
            Owner::Container => self.rmdir(&self.class),
            Owner::Shared if !self.is_used() => self.rmdir(&self.class),
            Owner::Shared | Owner::Others => Ok(()),
        }
    }

    /// Whether a task lives in the class, or a container has a monitoring group there which it has yet to enter.
    fn is_used(&self) -> bool {
        let tasks = std::fs::read_to_string(self.class.join("tasks")).unwrap_or_default();
        tasks.lines().any(lives)
            || std::fs::read_dir(self.class.join("mon_groups")).is_ok_and(|mut groups| groups.next().is_some())
    }

    fn rmdir(&self, dir: &Path) -> Result<()> {
        match rustix::fs::rmdir(dir) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed(format!("remove {dir:?}"), errno, "linux.intelRdt")),
        }
    }

    fn mkdir(&self, dir: &Path, field: &str) -> Result<()> {
        rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755)).map_err(|errno| {
            let error = self.failed(format!("mkdir {dir:?}"), errno, field);
            match errno {
                Errno::NOSPC => error.context("the processor has no more classes or monitoring groups"),
                _ => error,
            }
        })
    }

    fn write(&self, writes: &[schema::Write]) -> Result<()> {
        let file = self.class.join("schemata");
        writes.iter().try_for_each(|schema::Write { field, text }| {
            let written = write(&file, text);
            written.map_err(|errno| self.failed(format!("write {:?} to {file:?}", text.trim_end()), errno, field))
        })
    }

    /// The lock of resctrl.rst, until it is dropped.
    fn lock(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&self.root, flags, Mode::empty())?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&root, FlockOperation::LockExclusive))?;
        Ok(root)
    }

    /// The error of something that was refused. What resctrl itself refuses it explains in a file.
    fn failed(&self, act: String, errno: Errno, field: &str) -> Error {
        let error = Error::sys(act, errno).field(field).object(self.class.display().to_string());
        if matches!(errno, Errno::NOENT | Errno::ACCESS | Errno::ROFS) {
            return error; // did not come that far: the file would tell of something else
        }
        match std::fs::read_to_string(self.root.join("info/last_cmd_status")) {
            Ok(status) if !matches!(status.trim(), "" | "ok") => {
                error.hint(format!("the kernel says: {}", status.trim()))
            }
            _ => error,
        }
    }
}

/// The directories, for people.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.class)?;
        self.monitoring.iter().try_for_each(|monitoring| write!(f, " and {monitoring:?}"))
    }
}

/// What is about to be made for a container, while nobody else may make or remove anything.
#[derive(Debug)]
pub struct Claim {
    group: Group,
    writes: Vec<schema::Write>,
    _lock: OwnedFd,
}

impl Claim {
    /// Decides what has to be made of `group`, and changes nothing.
    ///
    /// # Errors
    /// `InvalidSpec` where the class must exist and does not, or exists and is another than the config asks for; `AlreadyExists` where
    /// what is to be the container's own is there.
    pub fn of(mut group: Group, rdt: &IntelRdt) -> Result<Claim> {
        let lock = group.lock().map_err(|errno| {
            group.failed(format!("lock {:?}", group.root), errno, "linux.intelRdt").with_kind(Kind::Unsupported)
        })?;
        let writes = schema::writes(rdt);
        let name = group.class.strip_prefix(&group.root).unwrap_or(&group.class).display().to_string();
        // What is no class (`info`) has no tasks.
        let exists = is_there(&group.class.join("tasks"));
        match (group.owner, exists) {
            (Owner::Container, true) => {
                return Err(taken(&group.class, "class of service").field("linux.intelRdt"));
            }
            (Owner::Others, false) if !schema::is_asked(rdt) => {
                let what = format!("the class of service {name:?} does not exist, and no schema says what to make");
                return Err(Error::spec("linux.intelRdt.closID", what));
            }
            (Owner::Others, false) => group.owner = Owner::Shared,
            (Owner::Others, true) if writes.is_empty() => {}
            (Owner::Others, true) => {
                let file = group.class.join("schemata");
                let existing = std::fs::read_to_string(&file)
                    .map_err(|error| Error::io(format!("read {file:?}"), &error).field("linux.intelRdt.closID"))?;
                schema::check(&name, &existing, &writes)?;
            }
            (Owner::Container, false) | (Owner::Shared, _) => {}
        }
        match &group.monitoring {
            Some(dir) if is_there(dir) => Err(taken(dir, "monitoring group").field("linux.intelRdt.enableMonitoring")),
            _ => Ok(Claim { group, writes, _lock: lock }),
        }
    }

    /// What will be the container's, for its record.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Makes it. On an error all that was made is removed.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn make(self) -> Result<Group> {
        let mut made = Vec::new();
        self.try_make(&mut made).inspect_err(|_| {
            for dir in made.iter().rev() {
                let _ = rustix::fs::rmdir(*dir); // the first error is the one to tell
            }
        })?;
        Ok(self.group)
    }

    /// Not everybody takes the lock: what another has made meanwhile is an error, and is not among `made`.
    fn try_make<'a>(&'a self, made: &mut Vec<&'a Path>) -> Result<()> {
        let group = &self.group;
        if group.owner != Owner::Others {
            group.mkdir(&group.class, "linux.intelRdt")?;
            made.push(&group.class);
            group.write(&self.writes)?;
        }
        if let Some(dir) = &group.monitoring {
            group.mkdir(dir, "linux.intelRdt.enableMonitoring")?;
            made.push(dir);
        }
        Ok(())
    }
}

/// Whether a task runs: one that has ended is listed until its parent has waited for it. 0 is one of another pid namespace.
fn lives(task: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{task}/stat")) {
        Ok(stat) => {
            const EXITING: u32 = 4; // PF_EXITING: it has left its cgroup already, but is no zombie yet
            let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
            let ended = fields.first().is_some_and(|state| ["Z", "X"].contains(state));
            !ended && fields.get(6).and_then(|flags| flags.parse().ok()).is_none_or(|flags: u32| flags & EXITING == 0)
        }
        Err(error) => task == "0" || error.kind() != std::io::ErrorKind::NotFound,
    }
}

fn is_there(path: &Path) -> bool {
    rustix::fs::accessat(CWD, path, Access::EXISTS, AtFlags::empty()).is_ok()
}

fn taken(dir: &Path, what: &str) -> Error {
    Error::new(Kind::AlreadyExists, format!("the {what} {dir:?} exists already")).object(dir.display().to_string())
}

/// One write of the whole value, as the kernel's files want it.
fn write(file: &Path, value: &str) -> rustix::io::Result<()> {
    let file = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    match rustix::io::write(file, value.as_bytes())? {
        written if written == value.len() => Ok(()),
        _ => Err(Errno::TOOBIG),
    }
}

#[cfg(test)]
mod tests;

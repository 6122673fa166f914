//! The record of a container: what is in `state.json`, and how it is read and replaced.

use super::{Process, failed};
use crate::config::{Config, Map};
use crate::{Error, Kind, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The file of the record in the container's directory.
pub(super) const NAME: &str = "state.json";
/// The name under which the next record is written; the lock makes it ours alone.
const NEXT: &str = "state.json.next";
/// The form of the record this library writes, and the newest it reads.
const VERSION: u32 = 1;

/// What a container's directory holds.
#[derive(Clone, Debug)]
pub enum Contents {
    /// A record, always whole.
    Record(Box<Record>),
    /// No record yet, or none any more: the container is being created or removed, or the process that did so was
    /// killed. [`Store::try_open`](super::Store::try_open) tells which.
    Unfinished,
}

/// Where in its life a container was when its record was written. That it has stopped is not stored: [`Process::alive`]
/// tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Resources are being made; there may be an init process.
    Creating,
    /// The init process waits for `start`.
    Created,
    /// The program was started.
    Started,
}

/// What has to be known of a container between two calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The container's id.
    pub id: String,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The root file system, absolute.
    pub rootfs: PathBuf,
    /// When it was created: [`now`](super::now).
    pub created: String,
    /// The same in the clock that processes' start times are in ([`Process::start_time`]), rounded down.
    #[serde(default)]
    pub begun: u64,
    /// How far it has come.
    pub phase: Phase,
    /// The container's first process, once there is one.
    pub init: Option<Process>,
    /// Where its cgroups are, in the words of the cgroup room.
    pub cgroup: serde_json::Value,
    /// Its place in resctrl, in the words of that room; null where it has none.
    #[serde(default)]
    pub resctrl: serde_json::Value,
    /// The user who created it.
    pub owner_uid: u32,
    /// Whether it was created without privileges.
    pub rootless: bool,
    /// Whether systemd manages its cgroup.
    pub systemd: bool,
    /// config.json as it was when the container was created, byte for byte.
    pub config: Box<RawValue>,
}

impl Record {
    /// A record of a container that is about to be made: [`Phase::Creating`], created now, without process, cgroup or
    /// flags, which are fields to set.
    pub fn new(id: &super::Id, bundle: PathBuf, rootfs: PathBuf, owner_uid: u32, config: Box<RawValue>) -> Record {
        Record {
            version: VERSION,
            id: id.to_string(),
            bundle,
            rootfs,
            created: super::now(),
            begun: super::ticks(),
            phase: Phase::Creating,
            init: None,
            cgroup: serde_json::Value::Null,
            resctrl: serde_json::Value::Null,
            owner_uid,
            rootless: false,
            systemd: false,
            config,
        }
    }

    /// The stored config.json, parsed.
    ///
    /// # Errors
    /// [`Kind::Corrupt`].
    pub fn parsed_config(&self) -> Result<Config> {
        serde_json::from_str(self.config.get()).map_err(|error| self.unreadable(error))
    }

    /// The annotations of the stored config.json, without the cost of the rest.
    ///
    /// # Errors
    /// [`Kind::Corrupt`].
    pub fn annotations(&self) -> Result<Map<String>> {
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            annotations: Option<Map<String>>,
        }
        let part: Part = serde_json::from_str(self.config.get()).map_err(|error| self.unreadable(error))?;
        Ok(part.annotations.unwrap_or_default())
    }

    fn unreadable(&self, error: serde_json::Error) -> Error {
        Error::new(Kind::Corrupt, format!("stored config of container {}: {error}", self.id))
    }
}

/// Reads the record `file`, a path or a name below `at`; `container` is the directory to name in errors.
pub(super) fn load(at: BorrowedFd<'_>, file: &Path, container: &Path) -> Result<Contents> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = match rustix::fs::openat(at, file, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(Contents::Unfinished),
        Err(errno) => return Err(failed("open", &container.join(NAME), errno)),
    };
    let text = read_all(&opened).map_err(|errno| failed("read", &container.join(NAME), errno))?;
    parse(&text)
        .map(|record| Contents::Record(Box::new(record)))
        .map_err(|error| error.context(format!("{:?}", container.join(NAME))))
}

/// The whole file, in one read where it has less than 64 KB, as nearly every config: a record is complete under its name.
fn read_all(file: impl AsFd) -> std::result::Result<Vec<u8>, Errno> {
    let mut text = Vec::with_capacity(64 << 10);
    loop {
        if text.len() == text.capacity() {
            text.reserve(text.len());
        }
        let spare = rustix::buffer::spare_capacity(&mut text);
        match rustix::io::read(&file, spare) {
            Ok(0) => return Ok(text),
            // A regular file gives all it has.
            Ok(_) if text.len() < text.capacity() => return Ok(text),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn parse(text: &[u8]) -> Result<Record> {
    #[derive(Deserialize)]
    struct Form {
        version: u32,
    }
    let record = serde_json::from_slice::<Record>(text);
    let version = match &record {
        Ok(record) => record.version,
        Err(_) => serde_json::from_slice::<Form>(text).map_or(VERSION, |form| form.version),
    };
    if version > VERSION {
        return Err(Error::new(Kind::Corrupt, format!("state of version {version}, written by a newer hull")));
    }
    record.map_err(|error| Error::new(Kind::Corrupt, format!("unreadable state: {error}")))
}

/// Replaces the record in the directory `dir`, whose lock the caller holds. Whatever fails, the old record stays.
pub(super) fn store(dir: BorrowedFd<'_>, container: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_vec(record)
        .map_err(|error| Error::new(Kind::InvalidArgument, format!("state of container {}: {error}", record.id)))?;
    let written = write(dir, &text);
    written.map_err(|errno| {
        let _ = rustix::fs::unlinkat(dir, NEXT, AtFlags::empty()); // the first error is the one to tell
        failed("write", &container.join(NAME), errno)
    })
}

fn write(dir: BorrowedFd<'_>, mut text: &[u8]) -> std::result::Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, NEXT, flags, Mode::RUSR | Mode::WUSR)?;
    while !text.is_empty() {
        match rustix::io::write(&file, text) {
            Ok(count) => text = &text[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    drop(file);
    rustix::fs::renameat(dir, NEXT, dir, NAME)
}

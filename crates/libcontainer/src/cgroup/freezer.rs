//! All processes of a container stopped where they are, and let go again.

use super::dir::{Dir, read_all, value_of};
use super::{Cgroup, PATIENCE};
use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::fs::{OFlags, SeekFrom, seek};
use rustix::io::Errno;
use std::time::{Duration, Instant};

impl Cgroup {
    /// Stops every process, and returns when all stand still.
    ///
    /// # Errors
    /// `Unsupported` without a freezer, `System` if the kernel refuses or some process does not stop within 10 seconds; then
    /// all go on.
    pub fn freeze(&self) -> Result<()> {
        let (dir, v2) = self.freezer()?;
        let result = if v2 { freeze_v2(&dir) } else { freeze_v1(&dir) };
        if result.is_err() {
            let _ = self.thaw();
        }
        result
    }

    /// Lets every process go on.
    ///
    /// # Errors
    /// `Unsupported` without a freezer, `System` if the kernel refuses.
    pub fn thaw(&self) -> Result<()> {
        let (dir, v2) = self.freezer()?;
        let (file, value) = if v2 { ("cgroup.freeze", "0") } else { ("freezer.state", "THAWED") };
        dir.write(file, value).map_err(|errno| dir.failed("write", file, errno))
    }

    /// Whether the cgroup was told to freeze. A frozen cgroup above does not count, nor does one that is gone.
    ///
    /// # Errors
    /// `System` if the state cannot be read.
    pub fn frozen(&self) -> Result<bool> {
        let Ok((dir, v2)) = self.freezer() else { return Ok(false) };
        let file = if v2 { "cgroup.freeze" } else { "freezer.self_freezing" };
        match dir.read_digit(file) {
            Ok(digit) => Ok(digit == b'1'),
            Err(Errno::NOENT | Errno::NODEV) => Ok(false),
            Err(errno) => Err(dir.failed("read", file, errno)),
        }
    }

    /// The directory that freezes, and whether it is of version 2.
    fn freezer(&self) -> Result<(Dir, bool)> {
        match self.hierarchy_or_v2("freezer") {
            Some(hierarchy) => Ok((Dir::at(&hierarchy.path), !hierarchy.has("freezer"))),
            None => Err(Error::new(Kind::Unsupported, "cannot toggle freezer: cgroups not configured for container")),
        }
    }
}

fn freeze_v2(dir: &Dir) -> Result<()> {
    let events = EventFile::open(dir)?;
    dir.write("cgroup.freeze", "1").map_err(|errno| dir.failed("write", "cgroup.freeze", errno))?;
    match events.wait_for("frozen", 1, Instant::now() + PATIENCE)? {
        true => Ok(()),
        false => Err(dir.failed("freeze", "", Errno::TIMEDOUT)),
    }
}

/// Version 1 has no event for "all stand still", and forks may slip through while it is at it: the kernel's documentation
/// (freezer-subsystem.txt) has one write and read again. The tasks need processor time to stop, which the yield gives them.
fn freeze_v1(dir: &Dir) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        dir.write("freezer.state", "FROZEN").map_err(|errno| dir.failed("write", "freezer.state", errno))?;
        let state = dir.read("freezer.state").map_err(|errno| dir.failed("read", "freezer.state", errno))?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(dir.failed("freeze", "", Errno::TIMEDOUT));
        }
        rustix::thread::sched_yield();
    }
}

/// `cgroup.events` of version 2, which tells by poll(2) when it changes.
pub(super) struct EventFile {
    file: rustix::fd::OwnedFd,
    path: std::path::PathBuf,
}

impl EventFile {
    pub fn open(dir: &Dir) -> Result<EventFile> {
        let file =
            dir.file("cgroup.events", OFlags::RDONLY).map_err(|errno| dir.failed("open", "cgroup.events", errno))?;
        Ok(EventFile { file, path: dir.path().to_owned() })
    }

    /// Waits until `key` has `value`; false if it has not by `deadline`. A cgroup that was removed has neither processes nor
    /// a state, and counts as having it.
    pub fn wait_for(&self, key: &str, value: u64, deadline: Instant) -> Result<bool> {
        let failed = |act: &str, errno| Dir::at(&self.path).failed(act, "cgroup.events", errno);
        loop {
            // The read comes first: it is what the kernel measures "changed" against.
            match seek(&self.file, SeekFrom::Start(0)).and_then(|_| read_all(self.file.as_fd())) {
                Ok(text) if value_of(&text, key) == Some(value) => return Ok(true),
                Ok(_) => {}
                Err(Errno::NODEV | Errno::NOENT) => return Ok(true),
                Err(errno) => return Err(failed("read", errno)),
            }
            let mut fds = [PollFd::new(&self.file, PollFlags::PRI)];
            match poll(&mut fds, Some(&until(deadline))) {
                Ok(0) => return Ok(false),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed("poll", errno)),
            }
        }
    }
}

/// The time that is left, for poll(2).
pub(super) fn until(deadline: Instant) -> Timespec {
    let left: Duration = deadline.saturating_duration_since(Instant::now());
    Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
}

//! What a living container may use and uses: its processes held and let go, its limits, its counters.

use super::{Container, Status};
use crate::cgroup::{OomEvents, Stats};
use crate::config::{IntelRdt, Resources};
use crate::error::{Error, Kind, Result};
use crate::resctrl;

impl Container {
    /// Freezes all processes.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where the container does not run.
    pub fn pause(&self) -> Result<()> {
        match self.status()? {
            Status::Running | Status::Created => self.unless_ended(self.cgroup()?.freeze()),
            _ => Err(not_running()),
        }
    }

    /// Lets them run again.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where the container is not paused.
    pub fn resume(&self) -> Result<()> {
        match self.status()? {
            Status::Paused => self.unless_ended(self.cgroup()?.thaw()),
            _ => Err(Error::new(Kind::WrongState, "container not paused")),
        }
    }

    /// The pids of its processes, as this process sees them.
    ///
    /// # Errors
    /// Where its cgroup cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        self.cgroup()?.processes()
    }

    /// Changes its limits; what is absent stays.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where it is stopped; what the kernel refuses, with its field.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        if self.status()? == Status::Stopped {
            return Err(not_running());
        }
        self.unless_ended(self.cgroup()?.update(resources))
    }

    /// Changes what its class of service may use, which is so for all who share it; what is absent stays.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where it is stopped, [`Kind::Unsupported`] where it was made without `linux.intelRdt`; what the kernel refuses.
    pub fn update_class(&self, rdt: &IntelRdt) -> Result<()> {
        if self.status()? == Status::Stopped {
            return Err(not_running());
        }
        crate::spec::check_class(rdt)?;
        let none = || Error::new(Kind::Unsupported, "the container has no class of service").field("linux.intelRdt");
        self.class()?.ok_or_else(none)?.update(rdt)
    }

    /// What it uses now of caches and memory bandwidth; `None` where its config has no `linux.intelRdt`.
    ///
    /// # Errors
    /// Where its class cannot be read.
    pub fn class_stats(&self) -> Result<Option<resctrl::Stats>> {
        self.class()?.map(|class| class.stats()).transpose()
    }

    /// What it uses now.
    ///
    /// # Errors
    /// Where its cgroup cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.cgroup()?.stats()
    }

    /// Notices of the kernel's OOM killer, and of the end.
    ///
    /// # Errors
    /// Where there is no memory controller.
    pub fn oom_events(&self) -> Result<OomEvents> {
        self.cgroup()?.oom_events()
    }

    /// What was done to a container that runs; where it has ended on the way, and its cgroups with it, that is the reason to tell.
    pub(super) fn unless_ended(&self, done: Result<()>) -> Result<()> {
        let gone = [Some(libc::ENOENT), Some(libc::ENODEV)];
        let missing = |error: &Error| gone.contains(&error.raw_os_error()) || error.kind() == Kind::Unsupported;
        let ended = || self.init().is_none_or(|init| init.ends().unwrap_or(false));
        done.map_err(|error| if missing(&error) && ended() { not_running() } else { error })
    }
}

pub(super) fn not_running() -> Error {
    Error::new(Kind::WrongState, "container not running")
}

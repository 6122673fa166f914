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
            Status::Running | Status::Created => self.cgroup()?.freeze(),
            _ => Err(Error::new(Kind::WrongState, "container not running")),
        }
    }

    /// Lets them run again.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where the container is not paused.
    pub fn resume(&self) -> Result<()> {
        match self.status()? {
            Status::Paused => self.cgroup()?.thaw(),
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
            return Err(Error::new(Kind::WrongState, "container not running"));
        }
        self.cgroup()?.update(resources)
    }

    /// Changes what its class of service may use, which is so for all who share it; what is absent stays.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where it is stopped, [`Kind::Unsupported`] where it was made without `linux.intelRdt`; what the kernel refuses.
    pub fn update_class(&self, rdt: &IntelRdt) -> Result<()> {
        if self.status()? == Status::Stopped {
            return Err(Error::new(Kind::WrongState, "container not running"));
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
}

//! The cgroup face: where a container's cgroup is, what it may use, and everything done to all of its processes at once.
//!
//! ```text
//!     Layout ──► Location ──► Cgroup      Resources ──► Limits, Policy ──► v1 | v2 | ebpf | systemd ──► writes, calls
//!     mounted    the place    the acts    config.json   the one meaning    renderings
//! ```
//!
//! Three worlds are told apart per hierarchy, not per machine: version 1, version 2, and both at once ("hybrid"), where a
//! controller counts as available wherever it is mounted.

mod apply;
mod create;
mod delegate;
mod devices;
mod dir;
mod ebpf;
mod freezer;
mod layout;
mod limits;
mod location;
mod oom;
pub(crate) mod owner;
mod processes;
mod remove;
mod stats;
mod systemd;
mod v1;
mod v2;
mod write;

pub use layout::Layout;
pub use location::{Driver, Hierarchy, Location};
pub use oom::{OomEvent, OomEvents};
pub use stats::{
    BlockEntry, BlockStats, CpuStats, CpusetStats, HugetlbStats, MemoryCount, MemoryStats, PidsStats, Pressure,
    PressureLine, Stats,
};

use crate::config::{Map, Resources};
use crate::error::{Error, Kind, Result};
use dir::Dir;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use std::time::Duration;

/// How long to wait for the kernel to finish what it has begun: to freeze a cgroup, or to let the last process go.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a cgroup is made.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The caller is an ordinary user, or root of a user namespace: what it is not permitted and the config does not ask for by name is
    /// left out.
    pub rootless: bool,
    /// The config names the cgroup: it is to be had, or an error.
    pub named: bool,
    /// Whether device rules are set. In a user namespace the kernel refuses them.
    pub devices: bool,
    /// The user of the host who is to own the cgroup of version 2, for a container that manages its own below.
    pub owner: Option<u32>,
    /// The config's annotations, some of which are properties of a unit of systemd's.
    pub annotations: Option<&'a Map<String>>,
    /// With systemd: a cgroup below the scope for the container.
    pub subgroup: Option<Subgroup>,
}

/// A cgroup below the one that has the limits.
#[derive(Clone, Debug)]
pub struct Subgroup {
    /// Its path below.
    pub path: String,
    /// What of the config asks for it.
    pub field: String,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { rootless: false, named: false, devices: true, owner: None, annotations: None, subgroup: None }
    }
}

/// How a new process gets into a cgroup.
#[derive(Debug, Default)]
pub struct Entry {
    /// The directory on pure version 2, for `CLONE_INTO_CGROUP` (clone3(2)).
    pub clone_into: Option<OwnedFd>,
    /// `cgroup.procs` of every other hierarchy, open for writing: the new process writes `0` to each. The kernel checks
    /// the rights of who opened it.
    pub procs: Vec<OwnedFd>,
    /// Neither will do: the new process waits at once, to be put in by [`Cgroup::admit`].
    pub by_admission: bool,
}

/// A container's cgroup: one directory in each hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    location: Location,
    /// The directory of version 2, where it is open already.
    opened: Option<Dir>,
    /// A limit of 0 processes lets none be cloned into the cgroup, while one that walks in is counted and stays alone.
    must_walk_in: bool,
    /// What is to be made for the first process, by systemd.
    pending: Option<Box<systemd::Pending>>,
    skipped: Vec<String>,
}

impl Cgroup {
    /// Makes the cgroup with its limits and device rules; see [`Options`]. Missing parents are made too. On an error all
    /// that was made is removed, and nothing else. One of systemd's is made when its first process is there ([`Cgroup::admit`]).
    ///
    /// # Errors
    /// `InvalidSpec` with the field of a value without sense; `Unsupported` with the field and the missing controller;
    /// `WrongState` if the cgroup exists with processes in it or is frozen; `System` for what the kernel refused.
    pub fn create(location: &Location, resources: &Resources, options: &Options<'_>) -> Result<Cgroup> {
        create::create(location, resources, options)
    }

    /// The cgroup at `location`, which exists already. No system call.
    pub fn open(location: &Location) -> Cgroup {
        Cgroup { location: location.clone(), opened: None, must_walk_in: false, pending: None, skipped: Vec::new() }
    }

    /// Where it is. After a rootless `create` only the hierarchies are left that it was permitted to use.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What the config asked for and `create` or `update` did without, each in words with its field.
    pub fn limits_skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Opens what a new process needs to get in. After `create` on version 2 this costs nothing.
    ///
    /// # Errors
    /// `System` if the cgroup is gone or not ours to enter.
    pub fn entry(&mut self) -> Result<Entry> {
        if self.pending.is_some() || create::is_only_for_systemd(&self.location) {
            return Ok(Entry { by_admission: true, ..Entry::default() });
        }
        if self.location.is_v2() && !self.must_walk_in {
            let dir = self.opened.take().or_else(|| self.location.hierarchies.first().map(|h| Dir::at(&h.path)));
            let Some(dir) = dir else { return Ok(Entry::default()) };
            let path = dir.path().to_owned();
            let fd = dir.into_fd().map_err(|errno| Dir::at(&path).failed("open", "", errno))?;
            return Ok(Entry { clone_into: Some(fd), ..Entry::default() });
        }
        let open = |h: &Hierarchy| {
            let dir = Dir::at(&h.path);
            dir.file("cgroup.procs", OFlags::WRONLY).map_err(|errno| dir.failed("open", "cgroup.procs", errno))
        };
        let procs = self.location.hierarchies.iter().map(open).collect::<Result<_>>()?;
        Ok(Entry { procs, ..Entry::default() })
    }

    /// Puts a process in that waits for it, and makes the cgroup around the first.
    ///
    /// # Errors
    /// As for [`Cgroup::create`]; `Unsupported` if systemd cannot be reached.
    pub fn admit(&mut self, pid: i32) -> Result<()> {
        create::admit(self, pid)
    }

    /// The cgroup `path` below this one, for `exec --cgroup`. On version 1 `CONTROLLER[,CONTROLLER...]:PATH` changes the place
    /// in the hierarchies of these controllers alone, so that calls can be chained.
    ///
    /// # Errors
    /// `InvalidArgument` if `path` leaves the container's cgroup or names a controller without a hierarchy.
    pub fn sub(&self, path: &str) -> Result<Cgroup> {
        let invalid = |what: String| Err(Error::new(Kind::InvalidArgument, what));
        let (controllers, inner) = match path.split_once(':') {
            Some((controllers, inner)) => (Some(controllers), inner),
            None => (None, path),
        };
        if inner.split('/').any(|part| part == "..") {
            return invalid(format!("bad sub cgroup path: {path}"));
        }
        let inner = location::clean(inner);
        let mut location = self.location.clone();
        for hierarchy in &mut location.hierarchies {
            let meant =
                controllers.is_none_or(|names| names.split(',').any(|name| !name.is_empty() && hierarchy.has(name)));
            if meant && !inner.as_os_str().is_empty() {
                hierarchy.path.push(&inner);
            }
        }
        if let Some(name) = controllers
            .and_then(|names| names.split(',').find(|name| name.is_empty() || self.hierarchy(name).is_none()))
        {
            return invalid(format!("bad sub cgroup {path:?}: there is no hierarchy of a controller {name:?}"));
        }
        Ok(Cgroup::open(&location))
    }

    /// The cgroup for a process that joins `pid`. Of version 2 it is that in which `pid` is, if below this one: a container that manages
    /// its own cgroups moves its first process down, and then nobody may enter this one. Of version 1 it is this one unless that is
    /// gone: systemd takes processes out of hierarchies in which it wants none.
    ///
    /// # Errors
    /// `System` if /proc/PID/cgroup cannot be read.
    pub fn beside(&self, pid: i32) -> Result<Cgroup> {
        let path = format!("/proc/{pid}/cgroup");
        let text =
            std::fs::read_to_string(&path).map_err(|e| Error::io(format!("read \"{path}\""), &e).object(&path))?;
        let mut location = self.location.clone();
        for hierarchy in &mut location.hierarchies {
            let own = layout::memberships(&text).find(|(names, _)| names.split(',').eq(&hierarchy.controllers));
            let Some(place) = own.map(|(_, path)| hierarchy.mount.join(location::clean(path))) else { continue };
            let joins = if hierarchy.is_v2() { place.starts_with(&hierarchy.path) } else { !hierarchy.path.exists() };
            if joins {
                hierarchy.path = place;
            }
        }
        Ok(Cgroup::open(&location))
    }

    /// Changes limits; what `resources` does not mention stays as it is, device rules among it.
    ///
    /// # Errors
    /// As for [`Cgroup::create`]. The limits before the one that failed are changed.
    pub fn update(&mut self, resources: &Resources) -> Result<()> {
        apply::update(self, resources)
    }

    /// The hierarchy that has `controller`; of version 2 for the empty name.
    fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.location.hierarchies.iter().find(|h| h.has(controller))
    }

    /// The hierarchy with `controller`, or that of version 2 which can do without it.
    fn hierarchy_or_v2(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchy(controller).or_else(|| self.hierarchy(""))
    }
}

#[cfg(test)]
mod tests;

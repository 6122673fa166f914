//! A cgroup below the container's, which the container manages itself: its process moves there, with all controllers. The limits stay
//! above, out of its reach. Version 2 only: version 1 has no safe delegation (cgroups(7)).

use super::apply::enable_all;
use super::dir::Dir;
use super::{Cgroup, location, owner};
use crate::error::{Error, Kind, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What the container's process needs to move down.
#[derive(Debug)]
pub struct Delegation {
    /// `cgroup.procs` of the cgroup below, open for writing.
    pub procs: OwnedFd,
    /// `cgroup.subtree_control` of those above it, the container's first: to be written once the process has left.
    pub subtree: Vec<OwnedFd>,
    /// The controllers that the container's cgroup has.
    pub controllers: Vec<String>,
}

impl Delegation {
    /// Moves a process down; once it has left, the cgroups above pass their controllers on.
    pub(super) fn move_down(&self, pid: i32) -> Result<()> {
        let write = |file: &OwnedFd, text: String, what: &str| {
            rustix::io::write(file, text.as_bytes()).map_err(|errno| Error::sys(what, errno))
        };
        write(&self.procs, pid.to_string(), "move the process to the cgroup below")?;
        for subtree in &self.subtree {
            for name in &self.controllers {
                write(subtree, format!("+{name}"), &format!("pass on the controller {name:?}"))?;
            }
        }
        Ok(())
    }
}

impl Cgroup {
    /// Makes the cgroup `path` below this one, owned by the host's user `owner`. It is removed with this one.
    ///
    /// # Errors
    /// `Unsupported` where this one is not of version 2, or is systemd's to make and not there yet; what the kernel refuses.
    pub fn delegate(&self, path: &str, owner: Option<u32>) -> Result<Delegation> {
        let Some(hierarchy) = self.location.hierarchies.first().filter(|_| self.location.is_v2()) else {
            return Err(Error::new(Kind::Unsupported, "a cgroup can be delegated on cgroup v2 only"));
        };
        if self.pending.is_some() {
            let what = "a cgroup cannot be delegated below one that systemd makes";
            return Err(Error::new(Kind::Unsupported, what).hint("run without --systemd-cgroup"));
        }
        enable_all(hierarchy);
        let mut here = hierarchy.path.clone();
        let dir = Dir::at(&here);
        let controllers = dir
            .read("cgroup.controllers")
            .map_err(|errno| dir.failed("read", "cgroup.controllers", errno))?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let open =
            |dir: &Dir, file: &str| dir.file(file, OFlags::WRONLY).map_err(|errno| dir.failed("open", file, errno));
        let mut subtree = Vec::new();
        for part in &location::clean(path) {
            subtree.push(open(&Dir::at(&here), "cgroup.subtree_control")?);
            here.push(part);
            match rustix::fs::mkdir(&here, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Dir::at(&here).failed("mkdir", "", errno)),
            }
        }
        let dir = Dir::at(&here);
        if let Some(uid) = owner {
            owner::hand_over(&dir, uid)?;
        }
        Ok(Delegation { procs: open(&dir, "cgroup.procs")?, subtree, controllers })
    }
}

//! A cgroup below the container's, which the container manages itself: its process moves there, with all controllers. The limits stay
//! above, out of its reach. Version 2 only: version 1 has no safe delegation (cgroups(7)).

use super::apply::enable_all;
use super::dir::Dir;
use super::{Cgroup, location, owner};
use crate::error::{Error, Kind, Result};
use rustix::fs::Mode;
use rustix::io::Errno;

impl Cgroup {
    /// Makes the cgroup `path` below the one in which the process `pid` is, this one or one below it, owned by the host's user
    /// `owner`, and moves the process there. Once it has left, the cgroups above pass their controllers on (cgroup-v2.rst, "no
    /// internal processes"). What is made is removed with this one.
    ///
    /// # Errors
    /// `Unsupported` where this one is not of version 2; what the kernel refuses.
    pub fn delegate(&self, path: &str, owner: Option<u32>, pid: i32) -> Result<()> {
        let location = self.beside(pid)?.location;
        let Some(hierarchy) = location.hierarchies.first().filter(|_| location.is_v2()) else {
            return Err(Error::new(Kind::Unsupported, "a cgroup can be delegated on cgroup v2 only"));
        };
        enable_all(hierarchy);
        let mut here = hierarchy.path.clone();
        let controllers = read_controllers(&Dir::at(&here))?;
        let mut above = Vec::new();
        for part in &location::clean(path) {
            above.push(Dir::at(&here));
            here.push(part);
            match rustix::fs::mkdir(&here, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Dir::at(&here).failed("mkdir", "", errno)),
            }
        }
        let below = Dir::at(&here);
        if let Some(uid) = owner {
            owner::hand_over(&below, uid)?;
        }
        let write =
            |dir: &Dir, file: &str, text: &str| dir.write(file, text).map_err(|errno| dir.failed("write", file, errno));
        write(&below, "cgroup.procs", &pid.to_string())?;
        above.iter().try_for_each(|dir| write(dir, "cgroup.subtree_control", &controllers))
    }
}

/// The controllers of a cgroup, as they are passed on.
fn read_controllers(dir: &Dir) -> Result<String> {
    const FILE: &str = "cgroup.controllers";
    let text = dir.read(FILE).map_err(|errno| dir.failed("read", FILE, errno))?;
    Ok(text.split_whitespace().map(|name| format!("+{name}")).collect::<Vec<_>>().join(" "))
}

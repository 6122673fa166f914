//! A container's cgroup removed, with all that it made below.

use super::dir::Dir;
use super::location::Hierarchy;
use super::processes::{is_gone, wait_by_event, wait_by_process};
use super::{Cgroup, PATIENCE, systemd};
use crate::error::Result;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::Instant;

impl Cgroup {
    /// Removes the cgroup from every hierarchy, the cgroups below first, and the parents that came with it unless others use
    /// them by now; what somebody else made stays. Waits for processes that are about to end, 10 seconds at most. What is gone
    /// already is fine. A scope's own cgroup stays where systemd cannot be reached: a running one hears of the last process's end by
    /// it, forgets the unit and removes it; a user's instance that has ended takes it along.
    ///
    /// # Errors
    /// `System`: a process stays (`EBUSY`), or the kernel refuses. The other hierarchies are removed all the same.
    pub fn remove(&self) -> Result<()> {
        self.remove_where(&|_| false, |hierarchy, deadline| match hierarchy.made {
            0 => vacate(hierarchy, deadline),
            made => {
                remove(hierarchy, deadline, &|_| false)?;
                let parents = hierarchy.path.ancestors().take(made.into()).skip(1);
                let _ = parents.map(rustix::fs::rmdir).find(std::result::Result::is_err); // in use, and so are those above
                Ok(())
            }
        })
    }

    /// As [`Cgroup::remove`] after a creator that was killed, whose record does not say what it had made: the cgroup itself. Kills
    /// what `ours` says is to be killed, in whichever hierarchy it is: a process may still be on its way from one to the next.
    ///
    /// # Errors
    /// As [`Cgroup::remove`].
    pub fn remove_killing(&self, ours: impl Fn(i32) -> bool) -> Result<()> {
        self.remove_where(&ours, |hierarchy, deadline| remove(hierarchy, deadline, &ours))
    }

    fn remove_where(
        &self,
        ours: &impl Fn(i32) -> bool,
        remove: impl Fn(&Hierarchy, Instant) -> Result<()>,
    ) -> Result<()> {
        if self.pending.is_some() {
            return Ok(()); // whatever has the name of our unit is not ours
        }
        let deadline = Instant::now() + PATIENCE;
        let mut reached = true;
        if let Some(unit) = &self.location.unit {
            // A unit with processes would be stopped in systemd's way, with signals and timeouts of its own.
            self.location.hierarchies.iter().try_for_each(|hierarchy| empty(hierarchy, deadline, ours))?;
            reached = systemd::stop(unit)?;
        }
        let mut result = Ok(());
        for hierarchy in &self.location.hierarchies {
            let removed = match reached || !systemd::follows(hierarchy) {
                true => remove(hierarchy, deadline),
                false => remove_below(&Dir::at(&hierarchy.path)).map(drop),
            };
            result = result.and(removed);
        }
        result
    }
}

/// Waits until the container's processes have left a cgroup that stays.
fn vacate(hierarchy: &Hierarchy, deadline: Instant) -> Result<()> {
    let dir = Dir::at(&hierarchy.path);
    if wait(hierarchy, &dir, deadline)? { Ok(()) } else { Err(dir.failed("leave", "", Errno::BUSY)) }
}

fn kill(dir: &Dir, ours: &impl Fn(i32) -> bool) -> Result<()> {
    for pid in dir.processes()? {
        let Some(pid) = Pid::from_raw(pid) else { continue };
        // Seen in the list after the pidfd was opened, the process is the one that is meant.
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
            && ours(pid.as_raw_nonzero().get())
        {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL); // it may have ended
        }
    }
    Ok(())
}

/// Waits for the last process of a cgroup.
fn empty(hierarchy: &Hierarchy, deadline: Instant, ours: &impl Fn(i32) -> bool) -> Result<()> {
    let dir = Dir::at(&hierarchy.path);
    match kill(&dir, ours) {
        Err(error) if is_gone(&error) => return Ok(()), // systemd was faster
        other => other?,
    }
    match wait(hierarchy, &dir, deadline)? {
        true => Ok(()),
        false => Err(dir.failed("remove", "", Errno::BUSY)),
    }
}

fn wait(hierarchy: &Hierarchy, dir: &Dir, deadline: Instant) -> Result<bool> {
    if hierarchy.is_v2() { wait_by_event(dir, deadline) } else { wait_by_process(dir, deadline) }
}

/// Whether the cgroup itself is still there.
fn remove_below(dir: &Dir) -> Result<bool> {
    match dir.remove_children() {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NODEV) => Ok(false),
        Err(errno) => Err(dir.failed("remove the cgroups below", "", errno)),
    }
}

fn remove(hierarchy: &Hierarchy, deadline: Instant, ours: &impl Fn(i32) -> bool) -> Result<()> {
    let dir = Dir::at(&hierarchy.path);
    loop {
        match rustix::fs::rmdir(dir.path()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) => {}
            // A read-only mount says so even of what is not there.
            Err(_) if matches!(Dir::open(dir.path()), Err(Errno::NOENT)) => return Ok(()),
            Err(errno) => return Err(dir.failed("rmdir", "", errno)),
        }
        if !remove_below(&dir)? {
            return Ok(());
        }
        match rustix::fs::rmdir(dir.path()) {
            Err(Errno::BUSY) => {}
            _ => continue,
        }
        match kill(&dir, ours) {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
        if !wait(hierarchy, &dir, deadline)? || Instant::now() >= deadline {
            return Err(dir.failed("rmdir", "", Errno::BUSY));
        }
        // Version 1 stops listing a process an instant before it lets it go, and has no event for that.
        rustix::thread::sched_yield();
    }
}

//! Every process of a container: who they are, a signal for each, and the wait for the last one.

use super::dir::Dir;
use super::freezer::{EventFile, until};
use super::{Cgroup, PATIENCE};
use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::Instant;

/// How many processes are signalled at a time: each takes a descriptor.
const BATCH: usize = 256;

impl Cgroup {
    /// The ids of all processes, those of cgroups below included, as the caller's pid namespace knows them.
    ///
    /// # Errors
    /// `Unsupported` if the container has no cgroup, `System` if it cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        self.members()?.processes()
    }

    /// Sends `signal` to every process. They are frozen meanwhile where that is possible, so that none escapes by a fork;
    /// a frozen container stays frozen (of version 1, `SIGKILL` thaws it: it would not die).
    ///
    /// # Errors
    /// `Unsupported` if the container has no cgroup, `System` if it cannot be read or a process may not be signalled.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        if signal == Signal::KILL {
            return self.kill();
        }
        let members = self.members()?;
        let was_frozen = self.frozen()?;
        let freezes = !was_frozen && self.freeze().is_ok();
        let result = signal_members(&members, signal, freezes || was_frozen);
        if freezes {
            self.thaw()?;
        }
        result.map(drop)
    }

    /// Kills every process. When it returns each is dead or has the signal; [`Cgroup::remove`] and [`Cgroup::wait_empty`] wait.
    /// In a cgroup that is gone there is nobody to kill.
    ///
    /// # Errors
    /// `Unsupported` if the container has no cgroup, `System` if the kernel refuses.
    pub fn kill(&self) -> Result<()> {
        match self.kill_members() {
            Err(error) if is_gone(&error) => Ok(()),
            other => other,
        }
    }

    fn kill_members(&self) -> Result<()> {
        if let Some(hierarchy) = self.hierarchy("").filter(|_| self.location.is_v2()) {
            let dir = Dir::at(&hierarchy.path);
            return match dir.write("cgroup.kill", "1") {
                // A threaded cgroup cannot be killed as a whole.
                Err(Errno::OPNOTSUPP) => kill_each(&dir),
                other => other.map_err(|errno| dir.failed("write", "cgroup.kill", errno)),
            };
        }
        let members = self.members()?;
        if !self.frozen()? && self.freeze().is_err() {
            return kill_each(&members);
        }
        let result = signal_members(&members, Signal::KILL, true);
        self.thaw()?;
        result.map(drop)
    }

    /// Waits for the last process to be gone, 10 seconds at most; whether it is.
    ///
    /// # Errors
    /// `Unsupported` if the container has no cgroup, `System` if it cannot be read.
    pub fn wait_empty(&self) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        if let Some(hierarchy) = self.hierarchy("") {
            let gone = wait_by_event(&Dir::at(&hierarchy.path), deadline)?;
            if !gone || self.location.is_v2() {
                return Ok(gone);
            }
        }
        wait_by_process(&self.members()?, deadline)
    }

    /// The directory whose processes count: the one that can be frozen, as only what it lists is stopped by that.
    fn members(&self) -> Result<Dir> {
        let by_name = ["freezer", "", "devices", "pids", "memory"].iter().find_map(|name| self.hierarchy(name));
        match by_name.or(self.location.hierarchies.first()) {
            Some(hierarchy) => Ok(Dir::at(&hierarchy.path)),
            None => Err(Error::new(Kind::Unsupported, "the container has no cgroup of its own")),
        }
    }
}

/// Waits until a cgroup of version 2 has no process.
pub(super) fn wait_by_event(dir: &Dir, deadline: Instant) -> Result<bool> {
    match EventFile::open(dir) {
        Ok(events) => events.wait_for("populated", 0, deadline),
        Err(error) if is_gone(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether the cgroup was removed.
pub(super) fn is_gone(error: &Error) -> bool {
    [Errno::NOENT, Errno::NODEV].map(|errno| Some(errno.raw_os_error())).contains(&error.raw_os_error())
}

/// Waits until a cgroup lists no process, by waiting for each.
pub(super) fn wait_by_process(dir: &Dir, deadline: Instant) -> Result<bool> {
    loop {
        let pids = match dir.processes() {
            Ok(pids) => pids,
            Err(error) if is_gone(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        if pids.is_empty() {
            return Ok(true);
        }
        for pid in pids {
            if !wait_for_exit(pid, deadline) {
                return Ok(false);
            }
        }
    }
}

/// False if the process is still there at `deadline`.
fn wait_for_exit(pid: i32, deadline: Instant) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return true };
    // Whoever cannot be opened is gone already, or on the way: the next look at the cgroup tells.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        rustix::thread::sched_yield();
        return Instant::now() < deadline;
    };
    loop {
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        match poll(&mut fds, Some(&until(deadline))) {
            Err(Errno::INTR) => {}
            other => return other != Ok(0),
        }
    }
}

/// Kills until nobody is left, for a cgroup that cannot be frozen: forks go on meanwhile.
fn kill_each(dir: &Dir) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while signal_members(dir, Signal::KILL, false)? > 0 {
        let pids = dir.processes()?;
        if !pids.iter().all(|&pid| wait_for_exit(pid, deadline)) {
            return Err(dir.failed("kill the processes of", "", Errno::TIMEDOUT));
        }
    }
    Ok(())
}

/// Signals every process that `dir` lists; how many. If they are not `frozen` one may end and its number be given to
/// somebody else: then only those count which are still listed after we hold them.
fn signal_members(dir: &Dir, signal: Signal, frozen: bool) -> Result<usize> {
    let pids = dir.processes()?;
    let mut count = 0;
    for batch in pids.chunks(BATCH) {
        let held: Vec<_> = batch
            .iter()
            .filter_map(|&pid| Some((pid, pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?)))
            .collect();
        let listed = if frozen { None } else { Some(dir.processes()?) };
        for (pid, process) in held {
            if listed.as_ref().is_some_and(|listed| !listed.contains(&pid)) {
                continue;
            }
            match pidfd_send_signal(&process, signal) {
                Ok(()) => count += 1,
                Err(Errno::SRCH) => {}
                Err(errno) => return Err(Error::sys(format!("signal process {pid}"), errno).object(pid.to_string())),
            }
        }
    }
    Ok(count)
}

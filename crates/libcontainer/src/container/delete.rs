//! The end of a container: what still lives is killed, and all that `create` made is removed.

use super::{Container, Status};
use crate::error::{Error, Kind, Result};
use crate::launch::hook;
use crate::process::Child;
use crate::state::{Contents, Entry, Phase, Process};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How long `delete` waits for a killed process to be gone.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

impl Container {
    /// Removes a stopped container and all that `create` made; with `force` what still lives of it is killed first.
    ///
    /// # Errors
    /// [`Kind::WrongState`] without `force` for a container that is not stopped, be it only created. A failing poststop hook is no error (runtime.md): it is
    /// returned as the warnings.
    pub fn delete(&mut self, force: bool) -> Result<Vec<String>> {
        let entry = match self.held.take() {
            Some(held) => held.lock()?.ok_or_else(|| Error::new(Kind::NotFound, "container does not exist"))?,
            None if force => self.lock_over_init()?,
            None => match self.store.try_open(&self.id)? {
                Some(entry) => entry,
                // Whoever is at work on it may be long about it: at its creation, or at a hook before its program.
                None => match self.status()? {
                    Status::Stopped => self.lock()?,
                    status => return Err(self.not_stopped(status)),
                },
            },
        };
        if !self.is_of_ours {
            // What was read before the lock may be of the past.
            match entry.read()? {
                Contents::Record(record) => self.record = Some(record),
                Contents::Unfinished => {
                    entry.remove()?;
                    return Ok(Vec::new());
                }
            }
        }
        let creator_is_gone = self.record.as_ref().is_some_and(|record| record.phase == Phase::Creating);
        let status = if creator_is_gone { Status::Stopped } else { self.status()? };
        if status != Status::Stopped && !force {
            return Err(self.not_stopped(status));
        }
        if creator_is_gone {
            if let Some(init) = self.kill_init()? {
                wait_for_end(init.as_fd())?; // a container without cgroups has nothing else to be found by
            }
            // Whatever has been started since the record was begun is this container's, also where it is in no
            // cgroup that could be killed as a whole; what is older was there before.
            let since = self.record.as_ref().map_or(u64::MAX, |record| record.begun);
            self.cgroup()?
                .remove_killing(|pid| Process::observe(pid).is_ok_and(|process| process.start_time >= since))?;
        } else {
            if status != Status::Stopped || !self.has_own_pids() {
                self.kill_everything()?;
            }
            drop(self.child()); // it has ended, so that reaps it
            self.cgroup()?.remove()?;
        }
        if let Some(class) = self.class()? {
            class.remove()?;
        }
        entry.remove()?;
        Ok(hook::poststop(&self.config.hooks.poststop, &self.oci_state("stopped", None)))
    }

    /// A hook that fails while the container starts ends its life: runtime.md#lifecycle goes on with the destruction and the
    /// poststop hooks. What fails there is told beside the failure that led to it.
    pub(crate) fn end_over(&mut self, failure: Error) -> Error {
        let (Ok(left) | Err(left)) = self.delete(true).map_err(|error| match error.kind() {
            Kind::NotFound => Vec::new(), // a delete was quicker
            _ => vec![error.to_string()],
        });
        failure.and_afterwards(&left)
    }

    /// The lock, which another verb may hold for as long as it waits for the first process: for a hook in it, or for its thaw. Then the
    /// process's end is what ends the wait.
    fn lock_over_init(&self) -> Result<Entry> {
        if let Some(entry) = self.store.try_open(&self.id)? {
            return Ok(entry);
        }
        let contents = self.store.read(&self.id)?;
        Container::from_contents(&self.store, self.id.clone(), contents)?.kill_init()?;
        self.lock()
    }

    /// Kills the first process, be it frozen; a pidfd of it, if it was still there.
    fn kill_init(&self) -> Result<Option<OwnedFd>> {
        let pidfd = self.init().map(|init| init.pidfd()).transpose()?.flatten();
        if let Some(pidfd) = &pidfd {
            let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL); // it may have ended meanwhile
            let cgroup = self.cgroup()?;
            if cgroup.frozen().unwrap_or(false) {
                cgroup.thaw()?;
            }
        }
        Ok(pidfd)
    }

    fn not_stopped(&self, status: Status) -> Error {
        let what = format!("cannot delete container {} that is not stopped: {}", self.id(), status.as_str());
        Error::new(Kind::WrongState, what)
    }

    /// Kills whatever of the container still lives, and waits until it is gone.
    pub(super) fn kill_everything(&self) -> Result<()> {
        let pidfd = self.kill_init()?;
        // A pid namespace does not end before all in it are reaped, and these nobody else reaps.
        for child in self.init().map(Child::take_others).unwrap_or_default() {
            let _ = rustix::process::pidfd_send_signal(child.pidfd(), Signal::KILL); // it may have ended meanwhile
            wait_for_end(child.pidfd())?;
        }
        if let Some(pidfd) = &pidfd {
            wait_for_end(pidfd.as_fd())?;
        }
        if self.location().is_ok_and(|location| !location.hierarchies().is_empty()) {
            self.cgroup()?.kill()?;
        }
        Ok(())
    }
}

/// Waits for a killed process, though not for ever: the kernel may hold it against the kill.
fn wait_for_end(pidfd: BorrowedFd<'_>) -> Result<()> {
    let mut ended = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut ended, Some(&PATIENCE)))
        .map(drop)
        .map_err(|errno| Error::sys("wait for the container's processes to end", errno))
}

//! From a plan to a process: open what the plan names, clone, converse until the program runs or waits for its start.

mod acts;
mod copy_up;
pub(crate) mod hook;
mod id_maps;
mod net_devices;
mod open;
mod report;

pub(crate) use report::{died, start_failure};

use crate::cgroup::{Cgroup, Entry};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::plan::{Act, Plan};
use crate::state::{Found, Process};
use crate::sys::clone::{Program, Spawn, spawn};
use crate::sys::{program, socket};
use hull_init::wire;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Everything a launch needs beside its plan.
pub(crate) struct Launch<'a> {
    /// The container's config, for hooks and maps.
    pub config: &'a Config,
    /// The facts the plan was compiled from.
    pub host: &'a Host,
    /// The container's id.
    pub id: &'a str,
    /// The name of the program, for what is said of it.
    pub program: &'a str,
    /// The bundle's directory.
    pub bundle: &'a Path,
    /// The root file system on the host.
    pub rootfs: &'a Path,
    /// How the process gets into its cgroups.
    pub cgroup: Entry,
    /// What become standard input, output and error.
    pub stdio: [RawFd; 3],
    /// How many descriptors from 3 on go along.
    pub preserve: u32,
    /// The socket that gets the terminal's master.
    pub console: Option<OwnedFd>,
    /// The socket on which `start` is awaited.
    pub start_socket: Option<OwnedFd>,
    /// The container's init, for a process that joins it, and its pid.
    pub init: Option<(Option<OwnedFd>, i32)>,
    /// Told who the process is before anybody outside may hear of it: before hooks run, and when the process is created.
    pub on_process: Option<&'a mut OnProcess<'a>>,
    /// The cgroup, for a process that waits to be put into it.
    pub group: Option<&'a mut Cgroup>,
}

/// Hears of a process, or why it cannot be found.
pub(crate) type OnProcess<'a> = dyn FnMut(Result<Process>) -> Result<()> + 'a;

/// A child of this process that has become a container's process, or waits to.
#[derive(Debug)]
pub(crate) struct Launched {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Open while the process waits behind the barrier for [`Launched::release`].
    sync: Option<OwnedFd>,
    /// What the host would want back, should it not come to [`Launched::release`].
    devices: Option<net_devices::Moved>,
}

impl Launched {
    /// Lets a created process go to its barrier, where it depends on nobody any more.
    pub fn release(&mut self) -> Result<()> {
        if let Some(sync) = self.sync.take() {
            go(&sync).map_err(|errno| Error::sys("let the container's init go to its barrier", errno))?;
        }
        self.devices = None;
        Ok(())
    }

    /// Before the process is ended for the reason of `error`: the host gets back what moved into the container.
    pub fn give_back(&mut self, error: Error) -> Error {
        net_devices::give_back(&mut self.devices, error)
    }
}

/// Performs `plan`. On an error there is no child left.
pub(crate) fn perform<'a>(plan: &'a Plan, mut launch: Launch<'a>) -> Result<Launched> {
    let (ours, theirs) = socket::pair().map_err(|errno| Error::sys("make a socket pair", errno))?;
    let forks = plan.steps.iter().any(|step| matches!(step.op, hull_init::op::Op::Fork { .. }));
    if forks {
        socket::ask_for_senders(ours.as_fd()).map_err(|errno| Error::sys("ask who speaks", errno))?;
    }
    let slots = open::all(plan, &mut launch, theirs)?;
    let file = plan.lay_out(&slots.numbers);
    let program = program::sealed(&file)?;
    let mut keep: Vec<RawFd> = slots.numbers.iter().copied().filter(|fd| *fd > 2).collect();
    keep.push(program.as_raw_fd());
    let number = |number: usize| CString::new(number.to_string()).unwrap_or_default();
    let place = [number(program.as_raw_fd() as usize), number(program::PLAN_AT), number(file.len())];
    let spawned = spawn(&Spawn {
        namespaces: plan.clone,
        cgroup: launch.cgroup.clone_into.as_ref().map(|fd| fd.as_fd()),
        program: Program::Open(program.as_fd()),
        args: &[[c"hull-init".to_owned()].as_slice(), &place].concat(),
        env: &[],
        cwd: None,
        keep: &keep,
        stdio: launch.stdio,
        preserve: launch.preserve,
        group: forks,
    })
    .map_err(|error| {
        let into_cgroup = launch.cgroup.clone_into.is_some();
        report::clone_failure(error.context("start hull-init"), plan, into_cgroup)
    })?;
    // From here on their end of the conversation is the child's alone: its death is the end of file.
    drop(slots);
    let mut child = Guard { pid: spawned.pid, pidfd: Some(spawned.pidfd) };
    let mut conversation = Conversation { plan, launch, sync: ours, forks, reached: 0, devices: None };
    let held = conversation.hold(&mut child);
    let waits = held.map_err(|error| net_devices::give_back(&mut conversation.devices, error))?;
    let pidfd = child.keep().ok_or_else(|| Error::new(Kind::System, "the child's pidfd is gone"))?;
    let Conversation { sync, devices, .. } = conversation;
    Ok(Launched { pid: child.pid, pidfd, sync: waits.then_some(sync), devices })
}

fn go(sync: &OwnedFd) -> std::result::Result<(), Errno> {
    rustix::net::send(sync, &[1], rustix::net::SendFlags::NOSIGNAL).map(|_| ())
}

/// A child that must not outlive an error.
struct Guard {
    pid: i32,
    pidfd: Option<OwnedFd>,
}

impl Guard {
    fn keep(&mut self) -> Option<OwnedFd> {
        self.pidfd.take()
    }

    /// Takes the place of the child that forked `pid` and has left. Whoever traces the new process or takes its end of the
    /// conversation can speak in its place, but has not this process for a parent.
    fn become_child(&mut self, pid: i32) -> Result<()> {
        let failed = |errno| Error::sys(format!("open a pidfd of process {pid}"), errno);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let known = Pid::from_raw(pid).filter(|pid| {
            let found = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(*pid), look));
            found.is_ok()
        });
        let Some(known) = known else {
            // What has made it is in this group, be it still there or not.
            if let Some(first) = Pid::from_raw(self.pid) {
                let _ = rustix::process::kill_process_group(first, Signal::KILL);
            }
            self.bury_group();
            return Err(Error::new(
                Kind::System,
                "somebody else speaks for the process that was to join the container",
            ));
        };
        let pidfd = rustix::process::pidfd_open(known, PidfdFlags::empty()).map_err(|errno| {
            let _ = rustix::process::kill_process(known, Signal::KILL); // a child of ours: until it is reaped the pid is its own
            let _ = rustix::process::waitpid(Some(known), WaitOptions::empty());
            failed(errno)
        })?;
        if let Some(old) = self.pidfd.replace(pidfd) {
            reap(&old);
        }
        self.pid = pid;
        Ok(())
    }

    /// The child, and what it has forked without a word: all are at their end. How they ended.
    fn bury_group(&mut self) -> Option<WaitIdStatus> {
        let child = self.pidfd.take()?;
        let _ = rustix::process::pidfd_send_signal(&child, Signal::KILL); // it may have ended already
        // Not before the group is empty: as long as it has a member, its number is nobody else's.
        let mut last = None;
        while let Ok(Some(status)) = rustix::io::retry_on_intr(|| {
            rustix::process::waitid(WaitId::Pgid(Pid::from_raw(self.pid)), WaitIdOptions::EXITED)
        }) {
            // The one that was killed tells more than the one that made way for it.
            last = last.filter(|last: &WaitIdStatus| last.terminating_signal().is_some()).or(Some(status));
        }
        last
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL); // it may have ended already
            reap(&pidfd);
        }
    }
}

/// Waits for a child to end. That somebody else has waited for it already is as good.
fn reap(pidfd: &OwnedFd) {
    let _ = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED));
}

struct Conversation<'a> {
    plan: &'a Plan,
    launch: Launch<'a>,
    sync: OwnedFd,
    /// The child will leave its place to another, and has not yet.
    forks: bool,
    /// The first step at which the child may wait: none comes twice, whoever says so.
    reached: u32,
    /// What has moved from the host into the container so far.
    devices: Option<net_devices::Moved>,
}

impl Conversation<'_> {
    /// Answers the child until it has executed the program (false) or waits at its barrier (true).
    fn hold(&mut self, child: &mut Guard) -> Result<bool> {
        let mut buffer = [0u8; size_of::<wire::Message>() + wire::TEXT];
        loop {
            let (length, sender) = rustix::io::retry_on_intr(|| socket::receive(self.sync.as_fd(), &mut buffer))
                .map_err(|errno| Error::sys("hear from the container's init", errno))?;
            let Some(message) = report::message(buffer.get(..length).unwrap_or_default()) else {
                return self.silence(child);
            };
            match message.head.kind {
                wire::FORKED if self.forks => {
                    self.forks = false;
                    child.become_child(sender)?;
                }
                wire::REACHED if message.head.step >= self.reached => {
                    self.reached = message.head.step.saturating_add(1);
                    // As long as it forks, it is not yet the process to be known.
                    if !self.forks {
                        self.tell(|| Process::observe(child.pid))?;
                    }
                    self.act(child, &message.head)?;
                    go(&self.sync).map_err(|errno| Error::sys("let the container's init go on", errno))?;
                }
                wire::CREATED => {
                    self.tell(|| Process::observe(child.pid))?;
                    return Ok(true);
                }
                wire::FAILED => return Err(report::failure(self.plan, self.launch.program, &message)),
                _ => return Err(Error::new(Kind::System, "the container's init says what it has not to say")),
            }
        }
    }

    /// Tells who the process is, once.
    fn tell(&mut self, process: impl FnOnce() -> Result<Process>) -> Result<()> {
        self.launch.on_process.take().map_or(Ok(()), |on_process| on_process(process()))
    }

    fn act(&mut self, child: &Guard, message: &wire::Message) -> Result<()> {
        let Some(pidfd) = &child.pidfd else { return Ok(()) };
        let acts: Vec<Act> =
            self.plan.acts.iter().filter(|(step, _)| *step == message.step).map(|(_, act)| act.clone()).collect();
        for act in acts {
            acts::perform(&act, &mut self.launch, child.pid, pidfd.as_fd(), message.extra, &mut self.devices)?;
        }
        Ok(())
    }

    /// End of file: the exec has closed the conversation, or the child is dead without a word.
    fn silence(&mut self, child: &mut Guard) -> Result<bool> {
        if self.forks {
            // A pid namespace whose first process ends kills whoever enters it, be it before its first word.
            let status = child.bury_group();
            return Err(died(status.and_then(|status| status.terminating_signal())));
        }
        let waits = self.plan.steps.iter().any(|step| matches!(step.op, hull_init::op::Op::Barrier { .. }));
        if !waits {
            let found = Process::find(child.pid);
            if !matches!(found, Ok(Found::Unborn)) {
                self.tell(|| found.and_then(|found| found.alive(child.pid)))?;
                return Ok(false);
            }
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let wait = |pidfd: &OwnedFd| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options).ok().flatten();
        let status = child.pidfd.as_ref().and_then(wait);
        Err(died(status.and_then(|status| status.terminating_signal())))
    }
}

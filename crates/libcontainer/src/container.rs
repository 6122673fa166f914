//! Container: a handle to one container, and what can be done with it.

mod delete;
pub(crate) mod notify;
mod resources;

pub use notify::NotifySocket;

use self::resources::not_running;
use crate::cgroup::{Cgroup, Location};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::launch::{self, hook};
use crate::process::Child;
use crate::resctrl::Group;
use crate::runtime::START_SOCKET;
use crate::spec::annotations;
use crate::state::{Contents, Entry, Id, Phase, Process, Record, Store, Unlocked};
use crate::sys::socket;
use rustix::process::Signal;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a container is at one instant: runtime.md#state, and `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its creator is at work.
    Creating,
    /// It waits for its start.
    Created,
    /// Its program runs.
    Running,
    /// Its program is frozen.
    Paused,
    /// Its program has ended, or its creator has.
    Stopped,
}

impl Status {
    /// The specification's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// One container. A handle, not the container: dropping it changes nothing.
#[derive(Debug)]
pub struct Container {
    store: Store,
    id: Id,
    /// None for the remains of a creator that was killed before it had written anything.
    record: Option<Box<Record>>,
    config: Config,
    skipped: Vec<String>,
    /// The directory, where this handle has made the container.
    held: Option<Unlocked>,
    /// The record is the one that this handle has written, which nobody but a delete changes.
    is_of_ours: bool,
    /// Where its program says that it is ready, from `run` until somebody asks for it.
    notify: Option<NotifySocket>,
    /// Its first process was a child of this process and has been reaped.
    ended: Arc<AtomicBool>,
}

impl Container {
    fn new(store: &Store, id: Id, record: Option<Box<Record>>, config: Config) -> Container {
        let (skipped, held, is_of_ours, notify, ended) = (Vec::new(), None, false, None, Arc::default());
        Container { store: store.clone(), id, record, config, skipped, held, is_of_ours, notify, ended }
    }

    pub(crate) fn from_contents(store: &Store, id: Id, contents: Contents) -> Result<Container> {
        Ok(match contents {
            Contents::Record(record) => {
                let mut config = record.parsed_config()?;
                annotations::settle(&mut config);
                Container::new(store, id, Some(record), config)
            }
            Contents::Unfinished => Container::new(store, id, None, Config::default()),
        })
    }

    /// A container that was just made: what it had to do without, and its directory.
    pub(crate) fn made(
        store: &Store,
        id: Id,
        record: Record,
        config: Config,
        skipped: Vec<String>,
        held: Option<Unlocked>,
        notify: Option<NotifySocket>,
    ) -> Container {
        let is_of_ours = record.phase == Phase::Started && held.is_some();
        Container { skipped, held, is_of_ours, notify, ..Container::new(store, id, Some(Box::new(record)), config) }
    }

    /// What the config asks for and `create` did without, for lack of privileges: each in words, with its field. Known to
    /// the caller of `create` and `run` only.
    pub fn done_without(&self) -> &[String] {
        &self.skipped
    }

    /// The id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The bundle's directory.
    pub fn bundle(&self) -> &Path {
        self.record.as_ref().map_or(Path::new(""), |record| &record.bundle)
    }

    /// The root file system on the host.
    pub fn rootfs(&self) -> &Path {
        self.record.as_ref().map_or(Path::new(""), |record| &record.rootfs)
    }

    /// When it was created: RFC 3339, in nanoseconds, UTC.
    pub fn created(&self) -> &str {
        self.record.as_ref().map_or("", |record| &record.created)
    }

    /// Who created it.
    pub fn owner_uid(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.owner_uid)
    }

    /// config.json as it was at create.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The pid of its first process as this process sees it, 0 if there is none any more.
    pub fn pid(&self) -> i32 {
        match self.init() {
            Some(init) if init.alive().unwrap_or(true) => init.pid,
            _ => 0,
        }
    }

    /// Its first process as a child to wait for: once, where [`Runtime::create`](crate::Runtime::create) of this process made it, whichever handle
    /// that is asked of. Where nobody takes it, [`Container::delete`] reaps it.
    pub fn child(&self) -> Option<Child> {
        self.init().and_then(Child::take)
    }

    /// What it is now, by what the kernel says of its first process.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub fn status(&self) -> Result<Status> {
        let Some(record) = self.record.as_ref().filter(|_| !self.is_being_made()) else { return self.unfinished() };
        let Some(init) = self.init() else { return Ok(Status::Stopped) };
        if self.ended.load(Ordering::Acquire) || !init.alive()? {
            return Ok(Status::Stopped);
        }
        let frozen =
            self.location().is_ok_and(|location| !location.hierarchies().is_empty()) && self.cgroup()?.frozen()?;
        Ok(match frozen {
            true => Status::Paused,
            false if record.phase == Phase::Created && waits(init) => Status::Created,
            false => Status::Running,
        })
    }

    /// Whether its creator had not finished when its record was read.
    fn is_being_made(&self) -> bool {
        self.record.as_ref().is_none_or(|record| record.phase == Phase::Creating)
    }

    fn unfinished(&self) -> Result<Status> {
        Ok(match self.store.try_open(&self.id)? {
            None => Status::Creating,
            Some(_) => Status::Stopped,
        })
    }

    fn init(&self) -> Option<Process> {
        self.record.as_ref().and_then(|record| record.init)
    }

    /// What a child that is its first process sets when it is reaped ([`Child::telling`]).
    pub(crate) fn end(&self) -> Arc<AtomicBool> {
        self.ended.clone()
    }

    pub(crate) fn init_process(&self) -> Option<Process> {
        self.init()
    }

    pub(crate) fn location(&self) -> Result<Location> {
        let cgroup = self.record.as_ref().map(|record| record.cgroup.clone()).unwrap_or_default();
        serde_json::from_value(cgroup)
            .map_err(|error| Error::new(Kind::Corrupt, format!("the cgroup in the container's record: {error}")))
    }

    pub(crate) fn cgroup(&self) -> Result<Cgroup> {
        Ok(Cgroup::open(&self.location()?))
    }

    /// Its place in resctrl, where its config has linux.intelRdt.
    fn class(&self) -> Result<Option<Group>> {
        let class = self.record.as_ref().map(|record| record.resctrl.clone()).unwrap_or_default();
        serde_json::from_value(class).map_err(|error| {
            Error::new(Kind::Corrupt, format!("the class of service in the container's record: {error}"))
        })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Runs the program of a created container.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where it is not created; [`Kind::InvalidSpec`] where its config has no `process`; [`Kind::Program`] where the
    /// program failed; [`Kind::Hook`] where a startContainer or poststart hook did: then the container is deleted.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(|_| Ok(None))
    }

    /// Starts with what `listen` makes once it is sure that nobody else does.
    fn start_with(&mut self, listen: impl FnOnce(&Entry) -> Result<Option<NotifySocket>>) -> Result<()> {
        if self.is_being_made() {
            self.may_start()?; // its creator holds the lock, and may be waiting for us: for its hook
        }
        let entry = self.lock()?;
        self.may_start()?;
        crate::runtime::program_is_given(&self.config)?;
        self.notify = listen(&entry)?;
        let mut message = [0u8; 512];
        let asked = socket::connect_in(entry.dir(), START_SOCKET)
            .and_then(|connection| rustix::io::retry_on_intr(|| rustix::io::read(&connection, &mut message)));
        let length = asked.map_err(|errno| {
            if self.init().is_some_and(|init| init.ends().unwrap_or(false)) {
                return Error::new(Kind::WrongState, "cannot start a container that has stopped");
            }
            // Another start was killed after it had opened the barrier: the program runs, or has run, by now.
            self.may_start().err().unwrap_or_else(|| Error::sys("hear from the container's init", errno))
        })?;
        match launch::start_failure(message.get(..length).unwrap_or_default(), self.config.process.as_ref()) {
            Some(error) if error.kind() == Kind::Hook => {
                drop(entry);
                return Err(self.end_over(error));
            }
            Some(error) => return Err(error),
            // Killed on its way to the program, as in a hook.
            None if self.init().is_some_and(|init| init.is_unborn().unwrap_or(false)) => {
                return Err(launch::died(None));
            }
            None => {}
        }
        // Nobody listens there any more; a `delete` has not to look for it.
        let _ = rustix::fs::unlinkat(entry.dir(), START_SOCKET, rustix::fs::AtFlags::empty());
        if let Some(record) = &mut self.record {
            record.phase = Phase::Started;
            // The program runs, so the start has not failed whatever becomes of its note: [`waits`] knows without it.
            let _ = entry.write(record);
        }
        drop(entry);
        self.after_start().map_err(|failure| self.end_over(failure))
    }

    fn may_start(&self) -> Result<()> {
        let what = match self.status()? {
            Status::Created => return Ok(()),
            Status::Stopped => "cannot start a container that has stopped",
            Status::Running | Status::Paused => "cannot start an already running container",
            Status::Creating => "cannot start a container that is being created",
        };
        Err(Error::new(Kind::WrongState, what))
    }

    /// The poststart hooks, after the program was started. A failure is for [`Container::end_over`].
    pub(crate) fn after_start(&self) -> Result<()> {
        let hooks = &self.config.hooks.poststart;
        if hooks.is_empty() {
            return Ok(());
        }
        // Its pid also where the program has ended meanwhile: a running container has one (runtime.md#state).
        let pid = self.init().map(|init| init.pid);
        hook::run_all("poststart", hooks, &self.oci_state("running", pid))
    }

    fn oci_state<'a>(&'a self, status: &'a str, pid: Option<i32>) -> crate::state::oci::State<'a> {
        let (id, bundle, annotations) = (self.id(), self.bundle(), &self.config.annotations);
        crate::state::oci::State { id, status, pid, bundle, annotations }
    }

    /// Sends a signal to the first process, with `all` to every process of the container.
    ///
    /// # Errors
    /// [`Kind::WrongState`], `container not running`, where there is nothing to signal.
    pub fn kill(&self, signal: i32, all: bool) -> Result<()> {
        let status = self.status()?;
        let has_cgroup = self.location().is_ok_and(|location| !location.hierarchies().is_empty());
        let outlives_init = !self.has_own_pids() && has_cgroup;
        let left = || self.processes().is_ok_and(|pids| !pids.is_empty());
        if signal == libc::SIGKILL && status == Status::Stopped && outlives_init && left() {
            return self.cgroup()?.kill(); // nothing has taken them along
        }
        // Without a cgroup the end of its own first process is the end of all.
        let by_init = !has_cgroup && signal == libc::SIGKILL && self.has_own_pids();
        let is_question = signal == 0; // the first process answers for all
        if all && status != Status::Creating && !by_init && !is_question {
            let cgroup = self.cgroup()?;
            return match signal {
                libc::SIGKILL => cgroup.kill(),
                _ => self.unless_ended(cgroup.signal_all(known_signal(signal)?)),
            };
        }
        if matches!(status, Status::Stopped | Status::Creating) {
            return Err(not_running());
        }
        let pidfd = self.init().map(|init| init.pidfd()).transpose()?.flatten().ok_or_else(not_running)?;
        match crate::sys::process::signal(pidfd.as_fd(), signal) {
            Ok(()) => {}
            Err(rustix::io::Errno::SRCH) => return Err(not_running()),
            Err(errno) => return Err(Error::sys(format!("send signal {signal} to the container"), errno)),
        }
        if signal == libc::SIGKILL {
            if outlives_init {
                self.cgroup()?.kill()?; // without a pid namespace nothing takes the others along
            } else if status == Status::Paused {
                self.cgroup()?.thaw()?; // a frozen process cannot die on v1
            }
        }
        Ok(())
    }

    fn has_own_pids(&self) -> bool {
        let own = |n: &crate::config::Namespace| n.kind == "pid" && n.path.as_deref().unwrap_or("").is_empty();
        self.config.linux.namespaces.iter().any(own)
    }

    fn lock(&self) -> Result<Entry> {
        self.store.open(&self.id)
    }
}

/// Whether the process still is hull-init at its barrier: the record of a `start` that was killed half-way may say so wrongly.
fn waits(init: Process) -> bool {
    match rustix::fs::readlink(format!("/proc/{}/exe", init.pid), Vec::new()) {
        Ok(path) => path.to_bytes().windows(9).any(|part| part == b"hull-init"),
        Err(_) => true,
    }
}

fn known_signal(signal: i32) -> Result<Signal> {
    Signal::from_named_raw(signal)
        .ok_or_else(|| Error::new(Kind::InvalidArgument, format!("unknown signal \"{signal}\"")))
}

//! What a new process gets from its caller, and what the caller gets of it.

use crate::config::{Config, Process};
use crate::error::{Error, Kind, Result};
use crate::plan::LaunchFacts;
use crate::state;
use crate::sys::socket;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::net::SocketType;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a new process gets from its caller. The default inherits the standard streams and nothing else.
#[derive(Debug, Default)]
pub struct Launch {
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// Where the master of a terminal goes; required where `process.terminal` is true, refused where it is not.
    pub console: Option<Console>,
    /// How many descriptors from 3 on the program inherits. They must be open.
    pub preserve_fds: u32,
    /// Variables beside those of the config.
    pub extra_env: Vec<String>,
    /// `chroot` instead of `pivot_root`, for a host that runs from an initramfs.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// The program gets a socket for sd_notify(3), `$NOTIFY_SOCKET`: see [`Container::notify_socket`](crate::Container::notify_socket). Not for
    /// a process that joins a container.
    pub notify: bool,
    /// A file that gets the process's pid, in decimal and without a newline.
    pub pid_file: Option<PathBuf>,
    /// A socket that gets a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
}

/// Standard streams of a new process.
#[derive(Debug, Default)]
pub enum Stdio {
    /// Those of this process.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// These: input, output, error.
    Fds([OwnedFd; 3]),
}

/// Where the master of a terminal goes.
#[derive(Debug)]
pub enum Console {
    /// A listening unix stream socket.
    Socket(PathBuf),
    /// A connected unix socket.
    Connected(OwnedFd),
}

/// proc(5): no `fs.nr_open` is above this.
const MOST_DESCRIPTORS: u32 = 1 << 30;

/// Open standard streams, above 2 so that none can be lost to another while they are put in place.
pub(crate) struct StdioFds(Vec<OwnedFd>);

impl StdioFds {
    pub(crate) fn numbers(&self) -> [RawFd; 3] {
        match self.0.as_slice() {
            [input, output, error] => [input.as_raw_fd(), output.as_raw_fd(), error.as_raw_fd()],
            [null] => [null.as_raw_fd(); 3],
            _ => [0, 1, 2],
        }
    }
}

impl Launch {
    /// What the plan depends on.
    pub(crate) fn facts(&self) -> LaunchFacts<'_> {
        LaunchFacts {
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            preserve_fds: self.preserve_fds,
            extra_env: &self.extra_env,
            ..LaunchFacts::default()
        }
    }

    /// Whether it can be, before anything is made.
    pub(crate) fn check(&self, terminal: bool) -> Result<()> {
        let invalid = |what: &str| Error::new(Kind::InvalidArgument, what.to_owned()).field("process.terminal");
        match (&self.console, terminal) {
            (None, true) => return Err(invalid("a terminal needs a console socket")),
            (Some(_), false) => return Err(invalid("a console socket needs a process with a terminal")),
            _ => {}
        }
        // More than a process can have; where they end is a number that is reckoned with.
        if self.preserve_fds > MOST_DESCRIPTORS {
            let what = format!("{} preserved descriptors are more than a process can have", self.preserve_fds);
            return Err(Error::new(Kind::InvalidArgument, what));
        }
        for fd in 3..3 + self.preserve_fds {
            // procfs says it without an assumption about who owns the descriptor.
            if std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_err() {
                let what = format!("preserved descriptor {fd} is not open (of {} from 3 on)", self.preserve_fds);
                return Err(Error::new(Kind::InvalidArgument, what));
            }
        }
        Ok(())
    }

    /// Tells of the new process in the ways that were asked for.
    pub(crate) fn announce(&self, pid: i32, pidfd: BorrowedFd<'_>) -> Result<()> {
        if let Some(path) = &self.pidfd_socket {
            send_pidfd(path, pidfd)?;
        }
        // Last, as nothing takes it back: a pidfd tells itself that its process was ended after all.
        if let Some(path) = &self.pid_file {
            write_pid_file(path, pid)?;
        }
        Ok(())
    }

    /// Connects to the console's socket.
    pub(crate) fn console_socket(&self) -> Result<Option<OwnedFd>> {
        match &self.console {
            None => Ok(None),
            Some(Console::Connected(socket)) => {
                socket.try_clone().map(Some).map_err(|error| Error::io("keep the console socket", &error))
            }
            Some(Console::Socket(path)) => socket::connect(path, SocketType::STREAM)
                .map(Some)
                .map_err(|errno| Error::sys(format!("connect to the console socket {path:?}"), errno)),
        }
    }

    /// Opens the standard streams.
    pub(crate) fn stdio_fds(&self) -> Result<StdioFds> {
        let failed = |errno| Error::sys("prepare the standard streams", errno);
        match &self.stdio {
            Stdio::Inherit => Ok(StdioFds(Vec::new())),
            Stdio::Null => {
                let null =
                    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
                Ok(StdioFds(vec![rustix::io::fcntl_dupfd_cloexec(&null, 3).map_err(failed)?]))
            }
            Stdio::Fds(fds) => {
                let above = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(failed);
                Ok(StdioFds(fds.iter().map(above).collect::<Result<_>>()?))
            }
        }
    }
}

/// A process of a container that is a child of this process. Dropping it leaves the process running; it is reaped when its
/// container is deleted by this process.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: OwnedFd,
    /// The first process of its container, to which it is left when nobody waits for it.
    init: Option<state::Process>,
    /// Told when it is reaped.
    ended: Option<Arc<AtomicBool>>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl ExitStatus {
    /// The code a shell would tell: 128 and the signal's number after a signal.
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Exited(code) => code,
            ExitStatus::Signaled(signal) => 128 + signal,
        }
    }

    /// Whether the code is 0.
    pub fn success(self) -> bool {
        self == ExitStatus::Exited(0)
    }
}

/// A child that nobody has taken to wait for.
struct Left {
    process: state::Process,
    init: state::Process,
}

/// Which handle, and which thread, will end a container is open; that processes of it are children of ours is known to this process alone.
static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());

impl Child {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd, init: Option<state::Process>) -> Child {
        Child { pid, pidfd, init, ended: None }
    }

    /// Sets `ended` once it is reaped: nobody has to look for it any more.
    pub(crate) fn telling(mut self, ended: Arc<AtomicBool>) -> Child {
        self.ended = Some(ended);
        self
    }

    /// Leaves a container's first process to whoever takes it.
    pub(crate) fn leave(init: state::Process) {
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(Left { process: init, init });
    }

    /// A container's first process that was left, once; it may have ended.
    pub(crate) fn take(init: state::Process) -> Option<Child> {
        let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        let at = left.iter().position(|one| one.process == init)?;
        let one = left.swap_remove(at);
        drop(left);
        one.child()
    }

    /// All other processes of a container that were left.
    pub(crate) fn take_others(init: state::Process) -> Vec<Child> {
        let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<Left> = left.extract_if(.., |one| one.init == init && one.process != init).collect();
        drop(left);
        taken.into_iter().filter_map(Left::child).collect()
    }

    /// The pid, as this process sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The process, for poll(2) and pidfd_send_signal(2).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills the process and reaps it, where an error leaves nobody to do so.
    pub(crate) fn end(self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL); // it may have ended already
        let _ = self.wait(); // the first error is the one to tell
    }

    /// Leaves the process to whoever is its parent once this process is gone, ended or not: it is not reaped here, whatever
    /// becomes of the container. For a program that ends, as a command line does.
    pub fn abandon(mut self) {
        self.init = None;
    }

    /// Waits for the end and reaps the process: waitid(2) on its pidfd.
    ///
    /// # Errors
    /// ECHILD where somebody else has waited for it.
    pub fn wait(mut self) -> Result<ExitStatus> {
        self.init = None;
        let wait = || rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        let status = rustix::io::retry_on_intr(wait)
            .map_err(|errno| Error::sys(format!("wait for process {}", self.pid), errno))?;
        let status =
            status.ok_or_else(|| Error::new(Kind::System, format!("wait for process {}: no status", self.pid)))?;
        self.ended.iter().for_each(|ended| ended.store(true, Ordering::Release));
        Ok(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Exited(code),
            (None, signal) => ExitStatus::Signaled(signal.unwrap_or(0)),
        })
    }
}

impl Left {
    fn child(self) -> Option<Child> {
        let known = Pid::from_raw(self.process.pid)?;
        let pidfd = rustix::process::pidfd_open(known, PidfdFlags::empty()).ok()?;
        // Not another by now, as it can be where the caller reaps whatever child it has.
        self.process.is_or_was().ok().filter(|same| *same)?;
        Some(Child::new(self.process.pid, pidfd, Some(self.init)))
    }
}

impl Drop for Child {
    /// Reaps the process if it has ended, and leaves it to its container if it runs.
    fn drop(&mut self) {
        let Some(init) = self.init else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if let Ok(None) = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            let process = if self.pid == init.pid { Some(init) } else { state::Process::observe(self.pid).ok() };
            let left = process.map(|process| Left { process, init });
            LEFT.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
        }
    }
}

/// Writes a pid file: complete under its name, or not at all.
fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(format!("write the pid file {path:?}"), &error);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{pid}")); // nobody else's: what a runtime that was killed has left stands in nobody's way
    let temporary = path.with_file_name(name);
    let create = || std::fs::OpenOptions::new().write(true).create_new(true).open(&temporary);
    let write = || {
        let mut file = match create() {
            // Its process had the same pid.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(&temporary)?;
                create()?
            }
            created => created?,
        };
        std::io::Write::write_all(&mut file, pid.to_string().as_bytes())?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = std::fs::remove_file(&temporary); // the first error is the one to tell
        }
        failed(error)
    })
}

/// Sends a pidfd to the socket of a caller who asked for one.
pub(crate) fn send_pidfd(path: &Path, pidfd: BorrowedFd<'_>) -> Result<()> {
    let failed = |errno| Error::sys(format!("send the pidfd to {path:?}"), errno);
    let socket = socket::connect(path, SocketType::STREAM).map_err(failed)?;
    socket::send_fd(socket.as_fd(), b"pidfd", pidfd).map_err(failed)
}

/// Longer user databases are not read: what is in them is the image's.
const LONGEST_PASSWD: u64 = 1 << 20;

/// The home directory of a process's user, where the process has no HOME: from /etc/passwd as the container will see
/// it below `root` (a mount over it comes first), `/` where that does not know the user.
pub(crate) fn home(process: &Process, config: Option<&Config>, root: &Path) -> Option<String> {
    let set = process.env.iter().rev().find_map(|var| var.strip_prefix("HOME="));
    if set.is_some_and(|home| !home.is_empty()) {
        return None;
    }
    let mounted = config.and_then(|config| {
        let over = |m: &&crate::config::Mount| crate::spec::is_bind(m) && m.destination == "/etc/passwd";
        config.mounts.iter().rev().find(over).and_then(|m| m.source.clone())
    });
    let text = match mounted {
        Some(path) => {
            read_small(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?)
        }
        None => {
            let root = rustix::fs::openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .ok()?;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            match rustix::fs::openat2(&root, "etc/passwd", flags, Mode::empty(), resolve) {
                Ok(file) => read_small(file),
                Err(_) => None,
            }
        }
    };
    let uid = process.user.uid.to_string();
    let found = text.as_deref().unwrap_or("").lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.nth(2) == Some(&uid)).then(|| fields.nth(2).unwrap_or("").to_owned())
    });
    Some(found.filter(|home| !home.is_empty()).unwrap_or_else(|| "/".to_owned()))
}

fn read_small(file: OwnedFd) -> Option<String> {
    let stat = rustix::fs::fstat(&file).ok()?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() || stat.st_size as u64 > LONGEST_PASSWD {
        return None;
    }
    std::io::read_to_string(std::fs::File::from(file)).ok()
}

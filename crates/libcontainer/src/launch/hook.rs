//! Hooks that run in the runtime's own namespaces.

use crate::config::Hook;
use crate::error::{Error, Kind, Result};
use crate::spec::annotations;
use crate::state::oci::State;
use crate::sys::clone::{Program, Spawn, spawn};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs hooks in their order, each with `state` on its standard input; the first failure ends it.
pub(crate) fn run_all(name: &str, hooks: &[Hook], state: &State<'_>) -> Result<()> {
    each(name, hooks, state).collect()
}

/// Runs the poststop hooks, each whatever became of those before it (runtime.md#lifecycle); the failures, in words.
pub(crate) fn poststop(hooks: &[Hook], state: &State<'_>) -> Vec<String> {
    each("poststop", hooks, state).filter_map(Result::err).map(|failure| failure.to_string()).collect()
}

fn each<'a>(name: &'a str, hooks: &'a [Hook], state: &'a State<'_>) -> impl Iterator<Item = Result<()>> + 'a {
    hooks.iter().enumerate().map(move |(i, hook)| {
        run(hook, state).map_err(|error| {
            error.context(format_args!("error running {name} hook #{i}")).field(format!("hooks.{name}[{i}]"))
        })
    })
}

/// A file to append to, above the standard streams.
pub(super) fn output(path: &Path) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
    if file.as_raw_fd() > 2 { Ok(file) } else { rustix::io::fcntl_dupfd_cloexec(&file, 3) }
}

fn run(hook: &Hook, state: &State<'_>) -> Result<()> {
    let open = |name| {
        let Some(path) = annotations::value(state.annotations, name) else { return Ok(None) };
        let failed = |errno| Error::sys(format!("open {path:?} for the hooks' output"), errno);
        output(Path::new(path)).map(Some).map_err(|errno| failed(errno).field(annotations::field(name)))
    };
    let outputs = [open(annotations::HOOKS_STDOUT)?, open(annotations::HOOKS_STDERR)?];
    let [stdout, stderr] = [1, 2].map(|own| outputs[own as usize - 1].as_ref().map_or(own, AsRawFd::as_raw_fd));
    let (state, cwd) = (state.to_json(), state.bundle);
    let failed = |errno| Error::sys(format!("run {:?}", hook.path), errno).with_kind(Kind::Hook);
    let text = |text: &[u8]| CString::new(text).map_err(|_| failed(Errno::INVAL));
    let path = text(hook.path.as_bytes())?;
    let args = if hook.args.is_empty() { std::slice::from_ref(&hook.path) } else { &hook.args };
    let args = args.iter().map(|arg| text(arg.as_bytes())).collect::<Result<Vec<_>>>()?;
    // A hook without variables of its own has the runtime's, as with runc.
    let env = match hook.env.as_slice() {
        [] => std::env::vars_os()
            .map(|(k, v)| text(&[k.as_bytes(), b"=", v.as_bytes()].concat()))
            .collect::<Result<Vec<_>>>()?,
        env => env.iter().map(|var| text(var.as_bytes())).collect::<Result<Vec<_>>>()?,
    };
    let cwd = text(cwd.as_os_str().as_bytes())?;
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    // Above the standard streams, which are put in place one after the other.
    let input = rustix::io::fcntl_dupfd_cloexec(&read, 3).map_err(failed)?;
    let spawned = spawn(&Spawn {
        namespaces: 0,
        cgroup: None,
        program: Program::At(&path),
        args: &args,
        env: &env,
        cwd: Some(&cwd),
        keep: &[],
        stdio: [input.as_raw_fd(), stdout, stderr],
        preserve: 0,
        group: false,
    })
    .map_err(|error| Error::new(Kind::Hook, format!("run {:?}", hook.path)).errno(error.raw_os_error().unwrap_or(0)))?;
    drop(input);
    let ended = converse(read, write, &spawned.pidfd, state.as_bytes(), hook.timeout).map_err(failed);
    if !matches!(ended, Ok(true)) {
        let _ = rustix::process::pidfd_send_signal(&spawned.pidfd, Signal::KILL); // it may have ended already
    }
    let wait = || rustix::process::waitid(WaitId::PidFd(spawned.pidfd.as_fd()), WaitIdOptions::EXITED);
    let status = rustix::io::retry_on_intr(wait).map_err(failed)?;
    if !ended? {
        let what = format!("{:?} ran longer than its timeout of {} s", hook.path, hook.timeout.unwrap_or(0));
        return Err(Error::new(Kind::Hook, what));
    }
    match status.map(|status| (status.exit_status(), status.terminating_signal())) {
        Some((Some(0), _)) => Ok(()),
        Some((Some(code), _)) => Err(Error::new(Kind::Hook, format!("{:?}: exit status {code}", hook.path))),
        other => {
            let signal = other.and_then(|(_, signal)| signal).unwrap_or(0);
            Err(Error::new(Kind::Hook, format!("{:?}: {}", hook.path, killed_by(signal))))
        }
    }
}

/// How a hook ended that a signal has killed.
pub(super) fn killed_by(signal: i32) -> String {
    match signal {
        libc::SIGSYS => format!("signal {signal}, bad system call (linux.seccomp forbids it)"),
        _ => format!("signal {signal}"),
    }
}

/// Gives the hook its state and waits for its end, at most `timeout` seconds; whether it ended.
///
/// The end to read stays open here until all is written: a hook that does not read then costs no SIGPIPE.
fn converse(
    read: OwnedFd,
    write: OwnedFd,
    pidfd: &OwnedFd,
    state: &[u8],
    timeout: Option<i64>,
) -> std::result::Result<bool, Errno> {
    rustix::io::ioctl_fionbio(&write, true)?;
    let mut pipe = Some((read, write));
    let mut rest = state;
    // A time that no clock reaches is no limit.
    let deadline = timeout
        .filter(|seconds| *seconds > 0)
        .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds.unsigned_abs())));
    loop {
        if rest.is_empty() {
            pipe = None;
        }
        let mut waits = vec![PollFd::new(pidfd, PollFlags::IN)];
        waits.extend(pipe.as_ref().map(|(_, write)| PollFd::new(write, PollFlags::OUT)));
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match rustix::event::poll(&mut waits, left.as_ref()) {
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
            Ok(0) => return Ok(false),
            Ok(_) if !waits.first().is_none_or(|ended| ended.revents().is_empty()) => return Ok(true),
            Ok(_) => {}
        }
        if let Some((_, write)) = &pipe {
            match rustix::io::write(write, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

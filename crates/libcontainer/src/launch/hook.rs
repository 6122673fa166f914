//! Hooks that run in the runtime's own namespaces.

use crate::config::Hook;
use crate::error::{Error, Kind, Result};
use crate::sys::clone::{Program, program};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs hooks in their order, each with `state` on its standard input; the first failure ends it.
pub(crate) fn run_all(name: &str, hooks: &[Hook], state: &str, cwd: &Path) -> Result<()> {
    for (i, hook) in hooks.iter().enumerate() {
        run(hook, state, cwd).map_err(|error| {
            error.context(format_args!("error running {name} hook #{i}")).field(format!("hooks.{name}[{i}]"))
        })?;
    }
    Ok(())
}

fn run(hook: &Hook, state: &str, cwd: &Path) -> Result<()> {
    let failed = |errno: Errno| Error::sys(format!("run {:?}", hook.path), errno).with_kind(Kind::Hook);
    let text = |text: &str| CString::new(text).map_err(|_| failed(Errno::INVAL));
    let path = text(&hook.path)?;
    let argv = match hook.args.as_slice() {
        [] => vec![path.clone()],
        args => args.iter().map(|arg| text(arg)).collect::<Result<_>>()?,
    };
    let envp = match hook.env.as_slice() {
        [] => own_environment(),
        env => env.iter().map(|variable| text(variable)).collect::<Result<_>>()?,
    };
    let cwd = rustix::fs::open(cwd, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::sys(format!("run {:?} in {cwd:?}", hook.path), errno).with_kind(Kind::Hook))?;
    let input = input(state).map_err(failed)?;
    let what = Program { path: &path, argv: &argv, envp: &envp, cwd: cwd.as_fd(), input: input.as_fd() };
    let child = program(&what).map_err(failed)?.pidfd;
    let Some(status) = wait(&child, hook.timeout).map_err(failed)? else {
        let what = format!("{:?} ran longer than its timeout of {} s", hook.path, hook.timeout.unwrap_or(0));
        return Err(Error::new(Kind::Hook, what));
    };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Error::new(Kind::Hook, format!("{:?}: exit status {code}", hook.path))),
        (None, signal) => Err(Error::new(Kind::Hook, format!("{:?}: signal {}", hook.path, signal.unwrap_or(0)))),
    }
}

/// What a hook without an environment of its own gets.
fn own_environment() -> Vec<CString> {
    let line = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let mut line = name.into_vec();
        line.push(b'=');
        line.extend(value.into_vec());
        CString::new(line).ok()
    };
    std::env::vars_os().filter_map(line).collect()
}

/// A file with the state, to read from its start: unlike a pipe it takes any length, and makes no trouble when nobody reads it.
fn input(state: &str) -> std::result::Result<OwnedFd, Errno> {
    let file = rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC)?;
    let mut rest = state.as_bytes();
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// Waits for the child to end; `None` after it was killed for its timeout (in seconds).
fn wait(child: &OwnedFd, timeout: Option<i64>) -> std::result::Result<Option<WaitIdStatus>, Errno> {
    let reap = || rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED));
    let Some(timeout) = timeout.filter(|seconds| *seconds > 0) else { return reap() };
    let deadline = Instant::now() + Duration::from_secs(timeout.unsigned_abs());
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match rustix::event::poll(&mut [PollFd::new(child, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
            Ok(0) => {
                rustix::process::pidfd_send_signal(child, Signal::KILL)?;
                reap()?;
                return Ok(None);
            }
            Ok(_) => return reap(),
        }
    }
}

//! Hooks that run in the runtime's own namespaces.

use crate::config::Hook;
use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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
    let mut command = Command::new(&hook.path);
    if let Some((name, args)) = hook.args.split_first() {
        command.arg0(name).args(args);
    }
    if !hook.env.is_empty() {
        command.env_clear().envs(hook.env.iter().map(|var| var.split_once('=').unwrap_or((var, ""))));
    }
    let failed = |error: &std::io::Error| Error::io(format!("run {:?}", hook.path), error).with_kind(Kind::Hook);
    let mut child = command.stdin(Stdio::piped()).current_dir(cwd).spawn().map_err(|error| failed(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A state is far smaller than a pipe, so this cannot wait; a hook need not read it (EPIPE).
        let _ = stdin.write_all(state.as_bytes());
    }
    let ended = wait(&mut child, hook.timeout).map_err(|error| failed(&error))?;
    let Some(status) = ended else {
        let what = format!("{:?} ran longer than its timeout of {} s", hook.path, hook.timeout.unwrap_or(0));
        return Err(Error::new(Kind::Hook, what));
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Error::new(Kind::Hook, format!("{:?}: exit status {code}", hook.path))),
        (None, signal) => Err(Error::new(Kind::Hook, format!("{:?}: signal {}", hook.path, signal.unwrap_or(0)))),
    }
}

/// Waits for the child to end; `None` after it was killed for its timeout (in seconds).
fn wait(child: &mut Child, timeout: Option<i64>) -> std::io::Result<Option<std::process::ExitStatus>> {
    let Some(timeout) = timeout.filter(|seconds| *seconds > 0) else { return child.wait().map(Some) };
    let pidfd = Pid::from_raw(child.id() as i32)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(timeout.unsigned_abs());
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
            Ok(0) => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            Ok(_) => return child.wait().map(Some),
        }
    }
}

//! What the parent does for a child that waits.

use super::net_devices::{self, Moved};
use super::{Launch, hook, report};
use crate::error::{Error, Result};
use crate::plan::Act;
use crate::spec::annotations;
use crate::state::oci::State;
use rustix::process::PidfdGetfdFlags;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Performs one act. `extra` is what the child said with its message; `moved` remembers the devices that the host would want back.
pub(super) fn perform(
    act: &Act,
    launch: &mut Launch<'_>,
    pid: i32,
    pidfd: BorrowedFd<'_>,
    extra: i32,
    moved: &mut Option<Moved>,
) -> Result<()> {
    match act {
        Act::RuntimeHooks => {
            // The environment is made, so that step 2 of runtime.md#lifecycle is over and the status no longer "creating".
            let (state, hooks) = (State { status: "created", ..state(launch, pid) }, &launch.config.hooks);
            hook::run_all("prestart", &hooks.prestart, &state)?;
            hook::run_all("createRuntime", &hooks.create_runtime, &state)
        }
        Act::Rlimit(resource, soft, hard) => crate::sys::process::set(pid, *resource, *soft, *hard).map_err(|errno| {
            Error::sys(format!("set limit {resource} to {soft}:{hard}"), errno).field("process.rlimits")
        }),
        Act::Scheduler(policy, attr) => crate::sys::process::set_scheduler(pid, attr)
            .map_err(|errno| report::policy_refused(policy, errno).field("process.scheduler")),
        Act::OomScoreAdj(value) => crate::proc::write(&format!("{pid}/oom_score_adj"), &value.to_string())
            .map_err(|error| error.field("process.oomScoreAdj")),
        Act::TimeOffsets(offsets) => crate::proc::write(&format!("{pid}/timens_offsets"), offsets)
            .map_err(|error| error.field("linux.timeOffsets")),
        Act::Admission => launch.group.as_mut().map_or(Ok(()), |group| group.admit(pid)),
        Act::Delegation { path, owner } => launch.group.as_ref().map_or(Ok(()), |group| {
            let field = |error: Error| error.field(annotations::field(annotations::DELEGATE_CGROUP));
            group.delegate(path, *owner, pid).map_err(field)
        }),
        Act::ClassOfService(group) => group.enter(pid),
        Act::IdMaps => super::id_maps::write(pid, launch.config, launch.host),
        Act::NetDevices(devices) => {
            *moved = Some(net_devices::bring(devices, launch.host, pid, pidfd)?);
            Ok(())
        }
        Act::SeccompListener => listener(launch, pid, pidfd, extra),
    }
}

fn state<'a>(launch: &'a Launch<'_>, pid: i32) -> State<'a> {
    State {
        id: launch.id,
        status: "creating",
        pid: Some(pid),
        bundle: launch.bundle,
        annotations: &launch.config.annotations,
    }
}

/// Takes the listener out of the child, whose own system calls already depend on its agent, and hands it over with
/// config-linux.md's containerProcessState.
fn listener(launch: &Launch<'_>, pid: i32, pidfd: BorrowedFd<'_>, number: i32) -> Result<()> {
    let field = "linux.seccomp.listenerPath";
    let fd = rustix::process::pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty())
        .map_err(|errno| Error::sys("take over the seccomp listener", errno).field(field))?;
    let Some(seccomp) = &launch.config.linux.seccomp else { return Ok(()) };
    // The state is the container's, the pid the process's.
    let state = match &launch.init {
        Some((_, init)) => State { status: "running", ..state(launch, *init) },
        None => state(launch, pid),
    };
    let state = state.to_json();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap_or_default();
    let message = serde_json::json!({
        "ociVersion": crate::state::oci::VERSION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": seccomp.listener_metadata.as_deref().unwrap_or_default(),
        "state": state,
    });
    let path = seccomp.listener_path.as_deref().unwrap_or_default();
    crate::seccomp::deliver(Path::new(path), fd.as_fd(), message.to_string().as_bytes())
        .map_err(|error| error.field(field))
}

//! Hooks that run while the container is made, and the state they read.

use super::builder::{Arg, Builder, Origin, origin};
use super::{Act, Input};
use crate::config::Hook;
use crate::error::Result;
use hull_init::op::{Bytes, HookSpec, Op};
use hull_init::wire::point;

/// prestart and createRuntime: in the runtime's namespaces, once the container's are there.
pub(super) fn runtime(b: &mut Builder<'_>) -> Result<()> {
    let hooks = &b.input.config.hooks;
    if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
        b.meet(origin("hooks.createRuntime", "wait for the runtime's hooks"), point::NAMESPACES, [Act::RuntimeHooks]);
    }
    Ok(())
}

/// createContainer: in the container's namespaces, before its root; their paths are the host's, their working directory is
/// the container's root file system, as with runc.
pub(super) fn create_container(b: &mut Builder<'_>) -> Result<()> {
    let hooks = &b.input.config.hooks;
    if !hooks.create_container.is_empty() {
        let root = [Arg::Fd(b.root)];
        b.call(origin("hooks.createContainer", "enter the root file system's directory"), libc::SYS_fchdir, &root);
    }
    each(b, &hooks.create_container, "createContainer", "creating", &[]);
    Ok(())
}

/// startContainer: inside the container, just before its program, with its environment as default. They are programs of the
/// container, so that what confines its program confines them: capabilities, and the seccomp filter.
pub(super) fn start_container(b: &mut Builder<'_>) -> Result<()> {
    let hooks = &b.input.config.hooks;
    let env = super::program::environment(b);
    each(b, &hooks.start_container, "startContainer", "created", &env);
    Ok(())
}

fn each(b: &mut Builder<'_>, hooks: &[Hook], name: &'static str, status: &str, default_env: &[String]) {
    if hooks.is_empty() {
        return;
    }
    let (before, after) = state(b.input, status);
    let (before_pid, after_pid) = (b.bytes(before.as_bytes()), b.bytes(after.as_bytes()));
    for (i, hook) in hooks.iter().enumerate() {
        let spec = lay_out(b, hook, default_env, before_pid, after_pid);
        b.step(Origin::of_hook(name, i, &hook.path), Op::Hook { spec });
    }
}

impl Origin {
    /// The origin of the step that runs the hook `name[i]`.
    pub(crate) fn of_hook(name: &str, i: usize, path: &str) -> Origin {
        origin(format!("hooks.{name}[{i}]"), format!("run {name} hook #{i}: {path:?}"))
    }
}

fn lay_out(
    b: &mut Builder<'_>,
    hook: &Hook,
    default_env: &[String],
    before_pid: Bytes,
    after_pid: Bytes,
) -> hull_init::op::Addr {
    let path = b.string(&hook.path);
    let argv = if hook.args.is_empty() { b.strings([&hook.path]) } else { b.strings(&hook.args) };
    let envp = b.strings(if hook.env.is_empty() { default_env } else { &hook.env });
    let timeout = hook.timeout.map_or(0, |seconds| (seconds.max(0) as u64).saturating_mul(1000));
    let spec = HookSpec { path, argv, envp, timeout, before_pid, after_pid };
    b.words(
        [spec.path.0, spec.argv.0, spec.envp.0, spec.timeout]
            .into_iter()
            .chain([before_pid, after_pid].into_iter().flat_map(|bytes| [bytes.at.0, u64::from(bytes.len)])),
    )
}

/// runtime.md#state as JSON, in two halves around the pid, which is the one the hook's own namespace knows.
fn state(input: &Input<'_>, status: &str) -> (String, String) {
    let state = crate::state::oci::State {
        id: input.id,
        status,
        pid: None,
        bundle: input.bundle,
        annotations: &input.config.annotations,
    };
    state.around_pid()
}

//! Hooks that run while the container is made, and the state they read.

use super::builder::{Builder, Origin, origin};
use super::{Act, Input, OpenWhat, program, rootfs};
use crate::config::Hook;
use crate::error::Result;
use crate::spec::annotations;
use hull_init::op::{Addr, Bytes, HookSpec, Op, Slot};
use hull_init::wire::point;

/// The hooks of `create`: with the container's namespaces and mounts, before the change of root, so that their paths are the
/// host's (config.md#posix-platform-hooks). prestart and createRuntime run in the runtime's namespaces, createContainer in the
/// container's, without variables of its own with the program's, as with runc.
pub(super) fn create(b: &mut Builder<'_>) -> Result<()> {
    let hooks = &b.input.config.hooks;
    let runtime = !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty();
    if !runtime && hooks.create_container.is_empty() {
        return Ok(());
    }
    rootfs::show(b);
    if runtime {
        b.meet(origin("hooks.createRuntime", "wait for the runtime's hooks"), point::HOOKS, [Act::RuntimeHooks]);
    }
    each(b, &hooks.create_container, "createContainer", "created");
    rootfs::hide(b);
    Ok(())
}

/// startContainer: inside the container, just before its program, with its environment as default. They are programs of the
/// container, so that what confines its program confines them: capabilities, and the seccomp filter.
pub(super) fn start_container(b: &mut Builder<'_>) -> Result<()> {
    let hooks = &b.input.config.hooks;
    each(b, &hooks.start_container, "startContainer", "created");
    Ok(())
}

fn each(b: &mut Builder<'_>, hooks: &[Hook], name: &'static str, status: &str) {
    if hooks.is_empty() {
        return;
    }
    let outputs = outputs(b, hooks);
    let (before, after) = state(b.input, status);
    let default_env = program::environment(b);
    let (before_pid, after_pid) = (b.bytes(before.as_bytes()), b.bytes(after.as_bytes()));
    for (i, hook) in hooks.iter().enumerate() {
        let why = why(name, i, hook);
        let called = b.string(format!("{} {}", why.field, hook.path));
        let spec = lay_out(b, hook, called, &default_env, outputs, [before_pid, after_pid]);
        b.step(why, Op::Hook { spec });
    }
}

/// What the annotations want to be standard output and error of `hooks`, opened once for all.
pub(super) fn outputs(b: &mut Builder<'_>, hooks: &[Hook]) -> [Slot; 2] {
    if hooks.is_empty() {
        return [Slot::NONE; 2];
    }
    if let Some(outputs) = b.hook_outputs {
        return outputs;
    }
    let config = b.input.config;
    let outputs = [annotations::HOOKS_STDOUT, annotations::HOOKS_STDERR].map(|name| {
        let Some(path) = annotations::asked(config, name) else { return Slot::NONE };
        let why = origin(annotations::field(name), format!("open {path:?} for the hooks' output"));
        b.open(OpenWhat::Output { path: path.into() }, why)
    });
    b.hook_outputs = Some(outputs);
    outputs
}

fn why(name: &str, i: usize, hook: &Hook) -> Origin {
    origin(format!("hooks.{name}[{i}]"), format!("run the {name} hook {:?}", hook.path))
}

fn lay_out(
    b: &mut Builder<'_>,
    hook: &Hook,
    name: Addr,
    default_env: &[String],
    outputs: [Slot; 2],
    [before_pid, after_pid]: [Bytes; 2],
) -> Addr {
    let path = b.string(&hook.path);
    let argv = if hook.args.is_empty() { b.strings([&hook.path]) } else { b.strings(&hook.args) };
    let envp = b.strings(if hook.env.is_empty() { default_env } else { &hook.env });
    let timeout = hook.timeout.map_or(0, |seconds| (seconds.max(0) as u64).saturating_mul(1000));
    let [stdout, stderr] = outputs.map(|slot| u64::from(slot.0));
    let spec = HookSpec { name, path, argv, envp, timeout, stdout, stderr, before_pid, after_pid };
    b.words(
        [spec.name.0, spec.path.0, spec.argv.0, spec.envp.0, spec.timeout, spec.stdout, spec.stderr]
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

//! What went wrong in the child, in words: the step's origin, the kernel's reason, the engine's fixed phrases.

use crate::config::Process;
use crate::error::{Error, Kind};
use crate::plan::{Origin, Plan};
use crate::spec::annotations::MOUNT_CONTEXT_TYPES;
use hull_init::op::Op;
use hull_init::wire::{self, Message};
use rustix::io::Errno;

/// EACCES is never the kernel's own answer to a new user namespace.
const NO_USER_NAMESPACES: &str = "a security module does not let this program make user namespaces: AppArmor wants a profile of it with a rule \"userns\"";

/// A message of the child with the text behind it.
pub(super) struct Received<'a> {
    pub head: Message,
    pub text: &'a str,
}

/// Reads a message; `None` if it is none, as at the end of the conversation.
pub(super) fn message(bytes: &[u8]) -> Option<Received<'_>> {
    let (words, text) = bytes.split_at_checked(size_of::<Message>())?;
    let word = |i: usize| words.get(i * 4..i * 4 + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
    let head = Message { kind: word(0), step: word(1), code: word(2), value: word(3) as i32, extra: word(4) as i32 };
    Some(Received { head, text: std::str::from_utf8(text).unwrap_or_default().trim_end_matches('\0') })
}

/// The failure of a step.
pub(super) fn failure(plan: &Plan, program: &str, message: &Received<'_>) -> Error {
    let origin = plan.origins.get(message.head.step as usize).cloned().unwrap_or_default();
    let labelled = plan.origins.iter().any(|origin| origin.field == "process.selinuxLabel");
    step_failure(&origin, &Program { name: program, labelled }, message)
        .step(format!("{} {}", message.head.step, Op::name(message.head.code as u16)))
        .context("unable to start container process")
}

/// The failure of a step after the barrier, as `start` hears of it: from the message alone.
pub(crate) fn start_failure(bytes: &[u8], process: Option<&Process>) -> Option<Error> {
    let message = message(bytes).filter(|message| message.head.kind == wire::FAILED)?;
    let what = match message.text {
        "" => Op::name(message.head.code as u16).to_owned(),
        text => text.to_owned(),
    };
    let origin = Origin { field: "".into(), what: what.into() };
    let labelled = process.is_some_and(|process| process.selinux_label.as_ref().is_some_and(|label| !label.is_empty()));
    let program = Program { name: process.map_or("", Process::program), labelled };
    Some(step_failure(&origin, &program, &message).context("unable to start container process"))
}

/// What is known of the program that an exec is of.
struct Program<'a> {
    name: &'a str,
    /// It was to have an SELinux label.
    labelled: bool,
}

fn step_failure(origin: &Origin, program: &Program<'_>, message: &Received<'_>) -> Error {
    let errno = message.head.value;
    let words = crate::error::errno_words(errno);
    let is = |op: Op| u32::from(op.code()) == message.head.code;
    let null = hull_init::op::Addr(0);
    let error = if is(Op::Find { candidates: null }) || is(Op::Exec { candidates: null, argv: null, envp: null }) {
        return exec_failure(program, errno, message.head.extra != 0).field("process.args");
    } else if is(Op::Hook { spec: null }) {
        let reason = match message.head.extra {
            0 => words,
            -1 => "it ran longer than its timeout".to_owned(),
            status if libc::WIFSIGNALED(status) => super::hook::killed_by(libc::WTERMSIG(status)),
            status => format!("exit status {}", libc::WEXITSTATUS(status)),
        };
        return hook_failure(message.text, &reason);
    } else {
        let text = if message.text.is_empty() || origin.what.contains(message.text) {
            String::new()
        } else {
            format!(": {}", message.text)
        };
        let mut error = Error::new(Kind::System, format!("{}{text}", origin.what)).errno(errno);
        if !message.text.is_empty() {
            error = error.object(message.text);
        }
        match (errno, message.text) {
            (libc::EPERM, _) if origin.what.contains(DEADLINE) => error.hint(NO_DEADLINE),
            (libc::ELOOP | libc::ENOTDIR, _)
                if origin.what.starts_with("mount \"proc\"") || origin.what.starts_with("mount \"sysfs\"") =>
            {
                error.hint("it must be mounted on ordinary directory")
            }
            (libc::EACCES, _) if is(Op::Fork { namespaces: 0 }) => error.hint(NO_USER_NAMESPACES),
            (libc::ENOENT, _) if origin.field == "process.apparmorProfile" => {
                error.hint("the profile is not loaded into the kernel: apparmor_parser loads one")
            }
            (libc::EACCES | libc::EPERM, _) if origin.field == "process.apparmorProfile" => error
                .hint("the runtime is confined itself, and its own profile has no change_profile rule for this one"),
            (libc::EINVAL, _) if origin.field == "process.selinuxLabel" => {
                error.hint("the loaded SELinux policy does not know the label")
            }
            (libc::EINVAL, option) if MOUNT_CONTEXT_TYPES.contains(&option) => error.hint(
                "the loaded SELinux policy does not know the label (linux.mountLabel), or the mount has its own too",
            ),
            _ => error,
        }
    };
    if origin.field.is_empty() { error } else { error.field(origin.field.clone()) }
}

const DEADLINE: &str = "\"SCHED_DEADLINE\"";
const NO_DEADLINE: &str =
    "with linux.resources.cpu.cpus this process scheduler can't be used together with AllowedCPUs";

/// The same where the parent sets the policy.
pub(super) fn policy_refused(policy: &str, errno: Errno) -> Error {
    let what = crate::plan::set_policy(policy);
    let hint = errno == Errno::PERM && what.contains(DEADLINE);
    let error = Error::sys(what, errno).context("unable to start container process");
    if hint { error.hint(NO_DEADLINE) } else { error }
}

/// `name` is what [`hull_init::op::HookSpec::name`] is: the field and the path.
fn hook_failure(name: &str, reason: &str) -> Error {
    let (field, path) = name.split_once(' ').unwrap_or(("hooks", name));
    let place =
        field.strip_prefix("hooks.").and_then(|place| place.strip_suffix(']')).and_then(|place| place.split_once('['));
    let (kind, i) = place.unwrap_or(("a", "?"));
    let what = format!("error running {kind} hook #{i}: {path:?}: {reason}");
    Error::new(Kind::Hook, what).field(field.to_owned())
}

/// What engines look for when a program cannot be run: the words of Go's os/exec.
fn exec_failure(program: &Program<'_>, errno: i32, is_there: bool) -> Error {
    let Program { name: program, labelled } = *program;
    let what = match errno {
        libc::ENOENT if is_there => {
            return Error::new(Kind::Program, format!("exec {program}: no such file or directory"))
                .hint("the file is there, its interpreter (first line, or dynamic loader) is not");
        }
        libc::ENOENT if !program.contains('/') => format!("exec: {program:?}: executable file not found in $PATH"),
        libc::ENOENT => format!("exec: {program:?}: stat {program}: no such file or directory"),
        _ => {
            let error = Error::new(Kind::Program, format!("exec: {program:?}")).errno(errno);
            return match errno {
                libc::EACCES | libc::EPERM if labelled => error.hint(
                    "SELinux may not let it run with its label (process.selinuxLabel): the kernel's log or the audit's says so",
                ),
                _ => error,
            };
        }
    };
    Error::new(Kind::Program, what)
}

/// A clone that the kernel refused: which kind of namespace it can have been about, or why the cgroup takes no process: it has
/// no memory for one, or is of a kind that has none (cgroup-v2.rst, "no internal process constraint" and "threads").
pub(super) fn clone_failure(error: Error, plan: &Plan, into_cgroup: bool) -> Error {
    let error = error.context("unable to start container process");
    match error.raw_os_error() {
        Some(libc::EPERM) if plan.clone & libc::CLONE_NEWUSER as u64 == 0 && plan.clone != 0 => {
            error.field("linux.namespaces").hint("without privileges a container needs a user namespace")
        }
        Some(libc::EACCES) if plan.clone & libc::CLONE_NEWUSER as u64 != 0 => {
            error.field("linux.namespaces").hint(NO_USER_NAMESPACES)
        }
        Some(libc::ENOSPC | libc::EUSERS) => {
            error.field("linux.namespaces").hint("the limit of namespaces is reached (/proc/sys/user/max_*_namespaces)")
        }
        Some(libc::ENOMEM) if into_cgroup => {
            error.field("linux.resources.memory").hint("memory limit too low?")
        }
        Some(libc::EBUSY) => error.field("linux.cgroupsPath").hint(
            "the cgroup passes controllers on to cgroups below it, so that it takes no process of its own: choose another",
        ),
        Some(libc::EOPNOTSUPP) => error.field("linux.cgroupsPath").hint(
            "its cgroup.type is \"domain invalid\", for the one above it is threaded: choose one below a domain",
        ),
        _ => error,
    }
}

/// A child that ended without a message.
pub(crate) fn died(signal: Option<i32>) -> Error {
    let error = match signal {
        Some(signal) => Error::new(Kind::System, format!("container init was killed by signal {signal}")),
        None => Error::new(Kind::System, "container init ended without a word"),
    };
    let error = error.context("unable to start container process");
    if signal == Some(libc::SIGKILL) { error.hint("OOM-killed? (memory limit too low?)") } else { error }
}

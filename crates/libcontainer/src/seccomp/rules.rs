//! What `linux.seccomp` means: every rule of config-linux.md#seccomp, checked without libseccomp and the kernel.

use super::ffi::Condition;
use super::names::{self, ACTIONS, ARCHITECTURES, Action, Architecture, FLAGS, Flag, OPERATORS};
use super::{Filter, compile};
use crate::config::{Seccomp, SeccompArg, SeccompRule};
use crate::{Error, Kind, Result};

/// The errno of an action that carries one and does not say which.
const DEFAULT_ERRNO: u32 = libc::EPERM as u32;

/// A profile whose names are resolved.
pub(super) struct Profile<'a> {
    /// The action for what no rule meets, with its errno.
    pub default: u32,
    /// Whether that action lets system calls run.
    pub permissive: bool,
    /// In the order of the config.
    pub architectures: Vec<&'static Architecture>,
    /// In the order of the config, one for each entry of `syscalls`.
    pub rules: Vec<Rule<'a>>,
    flags: u32,
    notify: bool,
    warnings: Vec<String>,
}

/// One entry of `syscalls`.
pub(super) struct Rule<'a> {
    pub names: &'a [String],
    /// With its errno.
    pub action: u32,
    pub conditions: Vec<Condition>,
}

impl Profile<'_> {
    /// Puts the program and what was found while compiling together with what the profile says itself.
    pub fn finish(self, program: compile::Program, found: Vec<String>) -> (Filter, Vec<String>) {
        let mut warnings = self.warnings;
        warnings.extend(found);
        (Filter { program, flags: self.flags, notify: self.notify }, warnings)
    }
}

/// All faults of a profile, each with its field; none where it can be compiled, as far as can be known without
/// libseccomp and the kernel.
pub fn check(seccomp: &Seccomp) -> Vec<Error> {
    let mut faults = Faults(Vec::new());
    read(seccomp, &mut faults);
    faults.0
}

/// The profile, or its first fault; also refuses flags that the running kernel does not know.
pub(super) fn profile(seccomp: &Seccomp) -> Result<Profile<'_>> {
    let mut faults = Faults(Vec::new());
    let profile = read(seccomp, &mut faults);
    if let Some(first) = faults.0.into_iter().next() {
        return Err(first);
    }
    // The oldest kernel hull runs on (5.14) knows the others.
    if profile.flags & names::WAIT_KILLABLE_RECV != 0
        && let Some(index) = flags(seccomp)
            .position(|flag| flag.is_some_and(|flag| flag.bit == names::WAIT_KILLABLE_RECV && !flag.supported()))
    {
        return Err(Error::new(Kind::Unsupported, format!("this kernel does not know {}", seccomp.flags[index]))
            .field(format!("linux.seccomp.flags[{index}]"))
            .hint("it came with Linux 5.19"));
    }
    Ok(profile)
}

/// Collects the faults, so that one does not hide the next.
struct Faults(Vec<Error>);

impl Faults {
    fn add(&mut self, field: &str, what: impl Into<String>) {
        self.0.push(Error::spec(format!("linux.seccomp.{field}"), what));
    }
}

fn flags(seccomp: &Seccomp) -> impl Iterator<Item = Option<&'static Flag>> {
    seccomp.flags.iter().map(|name| FLAGS.iter().find(|flag| flag.name == name))
}

fn read<'a>(seccomp: &'a Seccomp, faults: &mut Faults) -> Profile<'a> {
    let default = action(&seccomp.default_action, "defaultAction", faults);
    let mut profile = Profile {
        default: with_errno(default, seccomp.default_errno_ret, "defaultErrnoRet", faults),
        permissive: default.is_some_and(|action| action.permissive),
        architectures: Vec::with_capacity(seccomp.architectures.len()),
        rules: Vec::with_capacity(seccomp.syscalls.len()),
        flags: 0,
        notify: false,
        warnings: Vec::new(),
    };
    if profile.default == libc::SECCOMP_RET_USER_NOTIF && default.is_some() {
        // hull-init could not even say that it has installed the filter.
        faults.add("defaultAction", "SCMP_ACT_NOTIFY cannot be used as default action");
    }
    for (index, name) in seccomp.architectures.iter().enumerate() {
        match ARCHITECTURES.iter().find(|architecture| architecture.name == name) {
            Some(architecture) => profile.architectures.push(architecture),
            None => faults.add(&format!("architectures[{index}]"), format!("unknown architecture {name:?}")),
        }
    }
    for (index, rule) in seccomp.syscalls.iter().enumerate() {
        profile.rules.push(self::rule(rule, &format!("syscalls[{index}]"), &mut profile.notify, faults));
    }
    listener(seccomp, profile.notify, faults);
    profile.read_flags(seccomp, faults);
    profile
}

impl Profile<'_> {
    fn read_flags(&mut self, seccomp: &Seccomp, faults: &mut Faults) {
        if seccomp.flags.is_empty() {
            self.flags = names::SPEC_ALLOW;
        }
        for (index, flag) in flags(seccomp).enumerate() {
            match flag {
                Some(flag) if flag.bit == names::WAIT_KILLABLE_RECV && !self.notify => self
                    .warnings
                    .push(format!("linux.seccomp.flags[{index}]: {} has no effect without SCMP_ACT_NOTIFY", flag.name)),
                Some(flag) => self.flags |= flag.bit,
                None => {
                    faults.add(&format!("flags[{index}]"), format!("unknown seccomp flag {:?}", seccomp.flags[index]));
                }
            }
        }
        if self.notify && self.flags & names::TSYNC != 0 {
            self.flags |= names::TSYNC_ESRCH;
        }
    }
}

fn listener(seccomp: &Seccomp, notify: bool, faults: &mut Faults) {
    let path = seccomp.listener_path.as_deref().unwrap_or_default();
    if path.is_empty() {
        if notify {
            faults.add("listenerPath", "SCMP_ACT_NOTIFY needs a listener path");
        }
        if seccomp.listener_metadata.as_deref().is_some_and(|metadata| !metadata.is_empty()) {
            faults.add("listenerMetadata", "listener metadata without a listener path");
        }
    }
}

fn rule<'a>(rule: &'a SeccompRule, field: &str, notify: &mut bool, faults: &mut Faults) -> Rule<'a> {
    if rule.names.is_empty() {
        faults.add(&format!("{field}.names"), "a rule needs at least one system call");
    }
    for (index, name) in rule.names.iter().enumerate() {
        if name.is_empty() {
            faults.add(&format!("{field}.names[{index}]"), "empty string is not a valid system call");
        }
    }
    let action = action(&rule.action, &format!("{field}.action"), faults);
    if action.is_some_and(|action| action.value == libc::SECCOMP_RET_USER_NOTIF) {
        *notify = true;
        if let Some(index) = rule.names.iter().position(|name| name == "write") {
            // hull-init reports through write(2), after the filter is there and before an agent knows of it.
            let field = format!("{field}.names[{index}]");
            faults.add(&field, "SCMP_ACT_NOTIFY cannot be used for the write syscall");
        }
    }
    Rule {
        names: &rule.names,
        action: with_errno(action, rule.errno_ret, &format!("{field}.errnoRet"), faults),
        conditions: rule
            .args
            .iter()
            .enumerate()
            .map(|(index, arg)| condition(arg, &format!("{field}.args[{index}]"), faults))
            .collect(),
    }
}

fn condition(arg: &SeccompArg, field: &str, faults: &mut Faults) -> Condition {
    if arg.index > 5 {
        faults.add(&format!("{field}.index"), format!("a system call has arguments 0 to 5, not {}", arg.index));
    }
    let operator = OPERATORS.iter().find(|operator| operator.name == arg.op);
    if operator.is_none() {
        faults.add(&format!("{field}.op"), unknown("operator", &arg.op));
    }
    let operator = operator.map_or(0, |operator| operator.value);
    Condition { index: arg.index, operator, a: arg.value, b: arg.value_two }
}

fn action(name: &str, field: &str, faults: &mut Faults) -> Option<&'static Action> {
    let found = ACTIONS.iter().find(|action| action.name == name);
    if found.is_none() {
        faults.add(field, unknown("action", name));
    }
    found
}

fn unknown(what: &str, name: &str) -> String {
    if name.is_empty() { format!("missing {what}") } else { format!("unknown {what} {name:?}") }
}

/// The action's value with its errno. A number that the action has no place for is a fault, by the specification.
fn with_errno(action: Option<&Action>, errno: Option<u32>, field: &str, faults: &mut Faults) -> u32 {
    let Some(action) = action else { return 0 };
    match (errno, action.errno) {
        (None, None) => action.value,
        (None, Some(_)) => action.value | DEFAULT_ERRNO,
        (Some(_), None) => {
            faults.add(field, format!("{} takes no errno", action.name));
            action.value
        }
        (Some(errno), Some(largest)) if errno > largest => {
            faults.add(field, format!("errno {errno} is above {largest}"));
            action.value
        }
        (Some(errno), Some(_)) => action.value | errno,
    }
}

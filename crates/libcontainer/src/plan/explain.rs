//! A plan as text for people: what is opened, what the clone makes, and each step with the field that asks for it.

use super::builder::Plan;
use super::{Act, NetDevice, OpenWhat};
use hull_init::op::{Op, Slot};
use std::fmt;

/// A plan to read. Printing it needs no privileges and runs nothing.
pub struct Explanation(Plan);

impl Explanation {
    /// The explanation of a plan.
    pub fn of(plan: Plan) -> Explanation {
        Explanation(plan)
    }

    /// The plan itself.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

const CLONE_NAMES: [(u64, &str); 6] = [
    (libc::CLONE_NEWUSER as u64, "user"),
    (libc::CLONE_NEWPID as u64, "pid"),
    (libc::CLONE_NEWNS as u64, "mount"),
    (libc::CLONE_NEWNET as u64, "network"),
    (libc::CLONE_NEWIPC as u64, "ipc"),
    (libc::CLONE_NEWUTS as u64, "uts"),
];

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.0;
        writeln!(f, "the parent opens")?;
        for open in &plan.opens {
            write!(f, "  {:<18} {}", slot(open.slot), open.origin.what)?;
            if let OpenWhat::Tree(tree) = &open.what {
                for (attr, recursive) in &tree.attrs {
                    write!(f, ", {}", attr_text(attr.set, attr.clear, attr.propagation, *recursive))?;
                }
            }
            field(f, &open.origin.field)?;
        }
        let kinds: Vec<&str> =
            CLONE_NAMES.iter().filter(|(flag, _)| plan.clone & flag != 0).map(|(_, name)| *name).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(" ") };
        writeln!(f, "the parent clones, with new namespaces: {kinds}")?;
        writeln!(f, "the child")?;
        let mut pass = "";
        for (i, step) in plan.steps.iter().enumerate() {
            if plan.passes[i] != pass {
                pass = plan.passes[i];
                writeln!(f, " {pass}")?;
            }
            write!(f, "  {i:>3} {:<14} {}", Op::name(step.op.code()), plan.origins[i].what)?;
            detail(f, plan, &step.op)?;
            if step.out != Slot::NONE {
                write!(f, " -> {}", slot(step.out))?;
            }
            for errno in step.skip.iter().filter(|errno| **errno != 0) {
                write!(f, " [unless: {}]", crate::errno_words(i32::from(*errno)))?;
            }
            field(f, &plan.origins[i].field)?;
            for (_, act) in plan.acts.iter().filter(|(at, _)| *at as usize == i) {
                writeln!(f, "      meanwhile the parent {}", act_text(act))?;
            }
        }
        for warning in &plan.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

fn field(f: &mut fmt::Formatter<'_>, field: &str) -> fmt::Result {
    if field.is_empty() { writeln!(f) } else { writeln!(f, "   ({field})") }
}

fn slot(slot: Slot) -> String {
    match slot {
        Slot::NONE => "nothing".into(),
        Slot::CWD => "the host's paths".into(),
        Slot::SYNC => "the parent".into(),
        Slot(n) => format!("#{n}"),
    }
}

fn act_text(act: &Act) -> String {
    match act {
        Act::RuntimeHooks => "runs the prestart and createRuntime hooks".into(),
        Act::Rlimit(resource, soft, hard) => format!("sets limit {resource} to {soft}:{hard}"),
        Act::Scheduler(policy, _) => format!("sets the scheduling policy {policy:?}"),
        Act::SeccompListener => "sends the listener to linux.seccomp.listenerPath".into(),
        Act::TimeOffsets(_) => "writes the clock offsets".into(),
        Act::IdMaps => "writes the id maps".into(),
        Act::Admission => "has systemd make the cgroup around the process".into(),
        Act::Delegation { path, .. } => {
            format!("moves it to the cgroup {path:?} below, and has those above pass their controllers on")
        }
        Act::ClassOfService(group) => format!("puts it into {group}"),
        Act::NetDevices(devices) => {
            let one = |device: &NetDevice| match &device.name {
                Some(name) => format!("{} into the container as {name}", device.host_name),
                None => format!("{} into the container", device.host_name),
            };
            let all: Vec<String> = devices.iter().map(one).collect();
            format!("moves, with permanent global addresses, and brings up: {}", all.join(", "))
        }
        Act::OomScoreAdj(value) => format!("sets oom_score_adj to {value}"),
    }
}

fn attr_text(set: u64, clear: u64, propagation: u64, recursive: bool) -> String {
    const NAMES: [(u64, &str); 6] = [
        (libc::MOUNT_ATTR_RDONLY, "ro"),
        (libc::MOUNT_ATTR_NOSUID, "nosuid"),
        (libc::MOUNT_ATTR_NODEV, "nodev"),
        (libc::MOUNT_ATTR_NOEXEC, "noexec"),
        (libc::MOUNT_ATTR_NODIRATIME, "nodiratime"),
        (libc::MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
    ];
    const PROPAGATION: [(u64, &str); 4] = [
        (libc::MS_SHARED, "shared"),
        (libc::MS_SLAVE, "slave"),
        (libc::MS_PRIVATE, "private"),
        (libc::MS_UNBINDABLE, "unbindable"),
    ];
    let mut words: Vec<String> = Vec::new();
    words.extend(NAMES.iter().filter(|(bit, _)| set & bit != 0).map(|(_, name)| (*name).to_owned()));
    words.extend(NAMES.iter().filter(|(bit, _)| clear & !set & bit != 0).map(|(_, name)| format!("no longer {name}")));
    words.extend(PROPAGATION.iter().filter(|(bit, _)| propagation & bit != 0).map(|(_, name)| (*name).to_owned()));
    if recursive {
        words.push("with all below".into());
    }
    words.join(" ")
}

/// What the operation's own values add to why it is there.
fn detail(f: &mut fmt::Formatter<'_>, plan: &Plan, op: &Op) -> fmt::Result {
    match *op {
        Op::SetAttr { attr, recursive, .. } => {
            let bytes = plan.bytes(hull_init::op::Bytes { at: attr, len: 32 });
            let word =
                |i: usize| bytes.get(i * 8..i * 8 + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes);
            write!(f, ": {}", attr_text(word(0), word(1), word(2), recursive))
        }
        Op::Filesystem { params, attrs, .. } => {
            let text: Vec<String> = plan
                .bytes(params)
                .split(|b| *b == 0)
                .map(|s| String::from_utf8_lossy(s).trim_start_matches('\u{1}').to_owned())
                .collect();
            let text = text.join(" ");
            let attrs = attr_text(attrs, 0, 0, false);
            write!(f, ": {}", [text.trim(), &attrs].join(" ").trim())
        }
        Op::Seccomp { program, .. } => write!(f, " of {} instructions", program.len / 8),
        Op::DropBounding { keep, .. } => write!(f, ", keeping {keep:#x}"),
        Op::Ambient { set, .. } => write!(f, " {set:#x}"),
        Op::Node { mode, .. } => write!(f, " with mode {:o}", mode & 0o7777),
        _ => Ok(()),
    }
}

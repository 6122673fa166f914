//! The plan under construction: slots, steps with their origins, and the arena of bytes they point into.

use super::{Act, Input, MountAttr, Open, OpenWhat};
use crate::error::{Error, Kind, Result};
use crate::spec::names;
use hull_init::op::{Addr, Bytes, Op, Slot, Step};
use hull_init::wire;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where the arena begins: right behind the header, so that addresses are known before the number of steps is.
const ARENA: u64 = wire::BASE + size_of::<wire::Header>() as u64;

/// Why a step is there: what a failure of it will say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The field of config.json (`mounts[3]`), empty where the runtime itself wants the step.
    pub field: Cow<'static, str>,
    /// What is done, with its object: `mount "tmpfs" on "/dev"`.
    pub what: Cow<'static, str>,
}

/// Shorthand for an [`Origin`].
pub(super) fn origin(field: impl Into<Cow<'static, str>>, what: impl Into<Cow<'static, str>>) -> Origin {
    Origin { field: field.into(), what: what.into() }
}

/// A compiled plan. Plain data: it can be printed, compared, and run any number of times.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What the parent opens before the clone.
    pub opens: Vec<Open>,
    /// CLONE_NEW* flags of the clone.
    pub clone: u64,
    /// What the child does.
    pub steps: Vec<Step>,
    /// For each step, why.
    pub origins: Vec<Origin>,
    /// For each step, the pass it comes from.
    pub passes: Vec<&'static str>,
    /// What the parent does while the child waits at a step: (index of the step, act), in order.
    pub acts: Vec<(u32, Act)>,
    /// Strings, arrays and programs.
    pub arena: Vec<u8>,
    /// Places in the descriptor table.
    pub slots: u16,
    /// Things left undone that the caller should know, such as a capability that cannot be granted.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The file that hull-init maps: `fds` are the numbers of the slots that the parent filled, -1 for the others.
    pub fn lay_out(&self, fds: &[i32]) -> Vec<u8> {
        let align = |n: usize| n.next_multiple_of(8);
        let fds_at = size_of::<wire::Header>() + align(self.arena.len());
        let steps_at = fds_at + align(fds.len() * 4);
        let size = steps_at + self.steps.len() * 64;
        let mut file = Vec::with_capacity(size);
        for word in [wire::MAGIC, size as u64] {
            file.extend_from_slice(&word.to_ne_bytes());
        }
        for word in [fds_at, fds.len(), steps_at, self.steps.len()] {
            file.extend_from_slice(&(word as u32).to_ne_bytes());
        }
        file.extend_from_slice(&self.arena);
        file.resize(fds_at, 0);
        for fd in fds {
            file.extend_from_slice(&fd.to_ne_bytes());
        }
        file.resize(steps_at, 0);
        for step in &self.steps {
            for word in wire::write_step(step) {
                file.extend_from_slice(&word.to_ne_bytes());
            }
        }
        file
    }

    /// The bytes at an address of the arena, up to a NUL.
    pub fn text(&self, at: Addr) -> &str {
        let start = at.0.saturating_sub(ARENA) as usize;
        let tail = self.arena.get(start..).unwrap_or_default();
        let end = tail.iter().position(|&b| b == 0).unwrap_or(tail.len());
        std::str::from_utf8(&tail[..end]).unwrap_or("?")
    }

    /// A range of bytes of the arena.
    pub fn bytes(&self, bytes: Bytes) -> &[u8] {
        let start = bytes.at.0.saturating_sub(ARENA) as usize;
        self.arena.get(start..start + bytes.len as usize).unwrap_or_default()
    }
}

/// What the passes write to.
pub(super) struct Builder<'a> {
    /// What the plan is compiled from.
    pub input: &'a Input<'a>,
    plan: Plan,
    pass: &'static str,
    procfs: Option<Slot>,
    /// The root file system: the attached mount, or the plain directory where there is no mount namespace.
    pub root: Slot,
    /// Directories that this plan has made empty, by their path: what goes right below them needs no search.
    pub fresh: BTreeMap<String, Slot>,
    /// The procfs and sysfs that this plan has mounted, by their path.
    pub kernel_file_systems: Vec<(String, Slot)>,
    /// All paths on which this plan has mounted something.
    pub mounted: Vec<String>,
    /// Where the hooks' standard output and error go, once a hook has needed them.
    pub hook_outputs: Option<[Slot; 2]>,
    /// A /dev that becomes read-only once its devices are made.
    pub readonly_dev: Option<Slot>,
}

impl<'a> Builder<'a> {
    pub fn new(input: &'a Input<'a>) -> Builder<'a> {
        let plan = Plan {
            slots: Slot::SYNC.0 + 1,
            steps: Vec::with_capacity(128),
            origins: Vec::with_capacity(128),
            passes: Vec::with_capacity(128),
            arena: Vec::with_capacity(16 << 10),
            ..Plan::default()
        };
        Builder {
            input,
            plan,
            pass: "",
            procfs: None,
            root: Slot::NONE,
            fresh: BTreeMap::new(),
            kernel_file_systems: Vec::new(),
            mounted: Vec::new(),
            hook_outputs: None,
            readonly_dev: None,
        }
    }

    pub fn pass(&mut self, name: &'static str) {
        self.pass = name;
    }

    pub fn finish(self) -> Result<Plan> {
        if self.plan.slots > Slot::MAX {
            return Err(
                Error::new(Kind::InvalidSpec, "the config needs more descriptors than a plan can hold").field("mounts")
            );
        }
        Ok(self.plan)
    }

    /// Flags of the clone.
    pub fn clone_flags(&mut self, flags: u64) {
        self.plan.clone |= flags;
    }

    pub fn warn(&mut self, text: String) {
        self.plan.warnings.push(text);
    }

    fn slot(&mut self) -> Slot {
        let slot = Slot(self.plan.slots);
        self.plan.slots = self.plan.slots.saturating_add(1);
        slot
    }

    /// Something the parent opens.
    pub fn open(&mut self, what: OpenWhat, origin: Origin) -> Slot {
        let slot = self.slot();
        self.plan.opens.push(Open { slot, what, origin });
        slot
    }

    /// The host's procfs, opened at most once a plan.
    pub fn procfs(&mut self) -> Slot {
        match self.procfs {
            Some(slot) => slot,
            None => {
                let slot = self.open(OpenWhat::Procfs, origin("", "open the host's /proc"));
                self.procfs = Some(slot);
                slot
            }
        }
    }

    /// A step without a result.
    pub fn step(&mut self, origin: Origin, op: Op) {
        self.push(origin, op, Slot::NONE, [0, 0]);
    }

    /// A step that goes on after the errors in `skip`.
    pub fn step_skipping(&mut self, origin: Origin, op: Op, skip: [i32; 2]) {
        self.push(origin, op, Slot::NONE, skip.map(|errno| errno as u16));
    }

    /// A step whose result is a descriptor.
    pub fn step_to_slot(&mut self, origin: Origin, op: Op) -> Slot {
        let slot = self.slot();
        self.push(origin, op, slot, [0, 0]);
        slot
    }

    fn push(&mut self, origin: Origin, op: Op, out: Slot, skip: [u16; 2]) {
        self.plan.steps.push(Step { op, out, skip });
        self.plan.origins.push(origin);
        self.plan.passes.push(self.pass);
    }

    /// A system call as a step; arguments that stand for slots are marked with [`Arg::Fd`].
    pub fn call(&mut self, origin: Origin, number: i64, args: &[Arg]) {
        let op = call(number, args);
        self.step(origin, op);
    }

    /// prctl(2) with one argument.
    pub fn prctl(&mut self, origin: Origin, option: i32, value: u64) {
        let [zero, value] = [0, value].map(Arg::Value);
        self.call(origin, libc::SYS_prctl, &[Arg::Value(option as u64), value, zero, zero, zero]);
    }

    /// The parent acts at a meeting point; one step of the child meets it there.
    pub fn meet(&mut self, origin: Origin, point: u32, acts: impl IntoIterator<Item = Act>) {
        let step = self.plan.steps.len() as u32;
        self.plan.acts.extend(acts.into_iter().map(|act| (step, act)));
        self.step(origin, Op::Meet { point });
    }

    /// The parent acts while the child waits in the step that comes next ([`Op::Seccomp`]).
    pub fn act_at_next_step(&mut self, act: Act) {
        self.plan.acts.push((self.plan.steps.len() as u32, act));
    }

    fn align(&mut self) {
        self.plan.arena.resize(self.plan.arena.len().next_multiple_of(8), 0);
    }

    /// Bytes in the arena, on an eight-byte boundary.
    pub fn bytes(&mut self, bytes: &[u8]) -> Bytes {
        self.align();
        let at = Addr(ARENA + self.plan.arena.len() as u64);
        self.plan.arena.extend_from_slice(bytes);
        Bytes { at, len: bytes.len() as u32 }
    }

    /// A NUL-terminated string in the arena. The rules refuse NUL in every string of a config; what still had one would end there.
    pub fn string(&mut self, text: impl AsRef<OsStr>) -> Addr {
        let at = Addr(ARENA + self.plan.arena.len() as u64);
        self.plan.arena.extend_from_slice(text.as_ref().as_bytes());
        self.plan.arena.push(0);
        at
    }

    /// A null-terminated array of strings, as argv and envp are.
    pub fn strings<S: AsRef<OsStr>>(&mut self, texts: impl IntoIterator<Item = S>) -> Addr {
        let addrs: Vec<u64> = texts.into_iter().map(|text| self.string(text).0).collect();
        self.words(addrs.into_iter().chain([0]))
    }

    /// An array of words.
    pub fn words(&mut self, words: impl IntoIterator<Item = u64>) -> Addr {
        self.align();
        let at = Addr(ARENA + self.plan.arena.len() as u64);
        for word in words {
            self.plan.arena.extend_from_slice(&word.to_ne_bytes());
        }
        at
    }

    /// A `struct mount_attr`.
    pub fn mount_attr(&mut self, attr: MountAttr) -> Addr {
        self.bytes(&attr.to_bytes()).at
    }

    /// Changes the attributes of a mount.
    pub fn set_attr(&mut self, origin: Origin, tree: Slot, attr: MountAttr, recursive: bool) {
        if !attr.is_nothing() {
            let attr = self.mount_attr(attr);
            self.step(origin, Op::SetAttr { tree, attr, recursive });
        }
    }

    /// Whether the parent can make detached mounts for the child.
    pub fn parent_may_mount(&self) -> bool {
        self.input.host.owns_mounts && self.input.host.has_cap(names::CAP_SYS_ADMIN)
    }

    /// Whether the parent should clone what the child will mount: the root of a user namespace may not reach it. Elsewhere the
    /// child has the parent's rights and does so itself, which saves handing the descriptors over.
    pub fn parent_mounts(&self) -> bool {
        self.parent_may_mount() && self.has_namespace("user")
    }

    /// Whether mknod(2) makes devices that work: the kernel refuses in every user namespace but its first.
    pub fn may_make_nodes(&self) -> bool {
        let host = self.input.host;
        !self.has_namespace("user") && !host.in_user_namespace && host.has_cap(names::CAP_MKNOD)
    }

    /// The procfs or sysfs of this plan that a path is in, and the rest of the path, if nothing else is mounted on the way.
    pub fn own_kernel_file_system<'p>(&self, path: &'p str) -> Option<(Slot, &'p str)> {
        let (top, slot) = self.kernel_file_systems.iter().find(|(top, _)| is_below(path, top) && path != top)?;
        let between = |mounted: &String| mounted != top && is_below(path, mounted) && is_below(mounted, top);
        let rest = path.get(top.len() + 1..)?;
        (!self.mounted.iter().any(between)).then_some((*slot, rest))
    }

    /// Whether the config gives the container a namespace of this kind, new or joined.
    pub fn has_namespace(&self, kind: &str) -> bool {
        self.input.config.linux.namespaces.iter().any(|n| n.kind == kind)
    }

    /// Whether the config makes a new namespace of this kind.
    pub fn new_namespace(&self, kind: &str) -> bool {
        let named = |n: &&crate::config::Namespace| n.kind == kind;
        self.input
            .config
            .linux
            .namespaces
            .iter()
            .find(named)
            .is_some_and(|n| n.path.as_deref().unwrap_or("").is_empty())
    }
}

/// An argument of [`Builder::call`].
#[derive(Clone, Copy)]
pub(super) enum Arg {
    /// A number.
    Value(u64),
    /// Something in the arena.
    Addr(Addr),
    /// The descriptor in a slot.
    Fd(Slot),
}

/// A system call as an operation.
pub(super) fn call(number: i64, args: &[Arg]) -> Op {
    let mut words = [0; 6];
    let mut slots = 0;
    for (i, arg) in args.iter().enumerate().take(6) {
        words[i] = match *arg {
            Arg::Value(value) => value,
            Arg::Addr(addr) => addr.0,
            Arg::Fd(slot) => {
                slots |= 1u64 << (32 + i);
                u64::from(slot.0)
            }
        };
    }
    let [a, b, c, d, e, f] = words;
    Op::Call { call: number as u64 | slots, a, b, c, d, e, f }
}

/// A path inside the container, cleaned: relative to the root, without empty, `.` and `..` components.
pub(super) fn inside(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a cleaned path is `dir` or below it.
pub(super) fn is_below(path: &str, dir: &str) -> bool {
    Path::new(path).starts_with(dir)
}

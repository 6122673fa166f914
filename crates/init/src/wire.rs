//! The plan's layout in its memfd, and the messages of the conversation.
//!
//! ```text
//! Header │ descriptors: i32 × slots │ steps: [u64; 8] × steps │ arena: strings, arrays, programs, attributes
//! ```
//! The child maps the file at [`BASE`], read-only, so that the parent can write pointers (argv, envp) as they will be.

use crate::op::{Op, Slot, Step};

/// Where a plan is mapped in hull-init: far from the program, which is linked at a low address, and from stack and vdso.
pub const BASE: u64 = 0x10_0000_0000;

/// Where in a file a plan may begin: at a multiple of the largest page a kernel of this architecture has.
pub const ALIGN: usize = if cfg!(target_arch = "x86_64") { 4096 } else { 65536 };

/// The first bytes of a plan.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// [`MAGIC`], which changes with every change of this layout: both sides are built together, this is a guard.
    pub magic: u64,
    /// Bytes of the whole plan.
    pub size: u64,
    /// Offset of the descriptor table.
    pub fds: u32,
    /// Places in it.
    pub slots: u32,
    /// Offset of the steps.
    pub steps: u32,
    /// How many.
    pub count: u32,
}

/// `hullpln` and the version of the layout.
pub const MAGIC: u64 = u64::from_le_bytes(*b"hullpln\x01");

/// A step on the wire: code, skipped errors and result in the first word, the operation's fields behind it.
pub type RawStep = [u64; 8];

/// Lays a step out.
pub fn write_step(step: &Step) -> RawStep {
    let words = step.op.words();
    let head = u64::from(step.op.code())
        | u64::from(step.skip[0]) << 16
        | u64::from(step.skip[1]) << 32
        | u64::from(step.out.0) << 48;
    [head, words[0], words[1], words[2], words[3], words[4], words[5], words[6]]
}

/// Reads a step; `None` if the operation is unknown.
pub fn read_step(raw: &RawStep) -> Option<Step> {
    let [head, a, b, c, d, e, f, g] = *raw;
    let op = Op::read(head as u16, &[a, b, c, d, e, f, g])?;
    Some(Step { op, out: Slot((head >> 48) as u16), skip: [(head >> 16) as u16, (head >> 32) as u16] })
}

/// A message from the child: this head, and for [`FAILED`] up to [`TEXT`] bytes of text behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// One of the constants below.
    pub kind: u32,
    /// The step (its index in the plan) at which it was sent.
    pub step: u32,
    /// The operation's code.
    pub code: u32,
    /// The errno of a failure, the point that was reached.
    pub value: i32,
    /// The listener's number at [`point::SECCOMP_LISTENER`]; a hook's wait status, or -1 for its timeout, when a hook failed;
    /// 1 when the program is there but not its interpreter; else 0.
    pub extra: i32,
}

/// The text behind a failure is at most this long.
pub const TEXT: usize = 256;

/// The process stands at a meeting point and waits.
pub const REACHED: u32 = 1;
/// The process goes on as another one: as the sender of this, whose pid the kernel tells (SCM_CREDENTIALS in unix(7)), for
/// somebody in the container may be the one who says it.
pub const FORKED: u32 = 2;
/// A step failed; the process exits after this.
pub const FAILED: u32 = 3;
/// Everything before the start is done.
pub const CREATED: u32 = 4;

/// The points at which parent and child meet.
pub mod point {
    /// Namespaces are there, nothing is mounted yet: network devices.
    pub const NAMESPACES: u32 = 1;
    /// Limits that only a process of the initial user namespace may raise.
    pub const RLIMITS: u32 = 2;
    /// The seccomp listener is there.
    pub const SECCOMP_LISTENER: u32 = 3;
    /// Everything is mounted, the root is still the host's: prestart and createRuntime hooks.
    pub const HOOKS: u32 = 4;
    /// Nothing is done yet: the process is to be put into its cgroup.
    pub const ADMISSION: u32 = 5;
    /// The cgroup namespace is there: the process is to be moved below its root.
    pub const DELEGATION: u32 = 6;
    /// The program comes next: the process is to be noted.
    pub const PROGRAM: u32 = 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_survives_the_wire() {
        let step = Step { op: Op::Meet { point: point::RLIMITS }, out: Slot(7), skip: [17, 2] };
        assert_eq!(read_step(&write_step(&step)), Some(step));
    }
}

//! Device rules as a program for the kernel: cgroup version 2 has no files for them.
//!
//! The program is called with `struct bpf_cgroup_dev_ctx` (linux/bpf.h) for each open or mknod of a device file and
//! answers 1 for yes and 0 for no. It goes through the rules from the last to the first and keeps what is still to be
//! allowed:
//!
//! ```text
//!     r2 = kind   r3 = access still to be allowed   r4 = major   r5 = minor
//!     a rule that denies, its devices match, r3 has some of its access   -> no
//!     a rule that allows, its devices match: take its access out of r3; is it empty   -> yes
//!     end                          -> the default
//! ```
//!
//! The kernel checks a program by following every branch, 4 microseconds each: half the cost of a container's cgroup. So
//! rules that differ in nothing but the minor number share theirs. An access of nothing (the kernel asks that for a mere
//! look) may get either answer, for nothing is granted with it.

use super::devices::{Access, Kind, Policy, Rule};
use crate::sys::bpf::Instruction;

// linux/bpf.h and linux/bpf_common.h
const LDX_MEM_W: u8 = 0x61;
const ALU32_AND_K: u8 = 0x54;
const ALU64_LSH_X: u8 = 0x6f;
const ALU64_RSH_K: u8 = 0x77;
const ALU64_MOV_X: u8 = 0xbf;
const ALU64_MOV_K: u8 = 0xb7;
const JMP_JA: u8 = 0x05;
const JMP_EXIT: u8 = 0x95;
const JMP32_JEQ_K: u8 = 0x16;
const JMP32_JNE_K: u8 = 0x56;
const JMP32_JSET_K: u8 = 0x46;
const JMP32_JGT_K: u8 = 0x26;
const JMP32_JLT_K: u8 = 0xa6;
const JMP32_JLE_K: u8 = 0xb6;

const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Where a jump goes that is not yet placed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// Instructions in the making. All jumps go forward.
#[derive(Default)]
struct Assembler {
    program: Vec<Instruction>,
    /// The index of each jump, and where it goes.
    jumps: Vec<(usize, Label)>,
    /// Where each label stands.
    labels: Vec<Option<usize>>,
}

impl Assembler {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.program.push(Instruction { code, registers: from << 4 | to, offset, immediate });
    }

    fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.program.len());
    }

    fn jump(&mut self, code: u8, register: u8, value: u32, label: Label) {
        self.jumps.push((self.program.len(), label));
        self.put(code, register, 0, 0, value as i32);
    }

    fn answer(&mut self, value: bool) {
        self.put(ALU64_MOV_K, 0, 0, 0, i32::from(value));
        self.put(JMP_EXIT, 0, 0, 0, 0);
    }

    fn finish(mut self) -> Option<Vec<Instruction>> {
        for (at, label) in self.jumps {
            let distance = self.labels[label.0]? - at - 1;
            self.program[at].offset = i16::try_from(distance).ok()?;
        }
        Some(self.program)
    }
}

/// The program that decides as `policy` does; `None` if there are more rules than a jump can cross (some ten thousand).
pub(crate) fn compile(policy: &Policy) -> Option<Vec<Instruction>> {
    let mut asm = Assembler::default();
    let (yes, no, block) = (asm.label(), asm.label(), asm.label());
    let default = if policy.default_allow { yes } else { no };
    asm.put(LDX_MEM_W, KIND, 1, 0, 0);
    asm.put(ALU64_MOV_X, ACCESS, KIND, 0, 0);
    asm.put(ALU64_RSH_K, ACCESS, 0, 0, 16);
    asm.put(LDX_MEM_W, MAJOR, 1, 4, 0);
    asm.put(LDX_MEM_W, MINOR, 1, 8, 0);
    // The kinds are two different bits.
    asm.jump(JMP32_JSET_K, KIND, Kind::Block as u32, block);
    // The kernel refuses a program with instructions that are never reached.
    if !rules_of(&mut asm, policy, Kind::Char, yes, no) {
        asm.jump(JMP_JA, 0, 0, default);
    }
    asm.place(block);
    let decided = rules_of(&mut asm, policy, Kind::Block, yes, no);
    // The answers, the default first: the rules for block devices end there.
    for label in if policy.default_allow { [yes, no] } else { [no, yes] } {
        if asm.jumps.iter().any(|(_, to)| *to == label) || (label == default && !decided) {
            asm.place(label);
            asm.answer(label == yes);
        }
    }
    asm.finish()
}

/// The rules for one kind of device, from the last to the first; whether one of them decides in any case. If not, goes on
/// behind them.
fn rules_of(asm: &mut Assembler, policy: &Policy, kind: Kind, yes: Label, no: Label) -> bool {
    let rules: Vec<&Rule> = policy.rules.iter().rev().filter(|rule| rule.devices.kind == kind).collect();
    for group in rules.chunk_by(|a, b| a.devices.major == b.devices.major) {
        let behind = asm.label();
        if let Some(major) = group[0].devices.major {
            match group {
                [all] if all.devices.minor.is_none() && all.access == Access::ALL => {
                    asm.jump(JMP32_JEQ_K, MAJOR, major, if all.allow { yes } else { no });
                    continue;
                }
                _ => asm.jump(JMP32_JNE_K, MAJOR, major, behind),
            }
        }
        // Neighbours that decide the same for one minor number each.
        let plain = |rule: &Rule| rule.access == Access::ALL && rule.devices.minor.is_some();
        for run in group.chunk_by(|a, b| plain(a) && plain(b) && a.allow == b.allow) {
            let answer = if run[0].allow { yes } else { no };
            if plain(run[0]) {
                minors(asm, run.iter().filter_map(|rule| rule.devices.minor).collect(), answer);
            } else {
                one(asm, run[0], yes, no);
            }
            if run[0].access == Access::ALL && run[0].devices.major.is_none() && run[0].devices.minor.is_none() {
                return true;
            }
        }
        asm.place(behind);
    }
    false
}

/// Jumps to `answer` if the minor number is one of `numbers`.
fn minors(asm: &mut Assembler, mut numbers: Vec<u32>, answer: Label) {
    numbers.sort_unstable();
    let ranges: Vec<(u32, u32)> =
        numbers.chunk_by(|a, b| b - a <= 1).map(|range| (range[0], range[range.len() - 1])).collect();
    let next = asm.label();
    // A bit for each number, as many as an operand has without its sign.
    if ranges.len() > 2 && numbers[numbers.len() - 1] <= 30 {
        let mask = numbers.iter().fold(0, |mask, number| mask | 1 << number);
        asm.jump(JMP32_JGT_K, MINOR, 30, next);
        asm.put(ALU64_MOV_K, 0, 0, 0, 1);
        asm.put(ALU64_LSH_X, 0, MINOR, 0, 0);
        asm.jump(JMP32_JSET_K, 0, mask, answer);
    } else {
        for (first, last) in ranges {
            if first == last {
                asm.jump(JMP32_JEQ_K, MINOR, first, answer);
                continue;
            }
            if first > 0 {
                asm.jump(JMP32_JLT_K, MINOR, first, next);
            }
            asm.jump(JMP32_JLE_K, MINOR, last, answer);
        }
    }
    asm.place(next);
}

/// One rule whose kind and major number match already.
fn one(asm: &mut Assembler, rule: &Rule, yes: Label, no: Label) {
    let next = asm.label();
    if let Some(minor) = rule.devices.minor {
        asm.jump(JMP32_JNE_K, MINOR, minor, next);
    }
    if rule.access == Access::ALL {
        asm.jump(JMP_JA, 0, 0, if rule.allow { yes } else { no });
    } else if rule.allow {
        asm.put(ALU32_AND_K, ACCESS, 0, 0, i32::from(Access::ALL.without(rule.access).0));
        asm.jump(JMP32_JEQ_K, ACCESS, 0, yes);
    } else {
        asm.jump(JMP32_JSET_K, ACCESS, u32::from(rule.access.0), no);
    }
    asm.place(next);
}

#[cfg(test)]
#[path = "ebpf_tests.rs"]
mod tests;

//! The answer to system calls that are newer than the profile: `ENOSYS`, so that programs fall back to older ones.
//!
//! A filter's default action is meant for what its author knew of and left out. A system call that came later was
//! never judged, and `EPERM` for it breaks programs: C libraries try the new call first and use the old one on `ENOSYS`
//! only. Nothing tells which system calls an author knew, so the highest number that a profile names on an architecture
//! is taken for the border. libseccomp has but one default action, so the test is put in front of its program.

use super::bpf::{ARCHITECTURE, IF_BITS, IF_EQUAL, IF_GREATER, Instruction, JUMP, LOAD, NUMBER, RETURN};
use super::names::{Architecture, S390, X32};

/// The action.
pub const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Set in the numbers of x32 (`__X32_SYSCALL_BIT`).
const X32_BIT: u32 = 0x4000_0000;

/// The highest system call which the profile names on an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    /// libseccomp's token of the architecture.
    pub token: u32,
    /// The number, on x32 with its bit.
    pub number: u32,
}

/// The instructions which return `ENOSYS` for numbers above the borders, and run on into what follows for all else.
pub fn stub(borders: &[Border]) -> Vec<Instruction> {
    let mut sections: Vec<(u32, Vec<Border>)> = Vec::new();
    for border in borders {
        let audit = Architecture::audit(border.token);
        match sections.iter_mut().find(|(known, _)| *known == audit) {
            Some((_, members)) if members.iter().any(|member| member.token == border.token) => {}
            Some((_, members)) => members.push(*border),
            None => sections.push((audit, vec![*border])),
        }
    }
    let mut sections: Vec<_> = sections.into_iter().map(|(audit, members)| (audit, section(&members))).collect();

    let mut program = Vec::new();
    if !sections.is_empty() {
        program.push(Instruction::plain(LOAD, ARCHITECTURE));
    }
    let mut rest: usize = sections.iter().map(|(_, section)| section.len() + 2).sum();
    for (audit, section) in &mut sections {
        rest -= section.len() + 2;
        let skip = section.len() as u8 + 1; // a section has at most 6 instructions
        program.push(Instruction::branch(IF_EQUAL, *audit, 0, skip));
        program.append(section);
        program.push(Instruction::plain(JUMP, rest as u32)); // below 4096 even for all architectures
    }
    program
}

/// The tests for one architecture, entered with its token seen; left at its end by what passes.
fn section(members: &[Border]) -> Vec<Instruction> {
    let answer = Instruction::plain(RETURN, ENOSYS);
    let mut section = vec![Instruction::plain(LOAD, NUMBER)];
    let plain = members.iter().find(|member| member.token != X32);
    let x32 = members.iter().find(|member| member.token == X32);
    match (plain, x32) {
        (Some(plain), None) if Architecture::audit(X32) == plain.token => section.extend([
            Instruction::branch(IF_BITS, X32_BIT, 2, 0),
            Instruction::branch(IF_GREATER, plain.number, 0, 1),
            answer,
        ]),
        (Some(plain), Some(x32)) => section.extend([
            Instruction::branch(IF_BITS, X32_BIT, 1, 0),
            Instruction::branch(IF_GREATER, plain.number, 1, 2),
            Instruction::branch(IF_GREATER, x32.number, 0, 1),
            answer,
        ]),
        (None, Some(x32)) => section.extend([
            Instruction::branch(IF_BITS, X32_BIT, 0, 2),
            Instruction::branch(IF_GREATER, x32.number, 0, 1),
            answer,
        ]),
        (Some(plain), None) => {
            // Numbers above a byte come to s390 by way of call 0, and stay 0 where the kernel does not know them.
            if S390.contains(&plain.token) {
                section.extend([Instruction::branch(IF_EQUAL, 0, 0, 1), answer]);
            }
            section.extend([Instruction::branch(IF_GREATER, plain.number, 0, 1), answer]);
        }
        (None, None) => {}
    }
    section
}

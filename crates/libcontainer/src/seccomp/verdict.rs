//! What a finished filter answers to a system call, found without the kernel: whether a process may still make it.

use super::ffi::Library;
use super::{Filter, bpf};

/// A system call that is yet to be made: its number, and its arguments as far as they are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// Its number on this architecture.
    pub number: i64,
    /// Its arguments.
    pub arguments: [Option<u64>; 6],
}

impl Filter {
    /// Whether the filter plainly allows each of `calls`, whatever is not known of their arguments.
    pub fn permits(&self, calls: &[Call]) -> bool {
        let architecture = Library::lock().native();
        calls.iter().all(|call| {
            let data = data(architecture, call.number as u32, call.arguments);
            run(&self.program, data).is_some_and(|(verdict, _)| verdict == libc::SECCOMP_RET_ALLOW)
        })
    }
}

/// `struct seccomp_data` word by word.
type Data = [Option<u32>; 16];

/// Where the call comes from is never known.
pub(super) fn data(architecture: u32, number: u32, arguments: [Option<u64>; 6]) -> Data {
    let mut data = [None; 16];
    (data[0], data[1]) = (Some(number), Some(architecture));
    for (i, argument) in arguments.iter().enumerate() {
        // The architectures that hull is built for put the low half first.
        data[4 + 2 * i] = argument.map(|argument| argument as u32);
        data[5 + 2 * i] = argument.map(|argument| (argument >> 32) as u32);
    }
    data
}

/// Runs a program as the kernel does (Documentation/networking/filter.rst, kernel/seccomp.c): the verdict (`SECCOMP_RET_*`) and how many
/// instructions it took. `None` where it depends on what is not known, and of a program that is none.
pub(super) fn run(program: &[u8], data: Data) -> Option<(u32, usize)> {
    let (program, rest) = program.as_chunks::<{ bpf::SIZE }>();
    if !rest.is_empty() || program.len() > bpf::MAX {
        return None;
    }
    let (mut a, mut at) = (Some(0u32), 0usize);
    let mut memory = [None; 16];
    // Jumps lead forward only.
    for steps in 1..=program.len() {
        let [c0, c1, yes, no, k @ ..] = *program.get(at)?;
        let k = u32::from_ne_bytes(k);
        let branch = |holds: bool| usize::from(if holds { yes } else { no });
        at += 1 + match u16::from_ne_bytes([c0, c1]) {
            bpf::LOAD if k.is_multiple_of(4) => {
                a = *data.get(k as usize / 4)?;
                0
            }
            bpf::RECALL => {
                a = *memory.get(k as usize)?;
                0
            }
            bpf::STORE => {
                *memory.get_mut(k as usize)? = a;
                0
            }
            bpf::AND => {
                a = a.map(|a| a & k);
                0
            }
            bpf::JUMP => k as usize,
            bpf::IF_EQUAL => branch(a? == k),
            bpf::IF_GREATER => branch(a? > k),
            bpf::IF_NOT_LESS => branch(a? >= k),
            bpf::IF_BITS => branch(a? & k != 0),
            bpf::RETURN => return Some((k, steps)),
            _ => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(instructions: &[bpf::Instruction]) -> Filter {
        Filter { program: instructions.iter().flat_map(|one| one.to_bytes()).collect(), flags: 0, notify: false }
    }

    #[test]
    fn what_depends_on_the_unknown_is_not_permitted() {
        let allow = bpf::Instruction::plain(bpf::RETURN, libc::SECCOMP_RET_ALLOW);
        let deny = bpf::Instruction::plain(bpf::RETURN, libc::SECCOMP_RET_ERRNO | 1);
        let third = bpf::Instruction::plain(bpf::LOAD, 16 + 2 * 8);
        let filter = filter(&[third, bpf::Instruction::branch(bpf::IF_EQUAL, 7, 0, 1), allow, deny]);
        let call = |argument| Call { number: 1, arguments: [Some(0), Some(0), argument, None, None, None] };
        assert!(filter.permits(&[call(Some(7))]));
        assert!(!filter.permits(&[call(Some(8))]));
        assert!(!filter.permits(&[call(None)]));
        assert!(!filter.permits(&[call(Some(7)), call(None)]));
    }

    #[test]
    fn a_program_that_is_none_permits_nothing() {
        let call = Call { number: 1, arguments: [Some(0); 6] };
        let beyond = bpf::Instruction::plain(bpf::JUMP, 5);
        assert!(!filter(&[]).permits(&[call]));
        assert!(!filter(&[beyond]).permits(&[call]));
        assert!(!filter(&[bpf::Instruction::plain(bpf::LOAD, 64)]).permits(&[call]));
    }
}

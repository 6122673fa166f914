//! Runs a program as the kernel does (Documentation/networking/filter.rst, kernel/seccomp.c), and refuses what the
//! kernel would refuse.

use std::collections::HashMap;

/// `AUDIT_ARCH_X86_64`, which x32 has, too.
pub const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
pub const I386: u32 = 0x4000_0003;
/// `AUDIT_ARCH_AARCH64`.
pub const AARCH64: u32 = 0xc000_00b7;
/// Set in the numbers of x32.
pub const X32: u32 = 0x4000_0000;

pub const ALLOW: u32 = 0x7fff_0000;
pub const KILL: u32 = 0;
pub const KILL_PROCESS: u32 = 0x8000_0000;
pub const TRAP: u32 = 0x0003_0000;
pub const LOG: u32 = 0x7ffc_0000;
pub const TRACE: u32 = 0x7ff0_0000;
pub const NOTIFY: u32 = 0x7fc0_0000;
pub const ENOSYS: u32 = 0x0005_0000 | 38;

pub fn errno(errno: u32) -> u32 {
    0x0005_0000 | errno
}

/// The verdict of `program` on a system call, `SECCOMP_RET_*`.
pub fn verdict(program: &[u8], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    run(program, architecture, number, arguments).0
}

/// The same, with the number of instructions it took.
pub fn run(program: &[u8], architecture: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
    let (program, rest) = program.as_chunks::<8>();
    assert!(rest.is_empty() && !program.is_empty() && program.len() <= 4096);
    let mut data = Vec::new(); // struct seccomp_data
    data.extend(number.to_ne_bytes());
    data.extend(architecture.to_ne_bytes());
    data.extend(0xdead_beef_u64.to_ne_bytes());
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));

    let (mut a, mut at) = (0u32, 0);
    let mut memory = HashMap::new();
    for steps in 1.. {
        let [c0, c1, yes, no, k @ ..] = program[at];
        let k = u32::from_ne_bytes(k);
        let branch = |holds: bool| at + 1 + usize::from(if holds { yes } else { no });
        at = match u16::from_ne_bytes([c0, c1]) {
            0x20 => {
                assert!(k.is_multiple_of(4) && k < 64, "load from {k}");
                a = u32::from_ne_bytes(*data[k as usize..].first_chunk().unwrap());
                at + 1
            }
            0x60 => {
                a = memory[&k]; // BPF_LD | BPF_MEM
                at + 1
            }
            0x02 => {
                memory.insert(k, a); // BPF_ST
                at + 1
            }
            0x54 => {
                a &= k;
                at + 1
            }
            0x05 => at + 1 + k as usize,
            0x15 => branch(a == k),
            0x25 => branch(a > k),
            0x35 => branch(a >= k),
            0x45 => branch(a & k != 0),
            0x06 => return (k, steps),
            code => panic!("instruction {at}: code {code:#x}"),
        };
    }
    unreachable!()
}

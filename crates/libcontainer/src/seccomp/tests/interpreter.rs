//! The verdicts of a program on system calls of any architecture.

use crate::seccomp::verdict::{self, data};

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
    let data = data(architecture, number, arguments.map(Some));
    verdict::run(program, data).expect("a program that the kernel takes")
}

//! riscv64: how a system call is made, and what is numbered differently here.

use core::arch::asm;

#[path = "generic.rs"]
pub mod nr;

/// Makes a system call; the result is the kernel's, with errors as small negative numbers.
///
/// # Safety
/// Whatever the call does to memory and descriptors must be sound.
#[inline(always)]
pub unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps every register but a0; the effect is the caller's promise.
    unsafe {
        asm!(
            "ecall",
            in("a7") nr,
            inlateout("a0") args[0] as isize => result,
            in("a1") args[1],
            in("a2") args[2],
            in("a3") args[3],
            in("a4") args[4],
            in("a5") args[5],
            options(nostack),
        );
    }
    result
}

/// Ends the process by a signal, for want of any system call: an instruction that there is not.
pub fn trap() -> ! {
    // SAFETY: nothing is run after it.
    unsafe { asm!("unimp", options(noreturn)) }
}

/// Refuses to follow a symlink in the last component.
pub const O_NOFOLLOW: u64 = 0o400000;
/// Refuses anything but a directory.
pub const O_DIRECTORY: u64 = 0o200000;

//! aarch64: how a system call is made, and what is numbered differently here.

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
    // SAFETY: the kernel keeps every register but x0; the effect is the caller's promise.
    unsafe {
        asm!(
            "svc 0",
            in("x8") nr,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x5") args[5],
            options(nostack),
        );
    }
    result
}

/// Ends the process by a signal, for want of any system call: an instruction that there is not.
pub fn trap() -> ! {
    // SAFETY: nothing is run after it.
    unsafe { asm!("udf #0", options(noreturn)) }
}

/// Refuses to follow a symlink in the last component.
pub const O_NOFOLLOW: u64 = 0o100000;
/// Refuses anything but a directory.
pub const O_DIRECTORY: u64 = 0o40000;

//! x86_64: how a system call is made, and what is numbered differently here.

use core::arch::asm;

/// Makes a system call; the result is the kernel's, with errors as small negative numbers.
///
/// # Safety
/// Whatever the call does to memory and descriptors must be sound.
#[inline(always)]
pub unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers rcx and r11 and keeps the rest; the effect is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Ends the process by a signal, for want of any system call: an instruction that there is not.
pub fn trap() -> ! {
    // SAFETY: nothing is run after it.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Refuses to follow a symlink in the last component.
pub const O_NOFOLLOW: u64 = 0o400000;
/// Refuses anything but a directory.
pub const O_DIRECTORY: u64 = 0o200000;

/// Numbers of system calls (`arch/x86/entry/syscalls/syscall_64.tbl`).
#[allow(missing_docs)]
pub mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const MMAP: usize = 9;
    pub const MUNMAP: usize = 11;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const GETPID: usize = 39;
    pub const SENDMSG: usize = 46;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const FCNTL: usize = 72;
    pub const GETCWD: usize = 79;
    pub const CHDIR: usize = 80;
    pub const FCHDIR: usize = 81;
    pub const FCHMOD: usize = 91;
    pub const FCHOWN: usize = 93;
    pub const UMASK: usize = 95;
    pub const FSTATFS: usize = 138;
    pub const PIVOT_ROOT: usize = 155;
    pub const PRCTL: usize = 157;
    pub const CHROOT: usize = 161;
    pub const UMOUNT2: usize = 166;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const MKNODAT: usize = 259;
    pub const FCHOWNAT: usize = 260;
    pub const UNLINKAT: usize = 263;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const PPOLL: usize = 271;
    pub const UNSHARE: usize = 272;
    pub const ACCEPT4: usize = 288;
    pub const DUP3: usize = 292;
    pub const PIPE2: usize = 293;
    pub const SETNS: usize = 308;
    pub const SECCOMP: usize = 317;
    pub const STATX: usize = 332;
}

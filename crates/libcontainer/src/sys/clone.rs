//! The one way a process is made: clone3(2) of a child that shares this process's memory until it executes its program.
//!
//! The child runs a few raw system calls on a stack of its own, touches no allocator, no lock and no thread-local of
//! this process, and ends in execveat(2). So it does not matter how many threads and how much memory the caller has.

use crate::error::{Error, Result};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions};
use std::arch::asm;
use std::ffi::{CStr, CString, c_char, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Enough for the child's few frames; it is only touched as far as it is used.
pub(super) const STACK: usize = 16 << 10;

/// What is to be started.
pub struct Spawn<'a> {
    /// CLONE_NEW* flags.
    pub namespaces: u64,
    /// A cgroup v2 directory to start in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// What is executed.
    pub program: Program<'a>,
    /// Its arguments, the name first.
    pub args: &'a [CString],
    /// Its environment.
    pub env: &'a [CString],
    /// Its working directory, if it is not to be the caller's.
    pub cwd: Option<&'a CStr>,
    /// Descriptors the program inherits, under the numbers they have.
    pub keep: &'a [RawFd],
    /// What become its standard streams.
    pub stdio: [RawFd; 3],
    /// Descriptors from 3 on that go along as well.
    pub preserve: u32,
    /// It leads a process group of its own: whatever it forks can be found by that, should it be killed before it has told.
    pub group: bool,
}

/// A program to execute.
pub enum Program<'a> {
    /// An open file.
    Open(BorrowedFd<'a>),
    /// A file at a path.
    At(&'a CStr),
}

/// A child that has executed its program.
pub struct Spawned {
    /// The child's pid.
    pub pid: i32,
    /// The child, whatever becomes of its pid.
    pub pidfd: OwnedFd,
}

/// What parent and child both see while they share memory.
struct Shared {
    stdio: [RawFd; 3],
    first: u32,
    keep: *const RawFd,
    kept: usize,
    program: RawFd,
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    cwd: *const c_char,
    group: bool,
    /// The errno of what failed before the exec, 0 if nothing did.
    failed: AtomicI32,
}

/// Starts a program. This thread sleeps until the child has executed it (CLONE_VFORK), so what both share is safe on its side.
///
/// # Errors
/// What clone3(2) or execveat(2) refuses; there is no child then.
pub fn spawn(what: &Spawn<'_>) -> Result<Spawned> {
    let array = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (array(what.args), array(what.env));
    let (program, path) = match what.program {
        Program::Open(fd) => (fd.as_raw_fd(), c"".as_ptr()),
        Program::At(path) => (libc::AT_FDCWD, path.as_ptr()),
    };
    let shared = Shared {
        stdio: what.stdio,
        first: 3 + what.preserve,
        keep: what.keep.as_ptr(),
        kept: what.keep.len(),
        program,
        path,
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        cwd: what.cwd.map_or(std::ptr::null(), CStr::as_ptr),
        group: what.group,
        failed: AtomicI32::new(0),
    };
    let mut stack = Vec::<u8>::with_capacity(STACK);
    let base = (stack.as_mut_ptr() as usize).next_multiple_of(16);
    let mut pidfd: RawFd = -1;
    let vfork = libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64;
    let mut flags = vfork | libc::CLONE_PIDFD as u64 | CLEAR_SIGNAL_HANDLERS | what.namespaces;
    if what.cgroup.is_some() {
        flags |= INTO_CGROUP;
    }
    let args = CloneArgs {
        flags,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: base as u64,
        stack_size: (STACK - 16) as u64 & !15,
        cgroup: what.cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // SAFETY: `args` is a valid clone_args with a stack that nobody else uses; the child runs `child` with `shared` and
    // never returns from it, and until it has left this memory (CLONE_VFORK) both are alive in this frame.
    let result = unsafe { clone3(&args, child, (&raw const shared).cast_mut().cast()) };
    drop(stack);
    if result < 0 {
        return Err(Error::sys("clone3", Errno::from_raw_os_error(-result as i32)));
    }
    // SAFETY: the kernel put a new descriptor there (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match shared.failed.load(Ordering::Acquire) {
        0 => Ok(Spawned { pid: result as i32, pidfd }),
        errno => {
            let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED); // it says nothing new
            Err(Error::sys("execute", Errno::from_raw_os_error(errno)))
        }
    }
}

/// linux/sched.h; libc's constants of these are too narrow.
pub(super) const CLEAR_SIGNAL_HANDLERS: u64 = 0x1_0000_0000;
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of clone3(2).
#[repr(C)]
#[derive(Default)]
pub(super) struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// All that the child does in this process's memory.
extern "C" fn child(shared: *mut c_void) -> ! {
    // SAFETY: the parent keeps it until this process has executed another program or is gone.
    let shared = unsafe { &*shared.cast::<Shared>() };
    let errno = prepare(shared);
    shared.failed.store(errno, Ordering::Release);
    raw(libc::SYS_exit_group, [127, 0, 0, 0, 0]);
    // Not reached: exit_group(2) cannot fail.
    std::process::abort()
}

/// Returns only on failure, with the errno.
fn prepare(shared: &Shared) -> i32 {
    for (to, from) in shared.stdio.iter().enumerate() {
        if *from as usize != to {
            let result = raw(libc::SYS_dup3, [*from as usize, to, 0, 0, 0]);
            if result < 0 {
                return -result as i32;
            }
        }
    }
    let cloexec = libc::CLOSE_RANGE_CLOEXEC as usize;
    let result = raw(libc::SYS_close_range, [shared.first as usize, u32::MAX as usize, cloexec, 0, 0]);
    if result < 0 {
        return -result as i32;
    }
    for i in 0..shared.kept {
        // SAFETY: `keep` has `kept` elements and lives as long as `shared`.
        let fd = unsafe { *shared.keep.add(i) };
        let result = raw(libc::SYS_fcntl, [fd as usize, libc::F_SETFD as usize, 0, 0, 0]);
        if result < 0 {
            return -result as i32;
        }
    }
    if shared.group {
        let result = raw(libc::SYS_setpgid, [0; 5]);
        if result < 0 {
            return -result as i32;
        }
    }
    if !shared.cwd.is_null() {
        let result = raw(libc::SYS_chdir, [shared.cwd as usize, 0, 0, 0, 0]);
        if result < 0 {
            return -result as i32;
        }
    }
    if shared.program == libc::AT_FDCWD {
        // A Rust program ignores SIGPIPE, and any caller may have blocked signals; hull-init sees to that itself.
        hull_init::sys::process::default_action(libc::SIGPIPE as u32);
        hull_init::sys::process::unblock_all();
    }
    let (path, argv, envp) = (shared.path as usize, shared.argv as usize, shared.envp as usize);
    let result = raw(libc::SYS_execveat, [shared.program as usize, path, argv, envp, libc::AT_EMPTY_PATH as usize]);
    -result as i32
}

/// A system call that leaves errno alone: it is the parent's.
pub(super) fn raw(number: libc::c_long, [a, b, c, d, e]: [usize; 5]) -> isize {
    // SAFETY: the callers above pass descriptors, flags and pointers to live memory.
    match unsafe { hull_init::sys::raw(number as usize, [a, b, c, d, e, 0]) } {
        Ok(result) => result as isize,
        Err(errno) => -isize::from(errno.0 as i16),
    }
}

/// clone3(2), whose child continues in `entry(data)` on the stack of `args`.
///
/// # Safety
/// `args` must describe a stack of the child's own; `entry` must not return and must not touch what the parent changes.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone3(args: &CloneArgs, entry: extern "C" fn(*mut c_void) -> !, data: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: the caller's promises; registers other than those named are kept by the kernel.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") data,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn clone3(args: &CloneArgs, entry: extern "C" fn(*mut c_void) -> !, data: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: the caller's promises; registers other than those named are kept by the kernel.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") args as *const CloneArgs as isize => result,
            in("x1") size_of::<CloneArgs>(),
            in("x20") data,
            in("x21") entry,
        );
    }
    result
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "riscv64")]
pub(super) unsafe fn clone3(args: &CloneArgs, entry: extern "C" fn(*mut c_void) -> !, data: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: the caller's promises; registers other than those named are kept by the kernel.
    unsafe {
        asm!(
            "ecall",
            "bnez a0, 2f",
            "mv a0, s2",
            "jalr s3",
            "unimp",
            "2:",
            in("a7") libc::SYS_clone3,
            inlateout("a0") args as *const CloneArgs as isize => result,
            in("a1") size_of::<CloneArgs>(),
            in("s2") data,
            in("s3") entry,
        );
    }
    result
}

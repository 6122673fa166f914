//! Processes: clone, exec, wait, signals, memory, and the state that prctl(2) and seccomp(2) keep.

use super::{Errno, Fd, Result, Text, call, nr};
use core::sync::atomic::AtomicI32;

/// unshare(2) and setns(2): the time namespace.
pub const CLONE_NEWTIME: u64 = 0x80;

/// prctl(2): whether memory may be dumped and traced.
pub const PR_SET_DUMPABLE: u32 = 4;
/// prctl(2): takes a capability out of the bounding set.
pub const PR_CAPBSET_DROP: u32 = 24;
/// prctl(2): the ambient set.
pub const PR_CAP_AMBIENT: u32 = 47;
/// prctl(2): raises one in it.
pub const PR_CAP_AMBIENT_RAISE: usize = 2;

/// The terminal is gone.
pub const SIGHUP: u32 = 1;
/// The terminal's interrupt.
pub const SIGINT: u32 = 2;
/// The terminal's quit.
pub const SIGQUIT: u32 = 3;
/// The end, without a choice.
pub const SIGKILL: u32 = 9;
/// The end, asked for.
pub const SIGTERM: u32 = 15;
/// A broken pipe.
pub const SIGPIPE: u32 = 13;
/// The end of a child.
pub const SIGCHLD: u32 = 17;

/// Ends the process: exit_group(2). Where a seccomp filter refuses even that, as one does which allows nothing, the processor ends it.
pub fn exit(code: i32) -> ! {
    // SAFETY: nothing of this process is used after it.
    let _ = unsafe { call!(nr::EXIT_GROUP, code) };
    super::arch::trap()
}

/// getpid(2), as the process sees itself.
pub fn getpid() -> i32 {
    // SAFETY: touches no memory.
    unsafe { call!(nr::GETPID) }.map_or(0, |pid| pid as i32)
}

/// A copy of this process that has the same parent, in new `namespaces`: clone(2) with CLONE_PARENT. 0 in the copy.
///
/// # Safety
/// The process has one thread, and no lock is held.
pub unsafe fn clone_sibling(namespaces: u64) -> Result<i32> {
    // SAFETY: without CLONE_VM the copy has its own memory.
    unsafe { call!(nr::CLONE, CLONE_SIBLING | namespaces, 0, 0, 0, 0) }.map(|pid| pid as i32)
}

/// The flags of [`clone_sibling`]: CLONE_PARENT, and SIGCHLD as the signal of its end.
pub const CLONE_SIBLING: u64 = 0x8000 | SIGCHLD as u64;

/// A copy of this process as its child, and a pidfd of it: clone(2) with CLONE_PIDFD. 0 in the child.
///
/// # Safety
/// The process has one thread, and no lock is held.
pub unsafe fn clone_child() -> Result<(i32, Fd)> {
    const CLONE_PIDFD: u64 = 0x1000;
    let mut pidfd: Fd = -1;
    // SAFETY: without CLONE_VM the child has its own memory; the kernel writes the pidfd into an i32.
    let pid = unsafe { call!(nr::CLONE, CLONE_PIDFD | u64::from(SIGCHLD), 0, &raw mut pidfd) }?;
    Ok((pid as i32, pidfd))
}

/// execve(2): returns only to say why not.
///
/// # Safety
/// `argv` and `envp` are null-terminated arrays of strings.
pub unsafe fn execve(path: Text, argv: *const *const u8, envp: *const *const u8) -> Errno {
    // SAFETY: the caller's promise.
    unsafe { call!(nr::EXECVE, path.as_ptr(), argv, envp) }.err().unwrap_or(Errno(0))
}

/// Waits for the end of a child: wait4(2), its status.
pub fn wait(pid: i32) -> Result<i32> {
    let mut status = 0i32;
    loop {
        // SAFETY: the kernel writes the status.
        match unsafe { call!(nr::WAIT4, pid, &raw mut status, 0, 0) } {
            Err(Errno::INTR) => {}
            other => return other.map(|_| status),
        }
    }
}

/// pidfd_send_signal(2).
pub fn signal(pidfd: Fd, signal: u32) {
    // SAFETY: touches no memory. A process that has ended meanwhile needs no signal.
    let _ = unsafe { call!(nr::PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0) };
}

/// One descriptor of ppoll(2); a negative one is passed over.
#[repr(C)]
pub struct Poll {
    /// Which.
    pub fd: Fd,
    /// What is waited for.
    pub events: i16,
    /// What has happened.
    pub revents: i16,
}

/// There is something to read.
pub const POLLIN: i16 = 1;
/// There is room to write.
pub const POLLOUT: i16 = 4;

/// ppoll(2): how many are ready, 0 when the time (seconds, nanoseconds) is over; the kernel counts the rest of the time down in it.
pub fn poll(fds: &mut [Poll], time: Option<&mut [u64; 2]>) -> Result<usize> {
    let time = time.map_or(core::ptr::null_mut(), |time| time.as_mut_ptr());
    // SAFETY: the kernel reads and writes the slice and the time.
    unsafe { call!(nr::PPOLL, fds.as_mut_ptr(), fds.len(), time, 0, 0) }
}

/// The default action for a signal: rt_sigaction(2).
pub fn default_action(signal: u32) {
    // struct sigaction with SIG_DFL, wherever the architecture has a restorer in it.
    let action = [0u64; 4];
    // SAFETY: the kernel reads at most 32 bytes; the default action runs no code of ours.
    let _ = unsafe { call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8) };
}

/// Makes a signal end this process, the first one of a pid namespace as well, for which the kernel has no default actions:
/// rt_sigaction(2).
pub fn end_at(signal: u32) {
    // Without it x86 delivers no signal; nothing comes back here, so that no code is needed at its address.
    const SA_RESTORER: u64 = 0x0400_0000;
    extern "C" fn end(signal: i32) -> ! {
        exit(128 + signal)
    }
    let action = [end as *const () as u64, SA_RESTORER, 0, 0];
    // SAFETY: the kernel reads at most 32 bytes; the handler is one system call and does not return.
    let _ = unsafe { call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8) };
}

/// Blocks no signal: rt_sigprocmask(2).
pub fn unblock_all() {
    let none = 0u64;
    // SAFETY: the kernel reads 8 bytes.
    let _ = unsafe { call!(nr::RT_SIGPROCMASK, 2, &raw const none, 0, 8) };
}

/// prctl(2) with numbers.
pub fn prctl(option: u32, a: usize, b: usize) -> Result<()> {
    // SAFETY: the options used with this take no pointer,.
    unsafe { call!(nr::PRCTL, option, a, b, 0, 0) }.map(drop)
}

/// seccomp(2) SECCOMP_SET_MODE_FILTER: the listener, if `flags` ask for one. `filter` is an array of struct sock_filter.
pub fn seccomp(flags: u32, filter: &[u8]) -> Result<Fd> {
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const u8,
    }
    let len = u16::try_from(filter.len() / 8).map_err(|_| Errno::INVAL)?;
    let program = Program { len, filter: filter.as_ptr() };
    // SAFETY: struct sock_fprog with as many instructions as there are.
    unsafe { call!(nr::SECCOMP, 1, flags, &raw const program) }.map(|fd| fd as Fd)
}

/// setns(2).
pub fn setns(namespace: Fd, kinds: u64) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::SETNS, namespace, kinds) }.map(drop)
}

/// unshare(2).
pub fn unshare(kinds: u64) -> Result<()> {
    // SAFETY: the kinds used with this are namespaces.
    unsafe { call!(nr::UNSHARE, kinds) }.map(drop)
}

/// Maps `size` bytes of a file at `address`, to be read only, or fails if something is there: mmap(2).
pub fn map(address: u64, size: u64, fd: Fd, offset: u64) -> Result<()> {
    const PROT_READ: u32 = 1;
    const MAP_PRIVATE: u32 = 2;
    const MAP_FIXED_NOREPLACE: u32 = 0x100000;
    // SAFETY: nothing that is mapped is replaced. A kernel that does not know the flag does not run hull.
    unsafe { call!(nr::MMAP, address, size, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, offset) }.map(drop)
}

/// A number that this process and the copies it makes of itself have in common.
pub struct Shared(*const AtomicI32);

impl Shared {
    /// A page of shared memory, zero: mmap(2).
    pub fn new() -> Result<Shared> {
        const READ_WRITE: u32 = 3;
        const SHARED_ANONYMOUS: u32 = 0x21;
        // SAFETY: a new mapping where there is none.
        let page = unsafe { call!(nr::MMAP, 0, 4096, READ_WRITE, SHARED_ANONYMOUS, -1i32, 0) }?;
        Ok(Shared(page as *const AtomicI32))
    }

    /// The number.
    pub fn number(&self) -> &AtomicI32 {
        // SAFETY: the page is mapped, zeroed and aligned, and lives as long as `self`.
        unsafe { &*self.0 }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the page is this value's own, and no reference outlives it.
        let _ = unsafe { call!(nr::MUNMAP, self.0, 4096) };
    }
}

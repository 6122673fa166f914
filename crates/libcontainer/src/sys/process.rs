//! Small calls: limits and signals of another process, the time since boot.

use super::mount::last_errno;
use rustix::io::Result;

/// prlimit(2) by the kernel's number of the resource.
pub fn set(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a valid limit to read and nothing to write.
    let result = unsafe {
        libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, std::ptr::null::<libc::rlimit64>())
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// sched_setattr(2) of another process; `attr` is a `struct sched_attr`.
pub fn set_scheduler(pid: i32, attr: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as the first word of `attr` says, which its maker has put there.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, attr.as_ptr(), 0) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// The calling thread's ids, real and effective, of user and group: getresuid(2), getresgid(2).
pub fn ids() -> [(u32, u32); 2] {
    let (mut user, mut group) = ([0; 3], [0; 3]);
    // SAFETY: memory for three numbers each; such a call cannot fail.
    unsafe {
        libc::getresuid(&raw mut user[0], &raw mut user[1], &raw mut user[2]);
        libc::getresgid(&raw mut group[0], &raw mut group[1], &raw mut group[2]);
    }
    [user, group].map(|[real, effective, _]| (real, effective))
}

/// pidfd_send_signal(2) with any signal number, real-time ones included.
pub fn signal(pidfd: std::os::fd::BorrowedFd<'_>, signal: i32) -> Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: no signal info is passed.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// CLOCK_BOOTTIME: the time since boot, sleep included, without a system call (vdso(7)).
pub fn since_boot() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: memory for the answer; the clock is older than any kernel that hull runs on.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    std::time::Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

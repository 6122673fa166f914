//! Resource limits of another process.

use super::mount::last_errno;
use rustix::io::Result;

/// prlimit(2) by the kernel's number of the resource.
pub fn set(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a valid limit to read and nothing to write.
    let result = unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, std::ptr::null::<libc::rlimit64>()) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// pidfd_send_signal(2) with any signal number, real-time ones included.
pub fn signal(pidfd: std::os::fd::BorrowedFd<'_>, signal: i32) -> Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: no signal info is passed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

//! System calls which have no safe wrapper, two of the seccomp agent and one of keys: the only unsafe code of the harness.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What the kernel tells about a system call that waits: `struct seccomp_notif`, in the agent's words.
#[derive(Debug, Clone, Copy)]
pub struct Notification {
    /// The cookie the answer carries.
    pub id: u64,
    /// The thread that waits, in the agent's pid namespace.
    pub pid: u32,
    /// The system call's number.
    pub nr: i32,
}

/// Waits for one notification: `SECCOMP_IOCTL_NOTIF_RECV` of seccomp_unotify(2).
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: seccomp_notif is plain integers, for which all zeroes is a value, and the one the kernel demands.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is borrowed for the call and the pointer is to a whole struct of the size the request names.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &raw mut notification) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Notification { id: notification.id, pid: notification.pid, nr: notification.data.nr })
}

/// Answers a notification: `SECCOMP_IOCTL_NOTIF_SEND` of seccomp_unotify(2). `Err` as `outcome` makes the call fail.
pub fn answer(listener: BorrowedFd<'_>, id: u64, outcome: Result<i64, i32>) -> io::Result<()> {
    let (val, error) = match outcome {
        Ok(value) => (value, 0),
        Err(errno) => (0, -errno),
    };
    let mut response = libc::seccomp_notif_resp { id, val, error, flags: 0 };
    // SAFETY: the descriptor is borrowed for the call and the pointer is to a whole struct of the size the request names.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The security label of a key: `KEYCTL_GET_SECURITY` of keyctl(2).
pub fn key_label(key: i32) -> io::Result<String> {
    const GET_SECURITY: i32 = 17;
    let mut label = [0u8; 4096];
    // SAFETY: the kernel writes at most as many bytes as it is told the buffer has, which lives until after the call.
    let len = unsafe { libc::syscall(libc::SYS_keyctl, GET_SECURITY, key, label.as_mut_ptr(), label.len()) };
    if len < 0 {
        return Err(io::Error::last_os_error());
    }
    let text = label[..len as usize].split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

const RECEIVE: u64 = read_write(0, size_of::<libc::seccomp_notif>());
const SEND: u64 = read_write(1, size_of::<libc::seccomp_notif_resp>());

/// `_IOWR('!', number, size)` on the architectures hull is built for.
const fn read_write(number: u64, size: usize) -> u64 {
    (3 << 30) | ((size as u64) << 16) | ((b'!' as u64) << 8) | number
}

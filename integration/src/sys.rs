//! System calls which have no safe wrapper, two of the seccomp agent, one of keys and a filter: the only unsafe code of the harness.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// A system call that a program does not get to make, and what it hears instead.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// The call's number.
    pub call: i64,
    /// Only with this as its fourth argument.
    pub fourth: Option<u32>,
    /// The error number.
    pub errno: i32,
}

/// Has the command put on a seccomp filter for the refusal before its program runs. The caller is root.
pub fn refuse(command: &mut Command, refusal: Refusal) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const SAME: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const END: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jf| libc::sock_filter { code, jt: 0, jf, k };
    // struct seccomp_data: the number, the architecture, the instruction's address, six arguments.
    let mut filter =
        vec![step(LOAD, 0, 0), step(SAME, refusal.call as u32, if refusal.fourth.is_some() { 3 } else { 1 })];
    if let Some(value) = refusal.fourth {
        filter.extend([step(LOAD, 16 + 3 * 8, 0), step(SAME, value, 1)]);
    }
    filter.push(step(END, libc::SECCOMP_RET_ERRNO | refusal.errno as u32, 0));
    filter.push(step(END, libc::SECCOMP_RET_ALLOW, 0));
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the program points to as many steps as it says, which live as long as this closure.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(install) };
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

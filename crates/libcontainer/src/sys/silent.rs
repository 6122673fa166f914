//! Children of a moment that nobody hears of: without a signal at their end, waited for by whoever made them.
//!
//! As hull-init before its exec they share this process's memory, run a few raw system calls on a stack of their own, and touch no
//! allocator, no lock and no thread-local. Their descriptors are copies: what they open, no other child of this process has. Only a
//! socket of another network namespace is meant for this process, and its maker shares the table.

use super::clone::{CLEAR_SIGNAL_HANDLERS, CloneArgs, STACK, clone3, raw};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, IoSlice};
use std::ffi::{CStr, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Runs `entry(data)` in a child, and `meanwhile` with its pid here; returns when the child has ended.
///
/// # Safety
/// `entry` must not return, and must not touch more of this memory than `data`, which has to be valid during this call.
unsafe fn with_child<T>(
    flags: u64,
    entry: extern "C" fn(*mut c_void) -> !,
    data: *const c_void,
    meanwhile: impl FnOnce(i32) -> T,
) -> Result<T, Errno> {
    let mut stack = Vec::<u8>::with_capacity(STACK);
    let base = (stack.as_mut_ptr() as usize).next_multiple_of(16);
    let mut pidfd: RawFd = -1;
    let args = CloneArgs {
        flags: libc::CLONE_VM as u64 | libc::CLONE_PIDFD as u64 | CLEAR_SIGNAL_HANDLERS | flags,
        pidfd: &raw mut pidfd as u64,
        stack: base as u64,
        stack_size: (STACK - 16) as u64 & !15,
        ..CloneArgs::default()
    };
    // SAFETY: the stack is the child's alone and outlives it, as `data` does: both are here until it has ended.
    let result = unsafe { clone3(&args, entry, data.cast_mut()) };
    if result < 0 {
        return Err(Errno::from_raw_os_error(-result as i32));
    }
    // SAFETY: the kernel put a new descriptor there (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let value = meanwhile(result as i32);
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // Without an exit signal only __WALL asks for it, and no handler and no wait of the caller's does.
    // SAFETY: a pidfd of ours and memory for the answer.
    while unsafe {
        libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as u32, info.as_mut_ptr(), libc::WEXITED | libc::__WALL)
    } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    drop(stack);
    Ok(value)
}

/// Ends the child.
fn exit() -> ! {
    raw(libc::SYS_exit_group, [0; 5]);
    // Not reached: exit_group(2) cannot fail.
    std::process::abort()
}

/// A user namespace with these maps (as /proc/PID/uid_map has them), for id-mapped mounts: made by a child that does
/// nothing but wait until the maps are written and the namespace is open.
///
/// # Errors
/// What the kernel refuses of the namespace or of the maps.
pub fn user_namespace(uids: &str, gids: &str) -> Result<OwnedFd, Errno> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let waits_at = read.as_raw_fd();
    let meanwhile = |pid: i32| {
        let of_child = |file: &str| format!("/proc/{pid}/{file}");
        let put = |file: &str, text: &str| {
            std::fs::write(of_child(file), text).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
        };
        let open = || rustix::fs::open(of_child("ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let namespace = put("uid_map", uids).and_then(|()| put("gid_map", gids)).and_then(|()| open());
        drop(write);
        namespace
    };
    // SAFETY: the child reads a number that lives in this frame.
    unsafe { with_child(libc::CLONE_NEWUSER as u64, waiter, (&raw const waits_at).cast(), meanwhile) }?
}

/// Waits for the end of the pipe's writers and ends.
extern "C" fn waiter(pipe: *mut c_void) -> ! {
    // SAFETY: the parent keeps the number until this process is gone.
    let read = unsafe { *pipe.cast::<RawFd>() } as usize;
    // Another thread's pipe in this copy of the table would keep that thread's child waiting, and that one's ours.
    if read > 0 {
        raw(libc::SYS_close_range, [0, read - 1, 0, 0, 0]);
    }
    raw(libc::SYS_close_range, [read + 1, u32::MAX as usize, 0, 0, 0]);
    let mut byte = 0u8;
    raw(libc::SYS_read, [read, &raw mut byte as usize, 1, 0, 0]);
    exit()
}

/// What the writer of a file is told, and what it tells.
struct Writing {
    dir: RawFd,
    name: *const libc::c_char,
    parts: *const c_void,
    count: usize,
    /// How many bytes were written, or a negative errno.
    result: AtomicI32,
}

/// Makes the file `name` in `dir`, mode 0555, of these parts, without this process ever having it open for writing: another
/// thread's child would have a copy of such a descriptor, and the file could not be executed as long as that lives (ETXTBSY).
///
/// # Errors
/// Those of openat(2) and writev(2); ENOSPC where less than all was written.
pub fn write_program(dir: BorrowedFd<'_>, name: &CStr, parts: &[IoSlice<'_>]) -> Result<(), Errno> {
    let writing = Writing {
        dir: dir.as_raw_fd(),
        name: name.as_ptr(),
        parts: parts.as_ptr().cast(),
        count: parts.len(),
        result: AtomicI32::new(-libc::EINTR),
    };
    // SAFETY: the child reads what lives in this frame or longer, and writes the atomic only.
    unsafe { with_child(0, writer, (&raw const writing).cast(), |_| ()) }?;
    match writing.result.load(Ordering::Acquire) {
        written if written < 0 => Err(Errno::from_raw_os_error(-written)),
        written if written as usize == parts.iter().map(|part| part.len()).sum::<usize>() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

extern "C" fn writer(writing: *mut c_void) -> ! {
    // SAFETY: the parent keeps it until this process is gone.
    let writing = unsafe { &*writing.cast::<Writing>() };
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
    let mut result = raw(libc::SYS_openat, [writing.dir as usize, writing.name as usize, flags as usize, 0o555, 0]);
    if result >= 0 {
        // std::io::IoSlice and rustix's are `struct iovec`.
        result = raw(libc::SYS_writev, [result as usize, writing.parts as usize, writing.count, 0, 0]);
    }
    writing.result.store(result as i32, Ordering::Release);
    exit()
}

/// Whose network namespace to enter, and what came of it.
struct Entering {
    process: RawFd,
    /// The socket, or a negative errno.
    result: AtomicI32,
}

/// A socket for rtnetlink(7) in the network namespace of a process. No thread of this one enters it: a child does.
///
/// # Errors
/// Those of setns(2) and socket(2).
pub fn route_socket_of(pidfd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let entering = Entering { process: pidfd.as_raw_fd(), result: AtomicI32::new(-libc::EINTR) };
    // SAFETY: the child reads what lives in this frame, and writes the atomic only.
    unsafe { with_child(libc::CLONE_FILES as u64, socket_maker, (&raw const entering).cast(), |_| ()) }?;
    match entering.result.load(Ordering::Acquire) {
        // SAFETY: the child made it in the table it shared with this process, and is gone.
        socket if socket >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(socket) }),
        errno => Err(Errno::from_raw_os_error(-errno)),
    }
}

extern "C" fn socket_maker(entering: *mut c_void) -> ! {
    // SAFETY: the parent keeps it until this process is gone.
    let entering = unsafe { &*entering.cast::<Entering>() };
    let mut result = raw(libc::SYS_setns, [entering.process as usize, libc::CLONE_NEWNET as usize, 0, 0, 0]);
    if result >= 0 {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let protocol = libc::NETLINK_ROUTE;
        result = raw(libc::SYS_socket, [libc::AF_NETLINK as usize, kind as usize, protocol as usize, 0, 0]);
    }
    entering.result.store(result as i32, Ordering::Release);
    exit()
}

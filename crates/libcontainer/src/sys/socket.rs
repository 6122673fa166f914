//! Unix sockets: conversations of whole messages, and descriptors that travel with them.

use rustix::io::{IoSlice, Result};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Both ends of a conversation in whole messages.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Has the kernel tell with each message who sent it ([`receive`]): SO_PASSCRED in unix(7).
pub fn ask_for_senders(socket: BorrowedFd<'_>) -> Result<()> {
    rustix::net::sockopt::set_socket_passcred(socket, true)
}

/// A message, and the pid of its sender as this process sees it, 0 where it sees none.
pub fn receive(socket: BorrowedFd<'_>, message: &mut [u8]) -> Result<(usize, i32)> {
    // rustix has no SCM_CREDENTIALS of a sender outside of one's own pid namespace, whose pid is 0.
    let mut control = [0usize; 8];
    let mut part = libc::iovec { iov_base: message.as_mut_ptr().cast(), iov_len: message.len() };
    // SAFETY: msghdr is numbers and pointers, for which zeroes are values.
    let mut head: libc::msghdr = unsafe { std::mem::zeroed() };
    (head.msg_iov, head.msg_iovlen) = (&raw mut part, 1);
    (head.msg_control, head.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control) as _);
    // SAFETY: `head` describes the message and the control buffer, both of which are borrowed for the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut head, libc::MSG_CMSG_CLOEXEC) };
    let length = usize::try_from(length).map_err(|_| super::mount::last_errno())?;
    // SAFETY: the kernel has filled `head` in, and what CMSG_FIRSTHDR finds lies in the control buffer.
    let pid = unsafe {
        match libc::CMSG_FIRSTHDR(&raw const head).as_ref() {
            Some(part) if (part.cmsg_level, part.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                libc::CMSG_DATA(part).cast::<libc::ucred>().read_unaligned().pid
            }
            _ => 0,
        }
    };
    Ok((length, pid))
}

/// A connection to the socket at `path`.
pub fn connect(path: &Path, kind: SocketType) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// A connection to the socket with a name of no file (unix(7), "abstract").
pub fn connect_abstract(name: &[u8], kind: SocketType) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    Ok(socket)
}

/// A socket that listens at `name` in the directory `dir`, however long its path is (unix(7) allows 108 bytes).
pub fn listen_in(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(short(dir, name))?)?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

/// A socket for datagrams at `name` in the directory `dir`.
pub fn datagrams_in(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(short(dir, name))?)?;
    Ok(socket)
}

/// A connection to the socket `name` in the directory `dir`.
pub fn connect_in(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    connect(Path::new(&short(dir, name)), SocketType::SEQPACKET)
}

fn short(dir: BorrowedFd<'_>, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())
}

/// Sends `message` with one descriptor (SCM_RIGHTS).
pub fn send_fd(socket: BorrowedFd<'_>, message: &[u8], fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

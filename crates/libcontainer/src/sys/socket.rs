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

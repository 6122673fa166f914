//! Hands the descriptor of a filter's notifications to the agent that is to answer them.

use crate::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Connects to the agent's socket and sends `state`, a container process state as JSON, with the descriptor: one
/// connection, one state, as config-linux.md#seccomp has it. Blocks until the agent has taken it.
///
/// # Errors
/// What connect(2) or sendmsg(2) say, with the field `linux.seccomp.listenerPath`.
pub fn deliver(listener: &Path, descriptor: BorrowedFd<'_>, state: &[u8]) -> Result<()> {
    send(listener, descriptor, state).map_err(|(operation, errno)| {
        Error::sys(format!("{operation} seccomp agent at {listener:?}"), errno)
            .field("linux.seccomp.listenerPath")
            .object(listener.display().to_string())
    })
}

fn send(listener: &Path, descriptor: BorrowedFd<'_>, state: &[u8]) -> std::result::Result<(), (&'static str, Errno)> {
    let socket = connect(listener).map_err(|errno| ("failed to connect with", errno))?;
    let mut rest = state;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    // The descriptor goes with the first bytes; where a signal cut the message, the rest follows without one.
    loop {
        match rustix::net::sendmsg(&socket, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(("failed to send to", errno)),
        }
        if rest.is_empty() {
            return Ok(());
        }
        control.clear();
    }
}

fn connect(listener: &Path) -> std::result::Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // An address has room for 107 bytes; a longer path is reached through its descriptor.
    let (address, _held) = match SocketAddrUnix::new(listener) {
        Ok(address) => (address, None),
        Err(Errno::NAMETOOLONG) => {
            let held = rustix::fs::open(listener, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            (SocketAddrUnix::new(format!("/proc/self/fd/{}", held.as_raw_fd()))?, Some(held))
        }
        Err(errno) => return Err(errno),
    };
    loop {
        match rustix::net::connect(&socket, &address) {
            Err(Errno::INTR) => {}
            result => return result.map(|()| socket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    use std::io::{IoSliceMut, Read, Seek, SeekFrom, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;

    fn receive(listener: &UnixListener) -> (Vec<u8>, Vec<OwnedFd>) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0; 16];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let buffers = &mut [IoSliceMut::new(&mut first)];
        let count = rustix::net::recvmsg(&stream, buffers, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
        let descriptors = control
            .drain()
            .flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
                _ => Vec::new(),
            })
            .collect();
        let mut text = first[..count].to_vec();
        stream.read_to_end(&mut text).unwrap(); // ends only because the sender closed the connection
        (text, descriptors)
    }

    #[test]
    fn the_agent_gets_one_state_and_the_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        // A path longer than an address is bound by a shorter way.
        let short = dir.path().join("s");
        std::os::unix::fs::symlink(&deep, &short).unwrap();
        for (bind, path) in
            [(dir.path().join("a.sock"), dir.path().join("a.sock")), (short.join("b.sock"), deep.join("b.sock"))]
        {
            let listener = UnixListener::bind(&bind).unwrap();
            let state = vec![b'x'; 300_000];
            let agent = std::thread::spawn(move || receive(&listener));
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"the very file").unwrap();
            deliver(&path, file.as_fd(), &state).unwrap();
            let (text, descriptors) = agent.join().unwrap();
            assert!(text == state, "{} bytes", text.len());
            assert_eq!(descriptors.len(), 1);
            let mut received = std::fs::File::from(descriptors.into_iter().next().unwrap());
            received.seek(SeekFrom::Start(0)).unwrap();
            let mut content = String::new();
            received.read_to_string(&mut content).unwrap();
            assert_eq!(content, "the very file");
        }
    }

    #[test]
    fn no_agent_is_an_error_with_its_field() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let error = deliver(&path, std::io::stderr().as_fd(), b"{}").unwrap_err();
        assert_eq!(error.config_field(), Some("linux.seccomp.listenerPath"));
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        drop(UnixListener::bind(&path).unwrap());
        let error = deliver(&path, std::io::stderr().as_fd(), b"{}").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED), "{error}");
    }
}

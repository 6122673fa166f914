//! The service manager that waits for this call, `$NOTIFY_SOCKET` (sd_notify(3)): it hears when the container is ready.

use crate::failure::Failure;
use crate::log::Log;
use libcontainer::{Container, NotifySocket, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// How long the manager may take to acknowledge; one that is older than the barrier never does.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Whether somebody waits to hear.
pub fn wanted() -> bool {
    address().is_some()
}

fn address() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
}

/// The manager's socket, where there is one.
pub struct Manager(OwnedFd);

impl Manager {
    /// Connects to the socket in the environment.
    pub fn connect() -> std::result::Result<Option<Manager>, Failure> {
        let Some(address) = address() else { return Ok(None) };
        let connected = || {
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            let to = match address.as_bytes() {
                [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
                path => SocketAddrUnix::new(path)?,
            };
            rustix::net::connect(&socket, &to)?;
            Ok(Manager(socket))
        };
        let failed = |errno: Errno| {
            let error = std::io::Error::from(errno);
            Failure::io(format!("connect to $NOTIFY_SOCKET {}", address.display()), &error)
        };
        connected().map(Some).map_err(failed)
    }

    /// Says what the program said, and which process to watch from now on.
    pub fn ready(&self, line: &str, main: i32) -> std::result::Result<(), Failure> {
        for message in [format!("{line}\n"), format!("MAINPID={main}\n")] {
            rustix::net::send(&self.0, message.as_bytes(), SendFlags::NOSIGNAL).map_err(unheard)?;
        }
        Ok(())
    }

    /// Waits until the manager has read all of it (sd_notify_barrier(3)): what comes from a process that is gone by then is
    /// not to be told from a stranger's word.
    pub fn barrier(&self) -> std::result::Result<(), Failure> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(unheard)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [write.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let message = [IoSlice::new(b"BARRIER=1")];
        rustix::net::sendmsg(&self.0, &message, &mut control, SendFlags::NOSIGNAL).map_err(unheard)?;
        drop(write);
        let mut closed = [PollFd::new(&read, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut closed, Some(&PATIENCE))).map(drop).map_err(unheard)
    }
}

fn unheard(errno: Errno) -> Failure {
    Failure::io("notify the service manager".to_owned(), &std::io::Error::from(errno))
}

/// Between a container and the manager: the container's READY is passed on, once.
pub struct Relay {
    manager: Manager,
    socket: NotifySocket,
}

impl Relay {
    /// Between `container`, whose socket it takes, and the manager, if there are both.
    pub fn between(container: &mut Container, manager: Option<Manager>) -> Option<Relay> {
        Some(Relay { manager: manager?, socket: container.notify_socket()? })
    }

    /// Waits until the program is ready, then tells the manager, whose service is the program from then on. A program that
    /// ends before it is ready leaves nothing to tell.
    pub fn wait(&self, container: &Container) -> std::result::Result<(), Failure> {
        match container.wait_ready(&self.socket)? {
            None => Ok(()),
            Some(line) => self.manager.ready(&line, container.pid()).and_then(|()| self.manager.barrier()),
        }
    }

    /// Passes on what has come in; whether that was all there is to pass on. The service is this process, which stays and needs no barrier.
    pub fn pass(&self, log: &Log) -> Result<bool> {
        let Some(line) = self.socket.ready()? else { return Ok(false) };
        if let Err(failure) = self.manager.ready(&line, std::process::id().cast_signed()) {
            log.warning(&failure.text);
        }
        Ok(true)
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

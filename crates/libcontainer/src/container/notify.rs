//! sd_notify(3) for a container's program: a socket of the container's own, and what is heard there.
//!
//! ```text
//! create   notify/ in the container's directory  ──►  bound to /run/notify, $NOTIFY_SOCKET set
//! start    bind notify/notify.sock, start, wait: READY=1 or the program's end
//! ```
//!
//! The program never reaches the socket of the host, whose manager would believe it: only its READY is taken.

use super::Container;
use crate::config::{Config, Mount};
use crate::error::{Error, Kind, Result};
use crate::state::Entry;
use crate::sys::socket;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The directory with the socket: in the container's directory, and below /run in the container.
const DIRECTORY: &str = "notify";
/// The socket, from the container's directory.
const SOCKET: &str = "notify/notify.sock";
/// systemd's own limit for one notification is far below.
const LONGEST: usize = 4096;

/// Where a container's program says that it is ready.
#[derive(Debug)]
pub struct NotifySocket(OwnedFd);

impl NotifySocket {
    /// Binds the socket of a container whose directory has a place for it.
    pub(crate) fn bind(entry: &Entry) -> Result<NotifySocket> {
        let dir = entry.dir();
        // One that is there already was a start's that has been killed.
        let _ = rustix::fs::unlinkat(dir, SOCKET, AtFlags::empty());
        let bound = socket::datagrams_in(dir, SOCKET).and_then(|socket| {
            // Whichever user the program is.
            rustix::fs::chmodat(dir, SOCKET, Mode::from_raw_mode(0o777), AtFlags::empty())?;
            Ok(socket)
        });
        bound.map(NotifySocket).map_err(|errno| match errno {
            Errno::NOENT => Error::new(Kind::WrongState, "the container was created without a socket for sd_notify(3)"),
            errno => Error::sys("make the container's socket for sd_notify(3)", errno),
        })
    }

    /// The `READY=` line that has come in, if one has. Does not wait.
    ///
    /// # Errors
    /// What recv(2) refuses.
    pub fn ready(&self) -> Result<Option<String>> {
        let mut message = [0; LONGEST];
        loop {
            let length = match rustix::net::recv(&self.0, &mut message, RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::sys("hear from the container's program", errno)),
            };
            let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default());
            if let Some(line) = text.lines().find(|line| line.starts_with("READY=")) {
                return Ok(Some(line.to_owned()));
            }
        }
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Makes the place of the socket, and the config that has it.
pub(crate) fn prepare(entry: &Entry, config: &Config) -> Result<Config> {
    rustix::fs::mkdirat(entry.dir(), DIRECTORY, Mode::from_raw_mode(0o755))
        .map_err(|errno| Error::sys("make the directory of the container's socket for sd_notify(3)", errno))?;
    let mut config = config.clone();
    config.mounts.push(Mount {
        destination: format!("/run/{DIRECTORY}"),
        source: Some(entry.path().join(DIRECTORY).to_string_lossy().into_owned()),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec(),
        ..Mount::default()
    });
    if let Some(process) = &mut config.process {
        process.env.push(format!("NOTIFY_SOCKET=/run/{SOCKET}"));
    }
    Ok(config)
}

impl Container {
    /// As [`Container::start`], of a container created with [`Launch::notify`](crate::Launch::notify), and listens for its program's word
    /// that it is ready: see [`Container::notify_socket`].
    ///
    /// # Errors
    /// As [`Container::start`]; [`Kind::WrongState`] too where the container was created without.
    pub fn start_notifying(&mut self) -> Result<()> {
        self.start_with(|entry| NotifySocket::bind(entry).map(Some))
    }

    /// Where the program says that it is ready (sd_notify(3)): once, after [`Runtime::run`](crate::Runtime::run) with
    /// [`Launch::notify`](crate::Launch::notify) or after [`Container::start_notifying`].
    pub fn notify_socket(&mut self) -> Option<NotifySocket> {
        self.notify.take()
    }

    /// Waits until the program says that it is ready, with its own `READY=` line, or has ended.
    ///
    /// # Errors
    /// What poll(2) and recv(2) refuse.
    pub fn wait_ready(&self, socket: &NotifySocket) -> Result<Option<String>> {
        let pidfd = self.init().map(|init| init.pidfd()).transpose()?.flatten();
        let Some(pidfd) = pidfd else { return socket.ready() };
        loop {
            let mut fds = [PollFd::new(socket, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None))
                .map_err(|errno| Error::sys("wait for the container's program", errno))?;
            let ended = fds.last().is_some_and(|pidfd| !pidfd.revents().is_empty());
            // What it said just before its end counts.
            match socket.ready()? {
                None if !ended => {}
                ready => return Ok(ready),
            }
        }
    }
}

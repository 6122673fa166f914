//! A process in the foreground: until it ends, hull forwards signals to it, serves its terminal, and buries orphans.
//!
//! One thread waits in poll(2) for signals (signalfd), the process's end (its pidfd) and the terminal.

use crate::failure::{Failure, Outcome};
use crate::log::Log;
use crate::notify::Relay;
use crate::terminal::{Streams, Terminal};
use libcontainer::signal::{self, Signals};
use libcontainer::{Child, Console, Error, ExitStatus};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, set_child_subreaper, wait};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Everything that is made ready before the process is, so that no signal is lost between.
pub struct Foreground {
    signals: Signals,
    /// Our end of the socket that the terminal comes through, and the library's.
    socket: Option<(OwnedFd, Option<OwnedFd>)>,
    subreaper: bool,
    /// To the service manager, until the program has said that it is ready.
    pub relay: Option<Relay>,
}

impl Foreground {
    /// Blocks signals for the rest of the call; with `subreaper`, orphans of the container become this process's children
    /// (`PR_SET_CHILD_SUBREAPER`).
    pub fn begin(terminal: bool, subreaper: bool) -> Result<Foreground, Failure> {
        let signals = Signals::block_all().map_err(|error| Failure::io("signalfd", &error))?;
        let socket = if terminal {
            let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
            let (ours, theirs) = pair.map_err(|errno| Error::sys("make a socket for the terminal", errno))?;
            Some((ours, Some(theirs)))
        } else {
            None
        };
        if subreaper {
            // Which pid is said makes no difference: prctl(2) takes it as a yes.
            set_child_subreaper(Some(Pid::INIT)).map_err(|errno| Error::sys("become a subreaper", errno))?;
        }
        Ok(Foreground { signals, socket, subreaper, relay: None })
    }

    /// Where the library shall put the terminal's master, once.
    pub fn console(&mut self) -> Option<Console> {
        self.socket.as_mut().and_then(|(_, theirs)| theirs.take()).map(Console::Connected)
    }

    /// Passes on what was written to the terminal of a process that has not come to its program: a hook's own word on why it failed.
    pub fn last_words(&mut self) {
        let (stdin, stdout, stderr) = (rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr());
        let streams = Streams { input: stdin, output: stdout, error: stderr };
        // Without a terminal there is nothing, and the launch's failure is the one to tell.
        let received = self.socket.take().map(|(socket, _)| Terminal::receive(&socket, streams));
        let Some(Ok(mut terminal)) = received else { return };
        while !terminal.drained() {
            terminal.serve(|fd| fd.as_raw_fd() == stdout.as_raw_fd());
        }
    }

    /// Stays with the process to its end, and returns its exit code. Should that fail, the process is killed.
    pub fn attend(&mut self, child: Child, log: &Log) -> Outcome {
        match self.follow(&child, log) {
            Ok(reaped) => {
                let status = match reaped {
                    Some(status) => status,
                    None => child.wait()?,
                };
                log.debug(&format!("process {status:?}"));
                Ok(u8::try_from(status.code()).unwrap_or(u8::MAX))
            }
            Err(error) => {
                // The first error is the one to tell.
                drop(signal::send(child.pidfd(), libc::SIGKILL));
                drop(child.wait());
                Err(error.into())
            }
        }
    }

    /// Returns when the process has ended and its output is passed on; with its status, if it was reaped on the way.
    fn follow(&mut self, child: &Child, log: &Log) -> Result<Option<ExitStatus>, Error> {
        let (stdin, stdout, stderr) = (rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr());
        let streams = Streams { input: stdin, output: stdout, error: stderr };
        let mut terminal = self.socket.take().map(|(socket, _)| Terminal::receive(&socket, streams)).transpose()?;
        let mut status = None;
        let mut ended = false;
        loop {
            let ready = self.wait(child.pidfd(), ended, terminal.as_ref())?;
            ended |= ready.contains(&child.pidfd().as_raw_fd());
            if self.relay.as_ref().map(|relay| relay.pass(log)).transpose()? == Some(true) {
                self.relay = None;
            }
            if ended && terminal.is_none() {
                return Ok(status);
            }
            while let Some(signal) = self.signals.next().map_err(|error| Error::io("read signals", &error))? {
                match signal {
                    libc::SIGWINCH => terminal.iter().for_each(Terminal::resize),
                    libc::SIGCHLD if self.subreaper && !ended => status = status.or(bury(child.pid())?),
                    libc::SIGCHLD | libc::SIGURG | libc::SIGPIPE => {}
                    // Whoever waits for the last of the output has had enough.
                    libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT if ended => return Ok(status),
                    // A process that has just ended gets no signals.
                    other => drop(signal::send(child.pidfd(), other)),
                }
            }
            ended |= status.is_some();
            if let Some(terminal) = terminal.as_mut() {
                terminal.serve(|fd| ready.contains(&fd.as_raw_fd()));
            }
            if ended && terminal.as_mut().is_none_or(Terminal::drained) {
                return Ok(status);
            }
        }
    }

    /// Waits for the next event; the descriptors that have one.
    fn wait(&self, pidfd: BorrowedFd<'_>, ended: bool, terminal: Option<&Terminal<'_>>) -> Result<Vec<i32>, Error> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if !ended {
            fds.push(PollFd::from_borrowed_fd(pidfd, PollFlags::IN));
        }
        fds.extend(self.relay.iter().map(|relay| PollFd::new(relay, PollFlags::IN)));
        fds.extend(
            terminal.into_iter().flat_map(Terminal::interests).map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)),
        );
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(errno) => return Err(Error::sys("poll", errno)),
        }
        Ok(fds.iter().filter(|fd| !fd.revents().is_empty()).map(|fd| fd.as_fd().as_raw_fd()).collect())
    }
}

/// Reaps every child that has ended. The one attended to is among them only if it ended since it was last looked at; its
/// status is the result.
fn bury(attended: i32) -> Result<Option<ExitStatus>, Error> {
    let mut result = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_pid() == attended => {
                let exited = status.exit_status().map(ExitStatus::Exited);
                result = exited.or(status.terminating_signal().map(ExitStatus::Signaled));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(result),
            Err(errno) => return Err(Error::sys("wait for orphans", errno)),
        }
    }
}

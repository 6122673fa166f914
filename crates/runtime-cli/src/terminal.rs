//! A container's terminal, served in the foreground: bytes both ways, the window's size, and the caller's own terminal
//! raw for as long, as ssh -t does it.

use libcontainer::Error;
use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The bytes that may be written at once where poll(2) says "writable" without blocking: `PIPE_BUF`.
const CHUNK: usize = 4096;

/// More than a pseudo-terminal can hold on its way to the master: twice 8 KiB by the kernel's limits for one.
const IN_FLIGHT: usize = 1 << 16;

/// The caller's standard streams.
#[derive(Clone, Copy)]
pub struct Streams<'s> {
    /// What is typed.
    pub input: BorrowedFd<'s>,
    /// Where the output goes.
    pub output: BorrowedFd<'s>,
    /// Looked at for the window's size only.
    pub error: BorrowedFd<'s>,
}

/// The terminal being served. Dropping it restores the caller's terminal.
pub struct Terminal<'s> {
    master: OwnedFd,
    // While a slave is open, a program that closes all of its own and opens one again (as systemd does) is no hangup.
    _slave: Option<OwnedFd>,
    input: Option<BorrowedFd<'s>>,
    output: Option<BorrowedFd<'s>>,
    window: Option<BorrowedFd<'s>>,
    typed: Buffer,
    shown: Buffer,
    line_open: bool,
    // The end of input was told to a terminal that reads lines; a program that edits its lines itself did not get it.
    ended_by_line: bool,
    // For a reader that is no terminal: whether a carriage return is held back until it is known what follows.
    returns: Option<bool>,
    hung_up: bool,
    // How much is still read once the process has ended; see `drained`.
    left: usize,
    _raw: Option<Raw<'s>>,
}

impl<'s> Terminal<'s> {
    /// Takes the terminal's master from `socket`, where the library has put it, and begins.
    ///
    /// # Errors
    /// No master came, or the kernel refuses to make the caller's terminal raw.
    pub fn receive(socket: &OwnedFd, streams: Streams<'s>) -> Result<Terminal<'s>, Error> {
        let master = receive_fd(socket)?;
        let flags = fcntl_getfl(&master).and_then(|flags| fcntl_setfl(&master, flags | OFlags::NONBLOCK));
        flags.map_err(|errno| Error::sys("make the terminal's master nonblocking", errno))?;
        let window = [streams.input, streams.output, streams.error].into_iter().find(|fd| isatty(fd));
        let terminal = Terminal {
            _slave: ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).ok(),
            master,
            input: Some(streams.input),
            output: Some(streams.output),
            window,
            typed: Buffer::default(),
            shown: Buffer::default(),
            line_open: false,
            ended_by_line: false,
            returns: (!isatty(streams.output)).then_some(false),
            hung_up: false,
            left: IN_FLIGHT,
            _raw: Raw::set(streams.input)?,
        };
        terminal.resize();
        Ok(terminal)
    }

    /// Gives the container's terminal the size of the caller's.
    pub fn resize(&self) {
        // A window without a size is no reason to end the container.
        if let Some(size) = self.window.and_then(|window| tcgetwinsize(window).ok()) {
            _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What to wait for, and the question each answer is for.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let input = self.input.filter(|_| self.typed.is_empty()).map(|fd| (fd, PollFlags::IN));
        let output = self.output.filter(|_| !self.shown.is_empty()).map(|fd| (fd, PollFlags::OUT));
        let mut master = PollFlags::empty();
        master.set(PollFlags::IN, !self.hung_up && self.shown.is_empty());
        master.set(PollFlags::OUT, !self.hung_up && !self.typed.is_empty());
        let master = Some((self.master.as_fd(), master)).filter(|(_, flags)| !flags.is_empty());
        input.into_iter().chain(output).chain(master)
    }

    /// Moves what can be moved without waiting; `ready` says whether a descriptor is.
    pub fn serve(&mut self, ready: impl Fn(BorrowedFd<'_>) -> bool) {
        if self.output.is_some_and(&ready) {
            self.show();
        }
        if self.input.is_some_and(&ready) && self.typed.is_empty() {
            self.read_input();
        }
        self.pass_typed();
        self.read_output();
    }

    /// For when the process has ended: whether all it wrote to the terminal has been passed on.
    ///
    /// The kernel hands a read of the master all that is still on its way from the slave before it says EAGAIN, so no
    /// time need be waited. What others go on to write is not waited for: it comes after what was in flight at the end.
    pub fn drained(&mut self) -> bool {
        while self.shown.is_empty() && self.left > 0 {
            if !self.read_output() {
                // Nothing follows it any more.
                if self.returns.replace(false) == Some(true) {
                    self.shown.put(b'\r');
                }
                break;
            }
            self.left = self.left.saturating_sub(CHUNK);
        }
        self.shown.is_empty()
    }

    fn show(&mut self) {
        if let Some(output) = self.output
            && matches!(self.shown.write_to(output), Flow::Ended | Flow::Failed)
        {
            // The reader is gone. The container's output still has to be taken, or it would block.
            self.output = None;
            self.shown = Buffer::default();
        }
    }

    /// Reads what the container wrote, if the last has been passed on; whether there was something.
    fn read_output(&mut self) -> bool {
        if self.hung_up || !self.shown.is_empty() {
            return false;
        }
        let flow = self.shown.read_from(self.master.as_fd());
        // EIO: the last slave was closed.
        self.hung_up = matches!(flow, Flow::Ended | Flow::Failed);
        if let Some(held) = &mut self.returns {
            *held = self.shown.without_returns(*held);
        }
        if self.ended_by_line && !self.reads_lines() {
            self.type_end_of_file();
        }
        if self.output.is_none() {
            self.shown = Buffer::default();
        }
        flow == Flow::Moved
    }

    fn read_input(&mut self) {
        let Some(input) = self.input else { return };
        match self.typed.read_from(input) {
            Flow::Moved => self.line_open = !matches!(self.typed.last(), Some(b'\n' | b'\r')),
            Flow::Ended => {
                self.input = None;
                self.type_end_of_file();
            }
            Flow::Dry => {}
            Flow::Failed => self.input = None,
        }
    }

    /// Tells the program that the input has ended, in the way of a terminal: its end-of-file character, twice when a line
    /// was begun, because the first one then only ends the line. A program that edits its lines itself reads the
    /// character as a key; one that comes to do so only afterwards needs it again.
    fn type_end_of_file(&mut self) {
        let Ok(modes) = tcgetattr(&self.master) else { return };
        self.ended_by_line = modes.local_modes.contains(LocalModes::ICANON);
        let character = modes.special_codes[SpecialCodeIndex::VEOF];
        self.typed.put(character);
        if self.line_open && self.ended_by_line {
            self.typed.put(character);
        }
    }

    /// Whether the terminal hands whole lines to its program.
    fn reads_lines(&self) -> bool {
        tcgetattr(&self.master).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
    }

    fn pass_typed(&mut self) {
        if !self.typed.is_empty() && matches!(self.typed.write_to(self.master.as_fd()), Flow::Ended | Flow::Failed) {
            self.typed = Buffer::default();
        }
    }
}

/// What became of a read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Moved,
    /// Nothing now.
    Dry,
    /// Nothing any more: end of file, or nobody at the other end.
    Ended,
    /// The descriptor does not do it, now or ever.
    Failed,
}

impl Flow {
    fn of(moved: rustix::io::Result<usize>) -> Flow {
        match moved {
            Ok(0) | Err(Errno::PIPE) => Flow::Ended,
            Ok(_) => Flow::Moved,
            Err(Errno::AGAIN | Errno::INTR) => Flow::Dry,
            Err(_) => Flow::Failed,
        }
    }
}

/// Bytes read and not yet written.
struct Buffer {
    bytes: Box<[u8; CHUNK]>,
    start: usize,
    end: usize,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer { bytes: Box::new([0; CHUNK]), start: 0, end: 0 }
    }
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn last(&self) -> Option<u8> {
        self.bytes[self.start..self.end].last().copied()
    }

    /// Adds a byte; for a buffer that has room, as every empty one has.
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
    }

    fn read_from(&mut self, fd: BorrowedFd<'_>) -> Flow {
        // The first place is left for a byte that was held back.
        let read = rustix::io::read(fd, &mut self.bytes[1..]);
        (self.start, self.end) = (1, 1 + read.unwrap_or(0));
        Flow::of(read)
    }

    /// Undoes what a terminal does to the end of a line: output that goes to a file or a pipe is read by programs, and
    /// they want no carriage returns. One at the end is held back, and `held` says whether the last time one was;
    /// whether now one is, is the result.
    fn without_returns(&mut self, held: bool) -> bool {
        if self.is_empty() {
            return held;
        }
        if held && self.bytes[self.start] != b'\n' {
            self.start -= 1;
            self.bytes[self.start] = b'\r';
        }
        let holds = self.last() == Some(b'\r');
        let end = self.end - usize::from(holds);
        let mut to = self.start;
        for at in self.start..end {
            if !(self.bytes[at] == b'\r' && at + 1 < end && self.bytes[at + 1] == b'\n') {
                self.bytes[to] = self.bytes[at];
                to += 1;
            }
        }
        self.end = to;
        holds
    }

    fn write_to(&mut self, fd: BorrowedFd<'_>) -> Flow {
        let written = rustix::io::write(fd, &self.bytes[self.start..self.end]);
        self.start += written.unwrap_or(0);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        Flow::of(written)
    }
}

/// A terminal in raw mode; its modes come back on drop.
struct Raw<'s> {
    fd: BorrowedFd<'s>,
    before: Termios,
}

impl<'s> Raw<'s> {
    /// Makes the terminal raw, if it is one.
    fn set(fd: BorrowedFd<'s>) -> Result<Option<Raw<'s>>, Error> {
        let Ok(before) = tcgetattr(fd) else { return Ok(None) };
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(fd, OptionalActions::Now, &raw).map_err(|errno| Error::sys("make the terminal raw", errno))?;
        Ok(Some(Raw { fd, before }))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // The terminal may be gone; there is nobody to tell then.
        _ = tcsetattr(self.fd, OptionalActions::Now, &self.before);
    }
}

/// Receives one descriptor (unix(7), `SCM_RIGHTS`).
fn receive_fd(socket: &OwnedFd) -> Result<OwnedFd, Error> {
    let what = "receive the container's terminal";
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // The message has a name with the descriptor, which nobody reads.
    let mut name = [0; CHUNK];
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    received.map_err(|errno| Error::sys(what, errno))?;
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.next().ok_or_else(|| Error::new(libcontainer::Kind::System, format!("{what}: none was sent")))
}

#[cfg(test)]
mod tests;

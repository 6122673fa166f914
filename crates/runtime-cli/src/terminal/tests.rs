//! The terminal over real pseudo-terminals: one for the container, one or a pipe for the caller.

use super::*;
use rustix::event::{PollFd, Timespec, poll};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{grantpt, openpt, unlockpt};
use rustix::termios::{OutputModes, Winsize};
use std::io::IoSlice;

/// A new pseudo-terminal: master and slave.
fn pty() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    (master, slave)
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// The container's side: a terminal whose master went through the socket, and its slave.
fn receive<'s>(streams: Streams<'s>) -> (Terminal<'s>, OwnedFd) {
    let (master, slave) = pty();
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let fds = [master.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(&theirs, &[IoSlice::new(b"/dev/ptmx")], &mut control, SendFlags::empty()).unwrap();
    (Terminal::receive(&ours, streams).unwrap(), slave)
}

/// How long the kernel may take to carry something from one end of a terminal to the other.
const PATIENCE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };

/// One turn of the loop; whether there was anything to do.
fn turn(terminal: &mut Terminal) -> bool {
    let mut fds: Vec<_> = terminal.interests().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    let some = poll(&mut fds, Some(&PATIENCE)).unwrap() > 0;
    let ready: Vec<_> = fds.iter().filter(|fd| !fd.revents().is_empty()).map(|fd| raw(fd.as_fd())).collect();
    terminal.serve(|fd| ready.contains(&raw(fd)));
    some
}

fn raw(fd: BorrowedFd<'_>) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(&fd)
}

fn read(fd: &OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let count = rustix::io::read(fd, &mut bytes[..]).unwrap();
    bytes.truncate(count);
    bytes
}

fn modes(fd: &OwnedFd) -> (LocalModes, OutputModes) {
    let modes = tcgetattr(fd).unwrap();
    (modes.local_modes, modes.output_modes)
}

#[test]
fn the_callers_terminal_is_raw_for_as_long_and_gives_its_size() {
    let (host, caller) = pty();
    tcsetwinsize(&host, Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let before = modes(&caller);
    let fd = caller.as_fd();
    let (terminal, slave) = receive(Streams { input: fd, output: fd, error: fd });
    let (local, output) = modes(&caller);
    assert!(!local.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    assert!(!output.contains(OutputModes::OPOST));
    assert!(modes(&slave).1.contains(OutputModes::ONLCR), "the container's terminal ends its lines itself");
    assert_eq!(tcgetwinsize(&slave).map(|size| (size.ws_row, size.ws_col)), Ok((33, 99)));
    tcsetwinsize(&host, Winsize { ws_row: 10, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    terminal.resize();
    assert_eq!(tcgetwinsize(&slave).map(|size| (size.ws_row, size.ws_col)), Ok((10, 20)));
    drop(terminal);
    assert_eq!(modes(&caller), before);
}

#[test]
fn bytes_go_both_ways() {
    let ((input, typing), (shown, output)) = (pipe(), pipe());
    let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
    let (mut terminal, slave) = receive(streams);
    rustix::io::write(&typing, b"ls\n").unwrap();
    while turn(&mut terminal) && terminal.shown.is_empty() {}
    assert_eq!(read(&slave), b"ls\n");
    rustix::io::write(&slave, b"a b\n").unwrap();
    while !terminal.drained() {
        assert!(turn(&mut terminal));
    }
    // What was typed is echoed; a pipe gets no carriage returns.
    assert_eq!(read(&shown), b"ls\na b\n");
}

#[test]
fn only_the_terminals_own_carriage_returns_are_undone() {
    let convert = |chunks: &[&str]| {
        let (mut out, mut held) = (Vec::new(), false);
        for chunk in chunks {
            let mut buffer = Buffer { start: 1, end: 1, ..Buffer::default() };
            chunk.bytes().for_each(|byte| buffer.put(byte));
            held = buffer.without_returns(held);
            out.extend_from_slice(&buffer.bytes[buffer.start..buffer.end]);
        }
        (String::from_utf8(out).unwrap(), held)
    };
    for (chunks, expected) in [
        (&["a\r\nb\r\n"][..], ("a\nb\n", false)),
        (&["a\r", "\nb"], ("a\nb", false)),
        (&["a\r", "b\r"], ("a\rb", true)),
        (&["\r", "\r", "\n"], ("\r\n", false)),
        (&["50%\r100%\r\r\n"], ("50%\r100%\r\n", false)),
        (&["\n", ""], ("\n", false)),
        (&["\r", "", "x"], ("\rx", false)),
    ] {
        assert_eq!(convert(chunks), (expected.0.to_owned(), expected.1), "{chunks:?}");
    }
}

#[test]
fn a_last_carriage_return_is_not_lost() {
    let ((input, _typing), (shown, output)) = (pipe(), pipe());
    let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
    let (mut terminal, slave) = receive(streams);
    rustix::io::write(&slave, b"done\r").unwrap();
    while !terminal.drained() {
        assert!(turn(&mut terminal));
    }
    assert_eq!(read(&shown), b"done\r");
}

#[test]
fn all_output_before_the_end_is_passed_on() {
    let ((input, _typing), (shown, output)) = (pipe(), pipe());
    let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
    for size in [1, 100, 4000] {
        let (mut terminal, slave) = receive(streams);
        let text = vec![b'x'; size];
        rustix::io::write(&slave, &text).unwrap();
        drop(slave);
        let mut turns = 0;
        while !terminal.drained() {
            assert!(turn(&mut terminal));
            turns += 1;
        }
        assert!(turns > 0 && read(&shown) == text, "{size}");
    }
}

#[test]
fn the_end_of_input_ends_the_programs_input() {
    for (text, lines) in [("", vec![]), ("a\nb\n", vec!["a\n", "b\n"]), ("a\nb", vec!["a\n", "b"])] {
        let ((input, typing), (_shown, output)) = (pipe(), pipe());
        let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
        let (mut terminal, slave) = receive(streams);
        rustix::io::write(&typing, text.as_bytes()).unwrap();
        drop(typing);
        while terminal.input.is_some() || !terminal.typed.is_empty() {
            assert!(turn(&mut terminal), "{text:?}");
        }
        for line in lines {
            assert_eq!(read(&slave), line.as_bytes(), "{text:?}");
        }
        assert_eq!(read(&slave), b"", "{text:?}");
    }
}

#[test]
fn a_program_that_edits_its_lines_gets_the_end_of_input_as_a_key() {
    for late in [false, true] {
        let ((input, typing), (_shown, output)) = (pipe(), pipe());
        let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
        let (mut terminal, slave) = receive(streams);
        let mut raw = tcgetattr(&slave).unwrap();
        raw.make_raw();
        if !late {
            tcsetattr(&slave, OptionalActions::Now, &raw).unwrap();
        }
        drop(typing);
        while terminal.input.is_some() || !terminal.typed.is_empty() {
            assert!(turn(&mut terminal));
        }
        if late {
            // The kernel carries the first key over in its own time; flushed is only what has arrived.
            let mut arrived = [PollFd::new(&slave, PollFlags::IN)];
            assert_eq!(poll(&mut arrived, None).unwrap(), 1);
            tcsetattr(&slave, OptionalActions::Flush, &raw).unwrap();
            rustix::io::write(&slave, b"$ ").unwrap();
            while terminal.ended_by_line || !terminal.typed.is_empty() {
                assert!(turn(&mut terminal));
            }
        }
        assert_eq!(read(&slave), b"\x04", "late: {late}");
    }
}

#[test]
fn a_reader_that_left_does_not_stop_the_container() {
    let ((input, _typing), (shown, output)) = (pipe(), pipe());
    drop(shown);
    let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
    let (mut terminal, slave) = receive(streams);
    for n in 0..20 {
        // More than a pseudo-terminal holds.
        rustix::io::write(&slave, &[b'x'; 4000]).unwrap();
        while terminal.output.is_some() {
            assert!(turn(&mut terminal));
        }
        // The kernel carries it over in its own time: without a wait, all of it together would fill the terminal.
        if n > 0 {
            let mut arrived = [PollFd::new(&terminal.master, PollFlags::IN)];
            assert_eq!(poll(&mut arrived, Some(&PATIENCE)).unwrap(), 1);
        }
        while terminal.read_output() {}
    }
    assert!(terminal.drained());
}

#[test]
fn slaves_may_be_closed_and_opened_again() {
    let ((input, _typing), (shown, output)) = (pipe(), pipe());
    let streams = Streams { input: input.as_fd(), output: output.as_fd(), error: output.as_fd() };
    let (mut terminal, slave) = receive(streams);
    drop(slave);
    assert!(!terminal.read_output() && !terminal.hung_up);
    let again = ioctl_tiocgptpeer(&terminal.master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::io::write(&again, b"back\n").unwrap();
    while !terminal.drained() {
        assert!(turn(&mut terminal));
    }
    assert_eq!(read(&shown), b"back\n");
}

#[test]
fn a_socket_without_a_terminal_is_an_error() {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    drop(theirs);
    let (input, _typing) = pipe();
    let fd = input.as_fd();
    let error = Terminal::receive(&ours, Streams { input: fd, output: fd, error: fd }).err().unwrap();
    assert_eq!(error.to_string(), "receive the container's terminal: none was sent");
}

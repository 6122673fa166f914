//! What a caller may have left in a state that nobody expects, put right before anything else is done.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use std::os::fd::IntoRawFd;

/// Makes the standard streams open, and ended children wait.
pub fn put_right() {
    libcontainer::signal::keep_ended_children();
    open_standard_streams();
}

/// A closed standard stream becomes /dev/null. Else its number would go to the next file opened, and a directory of the
/// host, say, be the container's standard input.
fn open_standard_streams() {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let mut fds = streams.map(|stream| PollFd::from_borrowed_fd(stream, PollFlags::empty()));
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&at_once)) == Ok(0) {
        return;
    }
    for _ in fds.iter().filter(|fd| fd.revents().contains(PollFlags::NVAL)) {
        // The lowest free number is taken: that of the stream. Without a /dev/null nothing could be made anyway.
        if let Ok(null) = open("/dev/null", OFlags::RDWR, Mode::empty()) {
            _ = null.into_raw_fd();
        }
    }
}

//! A FIFO between a test and a container: how a test waits for a script without sleeping.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// A FIFO, open for both directions on the host's side.
pub struct Fifo {
    file: File,
    pending: RefCell<Vec<u8>>,
}

impl Fifo {
    /// Makes the FIFO, mode 0666.
    pub fn new(path: &Path) -> Self {
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).unwrap();
        let fd = rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap();
        Self { file: File::from(fd), pending: RefCell::new(Vec::new()) }
    }

    /// The next line, without its end.
    ///
    /// # Panics
    /// When none comes within the harness's patience.
    pub fn line(&self) -> String {
        self.line_within(crate::PATIENCE).expect("nothing came through the FIFO")
    }

    /// The next line, or nothing when none comes within `seconds`.
    pub fn line_within(&self, seconds: u64) -> Option<String> {
        let mut pending = self.pending.borrow_mut();
        loop {
            if let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let line = pending.drain(..=end).collect::<Vec<_>>();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !readable(&self.file, seconds) {
                return None;
            }
            let mut buffer = [0; 4096];
            let count = (&self.file).read(&mut buffer).unwrap();
            pending.extend_from_slice(&buffer[..count]);
        }
    }

    /// Sends a line to whoever reads the FIFO.
    pub fn send(&self, line: &str) {
        (&self.file).write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Waits until `fd` has something to read; false when `seconds` pass first.
pub fn readable(fd: impl rustix::fd::AsFd, seconds: u64) -> bool {
    let timeout = rustix::time::Timespec { tv_sec: seconds as i64, tv_nsec: 0 };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Ok(count) => return count > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

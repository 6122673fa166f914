//! Terminals: the socket a detached container's master comes through, and a terminal of the test's own.

use rustix::fd::OwnedFd;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::fifo::readable;

/// A listening socket for `--console-socket` and the seccomp agent's kin.
pub struct FdSocket {
    listener: UnixListener,
    /// Where it listens.
    pub path: PathBuf,
}

impl FdSocket {
    /// Listens at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { listener: UnixListener::bind(&path).unwrap(), path }
    }

    /// The path as a string.
    pub fn arg(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Accepts one connection and takes its bytes and descriptors until they are enough, or its end.
    pub fn receive(&self, enough: impl Fn(&[u8], &[OwnedFd]) -> bool) -> (Vec<u8>, Vec<OwnedFd>) {
        assert!(readable(&self.listener, crate::PATIENCE), "nobody connected to {}", self.path.display());
        let (stream, _) = self.listener.accept().unwrap();
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        loop {
            assert!(readable(&stream, crate::PATIENCE), "silence on {}", self.path.display());
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut buffer = [0; 16384];
            let got =
                recvmsg(&stream, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    fds.extend(rights);
                }
            }
            if got.bytes == 0 {
                return (bytes, fds);
            }
            bytes.extend_from_slice(&buffer[..got.bytes]);
            if enough(&bytes, &fds) {
                return (bytes, fds);
            }
        }
    }

    /// Accepts one connection and takes the one terminal it brings.
    pub fn terminal(&self) -> Terminal {
        let (_, mut fds) = self.receive(|_, fds| !fds.is_empty());
        assert_eq!(fds.len(), 1, "descriptors through the console socket");
        Terminal { master: File::from(fds.remove(0)) }
    }
}

/// A terminal, held by its master.
pub struct Terminal {
    /// The master.
    pub master: File,
}

impl Terminal {
    /// A new terminal, and its slave's path.
    pub fn open() -> (Self, PathBuf) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        (Self { master: File::from(master) }, Path::new(&name).to_owned())
    }

    /// Sets the window's size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).unwrap();
    }

    /// The window's columns and rows.
    pub fn size(&self) -> (u16, u16) {
        let size = rustix::termios::tcgetwinsize(&self.master).unwrap();
        (size.ws_col, size.ws_row)
    }

    /// Types a text.
    pub fn send(&self, text: &str) {
        (&self.master).write_all(text.as_bytes()).unwrap();
    }

    /// Reads until the text appears; gives all that was read.
    ///
    /// # Panics
    /// When the terminal hangs up or falls silent first.
    #[track_caller]
    pub fn until(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let so_far = String::from_utf8_lossy(&seen).into_owned();
            if so_far.contains(text) {
                return so_far;
            }
            assert!(readable(&self.master, crate::PATIENCE), "waiting for «{text}», saw «{so_far}»");
            match self.read() {
                Some(bytes) => seen.extend(bytes),
                None => panic!("hung up; waiting for «{text}», saw «{so_far}»"),
            }
        }
    }

    /// Reads until the last slave is closed.
    pub fn to_end(&self) -> String {
        let mut seen = Vec::new();
        loop {
            assert!(readable(&self.master, crate::PATIENCE), "the terminal stays open");
            match self.read() {
                Some(bytes) => seen.extend(bytes),
                None => return String::from_utf8_lossy(&seen).into_owned(),
            }
        }
    }

    fn read(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        // A master whose slaves are all closed reads as EIO.
        match (&self.master).read(&mut buffer) {
            Ok(0) | Err(_) => None,
            Ok(count) => Some(buffer[..count].to_vec()),
        }
    }
}

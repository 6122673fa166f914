//! The child's side of the conversation with the parent: see the drawing at the top of the crate.

use crate::sys::{Errno, Fd, fs, process};
use crate::wire::{FAILED, Message, REACHED, TEXT};

/// The socket, and the step at which something is said.
///
/// write(2) and read(2) instead of sendto(2) and recvfrom(2): after the seccomp filter is loaded these two are what every
/// filter made for other runtimes allows. A parent that is gone ends the process either way, by SIGPIPE or by the exit.
pub struct Conversation {
    socket: Fd,
    step: u32,
    code: u16,
}

impl Conversation {
    /// A conversation over `socket`.
    pub fn new(socket: Fd) -> Conversation {
        Conversation { socket, step: 0, code: 0 }
    }

    /// Goes on over another descriptor of the socket.
    pub fn move_to(&mut self, socket: Fd) {
        self.socket = socket;
    }

    /// The step that is performed from now on.
    pub fn at(&mut self, step: u32, code: u16) {
        (self.step, self.code) = (step, code);
    }

    /// Says something.
    pub fn say(&self, kind: u32, value: i32, extra: i32) {
        self.send(kind, value, extra, b"");
    }

    /// Waits for the parent's go, one byte. Without a parent there is nobody to go on for.
    pub fn wait(&self) {
        let mut go = [0];
        loop {
            match fs::read(self.socket, &mut go) {
                Ok(1..) => return,
                Err(Errno::INTR) => {}
                _ => process::exit(1),
            }
        }
    }

    /// Says that a point is reached and waits for the parent's acts.
    pub fn meet(&self, point: u32, extra: i32) {
        self.say(REACHED, point as i32, extra);
        self.wait();
    }

    /// Says what failed, and ends the process.
    pub fn fail(&self, errno: Errno, extra: i32, object: &[u8]) -> ! {
        self.send(FAILED, i32::from(errno.0), extra, object);
        process::exit(1)
    }

    fn send(&self, kind: u32, value: i32, extra: i32, text: &[u8]) {
        const HEAD: usize = size_of::<Message>();
        let head = Message { kind, step: self.step, code: u32::from(self.code), value, extra };
        let text = &text[..text.len().min(TEXT)];
        let mut message = [0; HEAD + TEXT];
        // SAFETY: a Message is integers without padding, and the array is at least as long.
        unsafe { message.as_mut_ptr().cast::<Message>().write_unaligned(head) };
        message[HEAD..HEAD + text.len()].copy_from_slice(text);
        let _ = fs::write(self.socket, &message[..HEAD + text.len()]);
    }
}

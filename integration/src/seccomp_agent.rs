//! A seccomp agent: takes the listener of a container and answers its notifications.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use crate::console::FdSocket;
use crate::fifo::readable;
use crate::{Bundle, Runtime, Value, json, sys};

pub use crate::sys::Notification;

/// The socket of `linux.seccomp.listenerPath`.
pub struct Agent(FdSocket);

impl Agent {
    /// Listens at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self(FdSocket::new(path))
    }

    /// With a profile that tells it of one of the last calls before the program: while it does not answer, hull-init stands in the
    /// container, with all it still holds. (It answers as if it had been done; the bounding set does it then.)
    pub fn before_the_program(rt: &Runtime, bundle: &mut Bundle) -> Self {
        let path = rt.path("agent");
        bundle.set(
            "/linux/seccomp",
            json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "listenerPath": path,
                "syscalls": [{"names": ["capset"], "action": "SCMP_ACT_NOTIFY"}],
            }),
        );
        // With it capabilities would be settled before the filter.
        bundle.set("/process/noNewPrivileges", json!(false));
        Self::new(path)
    }

    /// Hears of one process and answers its first notification.
    pub fn let_one_pass(&self) {
        let (_, listeners) = self.hear();
        answer(&listeners[0], &notified(&listeners[0]), Ok(0));
    }

    /// The ContainerProcessState and the descriptors that come with it.
    pub fn hear(&self) -> (Value, Vec<OwnedFd>) {
        let whole = |bytes: &[u8], fds: &[OwnedFd]| !fds.is_empty() && serde_json::from_slice::<Value>(bytes).is_ok();
        let (bytes, fds) = self.0.receive(whole);
        let state = serde_json::from_slice(&bytes).expect("a ContainerProcessState in JSON");
        (state, fds)
    }
}

/// Waits for one notification.
pub fn notified(listener: &OwnedFd) -> Notification {
    assert!(readable(listener, crate::PATIENCE), "no notification came");
    sys::receive(listener.as_fd()).unwrap()
}

/// Answers a notification with a result, or with an errno.
pub fn answer(listener: &OwnedFd, notification: &Notification, outcome: Result<i64, i32>) {
    sys::answer(listener.as_fd(), notification.id, outcome).unwrap();
}

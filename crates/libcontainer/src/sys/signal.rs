//! Signals as events: taken from a descriptor instead of a handler, and sent to a process by its pidfd.
//!
//! For programs that stay in the foreground of a container. The library itself changes no signal mask.

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// The size of `struct signalfd_siginfo`, one of which a read of the descriptor gives for each signal.
const RECORD: usize = size_of::<libc::signalfd_siginfo>();

/// All signals of the calling thread, blocked while this lives and readable from its descriptor (signalfd(2)).
///
/// The mask is the thread's: other threads need to block the same signals, and a child made meanwhile inherits the
/// mask unless whoever makes it takes care. Dropping it restores the mask; what is still pending is delivered then.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
    // A mask belongs to one thread.
    of_this_thread: PhantomData<*const ()>,
}

impl Signals {
    /// Blocks every signal that can be blocked.
    ///
    /// # Errors
    /// No descriptor is left. The mask is as it was.
    pub fn block_all() -> io::Result<Signals> {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises `all`; pthread_sigmask reads it and initialises `before`. Neither can fail
        // with these arguments.
        let (all, before) = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            (all.assume_init(), before.assume_init())
        };
        // SAFETY: -1 asks for a new descriptor; `all` outlives the call.
        let raw = unsafe { libc::signalfd(-1, &all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if raw < 0 {
            let error = io::Error::last_os_error();
            // SAFETY: `before` was initialised above.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
            return Err(error);
        }
        // SAFETY: the call made this descriptor and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Signals { fd, before, of_this_thread: PhantomData })
    }

    /// Takes the next pending signal; `None` when there is none now.
    ///
    /// # Errors
    /// Those of read(2), which the kernel does not give for a descriptor of this kind.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut record = [0u8; RECORD];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut record)) {
            // `ssi_signo` is the record's first field.
            Ok(_) => Ok(Some(i32::from_ne_bytes([record[0], record[1], record[2], record[3]]))),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: `before` was initialised when this was made; the type cannot have left its thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// Makes ended children of this process wait to be asked for their status, whatever the caller of this program has set:
/// who ignores SIGCHLD lets the kernel reap them at once, and the disposition is inherited through exec (wait(2), notes).
///
/// For a program's first lines: the disposition is the whole process's.
pub fn keep_ended_children() {
    // SAFETY: no handler is installed; a known signal and disposition cannot be refused.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Sends the process of `pidfd` a signal by number, real-time signals included (pidfd_send_signal(2)).
///
/// # Errors
/// `InvalidInput` for a number that is no signal; else the kernel's: ESRCH when the process is gone.
pub fn send(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    if !(1..=64).contains(&signal) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(super::process::signal(pidfd.as_fd(), signal)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn a_blocked_signal_is_read_and_the_mask_comes_back() {
        let signals = Signals::block_all().unwrap();
        assert_eq!(signals.next().unwrap(), None);
        // To the thread, so that no other test's thread takes it.
        // SAFETY: a signal to the calling thread, blocked above.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR1) };
        assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
        assert_eq!(signals.next().unwrap(), None);
        drop(signals);
        let mut now = MaybeUninit::uninit();
        // SAFETY: a null set changes nothing and fills `now`.
        let blocked = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), now.as_mut_ptr());
            libc::sigismember(now.as_ptr(), libc::SIGUSR1)
        };
        assert_eq!(blocked, 0);
    }

    #[test]
    fn any_signal_reaches_a_process() {
        for signal in [libc::SIGTERM, libc::SIGRTMIN() + 3] {
            let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
            let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
            send(&pidfd, signal).unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(signal));
            assert_eq!(send(&pidfd, signal).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        }
        let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
        assert!(send(&own, 0).is_err() && send(&own, 65).is_err());
    }
}

//! Signals as a program with libraries of all kinds has them: blocked here, handled there, coming at any time. Neither the
//! standard library nor rustix can do this.

use std::mem::MaybeUninit;

/// Blocks one signal in the calling thread, as an embedding program does for what it reads by signalfd(2).
pub fn block(signal: i32) {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both functions write the set they are given; the mask that was is not asked for.
    let result = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    assert_eq!(result, 0);
}

extern "C" fn nothing(_: i32) {}

/// Handles a signal by doing nothing and without SA_RESTART, so that each one ends a waiting system call with EINTR.
pub fn interrupt_by(signal: i32) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is a sigaction without a mask; the handler does nothing.
    let result = unsafe {
        (*action.as_mut_ptr()).sa_sigaction = nothing as extern "C" fn(i32) as usize;
        (*action.as_mut_ptr()).sa_flags = libc::SA_NODEFER; // it is not blocked meanwhile either
        libc::sigaction(signal, action.as_ptr(), std::ptr::null_mut())
    };
    assert_eq!(result, 0);
}

/// Sends a signal to each of this process's threads, whatever it waits for: tgkill(2).
pub fn send_to_all_threads(signal: i32) {
    for tid in crate::caller::threads() {
        // SAFETY: numbers only; a thread that has ended is none (ESRCH).
        unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), tid, signal) };
    }
}

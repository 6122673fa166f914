//! A thread's signal mask, which neither the standard library nor rustix can set.

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

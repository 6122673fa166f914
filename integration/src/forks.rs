//! Whether anybody forks this process.

use std::sync::atomic::{AtomicUsize, Ordering};

static FORKS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Begins to count the calls of fork(3) in this process.
pub fn watch() {
    // SAFETY: the handler does nothing but count.
    let result = unsafe { libc::pthread_atfork(Some(count), None, None) };
    assert_eq!(result, 0);
}

/// How many there were.
pub fn seen() -> usize {
    FORKS.load(Ordering::Relaxed)
}

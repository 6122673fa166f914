//! Where libc enters the program: `main` as C knows it.
//!
//! The standard library's own start makes 18 system calls for what hull has no use for (a guard against stack overflow, a
//! look at the standard streams): half of what a whole `hull state` needs. Its arguments and everything else work without.
#![allow(unsafe_code)] // the symbol's name is libc's to call

use std::ffi::{c_char, c_int};

/// Arguments are read through [`std::env::args_os`].
// SAFETY: no other symbol of the program has this name, and the signature is C's.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))] // tests have a main of their own
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    // A reader that has gone away is an error to handle, in the middle of a `create` above all, not the end of hull.
    // SAFETY: nothing else runs yet.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    c_int::from(crate::run())
}

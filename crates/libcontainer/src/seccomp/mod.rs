//! System call filters: from `linux.seccomp` to a finished program of classic BPF, compiled before a container exists.
//!
//! ```text
//! config ──rules──► profile ──compile (libseccomp)──► program
//!                                  enosys stub ──────► in front of it      ──cache──► a file, by content
//! ```
//!
//! libseccomp knows the system calls of every architecture; the rest is ours: which fault is in which field, the
//! answer `ENOSYS` for system calls that are newer than the profile, and the cache. The child only passes
//! [`Filter::program`] and [`Filter::flags`] to seccomp(2), with `SECCOMP_FILTER_FLAG_NEW_LISTENER` where
//! [`Filter::notify`] says so; the parent hands the descriptor that comes of it to [`deliver`].

mod bpf;
mod cache;
mod compile;
mod enosys;
mod ffi;
pub mod names;
mod notify;
mod rules;
mod verdict;

pub use ffi::version;
pub use notify::deliver;
pub use rules::check;
pub use verdict::Call;

use crate::{Result, config};
use std::fmt;
use std::path::Path;

/// A program for seccomp(2).
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    /// An array of `struct sock_filter` as the kernel takes it: 8 bytes each, this machine's byte order, at most 4096.
    pub program: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`, without `NEW_LISTENER`.
    pub flags: u32,
    /// Whether a rule notifies an agent: the filter has to be installed with `NEW_LISTENER`, and the descriptor
    /// delivered to `linux.seccomp.listenerPath`.
    pub notify: bool,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("instructions", &(self.program.len() / bpf::SIZE))
            .field("flags", &self.flags)
            .field("notify", &self.notify)
            .finish()
    }
}

/// Compiles `linux.seccomp`. Beside the filter it gives a line for each thing in the profile that has no effect, as a
/// system call libseccomp does not know; such are no errors, for profiles are older or newer than machines.
///
/// # Errors
/// The first of the faults that [`check`] finds; [`Kind::Unsupported`](crate::Kind::Unsupported) where libseccomp or
/// the kernel cannot do what is asked for.
pub fn compile(seccomp: &config::Seccomp) -> Result<(Filter, Vec<String>)> {
    let profile = rules::profile(seccomp)?;
    let (program, warnings) = compile::program(&profile)?;
    Ok(profile.finish(program, warnings))
}

/// The same through a cache: a program that was compiled once is read from a file in `cache`, a directory which is
/// made where it is missing. A file or directory that does not look as this function leaves it is not used.
///
/// # Errors
/// Those of [`compile`]; the cache causes none.
pub fn compile_cached(seccomp: &config::Seccomp, cache: Option<&Path>) -> Result<(Filter, Vec<String>)> {
    let Some(directory) = cache else { return compile(seccomp) };
    let profile = rules::profile(seccomp)?;
    let key = cache::Key::of(seccomp);
    let (program, warnings) = match cache::load(directory, &key) {
        Some(stored) => stored,
        None => {
            let fresh = compile::program(&profile)?;
            cache::store(directory, &key, &fresh);
            fresh
        }
    };
    Ok(profile.finish(program, warnings))
}

#[cfg(test)]
mod tests;

//! lsm_set_self_attr(2) of Linux 6.8: labels of a process without a procfs.

use rustix::io::Errno;

/// The number of lsm_set_self_attr(2), the same on every architecture.
pub const SET_SELF_ATTR: i64 = 460;
/// `LSM_ID_APPARMOR` of linux/lsm.h.
pub const APPARMOR: u64 = 104;
/// `LSM_ATTR_EXEC`: what the next exec takes on.
pub const ATTR_EXEC: u64 = 101;

/// A `struct lsm_ctx`: the module, no flags, its own length, the text's, and the text.
pub fn context(module: u64, text: &[u8]) -> Vec<u8> {
    let size = 4 * size_of::<u64>() + text.len();
    let mut bytes = Vec::with_capacity(size);
    for word in [module, 0, size as u64, text.len() as u64] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(text);
    bytes
}

/// Whether the kernel has the call, and no seccomp filter of the caller's takes it away: then the kernel itself answers that
/// it knows no such flag, and does nothing.
pub fn can_be_called() -> bool {
    const NO_SUCH_FLAG: u32 = 1 << 31;
    // SAFETY: nothing is passed to be read or written.
    let result = unsafe { libc::syscall(SET_SELF_ATTR, ATTR_EXEC as u32, std::ptr::null::<u8>(), 0, NO_SUCH_FLAG) };
    result < 0 && super::mount::last_errno() == Errno::INVAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_as_the_kernel_reads_it() {
        let bytes = context(APPARMOR, b"exec p");
        let word = |at: usize| u64::from_ne_bytes(bytes[at * 8..][..8].try_into().unwrap_or_default());
        assert_eq!([word(0), word(1), word(2), word(3)], [104, 0, 38, 6]);
        assert_eq!(&bytes[32..], b"exec p");
    }
}

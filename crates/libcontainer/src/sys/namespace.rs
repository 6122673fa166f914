//! What a namespace's descriptor says of it.

use super::mount::last_errno;
use rustix::io::Result;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// linux/nsfs.h.
const NS_GET_USERNS: libc::c_ulong = 0xb701;
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// The kind of a namespace, as its CLONE_NEW* flag: ioctl_ns(2). ENOTTY where the descriptor is no namespace's.
pub fn kind(namespace: BorrowedFd<'_>) -> Result<u64> {
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE as _) };
    if result < 0 { Err(last_errno()) } else { Ok(result as u32 as u64) }
}

/// The user namespace that owns a namespace: ioctl_ns(2). EPERM where it is neither the caller's nor below that.
pub fn owner(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS as _) };
    if result < 0 {
        return Err(last_errno());
    }
    // SAFETY: a result that is no error is a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

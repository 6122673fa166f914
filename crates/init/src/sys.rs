//! The kernel's interface without libc: system calls with typed errors, for hull-init and for libcontainer's children.
//!
//! Descriptors are plain numbers here: in hull-init their owner is the plan's table, and most of them end with the exec.

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "arch/riscv64.rs")]
mod arch;
pub mod fs;
pub mod mount;
pub mod process;

use core::ffi::CStr;
use core::marker::PhantomData;

/// A descriptor's number; negative is none.
pub type Fd = i32;

/// The working directory in the place of a descriptor.
pub const AT_FDCWD: Fd = -100;

/// Why the kernel refused, as its positive number (errno(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

#[allow(missing_docs)]
impl Errno {
    pub const PERM: Errno = Errno(1);
    pub const NOENT: Errno = Errno(2);
    pub const INTR: Errno = Errno(4);
    pub const IO: Errno = Errno(5);
    pub const BADF: Errno = Errno(9);
    pub const AGAIN: Errno = Errno(11);
    pub const ACCES: Errno = Errno(13);
    pub const FAULT: Errno = Errno(14);
    pub const EXIST: Errno = Errno(17);
    pub const XDEV: Errno = Errno(18);
    pub const NODEV: Errno = Errno(19);
    pub const NOTDIR: Errno = Errno(20);
    pub const INVAL: Errno = Errno(22);
    pub const ROFS: Errno = Errno(30);
    pub const NAMETOOLONG: Errno = Errno(36);
    pub const NOSYS: Errno = Errno(38);
    pub const LOOP: Errno = Errno(40);
    pub const CONNABORTED: Errno = Errno(103);
    pub const TIMEDOUT: Errno = Errno(110);
}

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

/// A NUL-terminated string as the kernel takes it: one word, its length unknown until asked for.
#[derive(Clone, Copy)]
pub struct Text<'a>(*const u8, PhantomData<&'a CStr>);

impl<'a> Text<'a> {
    /// The empty string, with which the `AT_EMPTY_PATH` family means the descriptor itself.
    pub const EMPTY: Text<'static> = Text(c"".as_ptr().cast(), PhantomData);

    /// The string at `start`.
    ///
    /// # Safety
    /// A NUL-terminated string must stay unchanged there for `'a`.
    pub const unsafe fn at(start: *const u8) -> Text<'a> {
        Text(start, PhantomData)
    }

    /// The string's bytes without the NUL.
    pub fn bytes(self) -> &'a [u8] {
        // SAFETY: by construction a string is there for `'a`.
        unsafe { CStr::from_ptr(self.0.cast()) }.to_bytes()
    }

    /// Where it begins.
    pub const fn as_ptr(self) -> *const u8 {
        self.0
    }
}

impl<'a> From<&'a CStr> for Text<'a> {
    fn from(text: &'a CStr) -> Text<'a> {
        Text(text.as_ptr().cast(), PhantomData)
    }
}

/// Any system call by its number: syscall(2).
///
/// # Safety
/// Whatever the call does to memory and descriptors must be sound.
pub unsafe fn raw(nr: usize, args: [usize; 6]) -> Result<usize> {
    // SAFETY: the caller's promise.
    let result = unsafe { arch::syscall(nr, args) };
    if (-4095..0).contains(&result) { Err(Errno(-result as u16)) } else { Ok(result as usize) }
}

/// A system call with the arguments it has; the missing ones are 0.
macro_rules! call {
    ($nr:expr $(, $arg:expr)*) => {{
        let given = [$($arg as usize),*];
        let mut all = [0; 6];
        all[..given.len()].copy_from_slice(&given);
        crate::sys::raw($nr, all)
    }};
}
use call;

/// Numbers of system calls: the architecture's own, and those that are the same on all since 5.0.
#[allow(missing_docs)]
mod nr {
    pub use super::arch::nr::*;
    pub const PIDFD_SEND_SIGNAL: usize = 424;
    pub const OPEN_TREE: usize = 428;
    pub const MOVE_MOUNT: usize = 429;
    pub const FSOPEN: usize = 430;
    pub const FSCONFIG: usize = 431;
    pub const FSMOUNT: usize = 432;
    pub const CLOSE_RANGE: usize = 436;
    pub const OPENAT2: usize = 437;
    pub const FACCESSAT2: usize = 439;
    pub const MOUNT_SETATTR: usize = 442;
    pub const FCHMODAT2: usize = 452;
}

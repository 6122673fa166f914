//! The calls of libseccomp (seccomp_init(3) and its kin) and the one system call that this room makes itself; all of
//! its unsafe code.

use rustix::io::Errno;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `struct scmp_arg_cmp`: a condition on one argument of a system call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The argument's index, from 0.
    pub index: c_uint,
    /// `enum scmp_compare`.
    pub operator: c_uint,
    /// What the argument is compared with; for a masked comparison, the mask.
    pub a: u64,
    /// What the masked argument is compared with.
    pub b: u64,
}

#[repr(C)]
struct Version {
    major: c_uint,
    minor: c_uint,
    micro: c_uint,
}

unsafe extern "C" {
    safe fn seccomp_version() -> *const Version;
    safe fn seccomp_init(default_action: u32) -> *mut c_void;
    fn seccomp_release(filter: *mut c_void);
    safe fn seccomp_arch_native() -> u32;
    fn seccomp_arch_resolve_name(name: *const c_char) -> u32;
    fn seccomp_arch_add(filter: *mut c_void, architecture: u32) -> c_int;
    fn seccomp_attr_set(filter: *mut c_void, attribute: c_uint, value: u32) -> c_int;
    fn seccomp_syscall_resolve_name_arch(architecture: u32, name: *const c_char) -> c_int;
    fn seccomp_syscall_resolve_num_arch(architecture: u32, number: c_int) -> *mut c_char;
    fn seccomp_rule_add_array(
        filter: *mut c_void,
        action: u32,
        number: c_int,
        count: c_uint,
        conditions: *const Condition,
    ) -> c_int;
    fn seccomp_export_bpf(filter: *mut c_void, fd: c_int) -> c_int;
}

/// `SCMP_FLTATR_CTL_OPTIMIZE`.
const OPTIMIZE: c_uint = 8;
/// `__NR_SCMP_ERROR`.
const UNKNOWN: c_int = -1;
/// The numbers which the library gives to calls that an architecture has twice: by a number of their own, and behind
/// `socketcall` or `ipc` (`__PNR_socket` and its like). A rule for such a number becomes rules for both.
pub const MULTIPLEXED: std::ops::RangeInclusive<i32> = -299..=-100;

/// The version of the library this program is linked with.
pub fn version() -> (u32, u32, u32) {
    // SAFETY: the library returns the address of a constant of its own.
    unsafe { seccomp_version().as_ref() }.map_or((0, 0, 0), |version| (version.major, version.minor, version.micro))
}

/// The right to call libseccomp: it keeps what it found out about the kernel in variables without a lock.
pub struct Library(#[allow(dead_code)] MutexGuard<'static, ()>); // held, never looked at

impl Library {
    /// Waits until no other thread is in libseccomp.
    pub fn lock() -> Library {
        static LOCK: Mutex<()> = Mutex::new(());
        Library(LOCK.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The token of the architecture this program was built for.
    pub fn native(&self) -> u32 {
        seccomp_arch_native()
    }

    /// The token of an architecture by the library's own name (`x86_64`); `None` where it does not know it.
    pub fn architecture(&self, name: &str) -> Option<u32> {
        let name = CString::new(name).ok()?;
        // SAFETY: the name is a C string that outlives the call, which keeps no pointer to it.
        let token = unsafe { seccomp_arch_resolve_name(name.as_ptr()) };
        (token != 0).then_some(token)
    }

    /// The number of a system call on an architecture. Negative where only other architectures have it; `None` where
    /// the library knows it on none.
    pub fn number(&self, architecture: u32, name: &str) -> Option<i32> {
        let name = CString::new(name).ok()?;
        // SAFETY: the name is a C string that outlives the call, which keeps no pointer to it.
        let number = unsafe { seccomp_syscall_resolve_name_arch(architecture, name.as_ptr()) };
        (number != UNKNOWN).then_some(number)
    }

    /// The name of a system call on an architecture.
    pub fn name(&self, architecture: u32, number: u32) -> Option<CString> {
        // SAFETY: the library gives a C string of its own making, or null.
        let name = NonNull::new(unsafe { seccomp_syscall_resolve_num_arch(architecture, number as c_int) })?;
        // SAFETY: the string is whole and lives until it is freed below.
        let copy = unsafe { CStr::from_ptr(name.as_ptr()) }.to_owned();
        // SAFETY: the library allocated it with malloc and leaves it to its caller, seccomp_syscall_resolve_name(3).
        unsafe { libc::free(name.as_ptr().cast()) };
        Some(copy)
    }

    /// An empty filter for the native architecture.
    pub fn filter(&self, default_action: u32) -> Result<Filter<'_>, Errno> {
        match NonNull::new(seccomp_init(default_action)) {
            Some(filter) => Ok(Filter { filter, library: PhantomData }),
            None => Err(Errno::INVAL),
        }
    }
}

/// A filter being built.
pub struct Filter<'a> {
    filter: NonNull<c_void>,
    library: PhantomData<&'a Library>,
}

impl Filter<'_> {
    /// Adds an architecture; rules added from then on hold for it, too.
    pub fn add_architecture(&mut self, token: u32) -> Result<(), Errno> {
        // SAFETY: the filter came from seccomp_init and is released only in drop.
        check(unsafe { seccomp_arch_add(self.filter.as_ptr(), token) })
    }

    /// Asks for a binary tree over the numbers instead of a chain.
    pub fn optimize(&mut self) -> Result<(), Errno> {
        // SAFETY: as above.
        check(unsafe { seccomp_attr_set(self.filter.as_ptr(), OPTIMIZE, 2) })
    }

    /// Adds a rule; all of its conditions have to hold, and no two may be on one argument.
    pub fn add_rule(&mut self, action: u32, number: i32, conditions: &[Condition]) -> Result<(), Errno> {
        let count = c_uint::try_from(conditions.len()).map_err(|_| Errno::INVAL)?;
        // SAFETY: as above; the conditions are `count` structs of C's layout, read during the call only.
        check(unsafe { seccomp_rule_add_array(self.filter.as_ptr(), action, number, count, conditions.as_ptr()) })
    }

    /// Writes the program, an array of `struct sock_filter`, to a file.
    pub fn export(&self, file: impl AsFd) -> Result<(), Errno> {
        // SAFETY: as above; the descriptor is borrowed for the call.
        check(unsafe { seccomp_export_bpf(self.filter.as_ptr(), file.as_fd().as_raw_fd()) })
    }
}

impl Drop for Filter<'_> {
    fn drop(&mut self) {
        // SAFETY: the filter came from seccomp_init and nothing uses it any more.
        unsafe { seccomp_release(self.filter.as_ptr()) }
    }
}

fn check(result: c_int) -> Result<(), Errno> {
    if result < 0 { Err(Errno::from_raw_os_error(-result)) } else { Ok(()) }
}

/// Whether the kernel knows these flags of seccomp(2): it looks at them before it finds that there is no program.
pub fn kernel_knows(flags: u32) -> bool {
    let none = std::ptr::null::<c_void>();
    // SAFETY: without a program nothing is installed; the kernel checks the address it is given.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, none) };
    result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// What the test of a real filter does to its own thread.
#[cfg(test)]
pub mod kernel {
    /// seccomp(2), for the calling thread; gives the descriptor of notifications where the flags ask for one.
    pub fn install(program: &[u8], flags: u32) -> std::io::Result<i32> {
        let filter = libc::sock_fprog { len: (program.len() / 8) as u16, filter: program.as_ptr().cast_mut().cast() };
        // SAFETY: the kernel copies `len` instructions of 8 bytes from the program and writes nothing.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
        if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result as i32) }
    }

    /// The errno of a system call with these arguments, 0 on success.
    pub fn call(number: i64, arguments: [u64; 3]) -> i32 {
        let [a, b, c] = arguments;
        // SAFETY: the test calls what its filter answers for the kernel, or what takes no pointers.
        let result = unsafe { libc::syscall(number, a, b, c) };
        if result < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 }
    }
}

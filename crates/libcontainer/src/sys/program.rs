//! The program hull-init, carried in this library, as a descriptor to execute that nobody can write to.
//!
//! It is what a container can ever see of the runtime in `/proc/self/exe`; behind it there is no file of the host (CVE-2019-5736).

use crate::{Error, Kind, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, IoSlice};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The program: a static ELF file that needs nothing but the kernel. See [`hull_init`].
pub static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hull-init"));

/// Where in the file of [`sealed`] the plan begins: behind the program, on a page of its own.
pub const PLAN_AT: usize = PROGRAM.len().next_multiple_of(hull_init::wire::ALIGN);

/// The program, and a plan behind it at [`PLAN_AT`], as a new close-on-exec descriptor for execveat(2) with AT_EMPTY_PATH and for
/// mmap(2): a memfd with every seal, or where the sysctl `vm.memfd_noexec` forbids to execute memfds, a file on a
/// read-only mount that is nowhere attached.
///
/// # Errors
/// `System` with the kernel's reason; `Unsupported` if memfds may not be executed and the caller may not mount.
pub fn sealed(plan: &[u8]) -> Result<OwnedFd> {
    match memfd(plan) {
        Err(Errno::ACCESS) => on_a_mount(plan).map_err(|errno| {
            Error::new(Kind::Unsupported, "make hull-init executable on a mount of its own")
                .errno(errno.raw_os_error())
                .hint("the sysctl vm.memfd_noexec is 2, which without CAP_SYS_ADMIN leaves no way; set it to 1 or 0")
        }),
        made => made.map_err(|errno| Error::sys("make a sealed memfd of hull-init", errno)),
    }
}

fn memfd(plan: &[u8]) -> rustix::io::Result<OwnedFd> {
    const NAME: &str = "hull-init";
    let sealable = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    // Linux 6.3 has learned to ask for the right to execute, and to seal it.
    let (memfd, seals) = match rustix::fs::memfd_create(NAME, sealable | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => (rustix::fs::memfd_create(NAME, sealable)?, seals),
        made => (made?, seals | SealFlags::EXEC),
    };
    write_to(memfd.as_fd(), plan)?;
    rustix::fs::fcntl_add_seals(&memfd, seals)?;
    Ok(memfd)
}

/// The same assurance without a memfd. The mount ends with its descriptor, while the program's keeps its read-only view of
/// the file: from then on nothing leads to the mount that could make it writable again.
fn on_a_mount(plan: &[u8]) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "0555")?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    // A file that is open for writing is neither executed nor made read-only, be it open in another thread's new child.
    super::silent::write_program(mount.as_fd(), c"hull-init", &parts(plan))?;
    // rustix has no mount_setattr(2).
    hull_init::sys::mount::set_attributes(mount.as_raw_fd(), &[hull_init::sys::mount::MOUNT_ATTR_RDONLY, 0, 0, 0], 0)
        .map_err(|errno| Errno::from_raw_os_error(errno.0.into()))?;
    rustix::fs::openat(&mount, "hull-init", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn write_to(file: BorrowedFd<'_>, plan: &[u8]) -> rustix::io::Result<()> {
    let written = rustix::io::writev(file, &parts(plan))?;
    // Memory takes all or nothing but under a limit of file sizes.
    if written == PLAN_AT + plan.len() { Ok(()) } else { Err(Errno::FBIG) }
}

/// The program, a gap up to [`PLAN_AT`], the plan.
fn parts(plan: &[u8]) -> [IoSlice<'_>; 3] {
    const GAP: [u8; hull_init::wire::ALIGN] = [0; hull_init::wire::ALIGN];
    let gap = GAP.get(..PLAN_AT - PROGRAM.len()).unwrap_or_default();
    [PROGRAM, gap, plan].map(IoSlice::new)
}

#[cfg(test)]
mod tests;

//! Files, directories, sockets and terminals.

use super::{Errno, Fd, Result, Text, arch, call, nr};

pub use arch::{O_DIRECTORY, O_NOFOLLOW};

/// Write only.
pub const O_WRONLY: u64 = 1;
/// Read and write.
pub const O_RDWR: u64 = 2;
/// Does not become the controlling terminal.
pub const O_NOCTTY: u64 = 0o400;
/// Answers EAGAIN where it would wait.
pub const O_NONBLOCK: u64 = 0o4000;
/// Ends with the exec.
pub const O_CLOEXEC: u64 = 0o2000000;
/// A place in the file system, not an open file.
pub const O_PATH: u64 = 0o10000000;

/// openat2(2): no mount point is crossed.
pub const RESOLVE_NO_XDEV: u64 = 1;
/// openat2(2): procfs' magic links are refused.
pub const RESOLVE_NO_MAGICLINKS: u64 = 2;
/// openat2(2): every symlink is refused.
pub const RESOLVE_NO_SYMLINKS: u64 = 4;
/// openat2(2): the path may not leave the directory it starts from.
pub const RESOLVE_BENEATH: u64 = 8;
/// openat2(2): the directory it starts from is `/` and its own parent.
pub const RESOLVE_IN_ROOT: u64 = 16;

/// The symlink itself.
pub const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
/// faccessat(2): asks for the effective ids.
pub const AT_EACCESS: u64 = 0x200;
/// The descriptor itself, with an empty path.
pub const AT_EMPTY_PATH: u64 = 0x1000;

/// The bits of a mode that are the type.
pub const S_IFMT: u32 = 0o170000;
/// A character device.
pub const S_IFCHR: u32 = 0o020000;
/// A directory.
pub const S_IFDIR: u32 = 0o040000;
/// A block device.
pub const S_IFBLK: u32 = 0o060000;
/// A regular file.
pub const S_IFREG: u32 = 0o100000;
/// A symlink.
pub const S_IFLNK: u32 = 0o120000;

/// The kernel's longest path, with its NUL.
pub const PATH_MAX: usize = 4096;

/// How often a walk that a rename disturbed is tried again. Under a storm of renames about one in a hundred is disturbed.
const DISTURBED: u32 = 1024;

/// openat2(2), tried again on EAGAIN: somewhere a rename or mount happened while `..` was walked. O_CLOEXEC is added.
pub fn openat2(dir: Fd, path: Text, flags: u64, resolve: u64) -> Result<Fd> {
    let how = [flags | O_CLOEXEC, 0, resolve];
    let mut left = DISTURBED;
    loop {
        // SAFETY: `struct open_how` is three u64, and it and the string live through the call.
        match unsafe { call!(nr::OPENAT2, dir, path.as_ptr(), how.as_ptr(), size_of_val(&how)) } {
            Err(Errno::AGAIN) if left > 0 => left -= 1,
            other => return other.map(|fd| fd as Fd),
        }
    }
}

/// openat(2). O_CLOEXEC is added.
pub fn openat(dir: Fd, path: Text, flags: u64) -> Result<Fd> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::OPENAT, dir, path.as_ptr(), flags | O_CLOEXEC) }.map(|fd| fd as Fd)
}

/// close(2).
pub fn close(fd: Fd) {
    // SAFETY: the callers close what they have opened.
    let _ = unsafe { call!(nr::CLOSE, fd) };
}

/// close_range(2) with both ends included; `flags` 4 marks them close-on-exec instead.
pub fn close_range(first: u32, last: u32, flags: u32) -> Result<()> {
    // SAFETY: the callers give up these descriptors.
    unsafe { call!(nr::CLOSE_RANGE, first, last, flags) }.map(drop)
}

/// read(2).
pub fn read(fd: Fd, into: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes into the slice and no further.
    unsafe { call!(nr::READ, fd, into.as_mut_ptr(), into.len()) }
}

/// write(2).
pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads the slice and no further.
    unsafe { call!(nr::WRITE, fd, bytes.as_ptr(), bytes.len()) }
}

/// mkdirat(2).
pub fn mkdirat(dir: Fd, path: Text, mode: u32) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::MKDIRAT, dir, path.as_ptr(), mode) }.map(drop)
}

/// mknodat(2), which unlike open(2) with O_CREAT never follows a symlink.
pub fn mknodat(dir: Fd, path: Text, mode: u32, device: u64) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::MKNODAT, dir, path.as_ptr(), mode, device) }.map(drop)
}

/// symlinkat(2).
pub fn symlinkat(target: Text, dir: Fd, path: Text) -> Result<()> {
    // SAFETY: the strings live through the call.
    unsafe { call!(nr::SYMLINKAT, target.as_ptr(), dir, path.as_ptr()) }.map(drop)
}

/// readlinkat(2): how many bytes of the target are in `into`, which has no NUL behind them.
pub fn readlinkat(dir: Fd, path: Text, into: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes into the slice and no further.
    unsafe { call!(nr::READLINKAT, dir, path.as_ptr(), into.as_mut_ptr(), into.len()) }
}

/// unlinkat(2), for anything but a directory.
pub fn unlinkat(dir: Fd, path: Text) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::UNLINKAT, dir, path.as_ptr()) }.map(drop)
}

/// What statx(2) tells; the fields are the kernel's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Stat {
    pub mask: u32,
    pub blksize: u32,
    pub attributes: u64,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    spare: u16,
    pub ino: u64,
    pub size: u64,
    pub blocks: u64,
    pub attributes_mask: u64,
    times: [u64; 8],
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub dev_major: u32,
    pub dev_minor: u32,
    rest: [u64; 14],
}

impl Stat {
    /// The type: [`S_IFDIR`], [`S_IFREG`] and so on.
    pub fn kind(&self) -> u32 {
        u32::from(self.mode) & S_IFMT
    }

    /// Whether it is the character device with these numbers.
    pub fn is_character(&self, major: u32, minor: u32) -> bool {
        self.kind() == S_IFCHR && (self.rdev_major, self.rdev_minor) == (major, minor)
    }
}

/// statx(2) for type, mode and owner; unlike fstat(2) its layout is the same on every architecture.
pub fn stat(dir: Fd, path: Text, flags: u64) -> Result<Stat> {
    const TYPE_MODE_UID_GID: u32 = 0x1 | 0x2 | 0x8 | 0x10;
    let mut stat = Stat::default();
    // SAFETY: the kernel writes one struct statx, which Stat is.
    unsafe { call!(nr::STATX, dir, path.as_ptr(), flags, TYPE_MODE_UID_GID, &raw mut stat) }?;
    Ok(stat)
}

/// The same for an open descriptor.
pub fn fstat(fd: Fd) -> Result<Stat> {
    stat(fd, Text::EMPTY, AT_EMPTY_PATH)
}

/// The magic number of the file system behind a descriptor: fstatfs(2).
pub fn filesystem(fd: Fd) -> Result<u64> {
    let mut statfs = [0u64; 15];
    // SAFETY: struct statfs is 120 bytes on every 64-bit architecture, its type the first word.
    unsafe { call!(nr::FSTATFS, fd, statfs.as_mut_ptr()) }?;
    Ok(statfs[0])
}

/// fchown(2); all ones leaves an id.
pub fn fchown(fd: Fd, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::FCHOWN, fd, uid, gid) }.map(drop)
}

/// fchownat(2).
pub fn fchownat(dir: Fd, path: Text, uid: u32, gid: u32, flags: u64) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::FCHOWNAT, dir, path.as_ptr(), uid, gid, flags) }.map(drop)
}

/// fchmod(2).
pub fn fchmod(fd: Fd, mode: u32) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::FCHMOD, fd, mode) }.map(drop)
}

/// fchmodat2(2) on the descriptor itself, which may be O_PATH. ENOSYS before Linux 6.6.
pub fn chmod(fd: Fd, mode: u32) -> Result<()> {
    // SAFETY: the empty string is static.
    unsafe { call!(nr::FCHMODAT2, fd, Text::EMPTY.as_ptr(), mode, AT_EMPTY_PATH) }.map(drop)
}

/// faccessat2(2): may this process execute it?
pub fn executable(path: Text) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::FACCESSAT2, super::AT_FDCWD, path.as_ptr(), 1, AT_EACCESS) }.map(drop)
}

/// chdir(2).
pub fn chdir(path: Text) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::CHDIR, path.as_ptr()) }.map(drop)
}

/// fchdir(2).
pub fn fchdir(fd: Fd) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::FCHDIR, fd) }.map(drop)
}

/// chroot(2).
pub fn chroot(path: Text) -> Result<()> {
    // SAFETY: the string lives through the call.
    unsafe { call!(nr::CHROOT, path.as_ptr()) }.map(drop)
}

/// getcwd(2) as the kernel has it: bytes with NUL; `(unreachable)` in front if it is outside the root.
pub fn getcwd(into: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes into the slice and no further.
    unsafe { call!(nr::GETCWD, into.as_mut_ptr(), into.len()) }
}

/// umask(2): the one that was.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: touches no memory.
    unsafe { call!(nr::UMASK, mask) }.map_or(0, |mask| mask as u32)
}

/// Makes `fd` known as `number`, to last through an exec.
pub fn place(fd: Fd, number: Fd) -> Result<()> {
    if fd == number {
        // dup3 refuses equal numbers; F_SETFD 0 is what is left to do.
        // SAFETY: touches no memory.
        return unsafe { call!(nr::FCNTL, fd, 2, 0) }.map(drop);
    }
    // SAFETY: the callers give up what `number` was.
    unsafe { call!(nr::DUP3, fd, number, 0) }.map(drop)
}

/// A descriptor ends with the next exec: fcntl(2) F_SETFD.
pub fn close_on_exec(fd: Fd) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::FCNTL, fd, 2, 1) }.map(drop)
}

/// A second descriptor `number` of the same file, in the place of what is there, close-on-exec: dup3(2).
pub fn duplicate(fd: Fd, number: Fd) -> Result<()> {
    // SAFETY: the callers give up what `number` was.
    unsafe { call!(nr::DUP3, fd, number, O_CLOEXEC) }.map(drop)
}

/// A pipe, its end to read first, close-on-exec: pipe2(2).
pub fn pipe() -> Result<[Fd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two numbers.
    unsafe { call!(nr::PIPE2, ends.as_mut_ptr(), O_CLOEXEC) }?;
    Ok(ends)
}

/// Makes one end of a pipe answer EAGAIN instead of waiting: fcntl(2) F_SETFL.
pub fn set_nonblocking(fd: Fd) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { call!(nr::FCNTL, fd, 4, O_NONBLOCK) }.map(drop)
}

/// ioctl(2) whose argument is a number.
pub fn ioctl(fd: Fd, request: u32, argument: usize) -> Result<i32> {
    // SAFETY: the requests used with this (terminals' alone) take no pointer.
    unsafe { call!(nr::IOCTL, fd, request, argument) }.map(|result| result as i32)
}

/// ioctl(2) that reads `argument`.
pub fn ioctl_with<T>(fd: Fd, request: u32, argument: &T) -> Result<()> {
    // SAFETY: the callers pair each request with the type it reads.
    unsafe { call!(nr::IOCTL, fd, request, &raw const *argument) }.map(drop)
}

/// One message with one descriptor beside it, without SIGPIPE: sendmsg(2), unix(7) SCM_RIGHTS.
pub fn send_fd(socket: Fd, message: &[u8], fd: Fd) -> Result<()> {
    const SOL_SOCKET: u64 = 1;
    const SCM_RIGHTS: u64 = 1;
    const MSG_NOSIGNAL: u32 = 0x4000;
    // struct cmsghdr: its length up to the descriptor's end, then level and type; all three architectures are little-endian.
    let control: [u64; 3] = [20, SOL_SOCKET | SCM_RIGHTS << 32, u64::from(fd as u32)];
    let piece = [message.as_ptr() as usize, message.len()];
    // struct msghdr: no name, one piece, the control message, no flags.
    let header = [0, 0, piece.as_ptr() as usize, 1, control.as_ptr() as usize, size_of_val(&control), 0];
    // SAFETY: the header, and what it points to, lives through the call.
    unsafe { call!(nr::SENDMSG, socket, header.as_ptr(), MSG_NOSIGNAL) }.map(drop)
}

/// The next connection, close-on-exec: accept4(2). A connection that was given up meanwhile does not count.
pub fn accept(listener: Fd) -> Result<Fd> {
    loop {
        // SAFETY: no address is asked for.
        match unsafe { call!(nr::ACCEPT4, listener, 0, 0, O_CLOEXEC) } {
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            other => return other.map(|fd| fd as Fd),
        }
    }
}

//! The container's terminal, every part of it by descriptor and verified to be what it should be (CVE-2025-52565).

use super::paths::{IN_ROOT, MODE};
use super::{Run, release};
use crate::op::Slot;
use crate::sys::fs::{self, O_DIRECTORY, O_NOCTTY, O_PATH, O_RDWR};
use crate::sys::{Errno, Fd, Result, Text, mount};

// ioctl_tty(2), the same on all three architectures.
const TIOCSCTTY: u32 = 0x540e;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCGPTPEER: u32 = 0x5441;
const TIOCSPTLCK: u32 = 0x4004_5431;

/// The magic number of devpts.
const DEVPTS: u64 = 0x1cd1;

impl Run {
    pub(super) fn console(
        &mut self,
        root: Slot,
        socket: Slot,
        size: u32,
        cover: bool,
        control: bool,
        uid: u32,
    ) -> Result<()> {
        let (root, socket) = (self.plan.fd(root)?, self.plan.fd(socket)?);
        self.object = b"dev/pts/ptmx";
        let master = open_master(root)?;
        fs::ioctl_with(master, TIOCSPTLCK, &0i32)?;
        let peer = fs::ioctl(master, TIOCGPTPEER, (O_RDWR | O_NOCTTY | fs::O_CLOEXEC) as usize)?;
        if size != 0 {
            // struct winsize: rows, columns, and pixels that nobody knows.
            fs::ioctl_with(master, TIOCSWINSZ, &[(size >> 16) as u16, size as u16, 0, 0])?;
        }
        fs::fchown(peer, uid, u32::MAX)?;
        self.object = b"console socket";
        fs::send_fd(socket, b"/dev/pts/ptmx", master)?;
        release(master);
        self.object = b"dev/console";
        if cover {
            mount_console(root, peer)?;
        }
        if control {
            self.object = b"controlling terminal";
            fs::ioctl(peer, TIOCSCTTY, 0)?;
        }
        for number in 0..=2 {
            fs::place(peer, number)?;
        }
        if peer > 2 {
            release(peer);
        }
        Ok(())
    }
}

/// A new terminal's master, from the devpts of the container and nothing that looks like it.
fn open_master(root: Fd) -> Result<Fd> {
    // Nothing but devpts' own files can be in a devpts, and no mount on top of one is crossed.
    const SAME_MOUNT: u64 =
        fs::RESOLVE_BENEATH | fs::RESOLVE_NO_SYMLINKS | fs::RESOLVE_NO_MAGICLINKS | fs::RESOLVE_NO_XDEV;
    let pts = fs::openat2(root, c"dev/pts".into(), O_PATH | O_DIRECTORY, IN_ROOT)?;
    if fs::filesystem(pts)? != DEVPTS {
        return Err(Errno::NODEV);
    }
    let master = fs::openat2(pts, c"ptmx".into(), O_RDWR | O_NOCTTY, SAME_MOUNT)?;
    release(pts);
    if fs::fstat(master)?.is_character(5, 2) { Ok(master) } else { Err(Errno::NODEV) }
}

/// Attaches the terminal itself, not its name, over `dev/console`.
fn mount_console(root: Fd, peer: Fd) -> Result<()> {
    let dev = fs::openat2(root, c"dev".into(), O_PATH | O_DIRECTORY, IN_ROOT)?;
    match fs::mknodat(dev, c"console".into(), fs::S_IFREG | MODE, 0) {
        Err(Errno::EXIST) => {}
        made => made?,
    }
    let resolve = fs::RESOLVE_BENEATH | fs::RESOLVE_NO_SYMLINKS;
    let target = fs::openat2(dev, c"console".into(), O_PATH, resolve)?;
    let terminal = mount::clone_tree(peer, Text::EMPTY, fs::AT_EMPTY_PATH)?;
    mount::move_mount(terminal, target, Text::EMPTY)?;
    for fd in [dev, target, terminal] {
        release(fd);
    }
    Ok(())
}

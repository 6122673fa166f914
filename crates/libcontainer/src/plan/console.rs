//! The terminal of a process that asks for one.

use super::OpenWhat;
use super::builder::{Builder, origin};
use crate::error::Result;
use hull_init::op::{Op, Slot};

/// The terminal of a container's first process, which is also its /dev/console.
pub(super) fn init(b: &mut Builder<'_>) -> Result<()> {
    let root = b.root;
    console(b, root, true, true)
}

/// The terminal of an exec, from the devpts the container already has. It controls nothing yet: [`control`].
pub(super) fn exec(b: &mut Builder<'_>) -> Result<()> {
    if !b.input.process.terminal {
        return console(b, Slot::NONE, false, false);
    }
    let slash = b.string("/");
    let flags = (libc::O_PATH | libc::O_DIRECTORY) as u64;
    let op = super::builder::call(
        libc::SYS_openat,
        &[
            super::builder::Arg::Fd(Slot::CWD),
            super::builder::Arg::Addr(slash),
            super::builder::Arg::Value(flags | libc::O_CLOEXEC as u64),
        ],
    );
    let root = b.step_to_slot(origin("process.terminal", "open the container's root"), op);
    console(b, root, false, false)
}

/// A terminal belongs to a session, and a session to a process of the container's pid namespace.
pub(super) fn control(b: &mut Builder<'_>) -> Result<()> {
    if b.input.process.terminal {
        b.step(origin("process.terminal", "make the terminal the controlling one"), CONTROL);
    }
    Ok(())
}

/// ioctl_tty(2): standard input becomes the controlling terminal.
pub(super) const CONTROL: Op =
    Op::Call { call: libc::SYS_ioctl as u64, a: 0, b: libc::TIOCSCTTY, c: 0, d: 0, e: 0, f: 0 };

fn console(b: &mut Builder<'_>, root: Slot, mount: bool, control: bool) -> Result<()> {
    let process = b.input.process;
    let (uid, gid) = (process.user.uid, process.user.gid);
    if !process.terminal {
        b.step(origin("process.user", "give the standard streams to the user"), Op::OwnStdio { uid, gid });
        return Ok(());
    }
    let socket = b.open(OpenWhat::ConsoleSocket, origin("process.terminal", "connect to the console socket"));
    let clamp = |n: u64| n.min(0xffff) as u32;
    let size = process.console_size.as_ref().map_or(0, |size| clamp(size.height) << 16 | clamp(size.width));
    b.step(origin("process.terminal", "make a terminal"), Op::Console { root, socket, size, mount, control, uid });
    Ok(())
}

//! Who the process is and may become: standard streams' owner, capabilities, seccomp, time namespace, working directory.

use super::{Run, release};
use crate::op::Bytes;
use crate::sys::process::{self, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP};
use crate::sys::{Errno, Fd, Result, Text, fs};
use crate::wire::point;

/// Standard streams that are closed, or are /dev/null, which the whole host shares, stay as they are.
pub fn own_stdio(uid: u32, gid: u32) -> Result<()> {
    for fd in 0..=2 {
        let stat = match fs::fstat(fd) {
            Err(Errno::BADF) => continue,
            stat => stat?,
        };
        if (stat.uid, stat.gid) == (uid, gid) || stat.is_character(1, 3) {
            continue;
        }
        match fs::fchown(fd, uid, gid) {
            // Streams of a caller whose ids this user namespace does not have, or that cannot be changed, are of use all the same.
            Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
            owned => owned?,
        }
    }
    Ok(())
}

pub fn drop_bounding(keep: u64, last: u32) -> Result<()> {
    (0..=last.min(63))
        .filter(|capability| keep & 1 << capability == 0)
        .try_for_each(|capability| process::prctl(PR_CAPBSET_DROP, capability as usize, 0))
}

pub fn raise_ambient(set: u64, last: u32) -> Result<()> {
    (0..=last.min(63))
        .filter(|capability| set & 1 << capability != 0)
        .try_for_each(|capability| process::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability as usize))
}

/// The kernel says `(unreachable)` of a directory that is not below the root.
#[inline(never)]
pub fn chdir(path: Text) -> Result<()> {
    fs::chdir(path)?;
    let mut name = [0; fs::PATH_MAX];
    fs::getcwd(&mut name)?;
    if name[0] == b'/' { Ok(()) } else { Err(Errno::XDEV) }
}

pub fn time_namespace(proc: Fd, offsets: &[u8]) -> Result<()> {
    if !offsets.is_empty() {
        super::write_beneath(proc, c"self/timens_offsets".into(), offsets)?;
    }
    // A magic link, of a procfs that the parent has verified.
    let namespace = fs::openat(proc, c"self/ns/time_for_children".into(), 0)?;
    process::setns(namespace, process::CLONE_NEWTIME)?;
    release(namespace);
    Ok(())
}

impl Run {
    pub(super) fn seccomp(&mut self, program: Bytes, flags: u32, notify: bool) -> Result<()> {
        const NEW_LISTENER: u32 = 8;
        let program = self.plan.bytes(program)?;
        let listener = process::seccomp(if notify { flags | NEW_LISTENER } else { flags }, program)?;
        if notify {
            self.conversation.meet(point::SECCOMP_LISTENER, listener);
            fs::close(listener);
        }
        Ok(())
    }
}

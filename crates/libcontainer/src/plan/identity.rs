//! Who the process is: its keyring, groups and user.

use super::builder::{Arg, Builder, call, inside, origin};
use crate::error::{Error, Result};
use crate::spec::annotations;
use hull_init::op::Op;

const KEYCTL_JOIN_SESSION_KEYRING: u64 = 1;
const KEYCTL_SETPERM: u64 = 5;
const KEY_SPEC_SESSION_KEYRING: u64 = -3i64 as u64;
/// What a new session keyring allows its possessor and user (keyrings(7)), and search for the user, which a process needs
/// after it changed its ids.
const SEARCHABLE_BY_USER: u64 = 0x3f1b_0000;

/// A session keyring of the container's own, so that no key of the caller is reachable.
pub(super) fn keyring(b: &mut Builder<'_>) -> Result<()> {
    if b.input.launch.no_new_keyring {
        return Ok(());
    }
    let name = b.string(format!("_ses.{}", b.input.id));
    // ENOSYS: a kernel without keyrings has none to leak.
    let join = call(libc::SYS_keyctl, &[Arg::Value(KEYCTL_JOIN_SESSION_KEYRING), Arg::Addr(name)]);
    b.step_skipping(origin("", "join a session keyring"), join, [libc::ENOSYS, 0]);
    let allow = [Arg::Value(KEYCTL_SETPERM), Arg::Value(KEY_SPEC_SESSION_KEYRING), Arg::Value(SEARCHABLE_BY_USER)];
    let allow = call(libc::SYS_keyctl, &allow);
    b.step_skipping(origin("", "make the session keyring searchable"), allow, [libc::ENOSYS, libc::EACCES]);
    Ok(())
}

/// Groups and user, in the only order that works: each step needs the privileges that the last takes away.
pub(super) fn become_user(b: &mut Builder<'_>) -> Result<()> {
    let process = b.input.process;
    let user = &process.user;
    let (uid, gid) = (u64::from(user.uid), u64::from(user.gid));
    let cwd = b.string(&process.cwd);
    let enter = origin("process.cwd", format!("chdir to cwd ({:?}) set in config.json", process.cwd));
    // As root first: it may enter where the user may not. Where even root may not (a FUSE file system of the
    // user's), the user tries again below; a step that has been done already does nothing then.
    // The change of root has left the process at `/`, as setns(2) does that joins a mount namespace.
    let at_root = inside(&process.cwd).is_empty();
    if !at_root {
        b.step_skipping(enter.clone(), Op::Chdir { path: cwd }, [if uid == 0 { 0 } else { libc::EACCES }, 0]);
    }
    if uid != 0 {
        b.prctl(origin("process.capabilities", "keep capabilities over the change of user"), libc::PR_SET_KEEPCAPS, 1);
    }
    groups(b)?;
    let same = |id: u64| [Arg::Value(id); 3];
    if !has_always_been(b, user.gid, b.input.host.real_ids.1, b.input.host.egid) {
        b.call(origin("process.user.gid", format!("become group {gid}")), libc::SYS_setresgid, &same(gid));
    }
    if !has_always_been(b, user.uid, b.input.host.real_ids.0, b.input.host.euid) {
        b.call(origin("process.user.uid", format!("become user {uid}")), libc::SYS_setresuid, &same(uid));
    }
    super::caps::regain(b);
    if uid != 0 && !at_root {
        b.step(enter, Op::Chdir { path: cwd });
    }
    match user.umask {
        Some(umask) => {
            b.call(origin("process.user.umask", "set the umask"), libc::SYS_umask, &[Arg::Value(umask.into())])
        }
        None if b.input.launch.join == 0 => b.step(origin("", "restore the umask"), Op::RestoreUmask {}),
        None => {}
    }
    Ok(())
}

/// Whether an id is the caller's, real and effective, in the same user namespace: it is the process's then, for the exec of hull-init has
/// made the saved one and that of the file system the effective one (execve(2), credentials(7)).
fn has_always_been(b: &Builder<'_>, id: u32, real: u32, effective: u32) -> bool {
    !super::namespaces::has_user_namespace(b) && (id, id) == (real, effective)
}

/// The supplementary groups are always set, to none if there are none: the caller's must not come along.
fn groups(b: &mut Builder<'_>) -> Result<()> {
    if annotations::asked(b.input.config, annotations::KEEP_ORIGINAL_GROUPS).is_some() {
        return Ok(());
    }
    let groups = &b.input.process.user.additional_gids;
    if super::namespaces::setgroups_denied(b.input.host, b.input.config) {
        // setgroups(2) is denied in such a namespace (user_namespaces(7)), and the groups it could drop are unmapped.
        if !groups.is_empty() {
            let what = "additional groups need a gid map with more than the caller's own group";
            return Err(Error::spec("process.user.additionalGids", what));
        }
        return Ok(());
    }
    let bytes: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
    let list = b.bytes(&bytes);
    let args = [Arg::Value(groups.len() as u64), Arg::Addr(list.at)];
    // A user namespace that is joined may deny setgroups(2) to everybody; where no group is asked for, that is as good.
    let denied = super::namespaces::has_user_namespace(b) && !b.new_namespace("user") && groups.is_empty();
    let why = origin("process.user.additionalGids", "set the supplementary groups");
    b.step_skipping(why, call(libc::SYS_setgroups, &args), [if denied { libc::EPERM } else { 0 }, 0]);
    Ok(())
}

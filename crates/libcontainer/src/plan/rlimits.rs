//! Resource limits.

use super::Act;
use super::builder::{Arg, Builder, Origin, call, origin};
use super::namespaces;
use crate::config::Rlimit;
use crate::error::{Error, Result};
use crate::spec::names;
use hull_init::op::{Addr, Op};
use hull_init::wire::point;

const NPROC: &str = "RLIMIT_NPROC";

/// Sets each limit in the child, or, where it raises a hard limit inside a user namespace (which only the initial
/// one may), lets the parent do it at one meeting.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    some(b, |_| true)
}

/// The same for an exec, but that RLIMIT_NPROC leaves room for one more: during the fork there are two of the process.
pub(super) fn exec(b: &mut Builder<'_>) -> Result<()> {
    if !is_set_inside(b) {
        return all(b);
    }
    some(b, |kind| kind != NPROC)?;
    for (i, limit) in b.input.process.rlimits.iter().enumerate() {
        if limit.kind == NPROC {
            let (resource, _) = known(i, limit)?;
            let values = b.words([limit.soft, limit.hard].map(|value| value.saturating_add(1)));
            let why = origin(format!("process.rlimits[{i}]"), format!("set {} to one more, for the fork", limit.kind));
            // Where the process may not raise it, its own has to do.
            b.step_skipping(why, set(resource, values), [libc::EPERM, 0]);
        }
    }
    Ok(())
}

/// The limit of processes, once there is only the one.
pub(super) fn inside(b: &mut Builder<'_>) -> Result<()> {
    if is_set_inside(b) { some(b, |kind| kind == NPROC) } else { Ok(()) }
}

/// Whether [`inside`] has something to do.
pub(super) fn is_set_inside(b: &Builder<'_>) -> bool {
    let limits = &b.input.process.rlimits;
    namespaces::goes_inside(b) && limits.iter().any(|limit| limit.kind == NPROC)
}

fn some(b: &mut Builder<'_>, which: fn(&str) -> bool) -> Result<()> {
    let mut by_parent = Vec::new();
    for (i, limit) in b.input.process.rlimits.iter().enumerate() {
        if !which(&limit.kind) {
            continue;
        }
        let (resource, why) = known(i, limit)?;
        if namespaces::has_user_namespace(b) && b.input.host.raises_limit(resource, limit.hard) {
            by_parent.push(Act::Rlimit(resource, limit.soft, limit.hard));
            continue;
        }
        let values = b.words([limit.soft, limit.hard]);
        b.step(why, set(resource, values));
    }
    if !by_parent.is_empty() {
        b.meet(origin("process.rlimits", "wait for limits that only the host may raise"), point::RLIMITS, by_parent);
    }
    Ok(())
}

fn set(resource: u32, values: Addr) -> Op {
    call(libc::SYS_prlimit64, &[Arg::Value(0), Arg::Value(resource.into()), Arg::Addr(values), Arg::Value(0)])
}

fn known(i: usize, limit: &Rlimit) -> Result<(u32, Origin)> {
    let field = format!("process.rlimits[{i}]");
    let resource = names::RLIMITS
        .get(&limit.kind)
        .ok_or_else(|| Error::spec(format!("{field}.type"), format!("unknown rlimit {:?}", limit.kind)))?;
    Ok((resource, origin(field, format!("set {} to {}:{}", limit.kind, limit.soft, limit.hard))))
}

//! Resource limits.

use super::Act;
use super::builder::{Arg, Builder, origin};
use crate::error::{Error, Result};
use crate::spec::names;
use hull_init::wire::point;

/// Sets each limit in the child, or, where it raises a hard limit inside a user namespace (which only the initial
/// one may), lets the parent do it at one meeting.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let process = b.input.process;
    let mut by_parent = Vec::new();
    for (i, limit) in process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{i}]");
        let resource = names::RLIMITS
            .get(&limit.kind)
            .ok_or_else(|| Error::spec(format!("{field}.type"), format!("unknown rlimit {:?}", limit.kind)))?;
        if super::namespaces::has_user_namespace(b) && b.input.host.raises_limit(resource, limit.hard) {
            by_parent.push(Act::Rlimit(resource, limit.soft, limit.hard));
            continue;
        }
        let values = b.words([limit.soft, limit.hard]);
        let why = origin(field, format!("set {} to {}:{}", limit.kind, limit.soft, limit.hard));
        let args = [Arg::Value(0), Arg::Value(resource.into()), Arg::Addr(values), Arg::Value(0)];
        b.call(why, libc::SYS_prlimit64, &args);
    }
    if !by_parent.is_empty() {
        b.meet(origin("process.rlimits", "wait for limits that only the host may raise"), point::RLIMITS, by_parent);
    }
    Ok(())
}

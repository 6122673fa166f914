//! Where in the plan the filter is loaded.
//!
//! Loading needs no_new_privs or CAP_SYS_ADMIN, and every system call after it goes through the filter; so it comes as
//! late as it can. Only a filter with a listener comes before the barrier: the agent expects to hear of it at create.

use super::Act;
use super::builder::{Builder, origin};
use crate::error::Result;
use crate::seccomp::Filter;
use hull_init::op::Op;

/// A filter that notifies, before the barrier.
pub(super) fn early(b: &mut Builder<'_>) -> Result<()> {
    if let Some(filter) = b.input.filter.filter(|filter| filter.notify) {
        b.act_at_next_step(Act::SeccompListener);
        step(b, filter);
    }
    Ok(())
}

/// Any other filter, just before the program.
pub(super) fn load(b: &mut Builder<'_>) -> Result<()> {
    if let Some(filter) = b.input.filter.filter(|filter| !filter.notify) {
        step(b, filter);
    }
    Ok(())
}

fn step(b: &mut Builder<'_>, filter: &Filter) {
    let program = b.bytes(&filter.program);
    let op = Op::Seccomp { program, flags: filter.flags, notify: filter.notify };
    b.step(origin("linux.seccomp", "load the seccomp filter"), op);
}

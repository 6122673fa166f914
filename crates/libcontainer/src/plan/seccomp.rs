//! Where in the plan the filter is loaded.
//!
//! Loading needs no_new_privs or CAP_SYS_ADMIN, and every system call after it goes through the filter. So that of a container
//! comes as late as it can, and before the barrier only with a listener: the agent expects to hear of it at create. That of an
//! exec comes before the process appears in the container's pid namespace, where the filter lets it go there.

use super::builder::{Builder, origin};
use super::{Act, console, namespaces, program};
use crate::error::Result;
use crate::seccomp::{Call, Filter};
use hull_init::op::Op;
use hull_init::sys::process::CLONE_SIBLING;

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

/// The filter of an exec, before it goes into the container's pid namespace: nobody there can make a system call through
/// this process that the filter forbids.
pub(super) fn load_outside(b: &mut Builder<'_>) -> Result<()> {
    if is_loaded_inside(b) { Ok(()) } else { load_either(b) }
}

/// The filter of an exec that would not let it go there; it is then loaded as the last but the program. So is one that notifies: its agent is told
/// the pid of the process to be. As long as it is missing, whoever traces the process can make system calls without it;
/// and a process without no_new_privs has CAP_SYS_ADMIN, which seccomp(2) asks for.
pub(super) fn load_inside(b: &mut Builder<'_>) -> Result<()> {
    if is_loaded_inside(b) { load_either(b) } else { Ok(()) }
}

fn load_either(b: &mut Builder<'_>) -> Result<()> {
    early(b)?;
    load(b)
}

/// Whether the filter of an exec has to wait until the process is in the container's pid namespace.
pub(super) fn is_loaded_inside(b: &Builder<'_>) -> bool {
    let goes_on = |filter: &Filter| !filter.notify && filter.permits(&calls_of_the_way(b));
    namespaces::goes_inside(b) && b.input.filter.is_some_and(|filter| !goes_on(filter))
}

/// The system calls from [`load_outside`] to the program, as far as they are more than the program's own exec and what settles capabilities.
fn calls_of_the_way(b: &Builder<'_>) -> Vec<Call> {
    let call = |number: i64, arguments: &[Option<u64>]| {
        let mut all = [Some(0); 6];
        all.iter_mut().zip(arguments).for_each(|(place, argument)| *place = *argument);
        Call { number, arguments: all }
    };
    let sync = Some(program::inherited(b).into());
    let mut calls = vec![
        call(libc::SYS_clone, &[Some(CLONE_SIBLING)]),
        call(libc::SYS_exit_group, &[]),
        call(libc::SYS_write, &[sync, None, None]),
        call(libc::SYS_read, &[sync, None, None]),
        call(libc::SYS_setsid, &[]),
    ];
    if b.input.process.terminal
        && let Op::Call { call: number, a, b, .. } = console::CONTROL
    {
        calls.push(call(number as i64, &[Some(a), Some(b)]));
    }
    if super::rlimits::is_set_inside(b) {
        calls.push(call(libc::SYS_prlimit64, &[Some(0), None, None]));
    }
    calls
}

fn step(b: &mut Builder<'_>, filter: &Filter) {
    let program = b.bytes(&filter.program);
    let op = Op::Seccomp { program, flags: filter.flags, notify: filter.notify };
    b.step(origin("linux.seccomp", "load the seccomp filter"), op);
}

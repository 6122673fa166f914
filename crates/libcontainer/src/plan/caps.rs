//! Capabilities: five sets, as bit masks.

use super::builder::{Arg, Builder, origin};
use crate::config::Capabilities;
use crate::error::Result;
use crate::spec::names;
use hull_init::op::Op;

const SYS_ADMIN: u64 = 1 << 21;
const VERSION_3: u32 = 0x2008_0522;

/// The sets of a process, as the kernel will take them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sets {
    bounding: u64,
    effective: u64,
    inheritable: u64,
    permitted: u64,
    ambient: u64,
}

/// The config's sets without what this machine cannot grant (config.md: warn, do not fail). A process whose config names
/// none has none.
fn sets(b: &Builder<'_>) -> Sets {
    let none = Capabilities::default();
    let named = b.input.process.capabilities.as_ref().unwrap_or(&none);
    let Capabilities { bounding, effective, inheritable, permitted, ambient } = named;
    // A process of a new user namespace has every capability in it.
    let grantable = if super::namespaces::has_user_namespace(b) { u64::MAX } else { b.input.host.caps_effective };
    let known = grantable & ((2u64 << b.input.host.last_cap) - 1);
    let mask = |names: &[String]| names::capability_mask(names) & known;
    let (permitted, inheritable) = (mask(permitted), mask(inheritable));
    Sets {
        bounding: mask(bounding),
        effective: mask(effective) & permitted,
        inheritable,
        permitted,
        ambient: mask(ambient) & permitted & inheritable,
    }
}

/// Shrinks the bounding set, for which the process must still be privileged; and no_new_privs, which everything after may rely on.
pub(super) fn bound(b: &mut Builder<'_>) -> Result<()> {
    if b.input.process.no_new_privileges {
        b.prctl(origin("process.noNewPrivileges", "set no_new_privs"), libc::PR_SET_NO_NEW_PRIVS, 1);
    }
    let named = b.input.process.capabilities.as_ref().map_or(0, |named| names::capability_mask(&named.bounding));
    let denied = named & !sets(b).bounding;
    if denied != 0 {
        let names: Vec<_> = capability_names(denied).collect();
        b.warn(format!("{}: the caller does not have them (process.capabilities)", names.join(", ")));
    }
    let (keep, last) = (sets(b).bounding, u32::from(b.input.host.last_cap));
    let why = origin("process.capabilities.bounding", "drop capabilities from the bounding set");
    b.step(why, Op::DropBounding { keep, last });
    Ok(())
}

fn capability_names(mask: u64) -> impl Iterator<Item = &'static str> {
    names::CAPABILITIES.rows().iter().filter(move |row| mask >> row.1 & 1 != 0).map(|row| row.0)
}

/// After the change of user the effective set is empty. Where a filter has yet to be loaded without no_new_privs,
/// or a barrier comes before the program, the sets are settled as far as possible now: the config's, and
/// CAP_SYS_ADMIN only if the filter needs it.
pub(super) fn regain(b: &mut Builder<'_>) {
    let sets = sets(b);
    if !is_regained(b) {
        return;
    }
    let extra = if filter_needs_privilege(b) { SYS_ADMIN } else { 0 };
    set(b, sets.effective | extra, sets.permitted | extra, sets.inheritable);
}

/// Whether [`regain`] sets them.
fn is_regained(b: &Builder<'_>) -> bool {
    let filter_needs = filter_needs_privilege(b);
    let changed_user = b.input.process.user.uid != 0;
    // Inside nothing more than that may be there to be taken.
    let inside = super::seccomp::is_loaded_inside(b);
    b.input.launch.barrier || filter_needs && (changed_user || inside)
}

/// Without no_new_privs a filter can only be loaded by a process with CAP_SYS_ADMIN.
fn filter_needs_privilege(b: &Builder<'_>) -> bool {
    b.input.filter.is_some() && !b.input.process.no_new_privileges
}

/// The final sets, where the filter that comes next does not need more: then it need not allow these calls.
pub(super) fn settle_before_filter(b: &mut Builder<'_>) -> Result<()> {
    if !filter_needs_privilege(b) {
        settle(b);
    }
    Ok(())
}

/// The final sets, where the filter needed more.
pub(super) fn settle_after_filter(b: &mut Builder<'_>) -> Result<()> {
    if filter_needs_privilege(b) {
        settle(b);
    }
    Ok(())
}

/// The same for an exec whose filter is loaded before it goes into the container's pid namespace.
pub(super) fn settle_outside(b: &mut Builder<'_>) -> Result<()> {
    if super::seccomp::is_loaded_inside(b) { Ok(()) } else { settle_after_filter(b) }
}

/// And after.
pub(super) fn settle_inside(b: &mut Builder<'_>) -> Result<()> {
    if super::seccomp::is_loaded_inside(b) { settle_after_filter(b) } else { Ok(()) }
}

fn settle(b: &mut Builder<'_>) {
    let sets = sets(b);
    if !is_regained(b) || filter_needs_privilege(b) {
        set(b, sets.effective, sets.permitted, sets.inheritable);
    }
    let ambient = b.input.process.capabilities.as_ref().map_or(0, |named| names::capability_mask(&named.ambient));
    for name in capability_names(ambient & !(sets.permitted & sets.inheritable)) {
        let why = "it is not both permitted and inheritable (process.capabilities.ambient)";
        b.warn(format!("can't raise ambient capability {name}: {why}"));
    }
    if sets.ambient != 0 {
        let last = u32::from(b.input.host.last_cap);
        b.step(
            origin("process.capabilities.ambient", "raise ambient capabilities"),
            Op::Ambient { set: sets.ambient, last },
        );
    }
}

fn set(b: &mut Builder<'_>, effective: u64, permitted: u64, inheritable: u64) {
    let header: Vec<u8> = [VERSION_3, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let halves = |shift: u32| [effective, permitted, inheritable].map(|set| (set >> shift) as u32);
    let data: Vec<u8> = [halves(0), halves(32)].concat().iter().flat_map(|word| word.to_ne_bytes()).collect();
    let (header, data) = (b.bytes(&header), b.bytes(&data));
    b.call(
        origin("process.capabilities", "set capabilities"),
        libc::SYS_capset,
        &[Arg::Addr(header.at), Arg::Addr(data.at)],
    );
}

//! The class of service of Intel's resource director technology: the process is in it before it runs anybody's program.

use super::Act;
use super::builder::{Builder, origin};
use crate::error::Result;
use crate::resctrl::Group;
use hull_init::wire::point;

/// The parent writes the process into the class: resctrl takes pids of the writer's namespace, and the child may be in another.
pub(super) fn join(b: &mut Builder<'_>) -> Result<()> {
    if let Some(rdt) = &b.input.config.linux.intel_rdt {
        let group = Group::of(b.input.host.resctrl.as_deref(), rdt, b.input.id)?;
        let why = origin("linux.intelRdt", "wait to be in the class of service");
        b.meet(why, point::NAMESPACES, [Act::ClassOfService(group)]);
    }
    Ok(())
}

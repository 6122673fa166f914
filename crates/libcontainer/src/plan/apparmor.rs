//! The AppArmor profile that confines the program. One that cannot be applied is an error, never silence.
//!
//! The program's exec applies it (aa_change_onexec(2)): hull-init itself is not confined, and a profile that is not loaded
//! is known before anything of the container runs.

use super::builder::{Arg, Builder, origin};
use super::lsm::own_or_containers;
use crate::error::{Error, Kind, Result};
use crate::sys::lsm;
use hull_init::op::Op;

const FIELD: &str = "process.apparmorProfile";

/// What one system call or one write takes: a longer name would be cut off on its way to the kernel.
const LONGEST: usize = 4000;

/// Sets the profile that the next exec takes on: that of the process, or for an exec without one the container's.
pub(super) fn profile(b: &mut Builder<'_>) -> Result<()> {
    let Some(profile) = own_or_containers(b, |process| &process.apparmor_profile) else { return Ok(()) };
    let refused = |kind, why: String| Err(Error::new(kind, why).field(FIELD));
    if !b.input.host.apparmor {
        let why = format!("AppArmor profile {profile:?} cannot be applied: AppArmor is not enabled on this host");
        return refused(Kind::Unsupported, why);
    }
    if profile.len() > LONGEST {
        let why = format!("the AppArmor profile's name has {} bytes, more than {LONGEST}", profile.len());
        return refused(Kind::InvalidSpec, why);
    }
    let text = format!("exec {profile}");
    let what = format!("apply AppArmor profile {profile:?}");
    if b.input.host.lsm_call {
        // Nothing in a file system is asked, so that nothing there can mislead.
        let context = b.bytes(&lsm::context(lsm::APPARMOR, text.as_bytes()));
        let [attribute, size] = [lsm::ATTR_EXEC, u64::from(context.len)].map(Arg::Value);
        let args = [attribute, Arg::Addr(context.at), size, Arg::Value(0)];
        b.call(origin(FIELD, format!("{what}: lsm_set_self_attr")), lsm::SET_SELF_ATTR, &args);
    } else {
        let path = "self/attr/apparmor/exec";
        let why = origin(FIELD, format!("{what}: write {text:?} to /proc/{path}"));
        let (dir, path, data) = (b.procfs(), b.string(path), b.bytes(text.as_bytes()));
        b.step(why, Op::Write { dir, path, data });
    }
    Ok(())
}

//! Rootless: a runtime called by an ordinary user, in directories of theirs.

use crate::bundle::chown_tree;
use crate::{Bundle, Runtime, json, view};

/// An id that no account of the machine has.
pub const USER: u32 = 23017;

/// A runtime called by [`USER`].
pub fn runtime() -> Runtime {
    runtime_with(view::as_user(USER))
}

/// A runtime called through a wrapper which becomes [`USER`].
pub fn runtime_with(wrapper: Vec<String>) -> Runtime {
    let rt = Runtime::wrapped(wrapper);
    chown_tree(rt.dir(), USER);
    rt
}

/// A bundle of [`USER`]'s with what `spec --rootless` changes: a user namespace with one id, no cgroup, no network of
/// its own limits, /sys bound from the host's.
pub fn bundle(rt: &Runtime) -> Bundle {
    bundle_of(rt, USER)
}

/// The same for the user with this id.
pub fn bundle_of(rt: &Runtime, id: u32) -> Bundle {
    let mut bundle = rt.bundle();
    chown_tree(bundle.dir(), id);
    bundle.namespace("user", crate::bundle::Join::New);
    let map = json!([{"containerID": 0, "hostID": id, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.namespace("network", crate::bundle::Join::None);
    bundle.unset("/linux/resources").unset("/linux/cgroupsPath");
    bundle.unmount("/sys/fs/cgroup").unmount("/sys").unmount("/dev/pts");
    bundle.mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
    bundle.mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
    bundle
}

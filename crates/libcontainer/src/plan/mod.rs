//! The plan: all that turns a fresh process into a container's process, decided before that process exists.
//!
//! Compiling is pure: the same config, host and launch give the same plan, without privileges and without touching
//! anything. What has to be opened is listed in [`Plan::opens`], what the parent does while the child waits in
//! [`Plan::acts`]; what the child does is [`Plan::steps`], in order. `INIT` and `EXEC` are that order at a glance.

mod apparmor;
mod builder;
mod caps;
mod cgroups;
mod console;
mod devices;
mod explain;
mod hooks;
mod identity;
mod long_options;
mod lsm;
mod masks;
mod mounts;
mod namespaces;
mod net_devices;
pub mod options;
mod program;
mod rdt;
mod rlimits;
mod rootfs;
mod sched;
mod seccomp;
mod sysctl;

pub use builder::{Origin, Plan};
pub use explain::Explanation;
pub(crate) use namespaces::setgroups_denied;
pub(crate) use net_devices::FIELD as NET_DEVICES;
pub use net_devices::NetDevice;
pub(crate) use sched::set_policy;

use crate::config::{Config, Process};
use crate::error::Result;
use crate::host::Host;
use crate::seccomp::Filter;
pub use crate::sys::mount::MountAttr;
use builder::Builder;
use hull_init::op::Slot;
use std::path::{Path, PathBuf};

/// Everything a plan is compiled from.
pub struct Input<'a> {
    /// The checked config.
    pub config: &'a Config,
    /// The process to run: the config's own, or that of an exec.
    pub process: &'a Process,
    /// Facts of the machine.
    pub host: &'a Host,
    /// The container's id.
    pub id: &'a str,
    /// The bundle's directory: relative sources of bind mounts start here.
    pub bundle: &'a Path,
    /// The root file system on the host, absolute.
    pub rootfs: &'a Path,
    /// Where the container is in the cgroup hierarchies.
    pub cgroup: Cgroups,
    /// The finished filter of `linux.seccomp`.
    pub filter: Option<&'a Filter>,
    /// What the caller of this launch wants.
    pub launch: LaunchFacts<'a>,
}

/// The container's place in the cgroup hierarchies, as far as the plan depends on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cgroups {
    /// How many `cgroup.procs` files the process has to write itself into (v1 and hybrid).
    pub procs: u16,
    /// The process waits for its parent to have it put in, by systemd.
    pub by_admission: bool,
    /// Whether /sys/fs/cgroup is a pure cgroup2.
    pub unified: bool,
    /// v1: the directory name below /sys/fs/cgroup (`cpu`, `cpu,cpuacct`, `systemd`) and the container's directory there.
    pub v1: Vec<(String, PathBuf)>,
}

/// What the caller of a launch decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaunchFacts<'a> {
    /// Stop before the program until `start` comes.
    pub barrier: bool,
    /// Go on to the program only when the runtime knows the process: nothing else would find it, should the runtime be killed.
    pub noted: bool,
    /// `chroot` instead of `pivot_root`, for a host that runs from an initramfs.
    pub no_pivot: bool,
    /// With `no_pivot`: where the host has a procfs or a sysfs ([`Host::kernel_file_systems`]).
    pub kernel_file_systems: &'a [PathBuf],
    /// Leave the session keyring as it is.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on the program inherits.
    pub preserve_fds: u32,
    /// Variables added to the process's own.
    pub extra_env: &'a [String],
    /// The home directory of the user by the container's /etc/passwd, for a process without HOME.
    pub home: Option<&'a str>,
    /// What the sources of mounts with `copy-symlink` point to, by the mount's place in the config.
    pub links: &'a [(usize, PathBuf)],
    /// The namespaces an exec joins (CLONE_NEW* bits).
    pub join: u64,
}

/// Something the parent opens before the clone; its descriptor goes to the slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Its place in the table.
    pub slot: Slot,
    /// What it is.
    pub what: OpenWhat,
    /// Which field asks for it.
    pub origin: Origin,
}

/// The kinds of things a parent opens.
#[derive(Clone, Debug, PartialEq)]
pub enum OpenWhat {
    /// A clone of the mount tree at a path, detached, with attributes applied.
    Tree(Tree),
    /// A namespace to join, verified to be of the kind (CLONE_NEW*).
    Namespace {
        /// Its path.
        path: PathBuf,
        /// Its CLONE_NEW* flag.
        kind: u64,
        /// A kernel parameter that the config sets in it: it must not be the namespace this process is in.
        sysctl: Option<String>,
    },
    /// A directory as `O_PATH`.
    Directory {
        /// Its path.
        path: PathBuf,
    },
    /// A file to append to, made if it is missing.
    Output {
        /// Its path.
        path: PathBuf,
    },
    /// The host's procfs, verified.
    Procfs,
    /// A detached tmpfs into which the directory `from` below the rootfs has been copied.
    CopiedTmpfs {
        /// Below the rootfs.
        from: String,
        /// Parameters of the tmpfs: key and value.
        params: Vec<(String, Option<String>)>,
        /// MOUNT_ATTR_*.
        attrs: u64,
    },
    /// The n-th `cgroup.procs` of the container.
    CgroupProcs(u16),
    /// The socket on which `start` is awaited.
    StartSocket,
    /// The socket that gets the terminal's master.
    ConsoleSocket,
    /// The pidfd of the container's init.
    InitPidfd,
}

/// A mount tree to clone: open_tree(2), then mount_setattr(2).
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Where, on the host.
    pub path: PathBuf,
    /// All mounts below, too.
    pub recursive: bool,
    /// A symlink at the end is the object itself.
    pub no_follow: bool,
    /// What is changed on the clone, in this order: (attributes, on all mounts below).
    pub attrs: Vec<(MountAttr, bool)>,
    /// Ids as seen through the mount: (uid maps, gid maps, on all mounts below).
    pub idmap: Option<IdmappedMount>,
}

/// The maps of an id-mapped mount.
#[derive(Clone, Debug, PartialEq)]
pub struct IdmappedMount {
    /// uid maps.
    pub uids: Vec<crate::config::IdMapping>,
    /// gid maps.
    pub gids: Vec<crate::config::IdMapping>,
    /// The user namespace that has the maps, instead.
    pub namespace: Option<PathBuf>,
    /// On all mounts below, too.
    pub recursive: bool,
}

/// What the parent does for the child at a meeting point ([`hull_init::wire::point`]).
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Runs the prestart and createRuntime hooks.
    RuntimeHooks,
    /// Sets a limit of the child that it may not raise itself: (resource, soft, hard).
    Rlimit(u32, u64, u64),
    /// Sends the seccomp listener to `linux.seccomp.listenerPath`.
    SeccompListener,
    /// Sets the child's scheduling policy: (its name, `struct sched_attr`).
    Scheduler(String, Vec<u8>),
    /// Sets the child's oom_score_adj.
    OomScoreAdj(i64),
    /// Writes the id maps of the child: it has just made its user namespace.
    IdMaps,
    /// Writes the offsets of the time namespace that the child has just made.
    TimeOffsets(String),
    /// Has the child put into its cgroup.
    Admission,
    /// Moves the child on to a cgroup below its own, of which this user of the host is the owner.
    Delegation {
        /// Counted from the child's cgroup.
        path: String,
        /// None where that is the host's root.
        owner: Option<u32>,
    },
    /// Writes the child into its class of service.
    ClassOfService(crate::resctrl::Group),
    /// Moves devices of the host's network namespace into the child's.
    NetDevices(Vec<NetDevice>),
}

/// One pass of the compiler: a concern, in its place.
type Pass = (&'static str, fn(&mut Builder<'_>) -> Result<()>);

/// The passes of a container's first process, in the order in which their steps happen.
const INIT: &[Pass] = &[
    ("admission", cgroups::wait_for_admission),
    ("namespaces", namespaces::enter),
    ("network", namespaces::loopback),
    ("cgroups", cgroups::join),
    ("cpu affinity", sched::reset_affinity),
    ("class of service", rdt::join),
    ("session", namespaces::session),
    ("network devices", net_devices::all),
    ("keys' label", lsm::key_label),
    ("keyring", identity::keyring),
    ("rootfs", rootfs::attach),
    ("mounts", mounts::all),
    ("devices", devices::all),
    ("working directory", rootfs::make_cwd),
    ("console", console::init),
    ("hooks", hooks::create),
    ("masks", masks::all),
    ("enter", rootfs::enter),
    ("names", namespaces::names),
    ("sysctl", sysctl::all),
    ("scheduling", sched::all),
    ("rlimits", rlimits::all),
    ("AppArmor", apparmor::profile),
    ("security label", lsm::label),
    ("bounding set", caps::bound),
    ("user", identity::become_user),
    ("program", program::find),
    ("listener", seccomp::early),
    ("barrier", program::barrier),
    ("capabilities", caps::settle_before_filter),
    ("descriptors", program::close),
    ("filter", seccomp::load),
    ("capabilities", caps::settle_after_filter),
    ("start hooks", hooks::start_container),
    ("exec", program::exec),
];

/// The passes of a process that joins a container.
///
/// The container's processes see it from "pid namespace" on, and one that has CAP_SYS_PTRACE over it can then steer it and take its
/// descriptors. So by then it has become what it is to be; what is left to do needs no right that its program will not have.
/// One exception: a filter that would not let it go on ([`seccomp::load_inside`]).
const EXEC: &[Pass] = &[
    ("cpu affinity", sched::initial_affinity),
    ("admission", cgroups::wait_for_admission),
    ("cgroups", cgroups::join),
    ("cpu affinity", sched::reset_affinity),
    ("oom score", sched::oom_score),
    ("AppArmor", apparmor::profile),
    ("security label", lsm::label),
    ("keys' label", lsm::key_label),
    ("namespaces", namespaces::follow),
    ("rootfs", rootfs::follow),
    ("keyring", identity::keyring),
    ("console", console::exec),
    ("descriptors", program::strip),
    ("scheduling", sched::exec),
    ("rlimits", rlimits::exec),
    ("bounding set", caps::bound),
    ("user", identity::become_user),
    ("capabilities", caps::settle_before_filter),
    ("filter", seccomp::load_outside),
    ("capabilities", caps::settle_outside),
    ("pid namespace", namespaces::go_inside),
    ("class of service", rdt::join),
    ("session", namespaces::session),
    ("terminal", console::control),
    ("scheduling", sched::inside),
    ("rlimits", rlimits::inside),
    ("filter", seccomp::load_inside),
    ("capabilities", caps::settle_inside),
    ("exec", program::exec),
];

/// Compiles the plan of a container's first process.
pub fn init(input: &Input<'_>) -> Result<Plan> {
    compile(input, INIT)
}

/// Whether the compiler has a pass of this name: what [`Features`](crate::Features) says of a whole field.
pub(crate) fn performs(pass: &str) -> bool {
    INIT.iter().any(|(name, _)| *name == pass)
}

/// Compiles the plan of a process that joins a running container.
pub fn exec(input: &Input<'_>) -> Result<Plan> {
    compile(input, EXEC)
}

fn compile(input: &Input<'_>, passes: &[Pass]) -> Result<Plan> {
    let mut builder = Builder::new(input);
    for (name, pass) in passes {
        builder.pass(name);
        pass(&mut builder)?;
    }
    builder.finish()
}

//! How the process gets into its cgroups and sees them: joining, the cgroup namespace, and mounts of type cgroup.

use super::builder::{Arg, Builder, Origin, origin};
use super::mounts::{self, Target};
use super::{Act, MountAttr, OpenWhat};
use crate::cgroup::owner;
use crate::error::{Error, Kind, Result};
use crate::spec::annotations;
use hull_init::op::{ATTACH_DIRECTORY, ATTACH_FRESH, LINK_KEEP, Op, PARAM_FLAG, PARAM_STRING, Slot};
use hull_init::wire::point;
use libc::CLONE_NEWCGROUP;
use std::ffi::OsStr;

/// Waits for the parent to have the process put into its cgroup. systemd does that for a user whose process it is: before it
/// becomes a user of its own namespace, and before it forks.
pub(super) fn wait_for_admission(b: &mut Builder<'_>) -> Result<()> {
    if b.input.cgroup.by_admission {
        b.meet(origin("linux.cgroupsPath", "wait for the cgroup"), point::ADMISSION, [Act::Admission]);
    }
    Ok(())
}

/// Writes the process into each hierarchy that the clone cannot enter (v1), then makes the cgroup namespace, whose
/// root is where the process then is.
pub(super) fn join(b: &mut Builder<'_>) -> Result<()> {
    for n in 0..b.input.cgroup.procs {
        let procs = b.open(OpenWhat::CgroupProcs(n), origin("linux.cgroupsPath", "open cgroup.procs"));
        write(b, procs, origin("linux.cgroupsPath", "join the cgroup"), "0");
    }
    if b.input.launch.join != 0 {
        return Ok(());
    }
    if b.new_namespace("cgroup") {
        let flags = [Arg::Value(CLONE_NEWCGROUP as u64)];
        b.call(origin("linux.namespaces", "make a cgroup namespace"), libc::SYS_unshare, &flags);
    }
    move_down(b);
    Ok(())
}

/// Has the parent move the process on to the cgroup that the container manages itself, of which the root of its view is
/// then the parent.
fn move_down(b: &mut Builder<'_>) {
    if let Some(path) = annotations::asked(b.input.config, annotations::DELEGATE_CGROUP) {
        let owner = owner::host_uid(b.input.config, 0);
        let act = Act::Delegation { path: path.to_owned(), owner };
        let why = origin(annotations::field(annotations::DELEGATE_CGROUP), "wait for the delegated cgroup");
        b.meet(why, point::DELEGATION, [act]);
    }
}

/// One write to an open file.
fn write(b: &mut Builder<'_>, file: Slot, why: Origin, text: &str) {
    let bytes = b.bytes(text.as_bytes());
    b.call(why, libc::SYS_write, &[Arg::Fd(file), Arg::Addr(bytes.at), Arg::Value(bytes.len.into())]);
}

/// A mount of type cgroup: what /sys/fs/cgroup is on the host, as the container may see it.
///
/// A new mount of cgroup2 shows the cgroup namespace, and is only for who owns that: in a user namespace with the host's cgroup
/// namespace, the kernel refuses it. And in the first cgroup namespace of all its options are the whole machine's: without
/// them a mount would take `nsdelegate` away from everybody, by which containers cannot lift their own limits (cgroup-v2.rst,
/// "Mounting"). What the host has at /sys/fs/cgroup shows the same.
pub(super) fn mount(b: &mut Builder<'_>, target: &Target<'_>) -> Result<()> {
    if target.options.idmap.is_some() {
        let what = "only bind mounts can have ids of their own";
        return Err(Error::new(Kind::Unsupported, what).field(target.field.clone()));
    }
    if b.input.cgroup.unified {
        if !b.has_namespace("cgroup") {
            let mut attr = MountAttr { set: attrs_of(target), ..MountAttr::default() };
            if b.has_namespace("user") || b.input.host.in_user_namespace {
                // Whoever manages cgroups of the host must not do so from inside of a container (CVE-2023-25809).
                attr.set |= libc::MOUNT_ATTR_RDONLY;
            } else {
                attr.clear = HOSTS_ATTRS & !attr.set;
            }
            let tree = directory(b, || target.origin(), "/sys/fs/cgroup", attr);
            target.attach(b, tree);
            return Ok(());
        }
        let kind = b.string("cgroup2");
        let params = b.bytes(&[]);
        let op = Op::Filesystem { kind, params, attrs: attrs_of(target) };
        let tree = b.step_to_slot(target.origin(), op);
        target.attach(b, tree);
        return Ok(());
    }
    hierarchies(b, target)
}

/// What a mount of the host's may have that the config does not ask for.
const HOSTS_ATTRS: u64 =
    libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;

/// A directory of a cgroup file system, as a mount that has nothing to do with the host's.
fn directory(b: &mut Builder<'_>, origin: impl Fn() -> Origin, path: impl AsRef<OsStr>, attr: MountAttr) -> Slot {
    let path = b.string(path);
    let tree = b.step_to_slot(origin(), Op::CloneTree { dir: Slot::CWD, path, flags: 0 });
    b.set_attr(origin(), tree, MountAttr { propagation: libc::MS_PRIVATE, ..attr }, false);
    tree
}

/// There is nothing below but what is made here: recursive attributes are those of each mount.
fn attrs_of(target: &Target<'_>) -> u64 {
    target.options.attr_set | target.options.rec_attr_set
}

/// v1: a tmpfs with a directory for each hierarchy, and the short names of joint ones as symlinks.
fn hierarchies(b: &mut Builder<'_>, target: &Target<'_>) -> Result<()> {
    const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    let attrs = attrs_of(target);
    let kind = b.string("tmpfs");
    let params = mounts::own_tmpfs(b, "mode", "755")?;
    let top = b.step_to_slot(target.origin(), Op::Filesystem { kind, params, attrs: attrs & !RDONLY });
    target.attach(b, top);
    let own_view = b.has_namespace("cgroup");
    let input = b.input;
    for (name, directory) in &input.cgroup.v1 {
        let what = format!("mount the cgroup hierarchy {name:?} below {:?}", target.destination);
        let origin = || origin(target.field.clone(), what.clone());
        let tree = if own_view {
            let kind = b.string("cgroup");
            let params = b.bytes(&hierarchy_params(name));
            b.step_to_slot(origin(), Op::Filesystem { kind, params, attrs })
        } else {
            self::directory(b, origin, directory, MountAttr { set: attrs, ..MountAttr::default() })
        };
        let path = b.string(name);
        b.step(origin(), Op::Attach { tree, root: top, path, flags: ATTACH_FRESH | ATTACH_DIRECTORY });
        if name.contains(',') {
            for part in name.split(',') {
                let (text, part) = (b.string(name), b.string(part));
                b.step(origin(), Op::Symlink { target: text, dir: top, name: part, other: LINK_KEEP });
            }
        }
    }
    if attrs & RDONLY != 0 {
        b.set_attr(target.origin(), top, MountAttr { set: RDONLY, ..MountAttr::default() }, false);
    }
    Ok(())
}

/// The controllers of a hierarchy as mount parameters; `systemd` is a hierarchy with a name and without controllers.
fn hierarchy_params(name: &str) -> Vec<u8> {
    let mut params = Vec::new();
    if name == "systemd" {
        params.push(PARAM_FLAG);
        params.extend_from_slice(b"none\0");
        params.push(PARAM_STRING);
        params.extend_from_slice(b"name\0systemd\0");
    } else {
        for controller in name.split(',') {
            params.push(PARAM_FLAG);
            params.extend_from_slice(controller.as_bytes());
            params.push(0);
        }
    }
    params
}

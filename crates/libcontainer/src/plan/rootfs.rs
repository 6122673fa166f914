//! The root file system: its mount, its propagation, and the change of root.

use super::builder::{Arg, Builder, Origin, call, inside, origin};
use super::{MountAttr, OpenWhat, Tree};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::spec::names;
use hull_init::op::{Op, Slot};
use std::path::Path;

/// The propagation that a clone made by the parent gets, as if it had been made in the container's tree. `None` leaves it
/// shared with the host's: a clone of a shared mount is its peer already; of a private one it has to stay so.
pub(super) fn base_propagation(config: &Config) -> Option<MountAttr> {
    let propagation = under_construction(config);
    (propagation != libc::MS_SHARED).then(|| MountAttr { propagation, ..MountAttr::default() })
}

/// The propagation of the container's whole mount tree while it is built: what `linux.rootfsPropagation` says, else
/// slave, so that nothing the container does reaches the host. A tree that is built must be bindable; the root becomes
/// unbindable at the end.
fn under_construction(config: &Config) -> u64 {
    match wanted(config) {
        None => libc::MS_SLAVE,
        Some((libc::MS_UNBINDABLE, _)) => libc::MS_PRIVATE,
        Some((propagation, _)) => propagation,
    }
}

/// `linux.rootfsPropagation` as (MS_* kind, recursive).
fn wanted(config: &Config) -> Option<(u64, bool)> {
    let name = config.linux.rootfs_propagation.as_deref().filter(|name| !name.is_empty())?;
    names::PROPAGATION.get(name).map(|flags| (flags & !libc::MS_REC, flags & libc::MS_REC != 0))
}

/// Cuts the mount namespace off from the host's and attaches the root file system over `/`, where only a change of
/// root will see it; paths of the host keep their meaning until then.
pub(super) fn attach(b: &mut Builder<'_>) -> Result<()> {
    b.step(origin("", "clear the umask"), Op::ClearUmask {});
    let input = b.input;
    let why = || origin("root.path", format!("open the root file system {:?}", input.rootfs));
    if !b.has_namespace("mount") {
        b.root = b.open(OpenWhat::Directory { path: input.rootfs.to_owned() }, why());
        return Ok(());
    }
    let propagation = under_construction(input.config);
    let shared = propagation == libc::MS_SHARED;
    let cut = origin("linux.rootfsPropagation", "set the propagation of the mount namespace");
    propagate(b, &cut, "/", propagation, true);
    if shared {
        // What is attached over `/` must not show up on the host.
        propagate(b, &cut, "/", libc::MS_PRIVATE, false);
    }
    b.root = if b.parent_mounts() {
        // A change of root wants a root that is shared with nobody; the mounts below keep their peers.
        let private = (MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() }, false);
        let attrs = vec![base_propagation(input.config).map_or(private, |attr| (attr, true))];
        let path = input.rootfs.to_owned();
        b.open(OpenWhat::Tree(Tree { path, recursive: true, no_follow: false, attrs, idmap: None }), why())
    } else {
        let path = b.string(input.rootfs);
        let flags = u64::from(libc::AT_RECURSIVE as u32);
        let tree = b.step_to_slot(why(), Op::CloneTree { dir: Slot::CWD, path, flags });
        if shared {
            b.set_attr(why(), tree, MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() }, false);
        }
        tree
    };
    put(b, Path::new("/"), origin("root.path", "attach the root file system"));
    Ok(())
}

/// Puts the container's tree at a path of the host, where it was at another or at none.
fn put(b: &mut Builder<'_>, path: &Path, why: Origin) {
    let (empty, path) = (b.string(""), b.string(path));
    let flags = Arg::Value(u64::from(libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_SYMLINKS));
    let args = [Arg::Fd(b.root), Arg::Addr(empty), Arg::Fd(Slot::CWD), Arg::Addr(path), flags];
    b.call(why, libc::SYS_move_mount, &args);
}

/// For the hooks of `create` the container's tree is where the host has its root file system: they look for it there, as those
/// do which prepare devices and libraries. It is their working directory, and the umask is what it was.
pub(super) fn show(b: &mut Builder<'_>) {
    if b.has_namespace("mount") {
        let why = || origin("root.path", "show the root file system to the hooks");
        let shared = under_construction(b.input.config) == libc::MS_SHARED;
        if shared {
            // The mount that the path is on must not be the host's peer. Whatever is bound from it is bound by now.
            for dir in b.input.rootfs.ancestors() {
                let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
                let (dir, attr) = (b.string(dir), b.mount_attr(private));
                let args = [Arg::Fd(Slot::CWD), Arg::Addr(dir), Arg::Value(0), Arg::Addr(attr), Arg::Value(32)];
                b.step_skipping(why(), call(libc::SYS_mount_setattr, &args), [libc::EINVAL, 0]); // no mount point
            }
            // Where a symlink hides that mount, the kernel refuses to show the host a tree that cannot be bound.
            let unbindable = MountAttr { propagation: libc::MS_UNBINDABLE, ..MountAttr::default() };
            b.set_attr(why(), b.root, unbindable, false);
        }
        put(b, b.input.rootfs, why());
        if shared {
            let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
            b.set_attr(why(), b.root, private, false);
        }
    }
    let root = Arg::Fd(b.root);
    b.call(origin("root.path", "go to the root file system"), libc::SYS_fchdir, &[root]);
    b.step(origin("", "restore the umask"), Op::RestoreUmask {});
}

/// Puts the tree back over `/` after [`show`].
pub(super) fn hide(b: &mut Builder<'_>) {
    b.step(origin("", "clear the umask"), Op::ClearUmask {});
    if b.has_namespace("mount") {
        put(b, Path::new("/"), origin("root.path", "take the root file system from the hooks"));
    }
}

fn propagate(b: &mut Builder<'_>, origin: &Origin, path: &str, propagation: u64, recursive: bool) {
    let (path, attr) = (b.string(path), b.mount_attr(MountAttr { propagation, ..MountAttr::default() }));
    let flags = if recursive { u64::from(libc::AT_RECURSIVE as u32) } else { 0 };
    let args = [Arg::Fd(Slot::CWD), Arg::Addr(path), Arg::Value(flags), Arg::Addr(attr), Arg::Value(32)];
    b.call(origin.clone(), libc::SYS_mount_setattr, &args);
}

/// The root of a process that joins a container without a mount namespace of its own: joining brings none along, and the
/// process would have the caller's.
pub(super) fn follow(b: &mut Builder<'_>) -> Result<()> {
    if b.has_namespace("mount") {
        return Ok(());
    }
    let path = b.input.rootfs.to_owned();
    let root = b.open(OpenWhat::Directory { path }, origin("root.path", "open the container's root file system"));
    let op = Op::Enter { root, pivot: false, shared: false };
    b.step(origin("root.path", "change the root to the container's"), op);
    Ok(())
}

/// The working directory, made as root if it is missing: the user may not be able to. What cannot be made fails where it is entered.
pub(super) fn make_cwd(b: &mut Builder<'_>) -> Result<()> {
    let cwd = inside(&b.input.process.cwd);
    if !cwd.is_empty() {
        let why = origin("process.cwd", format!("make the working directory {:?}", b.input.process.cwd));
        let (root, path) = (b.root, b.string(cwd));
        b.step_skipping(why, Op::MakeDirs { root, path, mode: 0o755 }, [libc::EROFS, libc::EACCES]);
    }
    Ok(())
}

/// Without pivot_root(2) the host's mounts stay below the container's root. It cannot reach them, but the kernel lets a new user
/// namespace mount a procfs or sysfs without masks wherever such a one is already to be seen in the mount namespace.
fn take_away_kernel_file_systems(b: &mut Builder<'_>, shared: bool) {
    for path in b.input.launch.kernel_file_systems {
        // Only what lies directly in the root, which is shared with nobody, can go without going on the host too.
        if shared && path.components().count() > 2 {
            continue;
        }
        let why = origin("root.path", format!("take {path:?} away"));
        let place = Arg::Addr(b.string(path));
        let op = if super::namespaces::has_user_namespace(b) {
            // It came with the mount namespace, and stays; what covers it counts.
            let tmpfs = Arg::Addr(b.string("tmpfs"));
            call(libc::SYS_mount, &[tmpfs, place, tmpfs, Arg::Value(0), Arg::Value(0)])
        } else {
            call(libc::SYS_umount2, &[place, Arg::Value(libc::MNT_DETACH as u64)])
        };
        // It may have gone with one above it.
        b.step_skipping(why, op, [libc::ENOENT, libc::EINVAL]);
    }
}

/// Changes the root, then gives it its final attributes.
pub(super) fn enter(b: &mut Builder<'_>) -> Result<()> {
    let root = b.root;
    let mounted = b.has_namespace("mount");
    let config = b.input.config;
    let pivot = mounted && !b.input.launch.no_pivot;
    let shared = under_construction(config) == libc::MS_SHARED;
    if mounted && !pivot {
        take_away_kernel_file_systems(b, shared);
    }
    b.step(origin("root.path", "change the root"), Op::Enter { root, pivot, shared });
    if let Some((propagation, recursive)) = wanted(config).filter(|_| mounted) {
        let why = origin("linux.rootfsPropagation", "set the propagation of the root file system");
        b.set_attr(why, root, MountAttr { propagation, ..MountAttr::default() }, recursive);
    }
    if let Some(dev) = b.readonly_dev {
        let attr = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
        b.set_attr(origin("mounts", "make /dev read-only"), dev, attr, false);
    }
    if config.root.as_ref().is_some_and(|root| root.readonly) {
        if !mounted {
            return Err(Error::spec("root.readonly", "a read-only root needs a mount namespace"));
        }
        let attr = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
        b.set_attr(origin("root.readonly", "make the root file system read-only"), root, attr, false);
    }
    Ok(())
}

//! What the parent opens for the child, before the child exists.

use super::Launch;
use crate::error::{Error, Kind, Result};
use crate::plan::{MountAttr, Open, OpenWhat, Plan, Tree};
use crate::spec::names;
use crate::sys;
use hull_init::op::Slot;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// The descriptors behind a plan's slots.
pub(super) struct Slots {
    /// For each slot its descriptor's number, -1 where the child will fill it.
    pub numbers: Vec<RawFd>,
    _fds: Vec<OwnedFd>,
}

/// Opens everything `plan` names; `sync` is the child's end of the conversation.
pub(super) fn all(plan: &Plan, launch: &mut Launch<'_>, sync: OwnedFd) -> Result<Slots> {
    let mut numbers = vec![-1; usize::from(plan.slots)];
    let mut fds = Vec::with_capacity(plan.opens.len() + 1);
    let mut place = |slot: Slot, fd: OwnedFd| {
        if let Some(number) = numbers.get_mut(usize::from(slot.0)) {
            *number = fd.as_raw_fd();
        }
        fds.push(fd);
    };
    place(Slot::SYNC, sync);
    for open in &plan.opens {
        let fd = one(open, launch).map_err(|error| match open.origin.field.as_ref() {
            "" => error,
            field => error.field(field.to_owned()),
        })?;
        place(open.slot, fd);
    }
    Ok(Slots { numbers, _fds: fds })
}

fn one(open: &Open, launch: &mut Launch<'_>) -> Result<OwnedFd> {
    let failed = |errno: Errno| Error::sys(open.origin.what.clone(), errno);
    let missing = || Error::new(Kind::InvalidArgument, format!("{}: there is none", open.origin.what));
    match &open.what {
        OpenWhat::Tree(tree) => self::tree(tree).map_err(failed),
        OpenWhat::Namespace { path, kind, sysctl } => {
            // What is no namespace may be a FIFO, where an open waits for ever.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let namespace = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
            // A check and its use are one object: a path may mean another file by the time the child joins.
            match sys::namespace::kind(namespace.as_fd()) {
                Ok(found) if found == *kind => match sysctl {
                    Some(key) if is_own(&namespace, *kind).map_err(failed)? => {
                        let what =
                            format!("{key:?} would change the host: {}, which is the host's own", open.origin.what);
                        Err(Error::new(Kind::InvalidSpec, what))
                    }
                    _ => Ok(namespace),
                },
                Ok(_) => Err(Error::new(Kind::InvalidSpec, format!("{}: it is of another kind", open.origin.what))),
                Err(_) => Err(Error::new(Kind::InvalidSpec, format!("{}: it is no namespace", open.origin.what))),
            }
        }
        OpenWhat::Directory { path } => {
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)
        }
        OpenWhat::Output { path } => super::hook::output(path).map_err(failed),
        OpenWhat::Procfs => crate::proc::open(),
        OpenWhat::CopiedTmpfs { from, params, attrs } => super::copy_up::tmpfs(launch.rootfs, from, params, *attrs)
            .map_err(|error| error.context(open.origin.what.clone())),
        OpenWhat::CgroupProcs(n) => {
            let fd = launch.cgroup.procs.get(usize::from(*n));
            fd.ok_or_else(missing)?.try_clone().map_err(|error| Error::io(open.origin.what.clone(), &error))
        }
        OpenWhat::StartSocket => launch.start_socket.take().ok_or_else(missing),
        OpenWhat::ConsoleSocket => launch.console.take().ok_or_else(missing),
        OpenWhat::InitPidfd => {
            let (pidfd, _) = launch.init.as_mut().ok_or_else(missing)?;
            pidfd.take().ok_or_else(missing)
        }
    }
}

/// Whether this process is in a namespace.
fn is_own(namespace: &OwnedFd, kind: u64) -> std::result::Result<bool, Errno> {
    let of_kind = names::NAMESPACES.rows().iter().find(|(_, known)| known.flag == kind);
    let file = of_kind.map_or("", |(_, known)| known.file);
    let (own, other) = (rustix::fs::stat(format!("/proc/self/ns/{file}"))?, rustix::fs::fstat(namespace)?);
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

/// A detached clone of a mount tree, changed as asked for.
fn tree(tree: &Tree) -> std::result::Result<OwnedFd, Errno> {
    let fd = sys::mount::clone_tree(&tree.path, tree.recursive, tree.no_follow)?;
    if let Some(idmap) = &tree.idmap {
        let user = match &idmap.namespace {
            Some(path) => rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?,
            None => super::id_maps::namespace_with(&idmap.uids, &idmap.gids)?,
        };
        sys::mount::set_attr(fd.as_fd(), MountAttr::default(), idmap.recursive, Some(user.as_fd()))?;
    }
    for (attr, recursive) in &tree.attrs {
        if !attr.is_nothing() {
            sys::mount::set_attr(fd.as_fd(), *attr, *recursive, None)?;
        }
    }
    Ok(fd)
}

/// An `O_PATH` descriptor of a path below `root`, no component of which leads out: openat2(2).
pub(super) fn in_root(root: &OwnedFd, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename elsewhere came in between; the kernel asks to try again.
            Err(Errno::AGAIN) => continue,
            result => return result,
        }
    }
}

/// The root file system as a directory.
pub(super) fn rootfs(path: &std::path::Path) -> std::result::Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

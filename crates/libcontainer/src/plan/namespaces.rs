//! Namespaces: what the clone makes, what is joined, in which order, and the names that live in them.

use super::builder::{Arg, Builder, origin};
use super::{Act, OpenWhat};
use crate::config::{Config, IdMapping, Namespace};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::spec::{names, sysctl_namespace};
use hull_init::op::{Op, Slot};
use hull_init::wire::point;
use libc::{CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, EPERM};

const USER: u64 = CLONE_NEWUSER as u64;
const PID: u64 = CLONE_NEWPID as u64;
const CGROUP: u64 = CLONE_NEWCGROUP as u64;
const IPC: u64 = CLONE_NEWIPC as u64;
const TIME: u64 = CLONE_NEWTIME as u64;

/// Makes and joins the config's namespaces.
///
/// Where no user namespace is involved the clone makes all new ones at once, and what is joined is joined after. Otherwise the order
/// matters: a namespace can only be joined with power over it, so what the present user namespace owns is joined
/// first, then the user namespace, then the rest; and only then the new ones are made, by one clone again, so that
/// the new user namespace owns them. That clone is hull-init's own: had the process executed a program since, without being
/// a user of its namespace yet, it would have lost its capabilities there.
///
/// The ipc namespace comes once the process is root of its user namespace: the root of /dev/mqueue belongs to who makes it.
/// The cgroup namespace comes later ([`super::cgroups::join`]): its root is the cgroup of the process that makes it. So
/// does the time namespace, for its offsets.
///
/// In a pid namespace that others share the process is seen, with all its rights, from here on: a procfs is the pid namespace's of who
/// makes it, and the hooks are told the pid that stays. Its memory is not dumpable and belongs to the host's user namespace, so that
/// ptrace(2) needs CAP_SYS_PTRACE there: a container without a user namespace that has this capability can take over who joins its
/// pid namespace, as it can whoever is in the host's if it has that. An exec is not seen so early: [`go_inside`].
pub(super) fn enter(b: &mut Builder<'_>) -> Result<()> {
    let mut fresh = 0;
    let mut joins: Vec<(u64, Slot, usize)> = Vec::new();
    let config = b.input.config;
    for (i, namespace) in config.linux.namespaces.iter().enumerate() {
        let kind = kind_of(namespace, i)?;
        match namespace.path.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => {
                let what = format!("open the {} namespace {path:?}", namespace.kind);
                let in_it = |key: &&String| sysctl_namespace(key) == Some(&namespace.kind);
                let sysctl = config.linux.sysctl.keys().find(in_it).cloned();
                let open = OpenWhat::Namespace { path: path.into(), kind, sysctl };
                let slot = b.open(open, origin(format!("linux.namespaces[{i}].path"), what));
                joins.push((kind, slot, i));
            }
            None => fresh |= kind,
        }
    }
    let user_join = joins.iter().position(|join| join.0 == USER);
    let at_once = fresh & !(CGROUP | TIME);
    if user_join.is_none() && fresh & USER == 0 {
        b.clone_flags(at_once);
        join(b, &joins, false);
        if joins.iter().any(|join| join.0 == PID) {
            fork(b, 0);
        }
    } else {
        join(b, &joins, true);
        if let Some(user) = user_join {
            join(b, &joins[user..=user], false);
            join(b, &joins, false);
        }
        if fresh & USER != 0 {
            dumpable(b, true);
        }
        let with_user = at_once & !IPC;
        if with_user != 0 || joins.iter().any(|join| join.0 == PID) {
            fork(b, with_user);
        }
        if fresh & USER != 0 {
            b.meet(origin("linux.uidMappings", "wait for the id maps"), point::NAMESPACES, [Act::IdMaps]);
            dumpable(b, false);
        }
        become_namespace_root(b);
        if fresh & IPC != 0 {
            let why = origin("linux.namespaces", "make an ipc namespace");
            b.call(why, libc::SYS_unshare, &[Arg::Value(IPC)]);
        }
    }
    if fresh & TIME != 0 {
        time(b);
    }
    Ok(())
}

fn fork(b: &mut Builder<'_>, namespaces: u64) {
    let what = if namespaces == 0 { "go on inside the pid namespace" } else { "go on in new namespaces" };
    b.step(origin("linux.namespaces", what), Op::Fork { namespaces });
}

/// The maps of a process that is not dumpable belong to root, and neither an ordinary user nor newuidmap(1) for one
/// could write them. Nothing of the container can see the process at that time, but through a joined pid namespace.
fn dumpable(b: &mut Builder<'_>, yes: bool) {
    if b.input.host.has_cap(names::CAP_SYS_ADMIN) {
        return;
    }
    let what = if yes { "open the process's own files in /proc" } else { "close the process again" };
    b.prctl(origin("linux.namespaces", what), libc::PR_SET_DUMPABLE, yes.into());
}

fn kind_of(namespace: &Namespace, i: usize) -> Result<u64> {
    names::NAMESPACES.get(&namespace.kind).map(|kind| kind.flag).ok_or_else(|| {
        Error::spec(format!("linux.namespaces[{i}].type"), format!("unknown namespace {:?}", namespace.kind))
    })
}

/// Joins each namespace. With `first_pass` a refusal is left for later: [`Op::Join`] of a namespace already joined does nothing.
fn join(b: &mut Builder<'_>, joins: &[(u64, Slot, usize)], first_pass: bool) {
    for &(kinds, namespace, i) in joins {
        if first_pass && kinds == USER {
            continue;
        }
        let config = b.input.config;
        let what = format!("join the {} namespace", config.linux.namespaces[i].kind);
        let origin = origin(format!("linux.namespaces[{i}]"), what);
        let op = Op::Join { namespace, kinds };
        if first_pass { b.step_skipping(origin, op, [EPERM, 0]) } else { b.step(origin, op) }
    }
}

/// In a user namespace the process is nobody until it says who it is; a map without 0 has no root to become (EINVAL).
fn become_namespace_root(b: &mut Builder<'_>) {
    for (call, what) in [
        (libc::SYS_setresgid, "become group 0 of the user namespace"),
        (libc::SYS_setresuid, "become user 0 of the user namespace"),
    ] {
        let op = super::builder::call(call, &[Arg::Value(0); 3]);
        b.step_skipping(origin("linux.uidMappings", what), op, [libc::EINVAL, 0]);
    }
}

/// A new network namespace has a loopback interface that is down; every program expects it up (netdevice(7)).
pub(super) fn loopback(b: &mut Builder<'_>) -> Result<()> {
    if !b.new_namespace("network") {
        return Ok(());
    }
    let why = || origin("linux.namespaces", "bring the loopback interface up");
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let args = [Arg::Value(libc::AF_UNIX as u64), Arg::Value(kind as u64), Arg::Value(0)];
    let socket = b.step_to_slot(why(), super::builder::call(libc::SYS_socket, &args));
    // struct ifreq: a name of 16 bytes, then the flags.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&((libc::IFF_UP | libc::IFF_RUNNING) as u16).to_ne_bytes());
    let request = b.bytes(&request);
    b.call(why(), libc::SYS_ioctl, &[Arg::Fd(socket), Arg::Value(libc::SIOCSIFFLAGS), Arg::Addr(request.at)]);
    Ok(())
}

fn time(b: &mut Builder<'_>) {
    let mut text = String::new();
    for (clock, offset) in &b.input.config.linux.time_offsets {
        text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    let why = |what| origin("linux.timeOffsets", what);
    b.call(why("make a time namespace"), libc::SYS_unshare, &[Arg::Value(TIME)]);
    // In a user namespace the process is not the owner of its own files in /proc, which belong to root.
    let foreign = has_user_namespace(b) && !text.is_empty();
    let by_parent = foreign && b.input.host.has_cap(names::CAP_SYS_ADMIN);
    if by_parent {
        b.meet(why("wait for the clock offsets"), point::NAMESPACES, [Act::TimeOffsets(text.clone())]);
    } else if foreign {
        dumpable(b, true);
    }
    let offsets = b.bytes(if by_parent { b"" } else { text.as_bytes() });
    let proc = b.procfs();
    b.step(why("enter the time namespace"), Op::TimeNamespace { proc, offsets });
    if foreign && !by_parent {
        dumpable(b, false);
    }
}

/// A session of its own, so that no terminal of the caller reaches in.
pub(super) fn session(b: &mut Builder<'_>) -> Result<()> {
    b.call(origin("", "make a session"), libc::SYS_setsid, &[]);
    Ok(())
}

/// The names that belong to the UTS namespace.
pub(super) fn names(b: &mut Builder<'_>) -> Result<()> {
    let config = b.input.config;
    let names = [
        (&config.hostname, "hostname", libc::SYS_sethostname, "set the host name"),
        (&config.domainname, "domainname", libc::SYS_setdomainname, "set the domain name"),
    ];
    for (name, field, call, what) in names {
        if let Some(name) = name.as_deref().filter(|name| !name.is_empty()) {
            let text = b.string(name);
            b.call(origin(field, format!("{what} {name:?}")), call, &[Arg::Addr(text), Arg::Value(name.len() as u64)]);
        }
    }
    Ok(())
}

/// An exec joins all namespaces of the container's init at once, by its pidfd. The pid namespace has its next child only.
pub(super) fn follow(b: &mut Builder<'_>) -> Result<()> {
    let kinds = b.input.launch.join;
    if kinds == 0 {
        return Ok(());
    }
    let namespace = b.open(OpenWhat::InitPidfd, origin("", "open the container's init"));
    b.step(origin("linux.namespaces", "join the container's namespaces"), Op::Join { namespace, kinds });
    if kinds & USER != 0 {
        become_namespace_root(b);
    }
    if b.input.host.caps_effective == 0 && kinds & USER == 0 {
        return Err(Error::new(Kind::Unsupported, "joining the container's namespaces needs CAP_SYS_ADMIN"));
    }
    Ok(())
}

/// Goes on in the container's pid namespace.
pub(super) fn go_inside(b: &mut Builder<'_>) -> Result<()> {
    if goes_inside(b) {
        fork(b, 0);
    }
    Ok(())
}

/// Whether the process of an exec is seen in the container only from [`go_inside`] on.
pub(super) fn goes_inside(b: &Builder<'_>) -> bool {
    b.input.launch.join & PID != 0
}

/// Whether the container has ids of its own.
pub(super) fn has_user_namespace(b: &Builder<'_>) -> bool {
    b.has_namespace("user")
}

/// Whether setgroups(2) is denied to the container: as it is to the caller already, or because the gid map is one that a caller without
/// CAP_SETGID may write itself, its own group alone, at the price of that (user_namespaces(7), CVE-2014-8989).
pub(crate) fn setgroups_denied(host: &Host, config: &Config) -> bool {
    if host.setgroups_denied {
        return true;
    }
    let own = |map: &IdMapping| map.size == 1 && map.host_id == host.egid;
    let linux = &config.linux;
    linux.namespaces.iter().any(|n| n.kind == "user")
        && !host.has_cap(names::CAP_SETGID)
        && matches!(linux.gid_mappings.as_slice(), [map] if own(map))
}

//! Device nodes: the default ones, the config's, and the symlinks that a /dev has.

use super::builder::{Builder, inside, origin};
use crate::config::Device;
use crate::error::{Error, Result};
use crate::spec::is_bind;
use hull_init::op::{LINK_KEEP, LINK_REPLACE, Op, Slot};
use std::collections::BTreeMap;

/// config-linux.md#default-devices: name, major, minor.
const DEFAULT: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// config-linux.md#default-devices and runtime-linux.md#dev-symbolic-links.
const SYMLINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
];

/// Makes the devices, unless the config binds a whole /dev from the host.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let config = b.input.config;
    let binds_dev = |mount: &crate::config::Mount| is_bind(mount) && inside(&mount.destination) == "dev";
    if config.mounts.iter().any(binds_dev) {
        return Ok(());
    }
    let mut nodes = Nodes { dirs: b.fresh.clone(), bind: !b.may_make_nodes() };
    let dev = nodes.dir(b, "dev", "");
    for (name, major, minor) in DEFAULT {
        let path = format!("dev/{name}");
        if !config.linux.devices.iter().any(|device| inside(&device.path) == path) {
            let origin = origin("", format!("make the device /{path}"));
            nodes.make(b, origin, &path, libc::S_IFCHR | 0o666, libc::makedev(major, minor), (0, 0));
        }
    }
    for (i, device) in config.linux.devices.iter().enumerate() {
        let field = format!("linux.devices[{i}]");
        let (kind, number) = kind_and_number(device, &field)?;
        let mode = kind | device.file_mode.unwrap_or(0o666) & 0o7777;
        let origin = origin(field, format!("make the device {:?}", device.path));
        let owner = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
        nodes.make(b, origin, &inside(&device.path), mode, number, owner);
    }
    for (target, name) in SYMLINKS {
        let origin = origin("", format!("make the symlink /dev/{name}"));
        let (target, name) = (b.string(target), b.string(name));
        b.step(origin, Op::Symlink { target, dir: dev, name, other: LINK_KEEP });
    }
    let (target, name) = (b.string("pts/ptmx"), b.string("ptmx"));
    b.step(origin("", "make the symlink /dev/ptmx"), Op::Symlink { target, dir: dev, name, other: LINK_REPLACE });
    Ok(())
}

fn kind_and_number(device: &Device, field: &str) -> Result<(u32, u64)> {
    let kind = match device.kind.as_str() {
        "c" | "u" => libc::S_IFCHR,
        "b" => libc::S_IFBLK,
        "p" => return Ok((libc::S_IFIFO, 0)),
        other => return Err(Error::spec(format!("{field}.type"), format!("unknown device type {other:?}"))),
    };
    let number = |value: Option<i64>, name: &str| {
        value
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| Error::spec(format!("{field}.{name}"), format!("a device needs a {name} number from 0 on")))
    };
    Ok((kind, libc::makedev(number(device.major, "major")?, number(device.minor, "minor")?)))
}

/// Directories opened so far, and how a node comes to be.
struct Nodes {
    dirs: BTreeMap<String, Slot>,
    /// In a user namespace mknod(2) of a device is refused: the host's node of the same path is bound.
    bind: bool,
}

impl Nodes {
    fn dir(&mut self, b: &mut Builder<'_>, path: &str, field: &str) -> Slot {
        if let Some(slot) = self.dirs.get(path) {
            return *slot;
        }
        let (root, text) = (b.root, b.string(path));
        let origin = origin(field.to_owned(), format!("open the directory /{path}"));
        let slot = b.step_to_slot(origin, Op::MakeDirs { root, path: text, mode: 0o755 });
        self.dirs.insert(path.to_owned(), slot);
        slot
    }

    fn make(
        &mut self,
        b: &mut Builder<'_>,
        origin: super::Origin,
        path: &str,
        mode: u32,
        device: u64,
        owner: (u32, u32),
    ) {
        if self.bind && mode & libc::S_IFMT != libc::S_IFIFO {
            let source = b.string(format!("/{path}"));
            let tree = b.step_to_slot(origin.clone(), Op::CloneTree { dir: Slot::CWD, path: source, flags: 0 });
            let (root, path) = (b.root, b.string(path));
            b.step(origin, Op::Attach { tree, root, path, flags: 0 });
            return;
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = if parent.is_empty() { b.root } else { self.dir(b, parent, &origin.field) };
        let name = b.string(name);
        b.step(origin, Op::Node { dir, name, mode, device, uid: owner.0, gid: owner.1 });
    }
}

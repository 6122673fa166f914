//! Id maps of user namespaces: written directly where the kernel allows it, else by newuidmap(1) and newgidmap(1).

use crate::config::{Config, IdMapping};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::proc;
use crate::spec::names;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::process::Command;

/// Writes both maps of a child that waits for them.
pub(super) fn write(pid: i32, config: &Config, host: &Host) -> Result<()> {
    let linux = &config.linux;
    if crate::plan::setgroups_denied(host, config) {
        proc::write(&format!("{pid}/setgroups"), "deny").map_err(|error| error.field("linux.gidMappings"))?;
    }
    let maps = [
        ("gid", "linux.gidMappings", &linux.gid_mappings, names::CAP_SETGID, host.egid),
        ("uid", "linux.uidMappings", &linux.uid_mappings, names::CAP_SETUID, host.euid),
    ];
    for (kind, field, maps, cap, own) in maps {
        let alone = matches!(maps.as_slice(), [map] if map.size == 1 && map.host_id == own);
        if host.has_cap(cap) || alone {
            proc::write(&format!("{pid}/{kind}_map"), &text(maps)).map_err(|error| error.field(field))?;
        } else {
            by_helper(pid, kind, maps).map_err(|error| error.field(field))?;
        }
    }
    Ok(())
}

fn text(maps: &[IdMapping]) -> String {
    maps.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}

/// The setuid helper checks /etc/subuid or /etc/subgid and writes the map.
fn by_helper(pid: i32, kind: &str, maps: &[IdMapping]) -> Result<()> {
    let helper = format!("new{kind}map");
    let numbers =
        maps.iter().flat_map(|map| [map.container_id, map.host_id, map.size]).map(|number| number.to_string());
    let output = Command::new(&helper).arg(pid.to_string()).args(numbers).output().map_err(|error| {
        let hint = "install the package uidmap, or map only the caller's own id";
        Error::io(format!("run {helper}"), &error).hint(hint)
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().lines().next().unwrap_or("it says no reason").to_owned();
    Err(Error::new(Kind::System, format!("{helper} refused: {said}")))
}

/// A user namespace with the given maps, for an id-mapped mount.
pub(super) fn namespace_with(uids: &[IdMapping], gids: &[IdMapping]) -> std::result::Result<OwnedFd, Errno> {
    crate::sys::silent::user_namespace(&text(uids), &text(gids))
}

//! The systemd driver: a container's cgroup as a transient scope.
//!
//! ```text
//!     cgroupsPath ─► Unit ─► Location        Limits ─► properties ─► Manager ─► Bus ─► the socket
//!     annotations ───────────────────────────────────────┘           the few calls   D-Bus, no threads
//! ```
//! systemd makes a scope around a process that exists. So the container's first process waits as its very first act, while
//! it still is its caller's own user, and goes on inside of the scope: its parent asks systemd for the scope, waits for
//! the end of the job, and writes what has no property into the cgroup's files. Whatever the process forks is born there.

mod address;
mod annotations;
mod bus;
mod devices;
mod gvariant;
mod manager;
mod message;
pub(super) mod properties;
mod unified;
mod unit;
pub(super) mod value;

#[cfg(test)]
mod tests;

pub use unit::Unit;

use super::apply::{Applier, current};
use super::create::Wanted;
use super::devices::Policy;
use super::dir::Dir;
use super::layout::{Kind as LayoutKind, Layout, ROOT};
use super::limits::{Bound, Limits, Setting};
use super::location::{Hierarchy, Location, clean};
use super::v2::Current;
use super::{Cgroup, Options, Subgroup};
use crate::error::{Error, Kind, Result};
use manager::Manager;
use properties::{Property, of_v1, of_v2};
use std::path::{Path, PathBuf};
use value::Value;

/// A scope that will be made when its first process is there.
#[derive(Debug)]
pub(super) struct Pending {
    pub wanted: Wanted,
    pub options: Options<'static>,
    /// The cgroup below the scope, if one is asked for, and whose it is to be.
    pub below: Option<(Subgroup, Option<u32>)>,
    annotated: Vec<Property>,
}

impl Pending {
    /// All that can be wrong with a config is found before there is a process.
    ///
    /// # Errors
    /// `InvalidSpec` with the annotation at fault.
    pub fn new(wanted: Wanted, options: &Options<'_>, unit: &mut Unit) -> Result<Pending> {
        unit.kept = options.annotations.is_some_and(annotations::set_collect_mode);
        let annotated = options.annotations.map(annotations::properties).transpose()?.unwrap_or_default();
        let below = options.subgroup.clone().map(|subgroup| (subgroup, options.owner));
        let owner = options.owner.filter(|_| below.is_none());
        let Options { rootless, devices, .. } = *options;
        let options = Options { rootless, devices, owner, ..Options::default() };
        Ok(Pending { wanted, options, below, annotated })
    }

    /// Makes the scope around a process.
    ///
    /// # Errors
    /// `Unsupported` if systemd cannot be reached, `WrongState` if it has such a unit, `System` for what it refuses.
    pub fn start(&self, unit: &Unit, location: &Location, pid: i32) -> Result<()> {
        let mut manager = Manager::connect(unit.user)?;
        let stem = unit.name.strip_suffix(".scope").unwrap_or(&unit.name);
        let yes = |name: &str| Property::new(name, Value::Bool(true));
        let pid = u32::try_from(pid).unwrap_or_default();
        let mut properties = vec![
            Property::new("Description", Value::text(format!("hull container {stem}"))),
            Property::new("Slice", Value::text(unit.slice_name())),
            Property::new("PIDs", Value::Array("u".to_owned(), vec![Value::Uint32(pid)])),
            yes("Delegate"),
            Property::new("DefaultDependencies", Value::Bool(false)),
            Property::new("CollectMode", Value::text("inactive-or-failed")),
            yes("MemoryAccounting"),
            yes("CPUAccounting"),
            yes(if location.is_v2() { "IOAccounting" } else { "BlockIOAccounting" }),
            yes("TasksAccounting"),
        ];
        let Wanted { limits, policy, .. } = &self.wanted;
        properties.extend(self.annotated.iter().cloned());
        // The config's resources come last: what it says twice is what the cgroup's files get.
        properties.extend(limit_properties(location, limits, true, &mut manager)?);
        properties.extend(device_properties(location, policy)?);
        manager.start(&unit.name, &properties, pid)
    }
}

/// Where a container's scope will be.
///
/// # Errors
/// `InvalidSpec` (`linux.cgroupsPath`); `Unsupported` for a user on version 1, which systemd delegates to nobody.
pub(super) fn locate(layout: &Layout, cgroups_path: Option<&str>, id: &str, user: bool) -> Result<Location> {
    let unit = Unit::new(cgroups_path, id, user)?;
    let below = unit.below_manager().unwrap_or_default();
    let hierarchies = match &layout.0 {
        LayoutKind::V2 => {
            let mount = PathBuf::from(ROOT);
            let manager = if user { clean(&Manager::connect(true)?.control_group()?) } else { PathBuf::new() };
            vec![Hierarchy { controllers: vec![String::new()], path: mount.join(manager).join(below), mount, made: 1 }]
        }
        LayoutKind::V1(_) if user => {
            let what = "the systemd cgroup driver of an ordinary user needs cgroup v2 alone";
            return Err(Error::new(Kind::Unsupported, what).field("linux.cgroupsPath"));
        }
        LayoutKind::V1(mounted) => mounted
            .iter()
            .map(|m| {
                let path = m.mount.join(&below);
                Hierarchy { controllers: m.controllers.clone(), mount: m.mount.clone(), path, made: 1 }
            })
            .collect(),
    };
    Ok(Location { hierarchies, disabled: false, unit: Some(unit) })
}

/// Tells systemd the limits that it has properties for, before they are written to the cgroup's files. What depends on the
/// files as they stood is settled in `limits`: systemd changes them.
///
/// # Errors
/// As [`Pending::start`].
pub(super) fn update(unit: &Unit, location: &Location, limits: &mut Limits, policy: Option<&Policy>) -> Result<()> {
    settle(location, limits);
    let mut manager = Manager::connect(unit.user)?;
    let mut properties = limit_properties(location, limits, false, &mut manager)?;
    if let Some(policy) = policy {
        properties.extend(device_properties(location, policy)?);
    }
    if properties.is_empty() {
        return Ok(());
    }
    // On version 1 systemd forbids all devices and then allows some: nobody is to run in between.
    let held = Cgroup::open(location);
    let holds = policy.is_some() && !location.is_v2() && !held.frozen()? && held.freeze().is_ok();
    let set = manager.set(&unit.name, &properties);
    if holds {
        held.thaw()?;
    }
    set
}

/// Stops the unit and has it forgotten. Whether systemd could be reached for that.
///
/// # Errors
/// `System` for what systemd refuses.
pub(super) fn stop(unit: &Unit) -> Result<bool> {
    match Manager::connect(unit.user) {
        Ok(mut manager) => manager.stop(&unit.name, unit.kept).map(|()| true),
        Err(error) if error.kind() == Kind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether it is by this hierarchy that systemd follows which processes a unit has.
pub(super) fn follows(hierarchy: &Hierarchy) -> bool {
    hierarchy.is_v2() || hierarchy.has("name=systemd")
}

/// Moves a process into the scope, or below it where `path` is.
///
/// # Errors
/// `System` for what systemd refuses.
pub(super) fn attach(unit: &Unit, path: &Path, pid: i32) -> Result<()> {
    let pid = u32::try_from(pid).unwrap_or_default();
    Manager::connect(unit.user)?.attach(&unit.name, &below_scope(unit, path), pid)
}

/// A cgroup as systemd wants it told: from the scope on, beginning with a slash; nothing for the scope itself.
fn below_scope(unit: &Unit, path: &Path) -> String {
    let inner = path.components().skip_while(|part| part.as_os_str() != unit.name.as_str()).skip(1);
    inner.map(|part| format!("/{}", part.as_os_str().display())).collect()
}

/// Version 1 has hierarchies that systemd does not manage, and those of which it makes no use for this unit: the process
/// is put into each that it is not in yet.
pub(super) fn enter_the_rest(applier: &Applier<'_>, pid: i32) -> Result<()> {
    for place in applier.places.iter().filter(|place| !follows(place.hierarchy)) {
        place
            .dir
            .write("cgroup.procs", &pid.to_string())
            .map_err(|errno| place.dir.failed("write", "cgroup.procs", errno))?;
    }
    Ok(())
}

fn limit_properties(location: &Location, limits: &Limits, new: bool, manager: &mut Manager) -> Result<Vec<Property>> {
    let stands = |setting: &Setting| if new { Current::default() } else { current_at(location, setting) };
    if !location.is_v2() {
        return Ok(of_v1(limits, stands));
    }
    let release = if unified::depend_on_release(limits) { manager.version()? } else { 0 };
    let mut properties = of_v2(limits, stands, release)?;
    properties.extend(unified::oom_policy(limits, release).filter(|_| new));
    Ok(properties)
}

/// Completes a quota without a period, or the other way round, by what stands.
fn settle(location: &Location, limits: &mut Limits) {
    for asked in &mut limits.asked {
        let stands = current_at(location, &asked.setting);
        match &mut asked.setting {
            Setting::CpuBandwidth { quota: quota @ None, period: Some(_), .. } => *quota = stands.quota,
            Setting::CpuBandwidth { quota: Some(_), period: period @ None, .. } => *period = period_at(location),
            _ => {}
        }
    }
}

fn period_at(location: &Location) -> Option<u64> {
    let cpu = location.hierarchies.iter().find(|h| h.has("cpu") || location.is_v2())?;
    let file = if cpu.is_v2() { "cpu.max" } else { "cpu.cfs_period_us" };
    let text = Dir::at(&cpu.path).read(file).ok()?;
    text.split_whitespace().last()?.parse().ok()
}

/// What stands in the files that a setting depends on.
fn current_at(location: &Location, setting: &Setting) -> Current {
    if location.is_v2() {
        return location.hierarchies.first().map(|h| current(&Dir::at(&h.path), setting)).unwrap_or_default();
    }
    let quota = || {
        let cpu = location.hierarchies.iter().find(|h| h.has("cpu"))?;
        let text = Dir::at(&cpu.path).read("cpu.cfs_quota_us").ok()?;
        Some(text.trim().parse::<u64>().map_or(Bound::Max, Bound::At))
    };
    Current { quota: quota(), ..Current::default() }
}

fn device_properties(location: &Location, policy: &Policy) -> Result<Vec<Property>> {
    if location.is_v2() {
        return Ok(Vec::new());
    }
    let path = "/proc/devices";
    let groups = std::fs::read_to_string(path).map_err(|e| Error::io(format!("read \"{path}\""), &e).object(path))?;
    devices::properties(policy, &groups)
}

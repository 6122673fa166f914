//! A container's cgroup in the making: directories, what must be in them before a process, and their removal on an error.

use super::apply::{Applier, DEVICES, OWN_CGROUP, Place, enable_all, not_permitted};
use super::devices::Policy;
use super::dir::{Dir, value_of};
use super::layout::{memberships, own_memberships};
use super::limits::{Bound, Limits, Setting};
use super::location::{Hierarchy, Location, clean};
use super::systemd::{self, Pending};
use super::{Cgroup, Options, owner};
use crate::config::Resources;
use crate::error::{Error, Kind, Result};
use rustix::fs::{Access, AtFlags, CWD, Mode};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The directories we made. Dropped without [`Made::keep`], they are removed, the last first.
#[derive(Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn keep(mut self) {
        self.0.clear();
    }

    /// Makes `path` and what is missing above it; whether `path` is new.
    fn directory(&mut self, path: &Path) -> Result<bool> {
        // Another container that shares a parent with us may remove it between two steps. Each round is one such loss.
        for _ in 0..16 {
            match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    self.0.push(path.to_owned());
                    return Ok(true);
                }
                Err(Errno::EXIST) => return Ok(false),
                Err(Errno::NOENT) => match path.parent() {
                    Some(parent) => self.directory(parent)?,
                    None => break,
                },
                Err(errno) => {
                    let error = Dir::at(path).failed("mkdir", "", errno);
                    return Err(match errno {
                        Errno::AGAIN => {
                            error.hint("cgroup.max.depth or cgroup.max.descendants of a cgroup above allows no more")
                        }
                        _ => error,
                    });
                }
            };
        }
        Err(Dir::at(path).failed("mkdir", "", Errno::NOENT))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // A parent that another container uses by now stays.
            let _ = rustix::fs::rmdir(path);
        }
    }
}

/// What a cgroup is to have, interpreted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub limits: Limits,
    pub policy: Policy,
    /// Whether the config has device rules of its own.
    pub device_rules: bool,
}

pub(super) fn create(location: &Location, resources: &Resources, options: &Options<'_>) -> Result<Cgroup> {
    let limits = Limits::new(resources)?;
    let policy = Policy::new(&resources.devices)?;
    let wanted = Wanted { limits, policy, device_rules: !resources.devices.is_empty() };
    let mut location = location.clone();
    if let Some(unit) = &mut location.unit {
        let pending = Some(Box::new(Pending::new(wanted, options, unit)?));
        return Ok(Cgroup { pending, ..Cgroup::open(&location) });
    }
    let mut without = None;
    let mut made = Made::default();
    if location.hierarchies.is_empty() && !location.disabled && !options.rootless {
        return Err(Error::new(Kind::Unsupported, "no cgroup hierarchy is mounted at /sys/fs/cgroup")
            .field("linux.cgroupsPath"));
    }

    let mut new = Vec::new();
    let mut kept = Vec::new();
    for hierarchy in std::mem::take(&mut location.hierarchies) {
        match directory(&mut made, &hierarchy, options.rootless) {
            Ok(count) => {
                new.push(count > 0);
                kept.push(Hierarchy { made: count, ..hierarchy });
            }
            Err(error) if options.rootless && not_permitted(error.raw_os_error()) => {
                let error = error.hint(OWN_CGROUP);
                if options.named {
                    return Err(error.context("unable to apply cgroup configuration").field("linux.cgroupsPath"));
                }
                without.get_or_insert(error);
            }
            Err(error) => return Err(error.field("linux.cgroupsPath")),
        }
    }
    location.hierarchies = kept;

    let places = location
        .hierarchies
        .iter()
        .zip(new)
        .map(|(hierarchy, new)| Place { hierarchy, dir: Dir::at(&hierarchy.path), new })
        .collect();
    let mut applier = Applier {
        lenient: options.rootless || location.disabled,
        unmanaged: location.disabled,
        without,
        ..Applier::new(places)
    };
    if location.is_v2() {
        let path = &location.hierarchies[0].path;
        applier.places[0].dir = Dir::open(path).map_err(|errno| Dir::at(path).failed("open", "", errno))?;
    }
    furnish(&mut applier, &wanted, options)?;

    let skipped = std::mem::take(&mut applier.skipped);
    let opened = if location.is_v2() { applier.places.pop().map(|place| place.dir) } else { None };
    made.keep();
    let must_walk_in = wanted.limits.asked.iter().any(|asked| asked.setting == Setting::Pids(Bound::At(0)));
    Ok(Cgroup { location, opened, must_walk_in, pending: None, skipped })
}

/// Sets limits and device rules in new directories.
fn furnish(applier: &mut Applier<'_>, wanted: &Wanted, options: &Options<'_>) -> Result<()> {
    let Wanted { limits, policy, device_rules } = wanted;
    applier.limits(limits)?;
    for place in applier.places.iter().filter(|place| place.hierarchy.has("cpuset")) {
        let chosen = |wanted: fn(&Setting) -> bool| limits.asked.iter().any(|asked| wanted(&asked.setting));
        let untouched = place.new && !chosen(|s| matches!(s, Setting::Cpus(_) | Setting::Mems(_)));
        inherit_cpuset(place.dir.path(), &place.hierarchy.mount, untouched)?;
    }
    if options.devices {
        applier.devices(policy, *device_rules)?;
    } else if *device_rules {
        applier.skipped.push(format!("device rules cannot be set here ({DEVICES})"));
    }
    if let Some(uid) = options.owner {
        for place in applier.places.iter().filter(|place| place.hierarchy.is_v2()) {
            match owner::hand_over(&place.dir, uid) {
                Err(error) if options.rootless && not_permitted(error.raw_os_error()) => {
                    applier.skipped.push(error.to_string());
                }
                given => given?,
            }
        }
    }
    Ok(())
}

/// Has systemd put a process in, and make the cgroup around the first. What systemd makes it also removes: nothing of it
/// counts as ours on an error, but the directories of version 1 that it does not manage.
pub(super) fn admit(cgroup: &mut Cgroup, pid: i32) -> Result<()> {
    let location = cgroup.location.clone();
    let Some(unit) = &location.unit else { return Ok(()) };
    let Some(pending) = &cgroup.pending else {
        let path = location.hierarchies.first().map(|h| h.path.as_path()).unwrap_or(Path::new(""));
        // systemd says in words that nobody may enter, and who calls us decides by the number.
        let passes_on = || Dir::at(path).read("cgroup.subtree_control").is_ok_and(|names| !names.trim().is_empty());
        return systemd::attach(unit, path, pid)
            .map_err(|error| if passes_on() { error.errno(Errno::BUSY.raw_os_error()) } else { error });
    };
    pending.start(unit, &location, pid)?;
    let Some(pending) = cgroup.pending.take() else { return Ok(()) };
    let mut made = Made::default();
    for hierarchy in &location.hierarchies {
        made.directory(&hierarchy.path)?;
        if let Some(parent) = hierarchy.path.parent().filter(|_| hierarchy.has("cpuset")) {
            inherit_cpuset(parent, &hierarchy.mount, false)?;
        }
    }
    let place = |hierarchy| Place { hierarchy, dir: Dir::at(&hierarchy.path), new: true };
    let places = location.hierarchies.iter().map(place).collect();
    let mut applier = Applier { lenient: pending.options.rootless, ..Applier::new(places) };
    furnish(&mut applier, &pending.wanted, &pending.options)?;
    systemd::enter_the_rest(&applier, pid)?;
    cgroup.skipped = applier.skipped;
    if let Some((subgroup, owner)) = &pending.below {
        let below = cgroup.delegate(&subgroup.path, *owner, pid);
        below.map_err(|error| error.field(subgroup.field.clone()))?;
    }
    made.keep();
    Ok(())
}

/// Whether the caller may not put a process into a cgroup of its own, for want of rights where the process comes from. Its
/// systemd may, for the system's own does it for it.
pub(super) fn is_only_for_systemd(location: &Location) -> bool {
    let of_user = location.unit.as_ref().is_some_and(|unit| unit.user);
    of_user && location.hierarchies.iter().any(|hierarchy| check_way_in(hierarchy).is_err())
}

/// Makes the container's directory in one hierarchy, or sees that nobody is in the one that exists. How many directories are
/// new, with those above it.
fn directory(made: &mut Made, hierarchy: &Hierarchy, rootless: bool) -> Result<u16> {
    if rootless && hierarchy.is_v2() {
        check_way_in(hierarchy)?;
    }
    let before = made.0.len();
    let new = made.directory(&hierarchy.path)?;
    if !new {
        check_unused(hierarchy)?;
    }
    let count = made.0.len() - before;
    if new && hierarchy.is_v2() {
        enable_all(hierarchy);
    }
    if hierarchy.has("cpuset")
        && let Some(parent) = hierarchy.path.parent()
    {
        inherit_cpuset(parent, &hierarchy.mount, false)?;
    }
    Ok(if new { count as u16 } else { 0 })
}

/// An ordinary user may own a cgroup and yet not be let in: the kernel wants the right to move processes also in the nearest
/// cgroup that is above both here and there (cgroup-v2.rst, "Delegation Containment").
fn check_way_in(hierarchy: &Hierarchy) -> Result<()> {
    let text = own_memberships()?;
    let own = memberships(&text).find(|(names, _)| names.is_empty()).map_or("/", |(_, path)| path);
    let here = hierarchy.mount.join(clean(own));
    let common = hierarchy.path.ancestors().find(|above| here.starts_with(above)).unwrap_or(&hierarchy.mount);
    let procs = common.join("cgroup.procs");
    rustix::fs::accessat(CWD, &procs, Access::WRITE_OK, AtFlags::EACCESS)
        .map_err(|errno| Dir::at(common).failed("move a process out of", "", errno))
}

fn check_unused(hierarchy: &Hierarchy) -> Result<()> {
    let dir = Dir::at(&hierarchy.path);
    let path = hierarchy.path.display();
    let wrong = |what: String| Err(Error::new(Kind::WrongState, what).object(path.to_string()));
    let count = dir.processes()?.len();
    if count > 0 {
        return wrong(format!("container's cgroup is not empty: {count} process(es) found"));
    }
    let frozen = if hierarchy.is_v2() {
        dir.read("cgroup.events").is_ok_and(|events| value_of(&events, "frozen") == Some(1))
    } else {
        hierarchy.has("freezer") && dir.read("freezer.state").is_ok_and(|state| state.trim() != "THAWED")
    };
    if frozen {
        return wrong("container's cgroup unexpectedly frozen".to_owned());
    }
    Ok(())
}

/// Gives a cgroup of version 1's cpuset the processors and memory nodes of its parent where it has none: a cgroup without
/// them takes no process. `untouched` says that it has none for sure. Returns what it has in the end.
fn inherit_cpuset(path: &Path, mount: &Path, untouched: bool) -> Result<[String; 2]> {
    const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
    let dir = Dir::at(path);
    let mut own = [String::new(), String::new()];
    if !untouched {
        for (value, file) in own.iter_mut().zip(FILES) {
            let text = dir.read(file).map_err(|errno| dir.failed("read", file, errno))?;
            *value = text.trim().to_owned();
        }
    }
    if path == mount || own.iter().all(|value| !value.is_empty()) {
        return Ok(own);
    }
    let Some(parent) = path.parent() else { return Ok(own) };
    let theirs = inherit_cpuset(parent, mount, false)?;
    for ((value, file), inherited) in own.iter_mut().zip(FILES).zip(theirs) {
        if value.is_empty() {
            dir.write(file, &inherited).map_err(|errno| dir.failed("write", file, errno))?;
            *value = inherited;
        }
    }
    Ok(own)
}

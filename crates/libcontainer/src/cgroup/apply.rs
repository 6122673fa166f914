//! Limits and device rules, set in the hierarchies that have them.

use super::devices::{Exceptions, Policy};
use super::dir::{Dir, write_whole};
use super::limits::{Asked, Bound, Limits, Setting};
use super::location::Hierarchy;
use super::v2::Current;
use super::write::{Write, refused, write_group};
use super::{Cgroup, ebpf, systemd, v1, v2};
use crate::config::Resources;
use crate::error::{Error, Kind, Result};
use crate::sys::bpf;
use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::Path;

pub(super) const DEVICES: &str = "linux.resources.devices";

/// One hierarchy, the container's directory in it, and whether we have just made that.
pub(super) struct Place<'a> {
    pub hierarchy: &'a Hierarchy,
    pub dir: Dir,
    pub new: bool,
}

/// Sets limits in `places`.
pub(super) struct Applier<'a> {
    pub places: Vec<Place<'a>>,
    /// Do without what is not permitted or not there, and say so.
    pub lenient: bool,
    /// The container has no cgroup of its own, on request.
    pub unmanaged: bool,
    /// Why the container has no cgroup of its own in some hierarchy, without request.
    pub without: Option<Error>,
    pub skipped: Vec<String>,
}

/// How an ordinary user gets a cgroup to put containers in.
pub(super) const OWN_CGROUP: &str = "no cgroup is delegated to this user here: with systemd use --systemd-cgroup, \
                                     or call from `systemd-run --user --scope -p Delegate=yes`";

/// Whence the controllers come that a user has.
const OWN_CONTROLLERS: &str = "systemd gives a user the controllers that Delegate= of user@.service names: add it with \
                               `systemctl edit user@.service` and log in anew";
/// The controllers that Delegate= can name (systemd.resource-control(5)).
const OF_SYSTEMD: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];
/// Whence the others come.
const OTHER_CONTROLLERS: &str = "systemd delegates no such controller: root allows it, by cgroup.subtree_control of each cgroup \
                                 above the user's";

pub(super) fn update(cgroup: &mut Cgroup, resources: &Resources) -> Result<()> {
    let mut limits = Limits::new(resources)?;
    let policy = if resources.devices.is_empty() { None } else { Some(Policy::new(&resources.devices)?) };
    let place = |hierarchy| Place { hierarchy, dir: Dir::at(&hierarchy.path), new: false };
    let location = cgroup.location.clone();
    if location.hierarchies.is_empty() {
        return Err(Error::new(Kind::Unsupported, "the container was made without a cgroup, which could have limits"));
    }
    let places = location.hierarchies.iter().map(place).collect();
    let mut applier = Applier { skipped: limits.ignored.clone(), ..Applier::new(places) };
    applier.check(&limits)?;
    if let Some(unit) = &location.unit {
        systemd::update(unit, &location, &mut limits, policy.as_ref())?;
    }
    applier.limits(&limits)?;
    if let Some(policy) = policy {
        applier.devices(&policy, true)?;
    }
    cgroup.skipped = applier.skipped;
    Ok(())
}

impl<'a> Applier<'a> {
    /// For a cgroup that is as the caller wants it.
    pub fn new(places: Vec<Place<'a>>) -> Applier<'a> {
        Applier { places, lenient: false, unmanaged: false, without: None, skipped: Vec::new() }
    }

    /// Refuses what config.json wants refused, before anything is changed.
    fn check(&self, limits: &Limits) -> Result<()> {
        let Some(place) = self.places.iter().find(|place| place.hierarchy.is_v2()) else { return Ok(()) };
        for asked in &limits.asked {
            if let Setting::Memory { limit, total, check: true } = &asked.setting {
                check_usage(&place.dir, *limit, *total)?;
            }
        }
        Ok(())
    }

    /// Sets all limits in their order.
    pub fn limits(&mut self, limits: &Limits) -> Result<()> {
        for asked in &limits.asked {
            match self.limit(asked) {
                // Nobody's cgroup: the caller has said that limits are not hull's affair.
                Err(error) if self.unmanaged => self.skipped.push(error.to_string()),
                result => result.map_err(|error| self.explain(error))?,
            }
        }
        limits.asked.iter().try_for_each(|asked| self.check_partition(asked))
    }

    /// What an ordinary user should know about a limit that cannot be set.
    fn explain(&mut self, error: Error) -> Error {
        let missing = error.kind() == Kind::Unsupported;
        match self.without.take().filter(|_| missing) {
            Some(cause) => {
                let (name, field) = (error.failed_object().unwrap_or("the"), error.config_field().unwrap_or_default());
                cause
                    .context(format!("cannot set {name} limit: container could not join or create cgroup"))
                    .field(field)
            }
            None if !not_permitted(error.raw_os_error()) => error,
            None if missing && self.is_of_a_users_systemd() => {
                let delegable = error.failed_object().is_some_and(|name| OF_SYSTEMD.contains(&name));
                error.hint(if delegable { OWN_CONTROLLERS } else { OTHER_CONTROLLERS })
            }
            None if self.lenient => error.hint(OWN_CGROUP),
            None => error,
        }
    }

    /// Whether the cgroup is below that of the unit user@UID.service, which an ordinary user's systemd manages.
    fn is_of_a_users_systemd(&self) -> bool {
        let is_instance = |part: std::path::Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b"user@");
        self.places.iter().any(|place| place.hierarchy.path.components().any(is_instance))
    }

    fn limit(&self, asked: &Asked) -> Result<()> {
        let v1_name = v1::controller(&asked.setting);
        let of_v1 = v1_name.and_then(|name| self.places.iter().find(|place| place.hierarchy.has(name)));
        if let Some(place) = of_v1 {
            let writes = v1::render(asked);
            return write_group(&place.dir, &writes).map_err(|(write, errno)| refused(&place.dir, write, errno));
        }
        let Some(place) = self.places.iter().find(|place| place.hierarchy.is_v2()) else {
            let name = v1_name.unwrap_or("unified");
            let what = match &asked.setting {
                Setting::Unified { .. } => "unified resources need cgroup v2, which is not mounted".to_owned(),
                _ => format!("the cgroup controller \"{name}\" is not available"),
            };
            return Err(Error::new(Kind::Unsupported, what).field(first_field(&v1::render(asked), asked)).object(name));
        };
        let current = if place.new { Current::default() } else { current(&place.dir, &asked.setting) };
        let writes = v2::render(asked, &current)?;
        match write_group(&place.dir, &writes) {
            // As the controllers of a cgroup are mostly there, we do not ask before.
            Err((_, Errno::NOENT)) => enable(place, v2::controller(&asked.setting))
                .map_err(|error| error.field(first_field(&writes, asked)))?,
            other => return other.map_err(|(write, errno)| refused(&place.dir, write, errno)),
        }
        write_group(&place.dir, &writes).map_err(|(write, errno)| refused(&place.dir, write, errno))
    }

    /// The kernel takes a partition that cannot be, and says so in the file alone.
    fn check_partition(&self, asked: &Asked) -> Result<()> {
        const PARTITION: &str = "cpuset.cpus.partition";
        let wanted = matches!(&asked.setting, Setting::Unified { file, .. } if file == PARTITION);
        let Some(place) = self.places.iter().find(|place| wanted && place.hierarchy.is_v2()) else { return Ok(()) };
        let text = place.dir.read(PARTITION).map_err(|errno| place.dir.failed("read", PARTITION, errno))?;
        if text.contains(" invalid") {
            let what = format!("{PARTITION} is not to be had: {}", text.trim());
            return Err(Error::new(Kind::Unsupported, what).field(&asked.field).object(PARTITION));
        }
        Ok(())
    }

    /// Sets the device rules, be they `asked` for or what goes for every container.
    pub fn devices(&mut self, policy: &Policy, asked: bool) -> Result<()> {
        let place = self.places.iter_mut().find(|place| place.hierarchy.has("devices"));
        let result = match place {
            Some(place) => devices_of_v1(place, policy),
            None => match self.places.iter_mut().find(|place| place.hierarchy.is_v2()) {
                Some(place) => devices_of_v2(place, policy),
                None if policy.allows_everything() => Ok(()),
                None => {
                    let what = "the cgroup controller \"devices\" is not available";
                    Err(Error::new(Kind::Unsupported, what).field(DEVICES).object("devices"))
                }
            },
        };
        match result {
            Err(error)
                if self.lenient && (error.kind() == Kind::Unsupported || not_permitted(error.raw_os_error())) =>
            {
                self.skipped.extend(asked.then(|| error.to_string()));
                Ok(())
            }
            other => other,
        }
    }
}

/// The nearest name of what was asked for.
fn first_field(writes: &[Write], asked: &Asked) -> String {
    writes.first().map_or(&asked.field, |write| &write.field).clone()
}

/// Whether the kernel refused because of who we are.
pub(super) fn not_permitted(errno: Option<i32>) -> bool {
    [Errno::PERM, Errno::ACCESS, Errno::ROFS].map(|errno| Some(errno.raw_os_error())).contains(&errno)
}

/// The values that the rendering of `setting` reckons with.
pub(super) fn current(dir: &Dir, setting: &Setting) -> Current {
    let read = |name: &str| Bound::parse(dir.read(name).ok()?.split_whitespace().next()?);
    match setting {
        Setting::Memory { .. } => Current { memory: read("memory.max"), swap: read("memory.swap.max"), quota: None },
        Setting::CpuBandwidth { quota: None, .. } => Current { quota: read("cpu.max"), ..Current::default() },
        _ => Current::default(),
    }
}

/// `memory.checkBeforeUpdate`: on version 2 the kernel would set the limit and kill.
fn check_usage(dir: &Dir, limit: Option<Bound>, total: Option<Bound>) -> Result<()> {
    let Ok(usage) = dir.read_number("memory.current") else { return Ok(()) };
    let checks = [(total, "memory+swap", "swap"), (limit, "memory", "limit")];
    for (bound, name, field) in checks {
        if let Some(Bound::At(bound)) = bound
            && bound <= usage
        {
            let what = format!("rejecting {name} limit {bound} <= usage {usage}");
            return Err(Error::new(Kind::InvalidArgument, what).field(format!("linux.resources.memory.{field}")));
        }
    }
    Ok(())
}

/// Makes `controller` of version 2 available in a cgroup, by allowing it in each cgroup above.
fn enable(place: &Place<'_>, controller: &str) -> Result<()> {
    let has = |text: String| text.split_whitespace().any(|name| name == controller);
    if controller == "cgroup" || place.dir.read("cgroup.controllers").is_ok_and(has) {
        return Ok(());
    }
    for (above, below) in above(place.hierarchy) {
        // A cgroup that passes it on already may be somebody else's.
        if above.read("cgroup.subtree_control").is_ok_and(has) {
            continue;
        }
        if let Err(errno) = pass_on(&above, &below, &format!("+{controller}")) {
            let path = above.path().display();
            let what = format!(
                "invalid configuration: the cgroup controller {controller:?} is not available below \"{path}\""
            );
            let error = Error::new(Kind::Unsupported, what).errno(errno.raw_os_error()).object(controller);
            return Err(match errno {
                Errno::BUSY => error
                    .hint("a cgroup with processes of its own cannot pass controllers on: choose another cgroupsPath"),
                Errno::OPNOTSUPP | Errno::INVAL
                    if above.read("cgroup.type").is_ok_and(|kind| kind.trim() != "domain") =>
                {
                    error.hint("that cgroup is threaded, and a limit of whole processes cannot be set below it")
                }
                _ => error,
            });
        }
    }
    Ok(())
}

/// Allows every controller in the cgroups above, as far as may be: whoever counts resources expects them in a container's
/// cgroup, whether there are limits or not.
pub(super) fn enable_all(hierarchy: &Hierarchy) {
    let controllers = |path: &Path| Dir::at(path).read("cgroup.controllers").unwrap_or_default();
    let all = controllers(&hierarchy.mount);
    if controllers(&hierarchy.path) == all {
        return;
    }
    let all: Vec<String> = all.split_whitespace().map(|name| format!("+{name}")).collect();
    for (above, below) in above(hierarchy) {
        match pass_on(&above, &below, &all.join(" ")) {
            Ok(()) => {}
            // What is missing in the end is an error only if a limit needs it.
            Err(Errno::BUSY | Errno::ACCESS | Errno::PERM | Errno::ROFS) => {}
            Err(_) => {
                for one in &all {
                    let _ = pass_on(&above, &below, one);
                }
            }
        }
    }
}

/// Allows `controllers` (`+pids`) in the cgroup `above` for `below`. In a cgroup with processes the kernel does so for the controllers
/// that count threads, and makes it the root of a threaded tree: no process could enter `below` any more. That is refused like the rest.
fn pass_on(above: &Dir, below: &Dir, controllers: &str) -> rustix::io::Result<()> {
    let invalid = || below.read("cgroup.type").is_ok_and(|kind| kind.trim() == "domain invalid");
    let was_invalid = invalid();
    above.write("cgroup.subtree_control", controllers)?;
    if !was_invalid && invalid() {
        above.write("cgroup.subtree_control", &controllers.replace('+', "-"))?;
        return Err(Errno::BUSY);
    }
    Ok(())
}

/// The cgroups above the container's from the mount downwards, each with the next below.
fn above(hierarchy: &Hierarchy) -> impl Iterator<Item = (Dir, Dir)> {
    let inside = |path: &&Path| path.starts_with(&hierarchy.mount);
    let all: Vec<_> = hierarchy.path.ancestors().take_while(inside).collect();
    let pairs: Vec<_> = all.windows(2).map(|pair| (Dir::at(pair[1]), Dir::at(pair[0]))).collect();
    pairs.into_iter().rev()
}

fn devices_of_v1(place: &mut Place<'_>, policy: &Policy) -> Result<()> {
    let exceptions = policy.exceptions()?;
    let before = match place.new {
        true => None,
        false => place.dir.read("devices.list").ok().and_then(|list| Exceptions::parse(&list)),
    };
    let writes = exceptions.writes(before.as_ref());
    for lines in writes.chunk_by(|a, b| a.0 == b.0) {
        let name = lines[0].0;
        let failed = |line: &str, errno| refused(&place.dir, &Write::new(name, line, DEVICES), errno);
        let file = place.dir.file(name, OFlags::WRONLY).map_err(|errno| failed(&lines[0].1, errno))?;
        for (_, line) in lines {
            write_whole(file.as_fd(), line).map_err(|errno| failed(line, errno))?;
        }
    }
    Ok(())
}

fn devices_of_v2(place: &mut Place<'_>, policy: &Policy) -> Result<()> {
    let path = place.dir.path().display().to_string();
    let failed = |act: &str, errno| Error::sys(format!("{act} \"{path}\""), errno).field(DEVICES).object(&path);
    let dir = place.dir.fd().map_err(|errno| failed("open", errno))?;
    let old = match place.new {
        true => Vec::new(),
        false => bpf::device_programs(dir).map_err(|errno| failed("list the device programs of", errno))?,
    };
    let mut rest = old.as_slice();
    if !policy.allows_everything() {
        let Some(program) = ebpf::compile(policy) else {
            return Err(
                Error::new(Kind::Unsupported, "too many device rules for a program of the kernel").field(DEVICES)
            );
        };
        let program =
            bpf::load_device_program(&program).map_err(|errno| failed("load the device program of", errno))?;
        let replaced = match old.as_slice() {
            [only] => {
                rest = &[];
                Some(only.as_fd())
            }
            _ => None,
        };
        bpf::attach_device_program(dir, program.as_fd(), replaced)
            .map_err(|errno| failed("attach the device program to", errno))?;
    }
    for program in rest {
        bpf::detach_device_program(dir, program.as_fd())
            .map_err(|errno| failed("take a device program from", errno))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_the_usage_is_refused_before_it_kills() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("memory.current"), "1000\n").unwrap();
        let dir = Dir::at(temporary.path());
        let field =
            |limit, total| check_usage(&dir, limit, total).err().map(|error| error.config_field().unwrap().to_owned());
        assert_eq!(field(Some(Bound::At(1001)), Some(Bound::Max)), None);
        assert_eq!(field(Some(Bound::At(1000)), None).unwrap(), "linux.resources.memory.limit");
        assert_eq!(field(Some(Bound::At(5)), Some(Bound::At(6))).unwrap(), "linux.resources.memory.swap");
    }

    #[test]
    fn what_stands_is_read_where_it_counts() {
        let temporary = tempfile::tempdir().unwrap();
        for (file, text) in [("memory.max", "max\n"), ("memory.swap.max", "5\n"), ("cpu.max", "7000 100000\n")] {
            std::fs::write(temporary.path().join(file), text).unwrap();
        }
        let dir = Dir::at(temporary.path());
        let memory = Setting::Memory { limit: None, total: None, check: false };
        assert_eq!(current(&dir, &memory), Current { memory: Some(Bound::Max), swap: Some(Bound::At(5)), quota: None });
        let period = Setting::CpuBandwidth { quota: None, period: Some(1), burst: None };
        assert_eq!(current(&dir, &period).quota, Some(Bound::At(7000)));
    }
}

//! What is mounted at /sys/fs/cgroup: version 2, version 1, or both.

use crate::error::{Error, Result};
use rustix::fs::statfs;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Where every distribution mounts cgroups, and where hull looks for them.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
const CGROUP_SUPER_MAGIC: i64 = 0x0027_e0eb;

/// The hierarchies of this machine, as far as they are mounted under /sys/fs/cgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout(pub(crate) Kind);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// One cgroup2 file system. The caller's own cgroup is read when a relative path needs it.
    V2,
    /// Hierarchies of version 1, and perhaps a cgroup2 beside them at /sys/fs/cgroup/unified.
    V1(Vec<Mounted>),
}

/// One hierarchy that is mounted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mounted {
    /// `/sys/fs/cgroup/cpu,cpuacct`
    pub mount: PathBuf,
    /// `cpu`, `cpuacct`; `name=systemd`; one empty name for cgroup2.
    pub controllers: Vec<String>,
    /// The caller's cgroup in it, absolute.
    pub own: String,
}

impl Layout {
    /// Looks at what is mounted, without reading the mount table: that grows with the number of containers. On version 2
    /// one statfs(2); on version 1 /proc/self/cgroup gives the names, and statfs(2) tells whether each is mounted.
    ///
    /// # Errors
    /// `System` if /proc/self/cgroup cannot be read.
    pub fn detect() -> Result<Layout> {
        if magic(Path::new(ROOT)) == Some(CGROUP2_SUPER_MAGIC) {
            return Ok(Layout(Kind::V2));
        }
        let mut mounted = Vec::new();
        for (names, own) in memberships(&own_memberships()?) {
            let wanted = if names.is_empty() { CGROUP2_SUPER_MAGIC } else { CGROUP_SUPER_MAGIC };
            let is_there = |mount: &PathBuf| magic(mount) == Some(wanted);
            if let Some(mount) = directories(names).into_iter().find(is_there) {
                let controllers = names.split(',').map(str::to_owned).collect();
                mounted.push(Mounted { mount, controllers, own: own.to_owned() });
            }
        }
        Ok(Layout(Kind::V1(mounted)))
    }

    /// Whether this is version 2 alone.
    pub fn is_v2(&self) -> bool {
        self.0 == Kind::V2
    }

    /// The controllers of version 1 that are mounted, by the kernel's names (`cpu`, `name=systemd`); none on version 2.
    pub fn v1_controllers(&self) -> impl Iterator<Item = &str> {
        let mounted = match &self.0 {
            Kind::V2 => &[][..],
            Kind::V1(mounted) => mounted,
        };
        mounted.iter().flat_map(|m| &m.controllers).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// /proc/self/cgroup of the calling process.
pub(crate) fn own_memberships() -> Result<String> {
    let path = "/proc/self/cgroup";
    // procfs tells no size; a page holds every hierarchy there can be, so that one read is enough.
    let mut text = Vec::with_capacity(4096);
    let failed = |errno| Error::sys(format!("read \"{path}\""), errno).object(path);
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    while rustix::io::retry_on_intr(|| rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text)))
        .map_err(failed)?
        != 0
    {
        if text.len() < text.capacity() && text.last() == Some(&b'\n') {
            break;
        }
        text.reserve(4096);
    }
    String::from_utf8(text).map_err(|_| failed(Errno::ILSEQ))
}

/// The lines `ID:NAMES:PATH` of /proc/PID/cgroup (cgroups(7)) as names and path.
pub(crate) fn memberships(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'))
}

/// The places where a hierarchy with these names is mounted, the likeliest first.
fn directories(names: &str) -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    match names {
        "" => vec![root.join("unified")],
        _ if names.starts_with("name=") => vec![root.join(&names["name=".len()..])],
        _ => {
            let swapped = names.split(',').rev().collect::<Vec<_>>().join(",");
            let mut all = vec![root.join(names)];
            if swapped != names {
                all.push(root.join(swapped));
                all.extend(names.split(',').map(|name| root.join(name)));
            }
            all
        }
    }
}

fn magic(path: &Path) -> Option<i64> {
    statfs(path).ok().map(|stat| stat.f_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_keep_colons_of_the_path() {
        let text = "12:cpu,cpuacct:/a\n1:name=systemd:/x:y\n0::/user.slice\n";
        let all: Vec<_> = memberships(text).collect();
        assert_eq!(all, [("cpu,cpuacct", "/a"), ("name=systemd", "/x:y"), ("", "/user.slice")]);
    }

    #[test]
    fn joint_controllers_are_looked_for_under_every_usual_name() {
        let names: Vec<_> = directories("cpu,cpuacct").iter().map(|p| p.display().to_string()).collect();
        assert_eq!(
            names,
            [
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/cpuacct,cpu",
                "/sys/fs/cgroup/cpu",
                "/sys/fs/cgroup/cpuacct"
            ]
        );
        assert_eq!(directories("name=systemd"), [Path::new("/sys/fs/cgroup/systemd")]);
        assert_eq!(directories(""), [Path::new("/sys/fs/cgroup/unified")]);
    }

    #[test]
    fn the_machine_has_cgroups() {
        let layout = Layout::detect().unwrap();
        assert!(layout.is_v2() || layout.v1_controllers().count() > 0, "{layout:?}");
    }
}

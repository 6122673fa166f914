//! Where a container's cgroup is in each hierarchy.

use super::layout::{Kind, Layout, ROOT, memberships, own_memberships};
use super::systemd::{self, Unit};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FIELD: &str = "linux.cgroupsPath";

/// Who makes and changes cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// hull itself, by the file system.
    Cgroupfs,
    /// systemd, asked over D-Bus: the system's instance, at `$DBUS_SYSTEM_BUS_ADDRESS` or where it always is; without
    /// privileges the caller's own, at `$DBUS_SESSION_BUS_ADDRESS`, in `$XDG_RUNTIME_DIR` or in `/run/user/UID`.
    Systemd,
    /// Nobody: the container stays in its caller's cgroups (crun's `--cgroup-manager=disabled`).
    Disabled,
}

/// Where a container's cgroup is, in each hierarchy. What `state.json` keeps of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    pub(crate) hierarchies: Vec<Hierarchy>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disabled: bool,
    /// The unit, where systemd has made the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<Unit>,
}

/// One hierarchy and the container's place in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// The kernel's names of its controllers (`cpu`, `cpuacct`; `name=systemd`); one empty name for version 2.
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted on the host (`/sys/fs/cgroup/cpu,cpuacct`).
    pub mount: PathBuf,
    /// The container's cgroup, below `mount`.
    pub path: PathBuf,
    /// How many directories of `path`, from its end, came with the container and go with it. None: somebody else made the cgroup.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) made: u16,
}

fn one() -> u16 {
    1
}

fn is_one(made: &u16) -> bool {
    *made == 1
}

impl Hierarchy {
    /// Whether this is the hierarchy of version 2.
    pub fn is_v2(&self) -> bool {
        self.controllers.iter().any(String::is_empty)
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

impl Location {
    /// Finds the place, by runc's rules: an absolute `cgroups_path` counts from the mount of each hierarchy; a relative one,
    /// or `id` if there is none, is below the caller's own cgroup on version 1 and beside it on version 2 (where a cgroup
    /// with processes can have no children with controllers). `..` cannot leave the place it counts from. For systemd it is
    /// `slice:prefix:name`, of the caller's own instance if `rootless`.
    ///
    /// # Errors
    /// `InvalidSpec` (`linux.cgroupsPath`) if the path names no cgroup, `Unsupported` if a user's instance of systemd is
    /// needed and not there, `System` if the caller's own cgroup is needed and cannot be read.
    pub fn resolve(
        layout: &Layout,
        cgroups_path: Option<&str>,
        id: &str,
        driver: Driver,
        rootless: bool,
    ) -> Result<Location> {
        match driver {
            Driver::Cgroupfs => {}
            Driver::Disabled => return Ok(Location { hierarchies: Vec::new(), disabled: true, unit: None }),
            Driver::Systemd => return systemd::locate(layout, cgroups_path, id, rootless),
        }
        let asked = cgroups_path.filter(|path| !path.is_empty());
        let inner = clean(asked.unwrap_or(id));
        if inner.as_os_str().is_empty() || inner.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Error::spec(FIELD, format!("{:?} names no cgroup below the root", asked.unwrap_or(id))));
        }
        let absolute = asked.is_some_and(|path| path.starts_with('/'));
        let hierarchies = match &layout.0 {
            Kind::V2 => {
                let mount = PathBuf::from(ROOT);
                let base = if absolute { mount.clone() } else { mount.join(beside_own(&own_memberships()?)) };
                vec![Hierarchy { controllers: vec![String::new()], path: base.join(&inner), mount, made: 1 }]
            }
            Kind::V1(mounted) => mounted
                .iter()
                .map(|m| {
                    let own = if absolute { PathBuf::new() } else { clean(&m.own) };
                    let base = m.mount.join(own);
                    // In a container without a cgroup namespace the kernel tells a path of the host, which is not there
                    // below the mount: the mount itself is then the nearest to it that we have.
                    let base = if absolute || base.is_dir() { base } else { m.mount.clone() };
                    Hierarchy {
                        controllers: m.controllers.clone(),
                        mount: m.mount.clone(),
                        path: base.join(&inner),
                        made: 1,
                    }
                })
                .collect(),
        };
        Ok(Location { hierarchies, disabled: false, unit: None })
    }

    /// The cgroup of each controller: its name (`""` for version 2) and its path.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.hierarchies.iter().flat_map(|h| h.controllers.iter().map(move |name| (name.as_str(), h.path.as_path())))
    }

    /// The hierarchies, for those who mount them. Empty if the container has no cgroup of its own.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// Whether there is version 2 and nothing else.
    pub fn is_v2(&self) -> bool {
        matches!(self.hierarchies.as_slice(), [only] if only.is_v2())
    }
}

/// `path` as a relative path without `.` and `..`, the latter never leaving the start.
pub(crate) fn clean(path: &str) -> PathBuf {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/").into()
}

/// The parent of the caller's cgroup of version 2.
fn beside_own(memberships_text: &str) -> PathBuf {
    let own = memberships(memberships_text).find(|(names, _)| names.is_empty()).map_or("/", |(_, path)| path);
    let mut path = clean(own);
    path.pop();
    path
}

#[cfg(test)]
mod tests {
    use super::super::layout::Mounted;
    use super::*;

    fn v1(own: &str) -> Layout {
        let memory = Mounted { mount: "/".into(), controllers: vec!["memory".into()], own: own.into() };
        let joint = Mounted {
            mount: "/cg/cpu,cpuacct".into(),
            controllers: vec!["cpu".into(), "cpuacct".into()],
            own: "/".into(),
        };
        Layout(Kind::V1(vec![memory, joint]))
    }

    fn paths(location: &Location) -> Vec<(String, String)> {
        location.paths().map(|(name, path)| (name.to_owned(), path.display().to_string())).collect()
    }

    fn resolve(layout: &Layout, path: Option<&str>) -> Result<Location> {
        Location::resolve(layout, path, "id", Driver::Cgroupfs, false)
    }

    #[test]
    fn version_1_is_below_the_own_cgroup() {
        let name = |n: &str, p: &str| (n.to_owned(), p.to_owned());
        let all = paths(&resolve(&v1("/tmp"), None).unwrap());
        assert_eq!(
            all,
            [name("memory", "/tmp/id"), name("cpu", "/cg/cpu,cpuacct/id"), name("cpuacct", "/cg/cpu,cpuacct/id")]
        );
        let relative = paths(&resolve(&v1("/tmp"), Some("a/../../b")).unwrap());
        assert_eq!(relative[0], name("memory", "/tmp/b"));
        let absolute = paths(&resolve(&v1("/tmp"), Some("/x/../../y/z")).unwrap());
        assert_eq!(absolute[0], name("memory", "/y/z"));
        let elsewhere = paths(&resolve(&v1("/no/such/directory"), None).unwrap());
        assert_eq!(elsewhere[0], name("memory", "/id"));
    }

    #[test]
    fn version_2_is_beside_the_own_cgroup() {
        assert_eq!(beside_own("4:memory:/m\n0::/user.slice/session-1.scope\n"), Path::new("user.slice"));
        assert_eq!(beside_own("0::/\n"), Path::new(""));
        assert_eq!(beside_own("0::/../../x\n"), Path::new(""));
        let absolute = resolve(&Layout(Kind::V2), Some("/a/b")).unwrap();
        assert_eq!(paths(&absolute), [(String::new(), "/sys/fs/cgroup/a/b".to_owned())]);
        assert!(absolute.is_v2());
    }

    #[test]
    fn the_root_is_nobodys_cgroup() {
        for path in ["/", ".", "..", "/a/..", "a\0b"] {
            let error = resolve(&Layout(Kind::V2), Some(path)).unwrap_err();
            assert_eq!(error.config_field(), Some(FIELD), "{path:?}");
        }
    }

    #[test]
    fn drivers() {
        let systemd = Location::resolve(&v1("/own"), Some("a-b.slice:p:n"), "id", Driver::Systemd, false).unwrap();
        assert_eq!(paths(&systemd)[0].1, "/a.slice/a-b.slice/p-n.scope", "wherever the caller is");
        let systemd = Location::resolve(&Layout(Kind::V2), None, "id", Driver::Systemd, false).unwrap();
        assert_eq!(paths(&systemd)[0].1, "/sys/fs/cgroup/system.slice/hull-id.scope");
        assert!(
            Location::resolve(&v1("/"), None, "id", Driver::Systemd, true).is_err(),
            "version 1 is delegated to nobody"
        );
        let disabled = Location::resolve(&v1("/"), None, "id", Driver::Disabled, false).unwrap();
        assert_eq!(disabled.paths().count(), 0);
    }

    #[test]
    fn a_location_survives_its_record() {
        for driver in [Driver::Cgroupfs, Driver::Systemd, Driver::Disabled] {
            let location = Location::resolve(&v1("/tmp"), None, "id", driver, false).unwrap();
            let text = serde_json::to_string(&location).unwrap();
            assert_eq!(serde_json::from_str::<Location>(&text).unwrap(), location);
        }
    }
}

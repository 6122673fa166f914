//! The unit of a container: its name, the slice it is in, and where that is in the cgroup tree.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const FIELD: &str = "linux.cgroupsPath";

/// A scope of systemd's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// `docker-0123abcd.scope`
    pub name: String,
    /// `system.slice`
    pub slice: String,
    /// Whether it is the caller's own instance of systemd that has it.
    pub user: bool,
    /// Whether systemd may keep it after a failure, because an annotation sets its `CollectMode`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl Unit {
    /// Reads `slice:prefix:name`, by runc's rules: an empty slice is `system.slice`, for a user `user.slice`; without
    /// a path at all the name is the container's id.
    ///
    /// # Errors
    /// `InvalidSpec` (`linux.cgroupsPath`) if the path is of another form or names no unit that could hold a container.
    pub fn new(cgroups_path: Option<&str>, id: &str, user: bool) -> Result<Unit> {
        let invalid = |what: String| Err(Error::spec(FIELD, what));
        let escaped;
        let (slice, prefix, name) = match cgroups_path.filter(|path| !path.is_empty()) {
            // Of all that an id may have, a plus sign alone is to be escaped (systemd.unit(5)).
            None => {
                escaped = id.replace('+', r"\x2b");
                ("", "hull", escaped.as_str())
            }
            Some(path) => match path.split(':').collect::<Vec<_>>().as_slice() {
                &[slice, prefix, name] => (slice, prefix, name),
                _ => {
                    let form = "\"slice:prefix:name\" for systemd cgroups";
                    return invalid(format!("expected cgroupsPath to be of format {form}, got {path:?} instead"));
                }
            },
        };
        if name.ends_with(".slice") {
            return invalid(format!("{name:?} is a slice, and a slice has no processes of its own"));
        }
        if name.is_empty() || !is_name(&format!("{prefix}-{name}.scope")) {
            let rule = "it may have ASCII letters, digits and \":-_.\\\", 255 of them at most";
            return invalid(format!("\"{prefix}-{name}.scope\" is no name of a unit: {rule}"));
        }
        let slice = match slice {
            "" if user => "user.slice",
            "" => "system.slice",
            slice => slice,
        };
        let unit = Unit { name: format!("{prefix}-{name}.scope"), slice: slice.to_owned(), user, kept: false };
        match unit.below_manager() {
            Some(_) => Ok(unit),
            None => invalid(format!("invalid slice name: {slice:?}")),
        }
    }

    /// Its cgroup, counted from that of its manager. A dash in a slice's name is one more level: `a-b.slice` is in `a.slice`,
    /// and `-.slice` is the root of all.
    pub fn below_manager(&self) -> Option<PathBuf> {
        let stem = self.slice.strip_suffix(".slice").or(Some("-").filter(|_| self.slice == "-"))?;
        let mut path = PathBuf::new();
        if stem != "-" {
            if stem.split('-').any(str::is_empty) || !is_name(&self.slice) {
                return None;
            }
            let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
            path.extend(ends.map(|end| format!("{}.slice", &stem[..end])));
        }
        path.push(&self.name);
        Some(path)
    }

    /// The slice by its full name.
    pub fn slice_name(&self) -> &str {
        if self.slice == "-" { "-.slice" } else { &self.slice }
    }
}

/// systemd.unit(5). An `@` would make it an instance of a template.
fn is_name(name: &str) -> bool {
    name.len() <= 255 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(cgroups_path: Option<&str>, user: bool) -> String {
        Unit::new(cgroups_path, "id", user).unwrap().below_manager().unwrap().display().to_string()
    }

    #[test]
    fn slice_prefix_name() {
        assert_eq!(path(Some("machine.slice:libpod:1"), false), "machine.slice/libpod-1.scope");
        assert_eq!(path(Some(":docker:1"), false), "system.slice/docker-1.scope");
        assert_eq!(path(Some(":docker:1"), true), "user.slice/docker-1.scope");
        assert_eq!(path(None, false), "system.slice/hull-id.scope");
        assert_eq!(Unit::new(None, "a+b", false).unwrap().name, r"hull-a\x2bb.scope");
        assert_eq!(path(Some(r"a\x2db.slice:p:n\x20m"), false), r"a\x2db.slice/p-n\x20m.scope");
        assert_eq!(path(Some(""), true), "user.slice/hull-id.scope");
        assert_eq!(path(Some("a-b-c.slice:p:n"), false), "a.slice/a-b.slice/a-b-c.slice/p-n.scope");
        assert_eq!(path(Some("-.slice:p:n"), false), "p-n.scope");
        assert_eq!(path(Some("-:p:n"), false), "p-n.scope");
    }

    #[test]
    fn what_names_no_unit() {
        let wrong = [
            "/absolute/path",
            "relative",
            "a:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a.slice/b.slice:c:d",
            "a--b.slice:c:d",
            "-a.slice:b:c",
            ".slice:b:c",
            "a.slice:b:",
            "a.slice:../x:y",
            "a.slice:b:c/d",
            "a.slice:b:pod.slice",
            "a.slice:b:c d",
            "a.slice:b:c@d",
            "a.slice:b:ä",
            "a b.slice:c:d",
        ];
        let long = format!("a.slice:b:{}", "n".repeat(250));
        for path in wrong.into_iter().chain([long.as_str()]) {
            let error = Unit::new(Some(path), "id", false).unwrap_err();
            assert_eq!(error.config_field(), Some(FIELD), "{path}");
        }
    }
}

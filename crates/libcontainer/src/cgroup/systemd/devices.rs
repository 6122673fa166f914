//! Device rules as properties of a unit on version 1, where systemd owns the one list there is and writes it anew at its next
//! `daemon-reload`. On version 2 programs add up: hull's own is enough, and systemd is not told.

use super::properties::Property;
use super::value::Value;
use crate::cgroup::devices::{Access, Devices, Kind, Policy};
use crate::error::Result;

/// The properties that make systemd keep what `policy` allows. `groups` is /proc/devices. A rule for which systemd has no
/// words (a minor number of any device) is left to the list in the cgroup.
///
/// # Errors
/// `Unsupported` for rules that version 1 cannot express.
pub(super) fn properties(policy: &Policy, groups: &str) -> Result<Vec<Property>> {
    let exceptions = policy.exceptions()?;
    let list = |entries| Property::new("DeviceAllow", Value::Array("(ss)".to_owned(), entries));
    let allow = |(devices, access): &(Devices, Access)| {
        let entry = |name: String| Value::Struct(vec![Value::text(name), Value::text(access.to_string())]);
        names(devices, groups).into_iter().map(entry).collect::<Vec<_>>()
    };
    Ok(match exceptions.default_allow {
        true => vec![Property::new("DevicePolicy", Value::text("auto")), list(Vec::new())],
        false => {
            let entries = exceptions.entries.0.iter().flat_map(allow).collect();
            // An empty list takes back what was allowed before.
            vec![Property::new("DevicePolicy", Value::text("strict")), list(Vec::new()), list(entries)]
        }
    })
}

/// systemd's names of devices: a number, a group of /proc/devices, or all of a kind.
fn names(devices: &Devices, groups: &str) -> Vec<String> {
    let kind = if devices.kind == Kind::Char { "char" } else { "block" };
    match (devices.major, devices.minor) {
        (Some(major), Some(minor)) => vec![format!("/dev/{kind}/{major}:{minor}")],
        (Some(major), None) => groups_of(devices.kind, major, groups).map(|group| format!("{kind}-{group}")).collect(),
        (None, None) => vec![format!("{kind}-*")],
        (None, Some(_)) => Vec::new(),
    }
}

/// The names of the drivers that have a major number.
fn groups_of(kind: Kind, major: u32, groups: &str) -> impl Iterator<Item = &str> {
    let section = if kind == Kind::Char { "Character devices:" } else { "Block devices:" };
    let lines = groups.lines().skip_while(move |line| line.trim() != section).skip(1);
    let entries = lines.take_while(|line| !line.trim().is_empty()).filter_map(|line| line.trim().split_once(' '));
    entries.filter(move |(number, _)| number.parse() == Ok(major)).map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str =
        "Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n  1 ramdisk\n259 blkext\n";

    fn rendered(json: &str) -> Vec<String> {
        let policy = Policy::new(&serde_json::from_str::<Vec<_>>(json).unwrap()).unwrap();
        let show = |property: Property| match property.value {
            Value::Array(_, entries) => {
                let words = |entry: &Value| match entry {
                    Value::Struct(pair) => pair.iter().filter_map(Value::as_text).collect::<Vec<_>>().join(" "),
                    _ => String::new(),
                };
                entries.iter().map(words).collect::<Vec<_>>().join(", ")
            }
            value => value.as_text().unwrap_or_default().to_owned(),
        };
        properties(&policy, GROUPS).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn numbers_groups_and_kinds() {
        let json = r#"[{"allow":false,"access":"rwm"},
            {"allow":true,"type":"c","major":7,"minor":9,"access":"rw"},
            {"allow":true,"type":"b","major":1,"access":"r"},
            {"allow":true,"type":"c","major":99,"access":"r"},
            {"allow":true,"type":"c","minor":5,"access":"r"}]"#;
        let all = rendered(json);
        assert_eq!(all[..2], ["strict", ""]);
        let always = rendered("[]");
        let mut added: Vec<_> = all[2].split(", ").filter(|entry| !always[2].contains(entry)).collect();
        added.sort_unstable();
        assert_eq!(added, ["/dev/char/7:9 rw", "block-ramdisk r"], "that all may be made stands elsewhere");
        assert!(always[2].contains("/dev/char/1:3 rwm") && always[2].contains("char-pts rwm"), "{always:?}");
        assert!(always[2].contains("block-* m"), "{always:?}");
    }

    #[test]
    fn everything() {
        assert_eq!(rendered(r#"[{"allow":true,"access":"rwm"}]"#), ["auto", ""]);
    }
}

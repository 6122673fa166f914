//! Rules of `linux.devices`, `linux.netDevices` and the device rules of the cgroup.

use super::Faults;
use super::namespaces::has;
use crate::config::Config;
use crate::spec::{given, names};

/// The kernel's device numbers have 12 bits of major and 20 bits of minor.
pub(super) const HIGHEST_MAJOR: i64 = (1 << 12) - 1;
/// As [`HIGHEST_MAJOR`].
pub(super) const HIGHEST_MINOR: i64 = (1 << 20) - 1;

/// The space for an interface's name, netdevice(7), with its final NUL.
const IFNAMSIZ: usize = 16;

pub(super) fn paths_are_absolute_and_unique(config: &Config, faults: &mut Faults) {
    let all = &config.linux.devices;
    for (i, device) in all.iter().enumerate() {
        let field = format_args!("linux.devices[{i}].path");
        if device.path.is_empty() {
            faults.error(field, "the path of the device is required");
        } else if !device.path.starts_with('/') {
            faults.error(field, format_args!("the path of a device must be absolute, not {:?}", device.path));
        } else if all[..i].iter().any(|earlier| {
            let same = (&earlier.kind, earlier.major, earlier.minor) == (&device.kind, device.major, device.minor);
            earlier.path == device.path && !same
        }) {
            faults.error(field, format_args!("{:?} is two different devices", device.path));
        }
    }
}

pub(super) fn types_are_known_and_numbered(config: &Config, faults: &mut Faults) {
    for (i, device) in config.linux.devices.iter().enumerate() {
        let field = format_args!("linux.devices[{i}].type");
        let kind = device.kind.as_str();
        if kind.is_empty() {
            faults.error(field, "the type of the device is required");
        } else if names::DEVICE_TYPES.get(kind).is_none() {
            let choices = names::DEVICE_TYPES.choices();
            faults.error(field, format_args!("unknown type of device {kind:?}: it is {choices}"));
        }
        if kind == "p" {
            continue;
        }
        for (name, number, highest) in [("major", device.major, HIGHEST_MAJOR), ("minor", device.minor, HIGHEST_MINOR)]
        {
            let field = format_args!("linux.devices[{i}].{name}");
            match number {
                None => faults.error(field, format_args!("the {name} number of the device is required")),
                Some(number) => number_is_in_range(number, 0, highest, name, field, faults),
            }
        }
    }
}

/// Notes a device number outside `lowest..=highest`.
pub(super) fn number_is_in_range(
    number: i64,
    lowest: i64,
    highest: i64,
    name: &str,
    field: std::fmt::Arguments<'_>,
    faults: &mut Faults,
) {
    let what = format_args!("the {name} number {number} is not between {lowest} and {highest}");
    faults.require((lowest..=highest).contains(&number), field, what);
}

pub(super) fn device_rules_are_known(config: &Config, faults: &mut Faults) {
    let Some(resources) = &config.linux.resources else { return };
    for (i, rule) in resources.devices.iter().enumerate() {
        let field = format_args!("linux.resources.devices[{i}]");
        if let Some(kind) = given(&rule.kind).filter(|kind| names::DEVICE_RULE_TYPES.get(kind).is_none()) {
            let choices = names::DEVICE_RULE_TYPES.choices();
            let what = format_args!("unknown type of device {kind:?}: it is {choices}");
            faults.error(format_args!("{field}.type"), what);
        }
        // Engines write -1 for every number.
        for (name, number, highest) in [("major", rule.major, HIGHEST_MAJOR), ("minor", rule.minor, HIGHEST_MINOR)] {
            if let Some(number) = number {
                number_is_in_range(number, -1, highest, name, format_args!("{field}.{name}"), faults);
            }
        }
        match given(&rule.access) {
            None => faults.error(format_args!("{field}.access"), "the access is required"),
            Some(access) => {
                let known = access.bytes().all(|b| b"rwm".contains(&b));
                let what = format_args!("the access {access:?} is not composed of r, w and m");
                faults.require(known, format_args!("{field}.access"), what);
            }
        }
    }
}

pub(super) fn network_devices_have_valid_names(config: &Config, faults: &mut Faults) {
    let mut taken = Vec::new();
    for (host_name, device) in &config.linux.net_devices {
        let field = format_args!("linux.netDevices.{}", host_name.escape_debug());
        if !is_interface_name(host_name) {
            faults.error(field, format_args!("{host_name:?} cannot be the name of a network interface"));
        }
        let name = given(&device.name).unwrap_or(host_name);
        if name != host_name && !is_interface_name(name) {
            let what = format_args!("{name:?} cannot be the name of a network interface");
            faults.error(format_args!("{field}.name"), what);
        }
        if name.contains('%') && (name.matches('%').count(), name.matches("%d").count()) != (1, 1) {
            faults.error(
                format_args!("{field}.name"),
                format_args!("the template {name:?} must have one %d and no other %"),
            );
        }
        // The kernel counts `%d` up to a free name.
        if !name.contains('%') && taken.contains(&name) {
            faults.error(format_args!("{field}.name"), format_args!("two interfaces would be named {name:?}"));
        }
        taken.push(name);
    }
}

/// What the kernel's `dev_valid_name` accepts.
pub(super) fn is_interface_name(name: &str) -> bool {
    let allowed = |b: u8| b != b'/' && b != b':' && !b.is_ascii_whitespace() && b != 0x0b && b != 0;
    !name.is_empty() && name.len() < IFNAMSIZ && name != "." && name != ".." && name.bytes().all(allowed)
}

pub(super) fn network_devices_have_a_namespace(config: &Config, faults: &mut Faults) {
    let kept = config.linux.net_devices.is_empty() || has(config, "network");
    faults.require(kept, "linux.netDevices", "moving network interfaces requires a network namespace");
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"linux": {"devices": [{"type": "p"}]}}"#, "linux.devices[0].path", "the path of the device is required"),
    (
        r#"{"linux": {"devices": [{"type": "p", "path": "dev/p"}]}}"#,
        "linux.devices[0].path",
        r#"the path of a device must be absolute, not "dev/p""#,
    ),
    (
        r#"{"linux": {"devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3}, {"type": "c", "path": "/dev/x", "major": 1, "minor": 5}]}}"#,
        "linux.devices[1].path",
        r#""/dev/x" is two different devices"#,
    ),
    (
        r#"{"linux": {"devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3}, {"type": "c", "path": "/dev/x", "major": 1, "minor": 3}]}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"devices": [{"path": "/dev/x", "major": 1, "minor": 3}]}}"#,
        "linux.devices[0].type",
        "the type of the device is required",
    ),
    (
        r#"{"linux": {"devices": [{"type": "a", "path": "/dev/x", "major": 1, "minor": 3}]}}"#,
        "linux.devices[0].type",
        r#"unknown type of device "a": it is p, c, u or b"#,
    ),
    (
        r#"{"linux": {"devices": [{"type": "b", "path": "/dev/x", "minor": 3}]}}"#,
        "linux.devices[0].major",
        "the major number of the device is required",
    ),
    (
        r#"{"linux": {"devices": [{"type": "u", "path": "/dev/x", "major": 1}]}}"#,
        "linux.devices[0].minor",
        "the minor number of the device is required",
    ),
    (
        r#"{"linux": {"devices": [{"type": "c", "path": "/dev/x", "major": 4096, "minor": 0}]}}"#,
        "linux.devices[0].major",
        "the major number 4096 is not between 0 and 4095",
    ),
    (
        r#"{"linux": {"devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": -1}]}}"#,
        "linux.devices[0].minor",
        "the minor number -1 is not between 0 and 1048575",
    ),
    (
        r#"{"linux": {"devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 1048575, "fileMode": 8630}]}}"#,
        "",
        "",
    ),
    (
        r#"{"linux": {"netDevices": {"eth/0": {}}}}"#,
        "linux.netDevices.eth/0",
        r#""eth/0" cannot be the name of a network interface"#,
    ),
    (
        r#"{"linux": {"netDevices": {"eth0": {"name": "0123456789012345"}}}}"#,
        "linux.netDevices.eth0.name",
        r#""0123456789012345" cannot be the name of a network interface"#,
    ),
    (
        r#"{"linux": {"netDevices": {"eth0": {"name": "a"}, "eth1": {"name": "a"}}}}"#,
        "linux.netDevices.eth1.name",
        r#"two interfaces would be named "a""#,
    ),
    (r#"{"linux": {"netDevices": {"eth0": {"name": "e%d"}, "eth1": {"name": "e%d"}, "eth2": {}}}}"#, "", ""),
    (
        r#"{"linux": {"netDevices": {"eth0": {"name": "e%s"}}}}"#,
        "linux.netDevices.eth0.name",
        r#"the template "e%s" must have one %d and no other %"#,
    ),
    (
        r#"{"linux": {"namespaces": [], "netDevices": {"eth0": {}}}}"#,
        "linux.netDevices",
        "moving network interfaces requires a network namespace",
    ),
    (
        r#"{"linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "d", "access": "r"}]}}}"#,
        "linux.resources.devices[1].type",
        r#"unknown type of device "d": it is a, b or c"#,
    ),
    (
        r#"{"linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c"}]}}}"#,
        "linux.resources.devices[1].access",
        "the access is required",
    ),
    (
        r#"{"linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": false, "access": "rx"}]}}}"#,
        "linux.resources.devices[1].access",
        r#"the access "rx" is not composed of r, w and m"#,
    ),
    (
        r#"{"linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": false, "access": "r", "major": -2}]}}}"#,
        "linux.resources.devices[1].major",
        "the major number -2 is not between -1 and 4095",
    ),
    (
        r#"{"linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": false, "access": "r", "minor": 1048576}]}}}"#,
        "linux.resources.devices[1].minor",
        "the minor number 1048576 is not between -1 and 1048575",
    ),
    (
        r#"{"linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "access": "m", "major": -1, "minor": -1}]}}}"#,
        "",
        "",
    ),
];

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

//! Limits as properties of a unit: systemd.resource-control(5).
//!
//! What has no property is written to the cgroup's files alone. What has one is written there as well, and told to systemd
//! so that it finds its own idea of the unit confirmed when it looks again (a `daemon-reload`, a `set-property`).

use super::unified;
use super::value::Value;
use crate::cgroup::limits::{Asked, Bound, Device, Limits, Rate, Setting};
use crate::cgroup::v2::{self, Current};
use crate::error::{Error, Result};

/// A property and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Property {
    pub name: String,
    pub value: Value,
}

impl Property {
    pub fn new(name: impl Into<String>, value: Value) -> Property {
        Property { name: name.into(), value }
    }

    /// As systemd's methods take it.
    pub fn pair(&self) -> Value {
        Value::Struct(vec![Value::text(&self.name), self.value.clone().variant()])
    }
}

pub(super) fn number(name: &str, value: u64) -> Property {
    Property::new(name, Value::Uint64(value))
}

/// systemd's "infinity".
pub(super) fn bound(bound: Bound) -> u64 {
    match bound {
        Bound::Max => u64::MAX,
        Bound::At(value) => value,
    }
}

/// The period of the kernel, in microseconds, where none is asked for.
const PERIOD: u64 = 100_000;

/// The properties of a unit on version 1. systemd has no more of it than these: of its other properties version 2 alone
/// has the files. `current` tells what stands in the files a setting depends on.
pub(crate) fn of_v1(limits: &Limits, current: impl Fn(&Setting) -> Current) -> Vec<Property> {
    let mut all = Vec::new();
    for Asked { setting, .. } in &limits.asked {
        match setting {
            Setting::Memory { limit, .. } => all.extend(limit.map(|limit| number("MemoryLimit", bound(limit)))),
            Setting::CpuShares(shares) => all.push(number("CPUShares", *shares)),
            Setting::BlockWeight(weight) => all.push(number("BlockIOWeight", (*weight).into())),
            setting => all.extend(of_both(setting, &current(setting))),
        }
    }
    all
}

/// The properties of a unit on version 2 that this `release` of systemd has. `current` tells what stands in the files a setting
/// depends on.
pub(crate) fn of_v2(limits: &Limits, current: impl Fn(&Setting) -> Current, release: u32) -> Result<Vec<Property>> {
    let mut all = Vec::new();
    for Asked { field, setting } in &limits.asked {
        match setting {
            Setting::Memory { limit, total, .. } => {
                let swap = v2::swap(*limit, *total, &current(setting))?;
                all.extend(limit.map(|limit| number("MemoryMax", bound(limit))));
                all.extend(swap.map(|swap| number("MemorySwapMax", bound(swap))));
            }
            Setting::MemoryReservation(low) => all.push(number("MemoryLow", bound(*low))),
            Setting::CpuIdle(1) if release >= unified::IDLE => all.push(number("CPUWeight", 0)),
            Setting::CpuShares(shares) => all.push(number("CPUWeight", v2::weight_of_shares(*shares))),
            Setting::Cpus(list) => all.push(set("AllowedCPUs", list, field)?),
            Setting::Mems(list) => all.push(set("AllowedMemoryNodes", list, field)?),
            Setting::BlockWeight(weight) => all.push(number("IOWeight", v2::io_weight(*weight))),
            Setting::BlockDeviceWeight { device, weight: Some(weight), leaf: None } => {
                all.push(of_device("IODeviceWeight", *device, v2::io_weight(*weight)));
            }
            Setting::BlockThrottle { rate, device, limit } => {
                all.push(of_device(throttle(*rate), *device, if *limit == 0 { u64::MAX } else { *limit }));
            }
            Setting::Unified { file, value } => all.extend(unified::of_file(file, value, field, release)?),
            setting => all.extend(of_both(setting, &current(setting))),
        }
    }
    Ok(all)
}

/// What has the same property on both versions.
fn of_both(setting: &Setting, current: &Current) -> Vec<Property> {
    match setting {
        Setting::CpuBandwidth { quota: None, period: None, .. } => Vec::new(),
        Setting::CpuBandwidth { quota, period, .. } => {
            let quota = quota.or(current.quota).unwrap_or(Bound::Max);
            bandwidth(quota, *period)
        }
        // systemd takes no 0; the file gets it.
        Setting::Pids(limit) => vec![number("TasksMax", bound(*limit).max(1))],
        _ => Vec::new(),
    }
}

pub(super) fn bandwidth(quota: Bound, period: Option<u64>) -> Vec<Property> {
    let per_second = match quota {
        Bound::Max => u64::MAX,
        // Of the whole percents that systemd counts in, the next that is no less.
        Bound::At(quota) => {
            let exact = u128::from(quota) * 1_000_000 / u128::from(period.unwrap_or(PERIOD).max(1));
            u64::try_from(exact.next_multiple_of(10_000)).unwrap_or(u64::MAX)
        }
    };
    let mut all = Vec::new();
    all.extend(period.map(|period| number("CPUQuotaPeriodUSec", period)));
    all.push(number("CPUQuotaPerSecUSec", per_second));
    all
}

pub(super) fn throttle(rate: Rate) -> &'static str {
    match rate {
        Rate::ReadBytes => "IOReadBandwidthMax",
        Rate::WriteBytes => "IOWriteBandwidthMax",
        Rate::ReadOperations => "IOReadIOPSMax",
        Rate::WriteOperations => "IOWriteIOPSMax",
    }
}

pub(super) fn of_device(name: &str, device: Device, value: u64) -> Property {
    let path = Value::text(format!("/dev/block/{device}"));
    let entry = Value::Struct(vec![path, Value::Uint64(value)]);
    Property::new(name, Value::Array("(st)".to_owned(), vec![entry]))
}

/// A list of numbers (`0-3,5`) as a set of bits, the lowest in the first byte.
pub(super) fn set(name: &str, list: &str, field: &str) -> Result<Property> {
    let wrong = || Error::spec(field, format!("{list:?} is no list of numbers"));
    let mut bytes: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u16>(), last.trim().parse::<u16>());
        let (Ok(first), Ok(last)) = (first, last) else { return Err(wrong()) };
        if first > last {
            return Err(wrong());
        }
        for bit in usize::from(first)..=usize::from(last) {
            bytes.resize(bytes.len().max(bit / 8 + 1), 0);
            bytes[bit / 8] |= 1 << (bit % 8);
        }
    }
    Ok(Property::new(name, Value::Array("y".to_owned(), bytes.into_iter().map(Value::Byte).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(json: &str) -> Limits {
        Limits::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn lists_are_sets_of_bits() {
        let bytes = |list: &str| match set("x", list, "f").map(|property| property.value) {
            Ok(Value::Array(_, bytes)) => {
                bytes.into_iter().map(|b| if let Value::Byte(b) = b { b } else { 0 }).collect()
            }
            _ => Vec::new(),
        };
        assert_eq!(bytes("0"), [1]);
        assert_eq!(bytes("0-3, 5"), [0b10_1111]);
        assert_eq!(bytes("9"), [0, 2]);
        assert_eq!(bytes("3-1"), [] as [u8; 0]);
        assert_eq!(bytes("99999999"), [] as [u8; 0]);
    }

    #[test]
    fn an_update_reckons_with_what_stands() {
        let stands =
            Current { quota: Some(Bound::At(50_000)), memory: Some(Bound::At(100)), swap: Some(Bound::At(50)) };
        let period = of_v2(&limits(r#"{"cpu":{"period":200000}}"#), |_| stands, 257).unwrap();
        assert_eq!(period, [number("CPUQuotaPeriodUSec", 200_000), number("CPUQuotaPerSecUSec", 250_000)]);
        let memory = of_v2(&limits(r#"{"memory":{"limit":120}}"#), |_| stands, 257).unwrap();
        assert_eq!(memory, [number("MemoryMax", 120), number("MemorySwapMax", 30)]);
    }
}

//! Limits as properties of a unit: systemd.resource-control(5).
//!
//! What has no property is written to the cgroup's files alone. What has one is written there as well, and told to systemd
//! so that it finds its own idea of the unit confirmed when it looks again (a `daemon-reload`, a `set-property`).

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

fn number(name: &str, value: u64) -> Property {
    Property::new(name, Value::Uint64(value))
}

/// systemd's "infinity".
fn bound(bound: Bound) -> u64 {
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

/// The properties of a unit on version 2. `current` tells what stands in the files a setting depends on; a weight of 0
/// means `cpu.idle` to a systemd that `knows_idle`.
pub(crate) fn of_v2(limits: &Limits, current: impl Fn(&Setting) -> Current, knows_idle: bool) -> Result<Vec<Property>> {
    let mut all = Vec::new();
    for Asked { field, setting } in &limits.asked {
        match setting {
            Setting::Memory { limit, total, .. } => {
                let swap = v2::swap(*limit, *total, &current(setting))?;
                all.extend(limit.map(|limit| number("MemoryMax", bound(limit))));
                all.extend(swap.map(|swap| number("MemorySwapMax", bound(swap))));
            }
            Setting::MemoryReservation(low) => all.push(number("MemoryLow", bound(*low))),
            Setting::CpuIdle(1) if knows_idle => all.push(number("CPUWeight", 0)),
            Setting::CpuShares(shares) => all.push(number("CPUWeight", v2::weight_of_shares(*shares))),
            Setting::Cpus(list) => all.push(set("AllowedCPUs", list, field)?),
            Setting::Mems(list) => all.push(set("AllowedMemoryNodes", list, field)?),
            Setting::BlockWeight(weight) => all.push(number("IOWeight", v2::io_weight(*weight))),
            Setting::BlockDeviceWeight { device, weight: Some(weight), leaf: None } => {
                all.push(of_device("IODeviceWeight", *device, v2::io_weight(*weight)));
            }
            Setting::BlockThrottle { rate, device, limit } => {
                let name = match rate {
                    Rate::ReadBytes => "IOReadBandwidthMax",
                    Rate::WriteBytes => "IOWriteBandwidthMax",
                    Rate::ReadOperations => "IOReadIOPSMax",
                    Rate::WriteOperations => "IOWriteIOPSMax",
                };
                all.push(of_device(name, *device, if *limit == 0 { u64::MAX } else { *limit }));
            }
            Setting::Unified { file, value } => all.extend(unified(file, value, field, knows_idle)?),
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

fn bandwidth(quota: Bound, period: Option<u64>) -> Vec<Property> {
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

fn of_device(name: &str, device: Device, value: u64) -> Property {
    let path = Value::text(format!("/dev/block/{device}"));
    let entry = Value::Struct(vec![path, Value::Uint64(value)]);
    Property::new(name, Value::Array("(st)".to_owned(), vec![entry]))
}

/// A list of numbers (`0-3,5`) as a set of bits, the lowest in the first byte.
fn set(name: &str, list: &str, field: &str) -> Result<Property> {
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

/// The property of a file of version 2, where there is one.
fn unified(file: &str, value: &str, field: &str, knows_idle: bool) -> Result<Vec<Property>> {
    let value = value.trim();
    let wrong = || Error::spec(field, format!("{value:?} is no value of {file}"));
    let limit = |text: &str| match text {
        "max" => Ok(Bound::Max),
        number => number.parse().map(Bound::At).map_err(|_| wrong()),
    };
    let one = |name: &str| Ok(vec![number(name, bound(limit(value)?))]);
    match file {
        "memory.min" => one("MemoryMin"),
        "memory.low" => one("MemoryLow"),
        "memory.high" => one("MemoryHigh"),
        "memory.max" => one("MemoryMax"),
        "memory.swap.max" => one("MemorySwapMax"),
        "cpu.weight" => one("CPUWeight"),
        "cpu.idle" if value == "1" && knows_idle => Ok(vec![number("CPUWeight", 0)]),
        "cpu.max" => {
            let mut words = value.split_whitespace();
            let quota = limit(words.next().unwrap_or_default())?;
            let period = words.next().map(|word| word.parse().map_err(|_| wrong())).transpose()?;
            Ok(bandwidth(quota, period))
        }
        "cpuset.cpus" => Ok(vec![set("AllowedCPUs", value, field)?]),
        "cpuset.mems" => Ok(vec![set("AllowedMemoryNodes", value, field)?]),
        "pids.max" => Ok(vec![number("TasksMax", bound(limit(value)?).max(1))]),
        _ => Ok(Vec::new()),
    }
}

/// What systemd does when the kernel kills for lack of memory, from `memory.oom.group`. A unit has it from its start or never.
pub(super) fn oom_policy(limits: &Limits) -> Option<Property> {
    limits.asked.iter().find_map(|asked| match &asked.setting {
        Setting::Unified { file, value } if file == "memory.oom.group" => {
            let policy = match value.trim() {
                "0" => "continue",
                "1" => "kill",
                _ => return None,
            };
            Some(Property::new("OOMPolicy", Value::text(policy)))
        }
        _ => None,
    })
}

/// Whether a setting is about `cpu.idle`, so that it matters what systemd makes of it.
pub(super) fn asks_for_idle(limits: &Limits) -> bool {
    limits.asked.iter().any(|asked| match &asked.setting {
        Setting::CpuIdle(idle) => *idle == 1,
        Setting::Unified { file, .. } => file == "cpu.idle",
        _ => false,
    })
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
        let period = of_v2(&limits(r#"{"cpu":{"period":200000}}"#), |_| stands, true).unwrap();
        assert_eq!(period, [number("CPUQuotaPeriodUSec", 200_000), number("CPUQuotaPerSecUSec", 250_000)]);
        let memory = of_v2(&limits(r#"{"memory":{"limit":120}}"#), |_| stands, true).unwrap();
        assert_eq!(memory, [number("MemoryMax", 120), number("MemorySwapMax", 30)]);
    }

    #[test]
    fn an_old_systemd_knows_no_idle() {
        let idle = limits(r#"{"cpu":{"idle":1},"unified":{"cpu.idle":"1"}}"#);
        assert!(asks_for_idle(&idle));
        assert_eq!(of_v2(&idle, |_| Current::default(), false).unwrap(), []);
        assert_eq!(
            of_v2(&idle, |_| Current::default(), true).unwrap(),
            [number("CPUWeight", 0), number("CPUWeight", 0)]
        );
        assert!(!asks_for_idle(&limits(r#"{"cpu":{"shares":5}}"#)));
    }

    #[test]
    fn values_without_sense() {
        for (file, value) in [("memory.max", "much"), ("cpu.max", ""), ("cpu.max", "5 x"), ("cpuset.cpus", "a")] {
            let json = serde_json::json!({"unified": {file: value}}).to_string();
            let error = of_v2(&limits(&json), |_| Current::default(), true).unwrap_err();
            assert_eq!(error.config_field(), Some("linux.resources.unified"), "{file}");
        }
    }

    #[test]
    fn the_end_by_lack_of_memory() {
        let policy = |value: &str| oom_policy(&limits(&format!(r#"{{"unified":{{"memory.oom.group":"{value}"}}}}"#)));
        assert_eq!(policy("1"), Some(Property::new("OOMPolicy", Value::text("kill"))));
        assert_eq!(policy("0"), Some(Property::new("OOMPolicy", Value::text("continue"))));
        assert_eq!(policy("2"), None);
    }
}

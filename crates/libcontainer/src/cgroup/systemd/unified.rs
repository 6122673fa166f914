//! Files of version 2 that the config sets by name (`linux.resources.unified`), as properties of a unit: whatever systemd would
//! write over with its own idea of them.

use super::properties::{Property, bandwidth, bound, number, of_device, set, throttle};
use super::value::Value;
use crate::cgroup::limits::{Asked, Bound, Device, Limits, Rate, Setting};
use crate::error::{Error, Result};

/// The first release of systemd to which a weight of 0 means `cpu.idle`.
pub(super) const IDLE: u32 = 252;

/// The property `OOMPolicy` of scopes.
const OOM_POLICY: u32 = 253;

/// The release from which on a file has its property; the others had it always.
fn since(file: &str) -> u32 {
    match file {
        "cpu.idle" => IDLE,
        "memory.oom.group" => OOM_POLICY,
        "memory.zswap.max" => 253,
        "memory.zswap.writeback" => 256,
        _ => 0,
    }
}

/// Whether it matters to a setting which release it is.
pub(super) fn depend_on_release(limits: &Limits) -> bool {
    limits.asked.iter().any(|asked| match &asked.setting {
        Setting::CpuIdle(idle) => *idle == 1,
        Setting::Unified { file, .. } => since(file) > 0,
        _ => false,
    })
}

/// The properties of a file, where there are any.
///
/// # Errors
/// `InvalidSpec` with `field` if the value makes no sense. What the kernel alone can judge is left to it.
pub(super) fn of_file(file: &str, value: &str, field: &str, release: u32) -> Result<Vec<Property>> {
    let value = value.trim();
    let wrong = || Error::spec(field, format!("{value:?} is no value of {file}"));
    let limit = |text: &str| Bound::parse(text).ok_or_else(wrong);
    let one = |name: &str| Ok(vec![number(name, bound(limit(value)?))]);
    if release < since(file) {
        return Ok(Vec::new());
    }
    match file {
        "memory.min" => one("MemoryMin"),
        "memory.low" => one("MemoryLow"),
        "memory.high" => one("MemoryHigh"),
        "memory.max" => one("MemoryMax"),
        "memory.swap.max" => one("MemorySwapMax"),
        "memory.zswap.max" => one("MemoryZSwapMax"),
        "memory.zswap.writeback" => match value {
            "0" | "1" => Ok(vec![Property::new("MemoryZSwapWriteback", Value::Bool(value == "1"))]),
            _ => Err(wrong()),
        },
        "cpu.weight" => one("CPUWeight"),
        "cpu.idle" if value == "1" => Ok(vec![number("CPUWeight", 0)]),
        "cpu.max" => {
            let mut words = value.split_whitespace();
            let quota = limit(words.next().unwrap_or_default())?;
            let period = words.next().map(|word| word.parse().map_err(|_| wrong())).transpose()?;
            Ok(bandwidth(quota, period))
        }
        "cpuset.cpus" => Ok(vec![set("AllowedCPUs", value, field)?]),
        "cpuset.mems" => Ok(vec![set("AllowedMemoryNodes", value, field)?]),
        "pids.max" => Ok(vec![number("TasksMax", bound(limit(value)?).max(1))]),
        "io.weight" => Ok(value.lines().filter_map(weight).collect()),
        "io.max" => Ok(value.lines().flat_map(throttles).collect()),
        "io.latency" => Ok(value.lines().filter_map(latency).collect()),
        _ => Ok(Vec::new()),
    }
}

fn device(text: &str) -> Option<Device> {
    let (major, minor) = text.split_once(':')?;
    Some(Device(major.parse().ok()?, minor.parse().ok()?))
}

/// `default 100`, `100`, `8:0 100`. That a device has no weight of its own any more is nothing that systemd could be told.
fn weight(line: &str) -> Option<Property> {
    let (whose, weight) = line.trim().rsplit_once(' ').unwrap_or(("default", line.trim()));
    let weight = weight.parse().ok()?;
    match whose.trim() {
        "default" => Some(number("IOWeight", weight)),
        whose => Some(of_device("IODeviceWeight", device(whose)?, weight)),
    }
}

/// `8:0 rbps=1048576 wiops=max`
fn throttles(line: &str) -> Vec<Property> {
    let mut words = line.split_whitespace();
    let Some(device) = words.next().and_then(device) else { return Vec::new() };
    let one = |word: &str| {
        let (key, value) = word.split_once('=')?;
        let rate = match key {
            "rbps" => Rate::ReadBytes,
            "wbps" => Rate::WriteBytes,
            "riops" => Rate::ReadOperations,
            "wiops" => Rate::WriteOperations,
            _ => return None,
        };
        Some(of_device(throttle(rate), device, bound(Bound::parse(value)?)))
    };
    words.filter_map(one).collect()
}

/// `8:0 target=75`, in microseconds.
fn latency(line: &str) -> Option<Property> {
    let (whose, target) = line.trim().split_once(' ')?;
    let target = Bound::parse(target.trim().strip_prefix("target=")?)?;
    Some(of_device("IODeviceLatencyTargetUSec", device(whose)?, bound(target)))
}

/// What systemd does when the kernel kills for lack of memory, from `memory.oom.group`. A unit has it from its start or never.
pub(super) fn oom_policy(limits: &Limits, release: u32) -> Option<Property> {
    let policy = |asked: &Asked| match &asked.setting {
        Setting::Unified { file, value } if file == "memory.oom.group" => match value.trim() {
            "0" => Some("continue"),
            "1" => Some("kill"),
            _ => None,
        },
        _ => None,
    };
    let policy = limits.asked.iter().find_map(policy).filter(|_| release >= OOM_POLICY)?;
    Some(Property::new("OOMPolicy", Value::text(policy)))
}

#[cfg(test)]
mod tests {
    use super::super::properties::of_v2;
    use super::*;
    use crate::cgroup::v2::Current;

    fn limits(json: &str) -> Limits {
        Limits::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn of(file: &str, value: &str) -> Vec<Property> {
        of_file(file, value, "f", 257).unwrap()
    }

    fn disk(name: &str, value: u64) -> Property {
        of_device(name, Device(8, 0), value)
    }

    #[test]
    fn lines_of_devices() {
        let two = "default 333\n8:0 50\n8:16 default";
        assert_eq!(of("io.weight", two), [number("IOWeight", 333), disk("IODeviceWeight", 50)]);
        assert_eq!(of("io.weight", "77"), [number("IOWeight", 77)]);
        let all = [disk("IOReadBandwidthMax", 1024), disk("IOWriteBandwidthMax", u64::MAX), disk("IOWriteIOPSMax", 9)];
        assert_eq!(of("io.max", "8:0 rbps=1024 wbps=max wiops=9"), all);
        assert_eq!(of("io.max", "8:0 riops=5\nnonsense"), [disk("IOReadIOPSMax", 5)], "the kernel refuses the rest");
        assert_eq!(of("io.latency", "8:0 target=75"), [disk("IODeviceLatencyTargetUSec", 75)]);
    }

    #[test]
    fn compressed_swap() {
        assert_eq!(of("memory.zswap.max", "max"), [number("MemoryZSwapMax", u64::MAX)]);
        let writeback = |value| [Property::new("MemoryZSwapWriteback", Value::Bool(value))];
        assert_eq!(of("memory.zswap.writeback", "0"), writeback(false));
        assert_eq!(of("memory.zswap.writeback", "1"), writeback(true));
    }

    #[test]
    fn an_older_systemd_is_not_asked_for_what_it_does_not_have() {
        let all = r#"{"cpu":{"idle":1},"unified":{"cpu.idle":"1","memory.zswap.max":"0","memory.oom.group":"1"}}"#;
        let asked = limits(all);
        assert!(depend_on_release(&asked));
        let of = |release| of_v2(&asked, |_| Current::default(), release).unwrap();
        assert_eq!(of(249), []);
        assert_eq!(of(252), [number("CPUWeight", 0), number("CPUWeight", 0)]);
        assert_eq!(of(253)[2..], [number("MemoryZSwapMax", 0)]);
        assert_eq!((oom_policy(&asked, 252), oom_policy(&asked, 253).is_some()), (None, true));
        assert!(!depend_on_release(&limits(r#"{"cpu":{"shares":5},"unified":{"memory.max":"1"}}"#)));
    }

    #[test]
    fn values_without_sense() {
        let wrong = [("memory.max", "much"), ("cpu.max", ""), ("cpu.max", "5 x"), ("cpuset.cpus", "a")];
        for (file, value) in wrong.into_iter().chain([("memory.zswap.writeback", "2")]) {
            let json = serde_json::json!({"unified": {file: value}}).to_string();
            let error = of_v2(&limits(&json), |_| Current::default(), 257).unwrap_err();
            assert_eq!(error.config_field(), Some("linux.resources.unified"), "{file}");
        }
    }

    #[test]
    fn the_end_by_lack_of_memory() {
        let of = |value: &str| oom_policy(&limits(&format!(r#"{{"unified":{{"memory.oom.group":"{value}"}}}}"#)), 257);
        assert_eq!(of("1"), Some(Property::new("OOMPolicy", Value::text("kill"))));
        assert_eq!(of("0"), Some(Property::new("OOMPolicy", Value::text("continue"))));
        assert_eq!(of("2"), None);
    }
}

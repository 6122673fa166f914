//! The figures of a container in the schema of runc's `events`, which others read by these names.
//!
//! What is 0 or empty is left out where runc leaves it out, and only there.

mod class;

use class::Class;
use libcontainer::cgroup::{BlockEntry, CpusetStats, HugetlbStats, MemoryCount, Pressure, PressureLine, Stats};
use libcontainer::resctrl;
use serde::Serialize;
use std::collections::BTreeMap;

/// One line of `events`.
#[derive(Serialize)]
pub struct Event<'e> {
    /// `stats` or `oom`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The container's id.
    pub id: &'e str,
    /// The figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data<'e>>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// All figures.
#[derive(Serialize)]
pub struct Data<'e> {
    cpu: Cpu<'e>,
    cpuset: Cpuset<'e>,
    memory: Memory<'e>,
    pids: Pids,
    blkio: Blkio<'e>,
    hugetlb: BTreeMap<&'e str, Huge>,
    intel_rdt: Class<'e>,
    network_interfaces: Option<Nothing>,
}

/// An object without keys.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Cpu<'e> {
    usage: CpuUsage<'e>,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Serialize)]
struct CpuUsage<'e> {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu: &'e [u64],
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu_kernel: &'e [u64],
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu_user: &'e [u64],
    kernel: u64,
    user: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Serialize)]
struct Cpuset<'e> {
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    cpus: &'e [u16],
    cpu_exclusive: u64,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    mems: &'e [u16],
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

#[derive(Serialize)]
struct Memory<'e> {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: Count,
    swap: Count,
    kernel: Count,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: Count,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: &'e BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Serialize)]
struct Count {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio<'e> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<Entry<'e>>,
    // runc's name, which lacks a letter that the others have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_queue_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_time_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_wait_time_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_merged_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_time_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sectors_recursive: Vec<Entry<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Serialize)]
struct Entry<'e> {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    op: &'e str,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

#[derive(Serialize)]
struct Huge {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Serialize)]
struct Psi {
    some: PsiLine,
    full: PsiLine,
}

#[derive(Serialize)]
struct PsiLine {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total: u64,
}

impl<'e> Data<'e> {
    /// The figures of a container's cgroup, and of its class of service where it has one.
    pub fn new(stats: &'e Stats, class: Option<&'e resctrl::Stats>) -> Data<'e> {
        let Stats { cpu, cpuset, memory, pids, blkio, hugetlb } = stats;
        Data {
            cpu: Cpu {
                usage: CpuUsage {
                    total: cpu.total,
                    percpu: &cpu.percpu,
                    percpu_kernel: &cpu.percpu_kernel,
                    percpu_user: &cpu.percpu_user,
                    kernel: cpu.kernel,
                    user: cpu.user,
                },
                throttling: Throttling {
                    periods: cpu.periods,
                    throttled_periods: cpu.throttled_periods,
                    throttled_time: cpu.throttled_time,
                },
                psi: cpu.psi.map(psi),
            },
            cpuset: self::cpuset(cpuset),
            memory: Memory {
                cache: memory.cache,
                usage: count(memory.usage),
                swap: count(memory.swap),
                kernel: count(memory.kernel),
                kernel_tcp: count(memory.kernel_tcp),
                raw: &memory.raw,
                psi: memory.psi.map(psi),
            },
            pids: Pids { current: pids.current, limit: pids.limit },
            blkio: Blkio {
                io_service_bytes_recursive: entries(&blkio.service_bytes),
                io_serviced_recursive: entries(&blkio.serviced),
                io_queue_recursive: entries(&blkio.queued),
                io_service_time_recursive: entries(&blkio.service_time),
                io_wait_time_recursive: entries(&blkio.wait_time),
                io_merged_recursive: entries(&blkio.merged),
                io_time_recursive: entries(&blkio.time),
                sectors_recursive: entries(&blkio.sectors),
                psi: blkio.psi.map(psi),
            },
            hugetlb: hugetlb.iter().map(|(size, huge)| (size.as_str(), self::huge(huge))).collect(),
            intel_rdt: class.map(Class::from).unwrap_or_default(),
            network_interfaces: None,
        }
    }
}

fn cpuset(stats: &CpusetStats) -> Cpuset<'_> {
    Cpuset {
        cpus: &stats.cpus,
        cpu_exclusive: stats.cpu_exclusive,
        mems: &stats.mems,
        mem_hardwall: stats.mem_hardwall,
        mem_exclusive: stats.mem_exclusive,
        memory_migrate: stats.memory_migrate,
        memory_spread_page: stats.memory_spread_page,
        memory_spread_slab: stats.memory_spread_slab,
        memory_pressure: stats.memory_pressure,
        sched_load_balance: stats.sched_load_balance,
        sched_relax_domain_level: stats.sched_relax_domain_level,
    }
}

fn count(count: MemoryCount) -> Count {
    Count { limit: count.limit, usage: count.usage, max: count.max, failcnt: count.failcnt }
}

fn huge(stats: &HugetlbStats) -> Huge {
    Huge { usage: stats.usage, max: stats.max, failcnt: stats.failcnt }
}

fn entries(entries: &[BlockEntry]) -> Vec<Entry<'_>> {
    entries.iter().map(|e| Entry { major: e.major, minor: e.minor, op: &e.op, value: e.value }).collect()
}

fn psi(pressure: Pressure) -> Psi {
    let line = |l: PressureLine| PsiLine { avg10: l.avg10, avg60: l.avg60, avg300: l.avg300, total: l.total };
    Psi { some: line(pressure.some), full: line(pressure.full) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(stats: &Stats) -> String {
        serde_json::to_string(&Event { kind: "stats", id: "c", data: Some(Data::new(stats, None)) }).unwrap()
    }

    #[test]
    fn nothing_used_has_runcs_keys_in_runcs_order() {
        let count = r#"{"limit":0,"failcnt":0}"#;
        let expected = format!(
            r#"{{"type":"stats","id":"c","data":{{"cpu":{{"usage":{{"kernel":0,"user":0}},"throttling":{{}}}},{},"memory":{{"usage":{count},"swap":{count},"kernel":{count},"kernelTCP":{count}}},"pids":{{}},"blkio":{{}},"hugetlb":{{}},"intel_rdt":{{}},"network_interfaces":null}}}}"#,
            r#""cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0}"#,
        );
        assert_eq!(json(&Stats::default()), expected);
    }

    #[test]
    fn figures_are_under_runcs_names() {
        let mut stats = Stats::default();
        stats.cpu.percpu = vec![1, 2];
        stats.cpu.throttled_time = 3;
        stats.cpu.psi =
            Some(Pressure { some: PressureLine { avg10: 0.5, total: 4, ..Default::default() }, ..Default::default() });
        stats.memory.raw.insert("anon".into(), 5);
        stats.memory.kernel_tcp.max = 6;
        stats.blkio.queued = vec![BlockEntry { major: 8, minor: 0, op: "Read".into(), value: 7 }];
        stats.hugetlb.insert("2MB".into(), HugetlbStats { usage: 8, ..Default::default() });
        stats.pids.limit = 9;
        let data = &serde_json::from_str::<serde_json::Value>(&json(&stats)).unwrap()["data"];
        assert_eq!(data["cpu"]["usage"]["percpu"], serde_json::json!([1, 2]));
        assert_eq!(data["cpu"]["throttling"], serde_json::json!({"throttledTime": 3}));
        assert_eq!(
            data["cpu"]["psi"]["some"],
            serde_json::json!({"avg10": 0.5, "avg60": 0.0, "avg300": 0.0, "total": 4})
        );
        assert_eq!(data["memory"]["raw"], serde_json::json!({"anon": 5}));
        assert_eq!(data["memory"]["kernelTCP"]["max"], 6);
        assert_eq!(data["blkio"], serde_json::json!({"ioQueueRecursive": [{"major": 8, "op": "Read", "value": 7}]}));
        assert_eq!(data["hugetlb"], serde_json::json!({"2MB": {"usage": 8, "failcnt": 0}}));
        assert_eq!(data["pids"], serde_json::json!({"limit": 9}));
    }

    #[test]
    fn an_oom_has_no_data() {
        let event = Event { kind: "oom", id: "c", data: None };
        assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"type":"oom","id":"c"}"#);
    }
}

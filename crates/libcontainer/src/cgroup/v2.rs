//! Limits as the files of cgroup version 2.

use super::limits::{Asked, Bound, Rate, Setting};
use super::v1::{self, rdma};
use super::write::{Absent, Write};
use crate::error::{Error, Kind, Result};

/// The controller that has the files of a setting: version 1's, of which one has a new name; of a file set by name, what
/// stands before its first dot.
pub(crate) fn controller(setting: &Setting) -> &str {
    match (setting, v1::controller(setting)) {
        (Setting::Unified { file, .. }, _) => file.split_once('.').map_or("", |(controller, _)| controller),
        (_, Some("blkio")) => "io",
        (_, name) => name.unwrap_or_default(),
    }
}

/// What stands in the files now, where a new value depends on it; nothing in a new cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Current {
    /// `memory.max`
    pub memory: Option<Bound>,
    /// `memory.swap.max`
    pub swap: Option<Bound>,
    /// The first word of `cpu.max`.
    pub quota: Option<Bound>,
}

/// The writes that make a setting; they belong together (see [`super::write::write_group`]).
///
/// # Errors
/// `Unsupported` for what version 2 does not have, `InvalidSpec` for a limit of memory and swap that cannot be told apart.
pub(crate) fn render(asked: &Asked, current: &Current) -> Result<Vec<Write>> {
    let field = asked.field.as_str();
    let one = |file: &str, value: &dyn ToString| Ok(vec![Write::new(file, value.to_string(), field)]);
    let part = |file: &str, value: String, name: &str| Write::new(file, value, format!("{field}.{name}"));
    let none = |what: &str| {
        // The first part that version 1 would write has the nearest field.
        let field = v1::render(asked).first().map_or(field.to_owned(), |write| write.field.clone());
        Err(Error::new(Kind::Unsupported, format!("cgroup v2 has no {what}")).field(field))
    };
    match &asked.setting {
        Setting::Memory { limit, total, .. } => {
            let mut writes = Vec::new();
            writes.extend(limit.map(|limit| part("memory.max", limit.to_string(), "limit")));
            writes.extend(swap(*limit, *total, current)?.map(|swap| {
                // Without swap in the kernel there is none to allow or to forbid.
                let absent = if matches!(swap, Bound::Max | Bound::At(0)) { Absent::Accept } else { Absent::Refuse };
                part("memory.swap.max", swap.to_string(), "swap").absent(absent)
            }));
            Ok(writes)
        }
        Setting::MemoryReservation(bound) => one("memory.low", bound),
        Setting::MemoryKernelTcp(_) => none("limit of TCP buffers"),
        Setting::Swappiness(_) => none("swappiness of a cgroup"),
        Setting::NoOomKiller => none("way to disable the OOM killer"),
        Setting::CpuIdle(idle) => one("cpu.idle", idle),
        Setting::CpuShares(shares) => one("cpu.weight", &weight_of_shares(*shares)),
        Setting::CpuBandwidth { quota, period, burst } => {
            let mut writes = Vec::new();
            let max = match (quota, period) {
                (None, None) => None,
                // The kernel keeps the period if there is none in the line.
                (Some(quota), None) => Some((quota.to_string(), "quota")),
                (Some(quota), Some(period)) => Some((format!("{quota} {period}"), "quota")),
                (None, Some(period)) => Some((format!("{} {period}", current.quota.unwrap_or(Bound::Max)), "period")),
            };
            writes.extend(max.map(|(value, name)| part("cpu.max", value, name)));
            writes.extend(burst.map(|burst| part("cpu.max.burst", burst.to_string(), "burst")));
            Ok(writes)
        }
        Setting::CpuRealtime { .. } => none("limits of realtime scheduling"),
        Setting::Cpus(list) => one("cpuset.cpus", list),
        Setting::Mems(list) => one("cpuset.mems", list),
        Setting::Pids(bound) => one("pids.max", bound),
        Setting::BlockWeight(weight) => Ok(vec![weight_file("", *weight, field)]),
        Setting::BlockLeafWeight(_) => none("leaf weights"),
        Setting::BlockDeviceWeight { leaf: Some(_), .. } => none("leaf weights"),
        Setting::BlockDeviceWeight { device, weight, leaf: None } => {
            let field = format!("{field}.weight");
            Ok(weight.iter().map(|&weight| weight_file(&format!("{device} "), weight, &field)).collect())
        }
        Setting::BlockThrottle { rate, device, limit } => {
            let key = match rate {
                Rate::ReadBytes => "rbps",
                Rate::WriteBytes => "wbps",
                Rate::ReadOperations => "riops",
                Rate::WriteOperations => "wiops",
            };
            // Version 1 lifts a limit with 0.
            let limit = if *limit == 0 { Bound::Max } else { Bound::At(*limit) };
            one("io.max", &format!("{device} {key}={limit}"))
        }
        Setting::Hugepage { size, limit } => Ok(vec![
            Write::new(format!("hugetlb.{size}.max"), limit, field),
            Write::new(format!("hugetlb.{size}.rsvd.max"), limit, field).absent(Absent::Accept),
        ]),
        Setting::Rdma { device, handles, objects } => one("rdma.max", &rdma(device, *handles, *objects)),
        Setting::NetClass(_) => none("net_cls controller"),
        Setting::NetPriority { .. } => none("net_prio controller"),
        // Files such as io.max take one line a write.
        Setting::Unified { file, value } => Ok(value.lines().map(|line| Write::new(file, line, field)).collect()),
    }
}

/// The limit of swap alone, from that of memory and swap together.
pub(crate) fn swap(limit: Option<Bound>, total: Option<Bound>, current: &Current) -> Result<Option<Bound>> {
    let too_little = |name: &str| {
        Error::spec(format!("linux.resources.memory.{name}"), "memory+swap limit should be >= memory limit")
    };
    match (limit, total) {
        (_, Some(Bound::Max)) => Ok(Some(Bound::Max)),
        (_, Some(Bound::At(total))) => match limit.or(current.memory) {
            Some(Bound::At(memory)) => {
                total.checked_sub(memory).map(|swap| Some(Bound::At(swap))).ok_or_else(|| too_little("swap"))
            }
            Some(Bound::Max) => Ok(Some(Bound::At(total))),
            None => Err(Error::spec("linux.resources.memory.swap", "unable to set swap limit without memory limit")),
        },
        // The sum of both stays what it was.
        (Some(Bound::At(new)), None) => match (current.memory, current.swap) {
            (Some(Bound::At(memory)), Some(Bound::At(swap))) => {
                let total = memory.saturating_add(swap);
                total.checked_sub(new).map(|swap| Some(Bound::At(swap))).ok_or_else(|| too_little("limit"))
            }
            _ => Ok(None),
        },
        (_, None) => Ok(None),
    }
}

/// `cpu.weight` (1 to 10000, 100 by default) for `cpu.shares` (2 to 262144, 1024 by default), so that least, default and most
/// meet: the curve of runc 1.3.2 and crun 1.23, quadratic in the logarithm (opencontainers/cgroups pull request 20).
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent).ceil() as u64).min(10_000)
}

/// `io.weight` (1 to 10000) for a weight of 10 to 1000, linear as in runc.
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight.saturating_sub(10)) * 9999 / 990
}

/// The weight for the BFQ scheduler, or where that is not in use, for all.
fn weight_file(device: &str, weight: u16, field: &str) -> Write {
    let instead = Write::new("io.weight", format!("{device}{}", io_weight(weight)), field);
    Write::new("io.bfq.weight", format!("{device}{weight}"), field).absent(Absent::Instead(Box::new(instead)))
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;

    fn render_all(json: &str, current: Current) -> Result<String> {
        let limits = Limits::new(&serde_json::from_str(json).unwrap()).unwrap();
        let show = |write: &Write| match &write.absent {
            Absent::Refuse => format!("{}={}", write.file, write.value),
            Absent::Accept => format!("{}={}[]", write.file, write.value),
            Absent::Instead(other) => format!("{}={}[{}={}]", write.file, write.value, other.file, other.value),
        };
        let mut groups = Vec::new();
        for asked in &limits.asked {
            groups.push(render(asked, &current)?.iter().map(show).collect::<Vec<_>>().join(" "));
        }
        Ok(groups.join(" | "))
    }

    fn rendered(json: &str) -> String {
        render_all(json, Current::default()).unwrap()
    }

    #[test]
    fn memory() {
        assert_eq!(
            rendered(r#"{"memory":{"limit":100,"swap":300,"reservation":50}}"#),
            "memory.max=100 memory.swap.max=200 | memory.low=50"
        );
        assert_eq!(rendered(r#"{"memory":{"limit":100,"swap":100}}"#), "memory.max=100 memory.swap.max=0[]");
        assert_eq!(rendered(r#"{"memory":{"limit":100,"swap":-1}}"#), "memory.max=100 memory.swap.max=max[]");
        assert_eq!(rendered(r#"{"memory":{"limit":-1}}"#), "memory.max=max memory.swap.max=max[]");
        assert_eq!(rendered(r#"{"memory":{"limit":-1,"swap":5}}"#), "memory.max=max memory.swap.max=5");
        assert_eq!(rendered(r#"{"memory":{"limit":100}}"#), "memory.max=100");
        let alone = render_all(r#"{"memory":{"swap":5}}"#, Current::default()).unwrap_err();
        assert_eq!(alone.config_field(), Some("linux.resources.memory.swap"));
    }

    #[test]
    fn an_update_of_memory_reckons_with_what_stands() {
        let current = Current { memory: Some(Bound::At(100)), swap: Some(Bound::At(50)), quota: None };
        assert_eq!(render_all(r#"{"memory":{"limit":120}}"#, current).unwrap(), "memory.max=120 memory.swap.max=30");
        assert_eq!(render_all(r#"{"memory":{"swap":110}}"#, current).unwrap(), "memory.swap.max=10");
        assert_eq!(
            render_all(r#"{"memory":{"limit":151}}"#, current).unwrap_err().config_field(),
            Some("linux.resources.memory.limit")
        );
        assert_eq!(
            render_all(r#"{"memory":{"swap":99}}"#, current).unwrap_err().config_field(),
            Some("linux.resources.memory.swap")
        );
        let boundless = Current { memory: Some(Bound::Max), swap: Some(Bound::Max), quota: None };
        assert_eq!(render_all(r#"{"memory":{"limit":120}}"#, boundless).unwrap(), "memory.max=120");
        assert_eq!(render_all(r#"{"memory":{"swap":120}}"#, boundless).unwrap(), "memory.swap.max=120");
    }

    #[test]
    fn cpu() {
        assert_eq!(
            rendered(
                r#"{"cpu":{"shares":1024,"quota":20000,"period":50000,"burst":100,"cpus":"0","mems":"0","idle":0}}"#
            ),
            "cpu.idle=0 | cpu.weight=100 | cpu.max=20000 50000 cpu.max.burst=100 | cpuset.cpus=0 | cpuset.mems=0"
        );
        assert_eq!(rendered(r#"{"cpu":{"quota":-1}}"#), "cpu.max=max");
        assert_eq!(rendered(r#"{"cpu":{"period":7000}}"#), "cpu.max=max 7000");
        let current = Current { quota: Some(Bound::At(3000)), ..Current::default() };
        assert_eq!(render_all(r#"{"cpu":{"period":7000}}"#, current).unwrap(), "cpu.max=3000 7000");
    }

    #[test]
    fn shares_meet_at_both_ends_and_in_the_middle() {
        let known = [(2, 1), (3, 2), (512, 59), (1024, 100), (2048, 174), (262_144, 10_000)];
        for (shares, weight) in known {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        assert!((2..=262_144).map(weight_of_shares).is_sorted());
    }

    #[test]
    fn block() {
        let json = r#"{"blockIO":{"weight":1000,"weightDevice":[{"major":8,"minor":0,"weight":10}],
            "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#;
        assert_eq!(
            rendered(json),
            "io.bfq.weight=1000[io.weight=10000] | io.bfq.weight=8:0 10[io.weight=8:0 1] | io.max=8:0 rbps=1 | io.max=8:0 wiops=max"
        );
    }

    #[test]
    fn pages_rdma_and_files_by_name() {
        assert_eq!(
            rendered(
                r#"{"hugepageLimits":[{"pageSize":"1GB","limit":0}],"rdma":{"m":{"hcaObjects":4}},"pids":{"limit":0},
                "unified":{"io.max":"8:0 rbps=1\n8:16 rbps=2","memory.high":"5"}}"#
            ),
            "pids.max=0 | hugetlb.1GB.max=0 hugetlb.1GB.rsvd.max=0[] | rdma.max=m hca_object=4 | io.max=8:0 rbps=1 io.max=8:16 rbps=2 | memory.high=5"
        );
    }

    #[test]
    fn what_version_2_has_not_is_an_error_with_its_field() {
        let cases = [
            (r#"{"memory":{"swappiness":1}}"#, "linux.resources.memory.swappiness"),
            (r#"{"memory":{"disableOOMKiller":true}}"#, "linux.resources.memory.disableOOMKiller"),
            (r#"{"cpu":{"realtimeRuntime":1}}"#, "linux.resources.cpu.realtimeRuntime"),
            (r#"{"network":{"classID":1}}"#, "linux.resources.network.classID"),
            (r#"{"blockIO":{"leafWeight":10}}"#, "linux.resources.blockIO.leafWeight"),
        ];
        for (json, field) in cases {
            let error = render_all(json, Current::default()).unwrap_err();
            assert_eq!((error.kind(), error.config_field()), (Kind::Unsupported, Some(field)), "{json}");
        }
    }
}

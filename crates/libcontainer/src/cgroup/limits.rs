//! What each resource of config.json means: the one interpretation that both versions of cgroups render.

use crate::config::{BlockIo, Cpu, Memory, Resources, ThrottleDevice};
use crate::error::{Error, Result};
use std::fmt;

/// A limit that may be absent: -1 in config.json, `max` on version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Max,
    At(u64),
}

impl Bound {
    /// As version 2 writes it.
    pub fn parse(text: &str) -> Option<Bound> {
        if text == "max" { Some(Bound::Max) } else { text.parse().ok().map(Bound::At) }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Max => f.write_str("max"),
            Bound::At(value) => value.fmt(f),
        }
    }
}

/// Major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device(pub i64, pub i64);

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// What a throttle counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}

/// One setting, in the units of config.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `total` is memory and swap together. `check` wants a limit below the present usage refused.
    Memory {
        limit: Option<Bound>,
        total: Option<Bound>,
        check: bool,
    },
    MemoryReservation(Bound),
    MemoryKernelTcp(Bound),
    Swappiness(u64),
    NoOomKiller,
    /// Above all shares: an idle cgroup has none.
    CpuIdle(i64),
    CpuShares(u64),
    /// Microseconds.
    CpuBandwidth {
        quota: Option<Bound>,
        period: Option<u64>,
        burst: Option<u64>,
    },
    /// Microseconds.
    CpuRealtime {
        runtime: Option<i64>,
        period: Option<u64>,
    },
    Cpus(String),
    Mems(String),
    Pids(Bound),
    BlockWeight(u16),
    BlockLeafWeight(u16),
    BlockDeviceWeight {
        device: Device,
        weight: Option<u16>,
        leaf: Option<u16>,
    },
    /// 0 is without limit.
    BlockThrottle {
        rate: Rate,
        device: Device,
        limit: u64,
    },
    Hugepage {
        size: String,
        limit: u64,
    },
    Rdma {
        device: String,
        handles: Option<u32>,
        objects: Option<u32>,
    },
    NetClass(u32),
    NetPriority {
        interface: String,
        priority: u32,
    },
    /// A file of version 2, and its value, by name.
    Unified {
        file: String,
        value: String,
    },
}

/// A setting and the field of config.json that asked for it. Of a setting made of several fields it is their object's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub field: String,
    pub setting: Setting,
}

/// All that is asked for, in the order in which it is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub asked: Vec<Asked>,
    /// What was asked for and no kernel does any more, in words, for an update: of a config its rules say so.
    pub ignored: Vec<String>,
}

/// The kernel's range of `cpu.shares` (`MIN_SHARES`, `MAX_SHARES` of kernel/sched/core.c).
const SHARES: std::ops::RangeInclusive<u64> = 2..=1 << 18;

impl Limits {
    /// Interprets `resources`, device rules apart. As runc reads them, 0 is "not set" wherever it is not a value of its own.
    ///
    /// # Errors
    /// `InvalidSpec` with the field whose value makes no sense on any kernel.
    pub fn new(resources: &Resources) -> Result<Limits> {
        let mut limits = Limits::default();
        if let Some(memory) = &resources.memory {
            limits.memory(memory)?;
        }
        if let Some(cpu) = &resources.cpu {
            limits.cpu(cpu)?;
        }
        if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
            let bound = u64::try_from(limit).map_or(Bound::Max, Bound::At);
            limits.ask("pids.limit", Setting::Pids(bound));
        }
        if let Some(block) = &resources.block_io {
            limits.block(block)?;
        }
        for (index, page) in resources.hugepage_limits.iter().enumerate() {
            let field = format!("hugepageLimits[{index}]");
            check_page_size(&field, &page.page_size)?;
            limits.ask(&field, Setting::Hugepage { size: page.page_size.clone(), limit: page.limit });
        }
        for (name, rdma) in &resources.rdma {
            let field = format!("rdma.{name}");
            check_word(&field, name)?;
            let (handles, objects) = (rdma.hca_handles, rdma.hca_objects);
            if handles.is_some() || objects.is_some() {
                limits.ask(&field, Setting::Rdma { device: name.clone(), handles, objects });
            }
        }
        if let Some(network) = &resources.network {
            if let Some(class) = network.class_id.filter(|&class| class != 0) {
                limits.ask("network.classID", Setting::NetClass(class));
            }
            for (index, entry) in network.priorities.iter().enumerate() {
                let field = format!("network.priorities[{index}]");
                check_word(&field, &entry.name)?;
                limits.ask(&field, Setting::NetPriority { interface: entry.name.clone(), priority: entry.priority });
            }
        }
        for (file, value) in &resources.unified {
            if file.is_empty() || file.contains(['/', '\0']) || file == "." || file == ".." {
                let what = format!("unified resource {file:?} must be a file name (no slashes)");
                return Err(Error::spec("linux.resources.unified", what));
            }
            limits.ask("unified", Setting::Unified { file: file.clone(), value: value.clone() });
        }
        Ok(limits)
    }

    fn ask(&mut self, field: &str, setting: Setting) {
        self.asked.push(Asked { field: format!("linux.resources.{field}"), setting });
    }

    fn memory(&mut self, memory: &Memory) -> Result<()> {
        let limit = bound("memory.limit", memory.limit)?;
        let mut total = bound("memory.swap", memory.swap)?;
        if let (Some(Bound::At(limit)), Some(Bound::At(total))) = (limit, total)
            && total < limit
        {
            return Err(Error::spec("linux.resources.memory.swap", "memory+swap limit should be >= memory limit"));
        }
        // Without a limit of memory, one of memory and swap left over from before would be a limit still.
        if limit == Some(Bound::Max) && total.is_none() {
            total = Some(Bound::Max);
        }
        if limit.is_some() || total.is_some() {
            let check = memory.check_before_update.unwrap_or(false);
            self.ask("memory", Setting::Memory { limit, total, check });
        }
        if let Some(reservation) = bound("memory.reservation", memory.reservation)? {
            self.ask("memory.reservation", Setting::MemoryReservation(reservation));
        }
        if let Some(kernel_tcp) = bound("memory.kernelTCP", memory.kernel_tcp)? {
            self.ask("memory.kernelTCP", Setting::MemoryKernelTcp(kernel_tcp));
        }
        // Go programs write -1, "not set", as the largest number.
        match memory.swappiness.filter(|&value| value != u64::MAX) {
            Some(value) if value > 100 => {
                let what = format!("invalid value {value}: swappiness is 0 to 100");
                return Err(Error::spec("linux.resources.memory.swappiness", what));
            }
            Some(value) => self.ask("memory.swappiness", Setting::Swappiness(value)),
            None => {}
        }
        if memory.disable_oom_killer == Some(true) {
            self.ask("memory.disableOOMKiller", Setting::NoOomKiller);
        }
        let ignored = [
            (memory.kernel.is_some(), "kernel", "kernel memory has no limit of its own since Linux 5.16"),
            (
                memory.use_hierarchy == Some(false),
                "useHierarchy",
                "memory is always counted with that of child cgroups since Linux 5.11",
            ),
        ];
        for (_, name, why) in ignored.iter().filter(|(asked, ..)| *asked) {
            self.ignored.push(format!("linux.resources.memory.{name} is ignored: {why}"));
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu) -> Result<()> {
        // An idle cgroup refuses shares, one that stops being idle takes them only afterwards.
        if let Some(idle) = cpu.idle {
            self.ask("cpu.idle", Setting::CpuIdle(idle));
        }
        if let Some(shares) = cpu.shares.filter(|&shares| shares != 0 && cpu.idle != Some(1)) {
            if shares > *SHARES.end() {
                let what = format!("the maximum allowed cpu-shares is {}", SHARES.end());
                return Err(Error::spec("linux.resources.cpu.shares", what));
            }
            if shares < *SHARES.start() {
                let what = format!("the minimum allowed cpu-shares is {}", SHARES.start());
                return Err(Error::spec("linux.resources.cpu.shares", what));
            }
            self.ask("cpu.shares", Setting::CpuShares(shares));
        }
        let quota =
            cpu.quota.filter(|&quota| quota != 0).map(|quota| u64::try_from(quota).map_or(Bound::Max, Bound::At));
        let period = cpu.period.filter(|&period| period != 0);
        if quota.is_some() || period.is_some() || cpu.burst.is_some() {
            self.ask("cpu", Setting::CpuBandwidth { quota, period, burst: cpu.burst });
        }
        let runtime = cpu.realtime_runtime.filter(|&runtime| runtime != 0);
        let period = cpu.realtime_period.filter(|&period| period != 0);
        if runtime.is_some() || period.is_some() {
            self.ask("cpu", Setting::CpuRealtime { runtime, period });
        }
        if let Some(cpus) = cpu.cpus.as_ref().filter(|list| !list.is_empty()) {
            self.ask("cpu.cpus", Setting::Cpus(cpus.clone()));
        }
        if let Some(mems) = cpu.mems.as_ref().filter(|list| !list.is_empty()) {
            self.ask("cpu.mems", Setting::Mems(mems.clone()));
        }
        Ok(())
    }

    fn block(&mut self, block: &BlockIo) -> Result<()> {
        if let Some(weight) = weight("blockIO.weight", block.weight)? {
            self.ask("blockIO.weight", Setting::BlockWeight(weight));
        }
        if let Some(weight) = weight("blockIO.leafWeight", block.leaf_weight)? {
            self.ask("blockIO.leafWeight", Setting::BlockLeafWeight(weight));
        }
        for (index, entry) in block.weight_device.iter().enumerate() {
            let field = format!("blockIO.weightDevice[{index}]");
            let device = Device(entry.major, entry.minor);
            let own = weight(&format!("{field}.weight"), entry.weight)?;
            let leaf = weight(&format!("{field}.leafWeight"), entry.leaf_weight)?;
            if own.is_some() || leaf.is_some() {
                self.ask(&field, Setting::BlockDeviceWeight { device, weight: own, leaf });
            }
        }
        self.throttle("throttleReadBpsDevice", Rate::ReadBytes, &block.throttle_read_bps_device);
        self.throttle("throttleWriteBpsDevice", Rate::WriteBytes, &block.throttle_write_bps_device);
        self.throttle("throttleReadIOPSDevice", Rate::ReadOperations, &block.throttle_read_iops_device);
        self.throttle("throttleWriteIOPSDevice", Rate::WriteOperations, &block.throttle_write_iops_device);
        Ok(())
    }

    fn throttle(&mut self, name: &str, rate: Rate, devices: &[ThrottleDevice]) {
        for (index, entry) in devices.iter().enumerate() {
            let device = Device(entry.major, entry.minor);
            self.ask(&format!("blockIO.{name}[{index}]"), Setting::BlockThrottle { rate, device, limit: entry.rate });
        }
    }
}

fn bound(name: &str, value: Option<i64>) -> Result<Option<Bound>> {
    match value {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(Bound::Max)),
        Some(value) => match u64::try_from(value) {
            Ok(value) => Ok(Some(Bound::At(value))),
            Err(_) => Err(Error::spec(
                format!("linux.resources.{name}"),
                format!("invalid value {value}: -1 is without limit"),
            )),
        },
    }
}

fn weight(name: &str, value: Option<u16>) -> Result<Option<u16>> {
    match value {
        None | Some(0) => Ok(None),
        Some(10..=1000) => Ok(value),
        Some(weight) => Err(Error::spec(
            format!("linux.resources.{name}"),
            format!("invalid weight {weight}: weights are 10 to 1000"),
        )),
    }
}

/// The size becomes part of a file's name.
fn check_page_size(field: &str, size: &str) -> Result<()> {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit)).unwrap_or_default();
    if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let what = format!("{size:?} is no page size: a number, then KB, MB or GB");
        return Err(Error::spec(format!("linux.resources.{field}.pageSize"), what));
    }
    Ok(())
}

/// The name becomes one word of a line.
fn check_word(field: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '\0') {
        return Err(Error::spec(format!("linux.resources.{field}"), format!("{name:?} is no name of a device")));
    }
    Ok(())
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;

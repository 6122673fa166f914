//! What a container used and uses: the figures of runc's `events --stats`, from either version.

#[path = "stats_v1.rs"]
mod v1;
#[path = "stats_v2.rs"]
mod v2;

use super::Cgroup;
use super::dir::Dir;
use crate::error::Result;
use rustix::io::Errno;
use std::collections::BTreeMap;

/// All figures. What the kernel does not count is 0, empty or absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Processors and memory nodes (version 1 only, as in runc).
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlockStats,
    /// Huge pages, by page size (`2MB`).
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStats {
    /// Kernel and user mode together.
    pub total: u64,
    /// In kernel mode.
    pub kernel: u64,
    /// In user mode.
    pub user: u64,
    /// For each processor (version 1 only).
    pub percpu: Vec<u64>,
    /// For each processor in kernel mode (version 1 only).
    pub percpu_kernel: Vec<u64>,
    /// For each processor in user mode (version 1 only).
    pub percpu_user: Vec<u64>,
    /// Periods of the quota that have passed.
    pub periods: u64,
    /// Periods in which the quota ran out.
    pub throttled_periods: u64,
    /// Nanoseconds spent waiting for quota.
    pub throttled_time: u64,
    /// Pressure (version 2 only).
    pub psi: Option<Pressure>,
}

/// The flags of the cpuset controller.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // by the kernel's names
pub struct CpusetStats {
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// One counter of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCount {
    /// The limit; the largest number is none.
    pub limit: u64,
    /// In use now.
    pub usage: u64,
    /// The most that was in use.
    pub max: u64,
    /// How often the limit was hit (version 1 only).
    pub failcnt: u64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStats {
    /// Page cache.
    pub cache: u64,
    /// Memory.
    pub usage: MemoryCount,
    /// Memory and swap together.
    pub swap: MemoryCount,
    /// The kernel's (version 1 only).
    pub kernel: MemoryCount,
    /// Of that, buffers of TCP (version 1 only).
    pub kernel_tcp: MemoryCount,
    /// `memory.stat` as it is.
    pub raw: BTreeMap<String, u64>,
    /// Pressure (version 2 only).
    pub psi: Option<Pressure>,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// How many there are.
    pub current: u64,
    /// How many there may be; 0 is no limit.
    pub limit: u64,
}

/// Figures of block devices, cgroups below included.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // by the kernel's names
pub struct BlockStats {
    pub service_bytes: Vec<BlockEntry>,
    pub serviced: Vec<BlockEntry>,
    pub queued: Vec<BlockEntry>,
    pub service_time: Vec<BlockEntry>,
    pub wait_time: Vec<BlockEntry>,
    pub merged: Vec<BlockEntry>,
    pub time: Vec<BlockEntry>,
    pub sectors: Vec<BlockEntry>,
    /// Pressure (version 2 only).
    pub psi: Option<Pressure>,
}

/// One figure of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, ...; empty if the figure is for all.
    pub op: String,
    /// Bytes, operations, or nanoseconds.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugetlbStats {
    /// In use now.
    pub usage: u64,
    /// The most that was in use (version 1 only).
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Pressure stall information (psi.rst).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Time in which some task waited.
    pub some: PressureLine,
    /// Time in which all did.
    pub full: PressureLine,
}

/// One line of pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PressureLine {
    /// Percent of the last 10 seconds.
    pub avg10: f64,
    /// Percent of the last 60 seconds.
    pub avg60: f64,
    /// Percent of the last 300 seconds.
    pub avg300: f64,
    /// Microseconds in all.
    pub total: u64,
}

impl Cgroup {
    /// Reads all figures.
    ///
    /// # Errors
    /// `System` if a file that exists cannot be read or understood.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        let hierarchies = self.location().hierarchies();
        if let Some(hierarchy) = hierarchies.iter().find(|h| h.is_v2()) {
            v2::read(&Dir::at(&hierarchy.path), self.location().is_v2(), &mut stats)?;
        }
        for hierarchy in hierarchies.iter().filter(|h| !h.is_v2()) {
            let dir = Dir::at(&hierarchy.path);
            for controller in &hierarchy.controllers {
                v1::read(&dir, controller, &mut stats)?;
            }
        }
        Ok(stats)
    }
}

/// A file's text; `None` if the kernel does not have it or the cgroup is gone.
fn text(dir: &Dir, name: &str) -> Result<Option<String>> {
    match dir.read(name) {
        Ok(text) => Ok(Some(text)),
        Err(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(dir.failed("read", name, errno)),
    }
}

/// A file with one number; 0 without the file.
fn number(dir: &Dir, name: &str) -> Result<u64> {
    match text(dir, name)? {
        None => Ok(0),
        Some(text) => super::dir::parse_number(&text).ok_or_else(|| dir.failed("understand", name, Errno::INVAL)),
    }
}

/// Lines of `key value`.
fn keyed(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(k, v)| Some((k.to_owned(), v.trim().parse().ok()?)))
        .collect()
}

/// `pids.current` and `pids.max`, the same in both versions.
fn pids(dir: &Dir) -> Result<PidsStats> {
    let limit = number(dir, "pids.max")?;
    Ok(PidsStats { current: number(dir, "pids.current")?, limit: if limit == u64::MAX { 0 } else { limit } })
}

/// The sizes of huge pages by the names that the controller uses (`2MB`), from /sys/kernel/mm/hugepages.
fn page_sizes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| page_size(name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?)).collect()
}

fn page_size(kilobytes: u64) -> Option<String> {
    Some(match kilobytes {
        0 => return None,
        size if size >= 1 << 20 => format!("{}GB", size >> 20),
        size if size >= 1 << 10 => format!("{}MB", size >> 10),
        size => format!("{size}KB"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_have_the_controllers_names() {
        assert_eq!([64, 2048, 1 << 20].map(page_size), ["64KB", "2MB", "1GB"].map(|s| Some(s.to_owned())));
    }

    #[test]
    fn keyed_lines() {
        let expected = BTreeMap::from([("anon".to_owned(), 5), ("file".to_owned(), 6)]);
        assert_eq!(keyed("anon 5\nfile 6\nodd\nword x\n"), expected);
    }
}

//! Figures from the files of version 1.

use super::{BlockEntry, HugetlbStats, MemoryCount, Stats, keyed, number, page_sizes, pids, text};
use crate::cgroup::dir::Dir;
use crate::error::Result;
use rustix::io::Errno;

/// Adds the figures of `controller`.
pub(super) fn read(dir: &Dir, controller: &str, stats: &mut Stats) -> Result<()> {
    match controller {
        "cpu" => {
            let stat = keyed(&text(dir, "cpu.stat")?.unwrap_or_default());
            let value = |key: &str| stat.get(key).copied().unwrap_or(0);
            stats.cpu.periods = value("nr_periods");
            stats.cpu.throttled_periods = value("nr_throttled");
            stats.cpu.throttled_time = value("throttled_time");
        }
        "cpuacct" => {
            let stat = keyed(&text(dir, "cpuacct.stat")?.unwrap_or_default());
            let nanoseconds = |key: &str| stat.get(key).copied().unwrap_or(0) * (1_000_000_000 / TICKS);
            stats.cpu.user = nanoseconds("user");
            stats.cpu.kernel = nanoseconds("system");
            stats.cpu.total = number(dir, "cpuacct.usage")?;
            stats.cpu.percpu = numbers(&text(dir, "cpuacct.usage_percpu")?.unwrap_or_default());
            let all = text(dir, "cpuacct.usage_all")?.unwrap_or_default();
            let rows: Vec<_> = all.lines().skip(1).map(numbers).filter(|row| row.len() == 3).collect();
            stats.cpu.percpu_user = rows.iter().map(|row| row[1]).collect();
            stats.cpu.percpu_kernel = rows.iter().map(|row| row[2]).collect();
        }
        "cpuset" => cpuset(dir, stats)?,
        "memory" => {
            stats.memory.raw = keyed(&text(dir, "memory.stat")?.unwrap_or_default());
            stats.memory.cache = stats.memory.raw.get("cache").copied().unwrap_or(0);
            stats.memory.usage = memory(dir, "memory")?;
            stats.memory.swap = memory(dir, "memory.memsw")?;
            stats.memory.kernel = memory(dir, "memory.kmem")?;
            stats.memory.kernel_tcp = memory(dir, "memory.kmem.tcp")?;
        }
        "pids" => stats.pids = pids(dir)?,
        "blkio" => block(dir, stats)?,
        "hugetlb" => {
            for size in page_sizes() {
                let value = |name: &str| number(dir, &format!("hugetlb.{size}.{name}"));
                let page = HugetlbStats {
                    usage: value("usage_in_bytes")?,
                    max: value("max_usage_in_bytes")?,
                    failcnt: value("failcnt")?,
                };
                stats.hugetlb.insert(size, page);
            }
        }
        _ => {}
    }
    Ok(())
}

/// `USER_HZ`, which is part of the kernel's interface.
const TICKS: u64 = 100;

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn memory(dir: &Dir, prefix: &str) -> Result<MemoryCount> {
    let value = |name: &str| number(dir, &format!("{prefix}.{name}"));
    Ok(MemoryCount {
        limit: value("limit_in_bytes")?,
        usage: value("usage_in_bytes")?,
        max: value("max_usage_in_bytes")?,
        failcnt: value("failcnt")?,
    })
}

fn cpuset(dir: &Dir, stats: &mut Stats) -> Result<()> {
    let set = &mut stats.cpuset;
    let list = |name: &str| -> Result<Vec<u16>> { Ok(list(text(dir, name)?.unwrap_or_default().trim())) };
    set.cpus = list("cpuset.cpus")?;
    set.mems = list("cpuset.mems")?;
    set.cpu_exclusive = number(dir, "cpuset.cpu_exclusive")?;
    set.mem_hardwall = number(dir, "cpuset.mem_hardwall")?;
    set.mem_exclusive = number(dir, "cpuset.mem_exclusive")?;
    set.memory_migrate = number(dir, "cpuset.memory_migrate")?;
    set.memory_spread_page = number(dir, "cpuset.memory_spread_page")?;
    set.memory_spread_slab = number(dir, "cpuset.memory_spread_slab")?;
    set.memory_pressure = number(dir, "cpuset.memory_pressure")?;
    set.sched_load_balance = number(dir, "cpuset.sched_load_balance")?;
    let level = text(dir, "cpuset.sched_relax_domain_level")?.unwrap_or_default();
    set.sched_relax_domain_level = level.trim().parse().unwrap_or(0);
    Ok(())
}

/// `0-2,7` as its numbers.
fn list(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// The figures are in the files of whichever scheduler is in use: the first family that has any counts. Each starts with
/// the file that tells.
fn block(dir: &Dir, stats: &mut Stats) -> Result<()> {
    let families = [
        ("blkio.bfq.", "_recursive", "sectors"),
        ("blkio.bfq.", "_recursive", "io_serviced"),
        ("blkio.", "_recursive", "sectors"),
        ("blkio.throttle.", "_recursive", "io_serviced"),
        ("blkio.throttle.", "", "io_serviced"),
    ];
    for (prefix, suffix, first) in families {
        if entries(dir, &format!("{prefix}{first}{suffix}"))?.is_empty() {
            continue;
        }
        let blkio = &mut stats.blkio;
        let targets = [
            ("io_serviced", &mut blkio.serviced),
            ("io_service_bytes", &mut blkio.service_bytes),
            ("sectors", &mut blkio.sectors),
            ("io_service_time", &mut blkio.service_time),
            ("io_wait_time", &mut blkio.wait_time),
            ("io_merged", &mut blkio.merged),
            ("io_queued", &mut blkio.queued),
            ("time", &mut blkio.time),
        ];
        for (name, target) in targets {
            *target = entries(dir, &format!("{prefix}{name}{suffix}"))?;
        }
        return Ok(());
    }
    Ok(())
}

fn entries(dir: &Dir, file: &str) -> Result<Vec<BlockEntry>> {
    let Some(text) = text(dir, file)? else { return Ok(Vec::new()) };
    parse_entries(&text).ok_or_else(|| dir.failed("understand", file, Errno::INVAL))
}

/// Lines `8:0 Read 5` or `8:0 5`; the last line, `Total 5`, is left out.
fn parse_entries(text: &str) -> Option<Vec<BlockEntry>> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (device, op, value) = match words.as_slice() {
            ["Total", _] => continue,
            [device, op, value] => (device, *op, value),
            [device, value] => (device, "", value),
            _ => return None,
        };
        let (major, minor) = device.split_once(':')?;
        let entry = BlockEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_owned(),
            value: value.parse().ok()?,
        };
        entries.push(entry);
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(list("0-2,7"), [0, 1, 2, 7]);
        assert_eq!(list(""), [0u16; 0]);
    }

    #[test]
    fn block_lines() {
        let entry = |op: &str, value| BlockEntry { major: 8, minor: 16, op: op.to_owned(), value };
        assert_eq!(
            parse_entries("8:16 Read 5\n8:16 Total 7\nTotal 7\n").unwrap(),
            [entry("Read", 5), entry("Total", 7)]
        );
        assert_eq!(parse_entries("8:16 9\n").unwrap(), [entry("", 9)]);
        assert_eq!(parse_entries("8:16 Read many\n"), None);
    }

    #[test]
    fn figures_from_a_directory_of_files() {
        let temporary = tempfile::tempdir().unwrap();
        let files = [
            ("cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 300\n"),
            ("cpuacct.stat", "user 3\nsystem 4\n"),
            ("cpuacct.usage", "77000000\n"),
            ("cpuacct.usage_percpu", "1 2 \n"),
            ("cpuacct.usage_all", "cpu user system\n0 10 20\n1 30 40\n"),
            ("memory.stat", "cache 9\nrss 8\n"),
            ("memory.usage_in_bytes", "100\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.failcnt", "1\n"),
            ("pids.current", "4\n"),
            ("pids.max", "max\n"),
            ("blkio.throttle.io_serviced_recursive", "8:0 Read 1\nTotal 1\n"),
            ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 4096\nTotal 4096\n"),
        ];
        for (name, text) in files {
            std::fs::write(temporary.path().join(name), text).unwrap();
        }
        let mut stats = Stats::default();
        for controller in ["cpu", "cpuacct", "memory", "pids", "blkio", "cpuset", "freezer"] {
            read(&Dir::at(temporary.path()), controller, &mut stats).unwrap();
        }
        assert_eq!((stats.cpu.periods, stats.cpu.throttled_periods, stats.cpu.throttled_time), (5, 2, 300));
        assert_eq!((stats.cpu.user, stats.cpu.kernel, stats.cpu.total), (30_000_000, 40_000_000, 77_000_000));
        assert_eq!((stats.cpu.percpu.as_slice(), stats.cpu.percpu_user.as_slice()), (&[1, 2][..], &[10, 30][..]));
        assert_eq!(stats.cpu.percpu_kernel, [20, 40]);
        assert_eq!(
            stats.memory.usage,
            MemoryCount { limit: 9_223_372_036_854_771_712, usage: 100, max: 0, failcnt: 1 }
        );
        assert_eq!((stats.memory.cache, stats.memory.raw["rss"]), (9, 8));
        assert_eq!((stats.pids.current, stats.pids.limit), (4, 0));
        assert_eq!((stats.blkio.serviced[0].value, stats.blkio.service_bytes[0].value), (1, 4096));
    }
}

//! Figures from the files of version 2, under the names of version 1 as runc gives them.

use super::{
    BlockEntry, HugetlbStats, MemoryCount, Pressure, PressureLine, Stats, keyed, number, page_sizes, pids, text,
};
use crate::cgroup::dir::{Dir, value_of};
use crate::error::Result;
use rustix::io::Errno;

/// Adds the figures. Beside version 1, which has its own, `alone` is false: then only those count whose controllers are here.
pub(super) fn read(dir: &Dir, alone: bool, stats: &mut Stats) -> Result<()> {
    if alone {
        // cpu.stat and the pressure are there without any controller.
        cpu(dir, stats)?;
        stats.cpu.psi = pressure(dir, "cpu.pressure")?;
        stats.memory.psi = pressure(dir, "memory.pressure")?;
        stats.blkio.psi = pressure(dir, "io.pressure")?;
    }
    let controllers = text(dir, "cgroup.controllers")?.unwrap_or_default();
    for controller in controllers.split_whitespace() {
        match controller {
            "memory" => memory(dir, stats)?,
            "pids" => stats.pids = pids(dir)?,
            "io" => block(dir, stats)?,
            "hugetlb" => {
                for size in page_sizes() {
                    let usage = number(dir, &format!("hugetlb.{size}.current"))?;
                    let events = text(dir, &format!("hugetlb.{size}.events"))?.unwrap_or_default();
                    let failcnt = value_of(&events, "max").unwrap_or(0);
                    stats.hugetlb.insert(size, HugetlbStats { usage, max: 0, failcnt });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn cpu(dir: &Dir, stats: &mut Stats) -> Result<()> {
    let stat = keyed(&text(dir, "cpu.stat")?.unwrap_or_default());
    let value = |key: &str| stat.get(key).copied().unwrap_or(0);
    stats.cpu.total = value("usage_usec") * 1000;
    stats.cpu.user = value("user_usec") * 1000;
    stats.cpu.kernel = value("system_usec") * 1000;
    stats.cpu.periods = value("nr_periods");
    stats.cpu.throttled_periods = value("nr_throttled");
    stats.cpu.throttled_time = value("throttled_usec") * 1000;
    Ok(())
}

fn memory(dir: &Dir, stats: &mut Stats) -> Result<()> {
    let memory = &mut stats.memory;
    memory.raw = keyed(&text(dir, "memory.stat")?.unwrap_or_default());
    memory.cache = memory.raw.get("file").copied().unwrap_or(0);
    let count = |prefix: &str| -> Result<MemoryCount> {
        let value = |name: &str| number(dir, &format!("{prefix}.{name}"));
        Ok(MemoryCount { limit: value("max")?, usage: value("current")?, max: value("peak")?, failcnt: 0 })
    };
    memory.usage = count("memory")?;
    let swap = count("memory.swap")?;
    // Version 1 counts memory and swap together; the peaks of both cannot be added.
    memory.swap = MemoryCount {
        limit: swap.limit.saturating_add(memory.usage.limit),
        usage: swap.usage + memory.usage.usage,
        ..MemoryCount::default()
    };
    Ok(())
}

fn block(dir: &Dir, stats: &mut Stats) -> Result<()> {
    for line in text(dir, "io.stat")?.unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (target, op) = match key {
                "rbytes" => (&mut stats.blkio.service_bytes, "Read"),
                "wbytes" => (&mut stats.blkio.service_bytes, "Write"),
                "rios" => (&mut stats.blkio.serviced, "Read"),
                "wios" => (&mut stats.blkio.serviced, "Write"),
                _ => continue,
            };
            let value = value.parse().map_err(|_| dir.failed("understand", "io.stat", Errno::INVAL))?;
            target.push(BlockEntry { major, minor, op: op.to_owned(), value });
        }
    }
    Ok(())
}

/// Absent if the kernel has no pressure information, or has it switched off (then reading fails with `EOPNOTSUPP`).
fn pressure(dir: &Dir, file: &str) -> Result<Option<Pressure>> {
    Ok(text(dir, file)?.map(|text| parse_pressure(&text)))
}

fn parse_pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let target = match words.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let PressureLine { avg10, avg60, avg300, total } = target;
            match key {
                "avg10" => *avg10 = value.parse().unwrap_or(0.0),
                "avg60" => *avg60 = value.parse().unwrap_or(0.0),
                "avg300" => *avg300 = value.parse().unwrap_or(0.0),
                "total" => *total = value.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_from_a_directory_of_files() {
        let temporary = tempfile::tempdir().unwrap();
        let files = [
            ("cgroup.controllers", "cpu io memory pids\n"),
            ("cpu.stat", "usage_usec 7\nuser_usec 3\nsystem_usec 4\nnr_periods 5\nnr_throttled 2\nthrottled_usec 6\n"),
            (
                "cpu.pressure",
                "some avg10=1.50 avg60=0.25 avg300=0.00 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
            ),
            ("memory.stat", "anon 1\nfile 2\n"),
            ("memory.current", "100\n"),
            ("memory.max", "max\n"),
            ("memory.peak", "150\n"),
            ("memory.swap.current", "10\n"),
            ("memory.swap.max", "20\n"),
            ("pids.current", "4\n"),
            ("pids.max", "8\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
        ];
        for (name, text) in files {
            std::fs::write(temporary.path().join(name), text).unwrap();
        }
        let mut stats = Stats::default();
        read(&Dir::at(temporary.path()), true, &mut stats).unwrap();
        assert_eq!(
            (stats.cpu.total, stats.cpu.user, stats.cpu.kernel, stats.cpu.throttled_time),
            (7000, 3000, 4000, 6000)
        );
        let psi = stats.cpu.psi.unwrap();
        assert_eq!((psi.some.avg10, psi.some.total, psi.full.total), (1.5, 99, 3));
        assert_eq!(stats.memory.psi, None);
        assert_eq!(stats.memory.usage, MemoryCount { limit: u64::MAX, usage: 100, max: 150, failcnt: 0 });
        assert_eq!(stats.memory.swap, MemoryCount { limit: u64::MAX, usage: 110, max: 0, failcnt: 0 });
        assert_eq!((stats.memory.cache, stats.pids.limit), (2, 8));
        let bytes: Vec<_> = stats.blkio.service_bytes.iter().map(|e| (e.op.as_str(), e.value)).collect();
        assert_eq!(bytes, [("Read", 1), ("Write", 2)]);
    }
}

//! What a container uses of caches and memory bandwidth: the figures of runc's `events`, under `intel_rdt`.
//!
//! They are those of the monitoring group where there is one, else of the class, wherever the processor counts: `enableCMT` and
//! `enableMBM` of older configs, which 1.3 has given up, ask for nothing beyond that.

use crate::error::{Error, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// All figures. What the machine has not is absent or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What the L3 caches can be told.
    pub cache: Option<CacheInfo>,
    /// The default class's share of the L3 caches, as `L3:0=fffff`.
    pub cache_schema_root: String,
    /// The container's.
    pub cache_schema: String,
    /// What memory bandwidth can be told.
    pub bandwidth: Option<BandwidthInfo>,
    /// The default class's share of memory bandwidth, as `MB:0=100`.
    pub bandwidth_schema_root: String,
    /// The container's.
    pub bandwidth_schema: String,
    /// What is counted, for each L3 cache in the order of their numbers; empty where nothing is.
    pub monitoring: Vec<MonitoringStats>,
}

/// `info/L3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // by the kernel's names
pub struct CacheInfo {
    pub cbm_mask: String,
    pub min_cbm_bits: u64,
    pub num_closids: u64,
}

/// `info/MB`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // by the kernel's names
pub struct BandwidthInfo {
    pub bandwidth_gran: u64,
    pub delay_linear: u64,
    pub min_bandwidth: u64,
    pub num_closids: u64,
}

/// One directory of `mon_data`, in bytes; `None` where the machine does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonitoringStats {
    /// What of the cache is in use.
    pub llc_occupancy: Option<u64>,
    /// What went to memory and back.
    pub mbm_total_bytes: Option<u64>,
    /// Of that, on the processor's own memory node.
    pub mbm_local_bytes: Option<u64>,
}

pub(super) fn read(root: &Path, class: &Path, monitored: &Path) -> Result<Stats> {
    let schemata = |dir: &Path| {
        let file = dir.join("schemata");
        match std::fs::read_to_string(&file) {
            // A processor that counts and has nothing to allocate.
            Err(error) if error.kind() == ErrorKind::NotFound && dir.exists() => Ok(String::new()),
            text => text.map_err(|error| Error::io(format!("read {file:?}"), &error)),
        }
    };
    let (all, own) = (schemata(root)?, schemata(class)?);
    let info = root.join("info");
    let mut stats = Stats { monitoring: monitoring(monitored), ..Stats::default() };
    if let Some(cbm_mask) = word(&info.join("L3/cbm_mask")) {
        let number = |name: &str| number(&info.join("L3").join(name)).unwrap_or(0);
        stats.cache =
            Some(CacheInfo { cbm_mask, min_cbm_bits: number("min_cbm_bits"), num_closids: number("num_closids") });
        (stats.cache_schema_root, stats.cache_schema) = (line(&all, "L3:"), line(&own, "L3:"));
    }
    if let Some(bandwidth_gran) = number(&info.join("MB/bandwidth_gran")) {
        let number = |name: &str| number(&info.join("MB").join(name)).unwrap_or(0);
        stats.bandwidth = Some(BandwidthInfo {
            bandwidth_gran,
            delay_linear: number("delay_linear"),
            min_bandwidth: number("min_bandwidth"),
            num_closids: number("num_closids"),
        });
        (stats.bandwidth_schema_root, stats.bandwidth_schema) = (line(&all, "MB:"), line(&own, "MB:"));
    }
    Ok(stats)
}

fn monitoring(group: &Path) -> Vec<MonitoringStats> {
    let caches = std::fs::read_dir(group.join("mon_data")).into_iter().flatten().flatten();
    let mut caches: Vec<_> =
        caches.filter(|dir| dir.file_name().as_encoded_bytes().starts_with(b"mon_L3_")).map(|dir| dir.path()).collect();
    caches.sort();
    let of = |dir: &PathBuf| MonitoringStats {
        llc_occupancy: number(&dir.join("llc_occupancy")),
        mbm_total_bytes: number(&dir.join("mbm_total_bytes")),
        mbm_local_bytes: number(&dir.join("mbm_local_bytes")),
    };
    caches.iter().map(of).collect()
}

fn line(schemata: &str, resource: &str) -> String {
    schemata.lines().map(str::trim).find(|line| line.starts_with(resource)).unwrap_or_default().to_owned()
}

fn word(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

/// A file with a number. Where nothing was counted yet the kernel writes a word instead.
fn number(file: &Path) -> Option<u64> {
    word(file)?.parse().ok()
}

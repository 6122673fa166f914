//! The figures of a container's class of service, in the schema of runc's `events` under `intel_rdt`.

use super::is_zero;
use libcontainer::resctrl::{self, MonitoringStats};
use serde::Serialize;

/// The class of service of resctrl; without one an object without keys.
#[derive(Default, Serialize)]
pub(super) struct Class<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_info: Option<CacheInfo<'e>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    l3_cache_schema_root: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    l3_cache_schema: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_info: Option<BandwidthInfo>,
    #[serde(skip_serializing_if = "str::is_empty")]
    mem_bw_schema_root: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mem_bw_schema: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbm_stats: Option<Vec<Traffic>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmt_stats: Option<Vec<Occupancy>>,
}

#[derive(Serialize)]
struct CacheInfo<'e> {
    #[serde(skip_serializing_if = "str::is_empty")]
    cbm_mask: &'e str,
    #[serde(skip_serializing_if = "is_zero")]
    min_cbm_bits: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_closids: u64,
}

#[derive(Serialize)]
struct BandwidthInfo {
    #[serde(skip_serializing_if = "is_zero")]
    bandwidth_gran: u64,
    #[serde(skip_serializing_if = "is_zero")]
    delay_linear: u64,
    #[serde(skip_serializing_if = "is_zero")]
    min_bandwidth: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_closids: u64,
}

#[derive(Serialize)]
struct Traffic {
    #[serde(skip_serializing_if = "is_zero")]
    mbm_total_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    mbm_local_bytes: u64,
}

#[derive(Serialize)]
struct Occupancy {
    #[serde(skip_serializing_if = "is_zero")]
    llc_occupancy: u64,
}

impl<'e> From<&'e resctrl::Stats> for Class<'e> {
    fn from(stats: &'e resctrl::Stats) -> Class<'e> {
        let resctrl::Stats {
            cache,
            cache_schema_root,
            cache_schema,
            bandwidth,
            bandwidth_schema_root,
            bandwidth_schema,
            monitoring,
        } = stats;
        let counted = |is: fn(&MonitoringStats) -> bool| monitoring.iter().any(is);
        let traffic = counted(|of| of.mbm_total_bytes.is_some() || of.mbm_local_bytes.is_some());
        let occupancy = counted(|of| of.llc_occupancy.is_some());
        let each_traffic = |of: &MonitoringStats| Traffic {
            mbm_total_bytes: of.mbm_total_bytes.unwrap_or(0),
            mbm_local_bytes: of.mbm_local_bytes.unwrap_or(0),
        };
        let each_occupancy = |of: &MonitoringStats| Occupancy { llc_occupancy: of.llc_occupancy.unwrap_or(0) };
        Class {
            l3_cache_info: cache.as_ref().map(|info| CacheInfo {
                cbm_mask: &info.cbm_mask,
                min_cbm_bits: info.min_cbm_bits,
                num_closids: info.num_closids,
            }),
            l3_cache_schema_root: cache_schema_root,
            l3_cache_schema: cache_schema,
            mem_bw_info: bandwidth.as_ref().map(|info| BandwidthInfo {
                bandwidth_gran: info.bandwidth_gran,
                delay_linear: info.delay_linear,
                min_bandwidth: info.min_bandwidth,
                num_closids: info.num_closids,
            }),
            mem_bw_schema_root: bandwidth_schema_root,
            mem_bw_schema: bandwidth_schema,
            mbm_stats: traffic.then(|| monitoring.iter().map(each_traffic).collect()),
            cmt_stats: occupancy.then(|| monitoring.iter().map(each_occupancy).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_service_is_under_runcs_names() {
        let class = resctrl::Stats {
            cache: Some(resctrl::CacheInfo { cbm_mask: "fffff".into(), min_cbm_bits: 1, num_closids: 16 }),
            cache_schema_root: "L3:0=fffff".into(),
            cache_schema: "L3:0=ff".into(),
            monitoring: vec![
                MonitoringStats { llc_occupancy: Some(5), ..MonitoringStats::default() },
                MonitoringStats { llc_occupancy: Some(0), ..MonitoringStats::default() },
            ],
            ..resctrl::Stats::default()
        };
        assert_eq!(
            serde_json::to_value(Class::from(&class)).unwrap(),
            serde_json::json!({
                "l3_cache_info": {"cbm_mask": "fffff", "min_cbm_bits": 1, "num_closids": 16},
                "l3_cache_schema_root": "L3:0=fffff", "l3_cache_schema": "L3:0=ff",
                "cmt_stats": [{"llc_occupancy": 5}, {}],
            })
        );
    }
}

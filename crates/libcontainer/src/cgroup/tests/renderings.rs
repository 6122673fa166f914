//! One table of what each limit becomes: the files of version 1, those of version 2, and systemd's properties on either.

use super::super::limits::Limits;
use super::super::systemd::properties::{Property, of_v1, of_v2};
use super::super::systemd::value::Value;
use super::super::v2::Current;
use super::super::write::Write;
use super::super::{v1, v2};

/// What has no rendering in a world.
const NONE: &str = "-";

struct Row {
    /// `linux.resources`
    json: &'static str,
    v1: &'static str,
    v2: &'static str,
    systemd_v1: &'static str,
    systemd_v2: &'static str,
}

const TABLE: &[Row] = &[
    Row {
        json: r#"{"memory":{"limit":100,"swap":300,"reservation":50}}"#,
        v1: "memory.limit_in_bytes=100 memory.memsw.limit_in_bytes=300 memory.soft_limit_in_bytes=50",
        v2: "memory.max=100 memory.swap.max=200 memory.low=50",
        systemd_v1: "MemoryLimit=100",
        systemd_v2: "MemoryMax=100 MemorySwapMax=200 MemoryLow=50",
    },
    Row {
        json: r#"{"memory":{"limit":-1}}"#,
        v1: "memory.limit_in_bytes=-1 memory.memsw.limit_in_bytes=-1",
        v2: "memory.max=max memory.swap.max=max",
        systemd_v1: "MemoryLimit=infinity",
        systemd_v2: "MemoryMax=infinity MemorySwapMax=infinity",
    },
    Row {
        json: r#"{"cpu":{"shares":512}}"#,
        v1: "cpu.shares=512",
        v2: "cpu.weight=59",
        systemd_v1: "CPUShares=512",
        systemd_v2: "CPUWeight=59",
    },
    Row {
        json: r#"{"cpu":{"idle":1}}"#,
        v1: "cpu.idle=1",
        v2: "cpu.idle=1",
        systemd_v1: "",
        systemd_v2: "CPUWeight=0",
    },
    Row {
        json: r#"{"cpu":{"quota":12345,"period":50000,"burst":7}}"#,
        v1: "cpu.cfs_period_us=50000 cpu.cfs_quota_us=12345 cpu.cfs_burst_us=7",
        v2: "cpu.max=12345 50000 cpu.max.burst=7",
        systemd_v1: "CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=250000",
        systemd_v2: "CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=250000",
    },
    Row {
        json: r#"{"cpu":{"quota":-1}}"#,
        v1: "cpu.cfs_quota_us=-1",
        v2: "cpu.max=max",
        systemd_v1: "CPUQuotaPerSecUSec=infinity",
        systemd_v2: "CPUQuotaPerSecUSec=infinity",
    },
    Row {
        json: r#"{"cpu":{"cpus":"0-2,9","mems":"0"}}"#,
        v1: "cpuset.cpus=0-2,9 cpuset.mems=0",
        v2: "cpuset.cpus=0-2,9 cpuset.mems=0",
        systemd_v1: "",
        systemd_v2: "AllowedCPUs=[7,2] AllowedMemoryNodes=[1]",
    },
    Row {
        json: r#"{"pids":{"limit":10}}"#,
        v1: "pids.max=10",
        v2: "pids.max=10",
        systemd_v1: "TasksMax=10",
        systemd_v2: "TasksMax=10",
    },
    Row {
        json: r#"{"pids":{"limit":0}}"#,
        v1: "pids.max=0",
        v2: "pids.max=0",
        systemd_v1: "TasksMax=1",
        systemd_v2: "TasksMax=1",
    },
    Row {
        json: r#"{"pids":{"limit":-1}}"#,
        v1: "pids.max=max",
        v2: "pids.max=max",
        systemd_v1: "TasksMax=infinity",
        systemd_v2: "TasksMax=infinity",
    },
    Row {
        json: r#"{"blockIO":{"weight":1000,"weightDevice":[{"major":8,"minor":0,"weight":10}]}}"#,
        v1: "blkio.weight=1000 blkio.weight_device=8:0 10",
        v2: "io.bfq.weight=1000 io.bfq.weight=8:0 10",
        systemd_v1: "BlockIOWeight=1000",
        systemd_v2: "IOWeight=10000 IODeviceWeight=[(/dev/block/8:0,1)]",
    },
    Row {
        json: r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}],
            "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#,
        v1: "blkio.throttle.read_bps_device=8:0 5 blkio.throttle.write_iops_device=8:0 0",
        v2: "io.max=8:0 rbps=5 io.max=8:0 wiops=max",
        systemd_v1: "",
        systemd_v2: "IOReadBandwidthMax=[(/dev/block/8:0,5)] IOWriteIOPSMax=[(/dev/block/8:0,infinity)]",
    },
    Row {
        json: r#"{"memory":{"swappiness":10}}"#,
        v1: "memory.swappiness=10",
        v2: NONE,
        systemd_v1: "",
        systemd_v2: "",
    },
    Row {
        json: r#"{"hugepageLimits":[{"pageSize":"2MB","limit":7}]}"#,
        v1: "hugetlb.2MB.limit_in_bytes=7 hugetlb.2MB.rsvd.limit_in_bytes=7",
        v2: "hugetlb.2MB.max=7 hugetlb.2MB.rsvd.max=7",
        systemd_v1: "",
        systemd_v2: "",
    },
    Row { json: r#"{"network":{"classID":5}}"#, v1: "net_cls.classid=5", v2: NONE, systemd_v1: "", systemd_v2: "" },
    Row {
        json: r#"{"unified":{"cpu.max":"20000 40000","cpu.weight":"7","cpuset.cpus":"1","io.max":"8:0 rbps=1",
            "memory.high":"max","memory.min":"4096","pids.max":"3"}}"#,
        v1: NONE,
        v2: "cpu.max=20000 40000 cpu.weight=7 cpuset.cpus=1 io.max=8:0 rbps=1 memory.high=max memory.min=4096 pids.max=3",
        systemd_v1: "",
        systemd_v2: "CPUQuotaPeriodUSec=40000 CPUQuotaPerSecUSec=500000 CPUWeight=7 AllowedCPUs=[2] \
            IOReadBandwidthMax=[(/dev/block/8:0,1)] MemoryHigh=infinity MemoryMin=4096 TasksMax=3",
    },
];

#[test]
fn every_limit_in_every_world() {
    for row in TABLE {
        let limits = Limits::new(&serde_json::from_str(row.json).unwrap()).unwrap();
        let of_v1_files = limits.asked.iter().map(|asked| v1::controller(&asked.setting).map(|_| v1::render(asked)));
        let of_v2_files = limits.asked.iter().map(|asked| v2::render(asked, &Current::default()).ok());
        let json = row.json;
        assert_eq!(writes(of_v1_files), row.v1, "version 1: {json}");
        assert_eq!(writes(of_v2_files), row.v2, "version 2: {json}");
        let stands = |_: &_| Current::default();
        assert_eq!(properties(&of_v1(&limits, stands)), row.systemd_v1, "systemd on version 1: {json}");
        assert_eq!(properties(&of_v2(&limits, stands, 257).unwrap()), row.systemd_v2, "systemd on version 2: {json}");
    }
}

fn writes(groups: impl Iterator<Item = Option<Vec<Write>>>) -> String {
    let show = |write: Write| format!("{}={}", write.file, write.value);
    match groups.collect::<Option<Vec<_>>>() {
        Some(groups) => groups.into_iter().flatten().map(show).collect::<Vec<_>>().join(" "),
        None => NONE.to_owned(),
    }
}

fn properties(all: &[Property]) -> String {
    all.iter().map(|property| format!("{}={}", property.name, shown(&property.value))).collect::<Vec<_>>().join(" ")
}

fn shown(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(shown).collect::<Vec<_>>().join(",");
    match value {
        Value::Uint64(u64::MAX) => "infinity".to_owned(),
        Value::Uint64(number) => number.to_string(),
        Value::Byte(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Array(_, values) => format!("[{}]", list(values)),
        Value::Struct(fields) => format!("({})", list(fields)),
        other => format!("{other:?}"),
    }
}

//! What each field of a config becomes, and which are at fault: as settings, before any version renders them.

use super::*;

fn limits(json: &str) -> Result<Limits> {
    Limits::new(&serde_json::from_str(json).unwrap())
}

fn asked(json: &str) -> Vec<(String, Setting)> {
    limits(json).unwrap().asked.into_iter().map(|a| (a.field, a.setting)).collect()
}

fn fault(json: &str) -> String {
    limits(json).unwrap_err().config_field().unwrap().to_owned()
}

#[test]
fn nothing_asked_is_nothing_written() {
    assert_eq!(limits("{}").unwrap(), Limits::default());
    let zeros = r#"{"memory":{"limit":0,"swap":0,"reservation":0,"disableOOMKiller":false},"network":{"classID":0},"pids":{},
        "cpu":{"shares":0,"quota":0,"period":0,"realtimeRuntime":0,"realtimePeriod":0,"cpus":"","mems":""},"blockIO":{"weight":0}}"#;
    assert_eq!(limits(zeros).unwrap(), Limits::default());
}

#[test]
fn minus_one_is_without_limit_and_zero_pids_is_a_limit() {
    let memory = asked(r#"{"memory":{"limit":-1}}"#);
    let both = Setting::Memory { limit: Some(Bound::Max), total: Some(Bound::Max), check: false };
    assert_eq!(memory, [("linux.resources.memory".to_owned(), both)]);
    assert_eq!(asked(r#"{"pids":{"limit":-1}}"#)[0].1, Setting::Pids(Bound::Max));
    assert_eq!(asked(r#"{"pids":{"limit":0}}"#)[0].1, Setting::Pids(Bound::At(0)));
    assert_eq!(asked(r#"{"memory":{"swappiness":18446744073709551615}}"#), []);
}

#[test]
fn faults_name_their_field() {
    assert_eq!(fault(r#"{"memory":{"limit":10,"swap":5}}"#), "linux.resources.memory.swap");
    assert_eq!(fault(r#"{"memory":{"limit":-2}}"#), "linux.resources.memory.limit");
    assert_eq!(fault(r#"{"memory":{"swappiness":101}}"#), "linux.resources.memory.swappiness");
    assert_eq!(fault(r#"{"cpu":{"shares":1}}"#), "linux.resources.cpu.shares");
    assert_eq!(fault(r#"{"cpu":{"shares":262145}}"#), "linux.resources.cpu.shares");
    assert_eq!(
        fault(r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":9}]}}"#),
        "linux.resources.blockIO.weightDevice[0].weight"
    );
    for size in ["2", "MB", "0MB", "2mb", "../2MB", "2MB/x"] {
        let json = format!(r#"{{"hugepageLimits":[{{"pageSize":"{size}","limit":1}}]}}"#);
        assert_eq!(fault(&json), "linux.resources.hugepageLimits[0].pageSize", "{size}");
    }
    for file in ["", "a/b", "..", "."] {
        assert_eq!(fault(&format!(r#"{{"unified":{{"{file}":"1"}}}}"#)), "linux.resources.unified", "{file:?}");
    }
    assert_eq!(
        fault(r#"{"network":{"priorities":[{"name":"a b","priority":1}]}}"#),
        "linux.resources.network.priorities[0]"
    );
}

#[test]
fn the_idle_have_no_shares_and_unified_comes_last() {
    let all = asked(r#"{"unified":{"memory.high":"1"},"cpu":{"idle":1,"shares":5},"pids":{"limit":3}}"#);
    let settings: Vec<_> = all.into_iter().map(|(_, setting)| setting).collect();
    let unified = Setting::Unified { file: "memory.high".into(), value: "1".into() };
    assert_eq!(settings, [Setting::CpuIdle(1), Setting::Pids(Bound::At(3)), unified]);
}

#[test]
fn kernel_memory_is_told_to_be_ignored() {
    let limits = limits(r#"{"memory":{"kernel":5}}"#).unwrap();
    assert!(limits.asked.is_empty());
    assert_eq!(limits.ignored.len(), 1);
    assert!(limits.ignored[0].starts_with("linux.resources.memory.kernel is ignored"));
}

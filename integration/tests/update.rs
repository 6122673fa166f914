//! update: by flags, by a file, by standard input.

use integration::cgroup::{bandwidth, is_here, is_v1_here, of, read};
use integration::{Container, Runtime, json};
use std::fs;

fn memory(rt: &Runtime) -> String {
    read(rt, of("memory", "memory.limit_in_bytes", "memory.max"))
}

fn shares(rt: &Runtime) -> String {
    read(rt, of("cpu", "cpu.shares", "cpu.weight"))
}

fn update(container: &Container<'_>, flags: &[&str]) {
    let mut args = vec!["update"];
    args.extend(flags);
    container.verb(&args).ok();
}

#[test]
fn by_flags() {
    if !is_here("memory") || !is_here("cpuset") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .set("/linux/resources/memory", json!({"limit": 64 << 20}))
        .set("/linux/resources/pids", json!({"limit": 20}));
    let container = rt.sleeper(&mut bundle);
    update(&container, &["--memory", "67108864", "--memory-reservation", "33554432"]);
    assert_eq!(memory(&rt), "67108864");
    assert_eq!(read(&rt, of("memory", "memory.soft_limit_in_bytes", "memory.low")), "33554432");
    update(&container, &["--memory", "128M"]);
    assert_eq!(memory(&rt), (128 << 20).to_string());
    assert_eq!(read(&rt, "pids.max"), "20", "what is not named stays");
    update(&container, &["--pids-limit", "10"]);
    assert_eq!(read(&rt, "pids.max"), "10");
    assert_eq!(memory(&rt), (128 << 20).to_string());
    update(&container, &["--cpu-period", "200000", "--cpu-quota", "100000", "--cpu-share", "200"]);
    assert_eq!(bandwidth(&rt), "100000 200000");
    assert_eq!(shares(&rt), of("cpu", "200", "29"));
    update(&container, &["--cpu-quota", "-1"]);
    assert_eq!(bandwidth(&rt), "max 200000");
    update(&container, &["--cpuset-cpus", "0", "--cpuset-mems", "0"]);
    assert_eq!(read(&rt, "cpuset.cpus"), "0");
}

#[test]
fn newer_flags() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    update(&container, &["--cpu-quota", "50000", "--cpu-burst", "2000"]);
    assert_eq!(read(&rt, of("cpu", "cpu.cfs_burst_us", "cpu.max.burst")), "2000");
    update(&container, &["--cpu-idle", "1"]);
    assert_eq!(read(&rt, "cpu.idle"), "1");
}

#[test]
fn by_a_file_and_by_standard_input() {
    if !is_here("memory") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let file = rt.path("resources.json");
    fs::write(&file, json!({"memory": {"limit": 96 << 20}, "cpu": {"shares": 300}, "pids": {"limit": 33}}).to_string())
        .unwrap();
    for flag in ["--resources", "-r"] {
        update(&container, &[flag, file.to_str().unwrap()]);
    }
    assert_eq!(memory(&rt), (96 << 20).to_string());
    assert_eq!(shares(&rt), of("cpu", "300", "39"));
    assert_eq!(read(&rt, "pids.max"), "33");
    let resources = json!({"pids": {"limit": 44}}).to_string();
    rt.call(["update", "--resources", "-", &container.id]).input(resources).go().ok();
    assert_eq!(read(&rt, "pids.max"), "44");
    assert_eq!(shares(&rt), of("cpu", "300", "39"));
}

#[test]
fn device_rules_survive() {
    if !is_v1_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let before = read(&rt, "devices.list");
    update(&container, &["--pids-limit", "10"]);
    assert_eq!(read(&rt, "devices.list"), before);
}

#[test]
fn it_is_remembered() {
    if !is_here("memory") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    update(&container, &["--memory", "100M"]);
    update(&container, &["--pids-limit", "9"]);
    assert_eq!(memory(&rt), (100 << 20).to_string());
    let stats = container.verb(&["events", "--stats"]).json();
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 100 << 20);
    assert_eq!(stats["data"]["pids"]["limit"], 9);
}

#[test]
fn of_a_created_and_a_paused_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    update(&container, &["--pids-limit", "12"]);
    assert_eq!(read(&rt, "pids.max"), "12");
    container.start();
    container.verb(&["pause"]).ok();
    update(&container, &["--pids-limit", "13"]);
    assert_eq!(read(&rt, "pids.max"), "13");
    assert_eq!(container.status(), "paused", "it stays paused");
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 20}));
    let container = rt.sleeper(&mut bundle);
    container.verb(&["update", "--memory", "lots"]).exits(1).says("memory");
    container.verb(&["update", "--pids-limit", "many"]).exits(1);
    container.verb(&["update", "--cpu-period", "1"]).exits(1).one_line();
    container.verb(&["update", "--resources", "/no/such/file"]).exits(1).says("/no/such/file").one_line();
    rt.call(["update", "--resources", "-", &container.id]).input("{").go().exits(1).one_line();
    assert_eq!(read(&rt, "pids.max"), "20");
    container.stop();
    container.verb(&["update", "--pids-limit", "5"]).exits(1).one_line();
}

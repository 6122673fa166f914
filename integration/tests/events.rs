//! events: statistics once and at intervals, the out-of-memory notice, the end of the stream.

use integration::call::Running;
use integration::cgroup::{is_here, is_v1_of, of};
use integration::{Fifo, Runtime, Value, json};

/// Reads on until the call has ended: with a full FIFO before it, it would not.
fn ends(running: Running, lines: &Fifo) {
    while !running.ended_within(100_000_000) {
        while lines.line_within(0).is_some() {}
    }
    running.wait().exits(0);
}

#[test]
fn stats_have_runcs_form() {
    if !is_here("memory") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .set("/linux/resources/memory", json!({"limit": 64 << 20}))
        .set("/linux/resources/pids", json!({"limit": 20}));
    bundle.set("/linux/resources/cpu", json!({"quota": 50000, "period": 100_000}));
    let container = rt.sleeper(&mut bundle);
    container.sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done").ok();
    let text = container.verb(&["events", "--stats"]).ok();
    assert_eq!(text.lines().count(), 1, "{text}");
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(container.id)));
    let data = &event["data"];
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{text}");
    for key in ["kernel", "user"] {
        assert!(data["cpu"]["usage"][key].is_u64(), "{key}: {text}");
    }
    if is_v1_of("cpuacct") {
        assert!(!data["cpu"]["usage"]["percpu"].as_array().unwrap().is_empty(), "{text}");
    }
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0);
    assert!(data["memory"]["usage"]["max"].as_u64().unwrap() > 0);
    assert_eq!(data["memory"]["usage"]["failcnt"], 0);
    assert!(data["memory"]["raw"].as_object().unwrap().contains_key(of("memory", "rss", "anon")), "{text}");
    assert_eq!(data["pids"]["current"], 1);
    assert_eq!(data["pids"]["limit"], 20);
    assert!(data["blkio"].is_object(), "{text}");
}

#[test]
fn stats_at_intervals_until_the_end() {
    // They come with the notice of memory that runs out.
    if !is_here("memory") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let out = rt.fresh("events");
    Fifo::new(&out);
    let lines = Fifo::new(&rt.fresh("lines"));
    let target = rt.path("lines2");
    let script = format!("exec \"$@\" > {}", target.display());
    let call = integration::Call::new("sh").args(["-c", &script, "sh"]).arg(integration::binary::path());
    let running = call.arg("--root").arg(rt.root()).args(["events", "--interval", "100ms", &container.id]).spawn();
    for _ in 0..2 {
        let event: Value = serde_json::from_str(&lines.line()).unwrap();
        assert_eq!(event["type"], "stats");
    }
    container.stop().verb(&["delete"]).ok();
    ends(running, &lines);
}

#[test]
fn out_of_memory_is_told() {
    if !is_here("memory") {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 8 << 20, "swap": null}));
    bundle.set("/linux/resources/memory", json!({"limit": 8 << 20}));
    let container = rt.sleeper(&mut bundle);
    let lines = Fifo::new(&rt.path("lines"));
    let script = format!("exec \"$@\" > {}", rt.path("lines").display());
    let call = integration::Call::new("sh").args(["-c", &script, "sh"]).arg(integration::binary::path());
    let running = call.arg("--root").arg(rt.root()).args(["events", "--interval", "100ms", &container.id]).spawn();
    let first: Value = serde_json::from_str(&lines.line()).unwrap();
    assert_eq!(first["type"], "stats", "it listens");
    // A string that doubles until the kernel ends the shell that holds it.
    let eater = container.exec(&["sh", "-c", "x=xxxxxxxx; while true; do x=$x$x; done"]);
    assert_eq!(eater.code, 137, "{eater}");
    loop {
        let event: Value = serde_json::from_str(&lines.line()).unwrap();
        if event["type"] == "oom" {
            assert_eq!(event["id"], container.id);
            break;
        }
    }
    container.stop().verb(&["delete"]).ok();
    ends(running, &lines);
}

#[test]
fn of_a_stopped_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.stop();
    container.verb(&["events", "--stats"]).exits(1).says("not running").one_line();
    container.verb(&["events"]).exits(1).one_line();
}

#[test]
fn an_interval_must_be_positive() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    container.verb(&["events", "--interval", "0s"]).exits(1).says("interval").one_line();
    container.verb(&["events", "--interval", "soon"]).exits(1);
}

//! What limits of memory and of huge pages do to the processes of a container.

use integration::bundle::Join;
use integration::cgroup::{is_v2_here, limit, read};
use integration::{Bundle, Runtime, json, proc};
use std::fs;

/// A string that doubles until the kernel ends the shell which holds it.
const EATER: &str = "x=xxxxxxxx; while true; do x=$x$x; done";

/// A line of a file of lines `key value`.
fn value(rt: &Runtime, file: &str, key: &str) -> u64 {
    let text = read(rt, file);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{file} has no {key}: {text}")).parse().unwrap()
}

#[test]
fn above_memory_high_processes_are_held_back_and_live() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    limit(&mut bundle, &json!({"unified": {"memory.high": "8388608"}}));
    let container = rt.sleeper(&mut bundle);
    container.exec(&["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=64k", "count=132"]).ok();
    assert!(value(&rt, "memory.events", "high") > 0);
    assert_eq!(value(&rt, "memory.events", "oom_kill"), 0);
}

#[test]
fn with_memory_oom_group_all_die_together() {
    if !is_v2_here() {
        return;
    }
    for (group, survives) in [("0", true), ("1", false)] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        limit(
            &mut bundle,
            &json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}, "unified": {"memory.oom.group": group}}),
        );
        let said = bundle.fifo("/said");
        // The first process waits for the one that eats, and ends only when that ended alone.
        bundle.script(&format!("exec 3<>/said; (exec 3>&-; {EATER}); echo survived >&3; exec sleep 1000"));
        let container = rt.detach(&bundle);
        if survives {
            assert_eq!(said.line(), "survived");
            assert_eq!(value(&rt, "memory.events", "oom_group_kill"), 0);
        } else {
            let pid = container.state()["pid"].as_i64().unwrap();
            assert!(pid == 0 || proc::ended(i32::try_from(pid).unwrap()), "the first process lives on");
            assert_eq!(container.status(), "stopped");
            assert_eq!(value(&rt, "memory.events", "oom_group_kill"), 1);
        }
    }
}

#[test]
fn memory_low_and_min_protect() {
    if !is_v2_here() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    limit(
        &mut bundle,
        &json!({"memory": {"reservation": 8 << 20}, "unified": {"memory.min": "4194304", "memory.low": "6291456"}}),
    );
    let _container = rt.sleeper(&mut bundle);
    assert_eq!([read(&rt, "memory.min"), read(&rt, "memory.low")], ["4194304", "6291456"], "what is set by name wins");
}

/// Some huge pages, as long as this lives.
struct HugePages(String);

const POOL: &str = "/proc/sys/vm/nr_hugepages";

impl HugePages {
    fn take(count: usize) -> Option<Self> {
        let before = fs::read_to_string(POOL).ok()?;
        fs::write(POOL, count.to_string()).unwrap();
        let pages = Self(before);
        let have: usize = fs::read_to_string(POOL).unwrap().trim().parse().unwrap();
        if have < count {
            println!("skipped: this machine has {have} huge pages of {count}");
            return None;
        }
        Some(pages)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        fs::write(POOL, &self.0).unwrap();
    }
}

/// Runs a container with a file system of huge pages, in which it takes one page and then two more.
fn take_pages(rt: &Runtime, bundle: &mut Bundle) -> String {
    let container = rt.sleeper(bundle);
    let take = |file: &str, size: &str| {
        let output = container.exec(&["busybox", "fallocate", "-l", size, &format!("/huge/{file}")]);
        if output.code == 0 { "taken" } else { "refused" }
    };
    let seen = format!("{} {}", take("one", "2M"), take("two", "4M"));
    if seen.ends_with("refused") {
        let stats = container.verb(&["events", "--stats"]).json();
        assert_eq!(stats["data"]["hugetlb"]["2MB"], json!({"usage": 4 << 20, "failcnt": 1}), "{stats}");
    }
    container.sh("rm -f /huge/one /huge/two").ok();
    container.verb(&["delete", "--force"]).ok();
    seen
}

#[test]
fn huge_pages_end_where_the_limit_is() {
    if !is_v2_here() {
        return;
    }
    let Some(_pages) = HugePages::take(4) else { return };
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New).mount("/huge", "hugetlbfs", "hugetlbfs", &["pagesize=2M"]);
    assert_eq!(take_pages(&rt, &mut bundle), "taken taken");
    limit(&mut bundle, &json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}));
    assert_eq!(take_pages(&rt, &mut bundle), "taken refused");
    // Reservations have a limit of their own, which is the same unless it is set by name.
    limit(&mut bundle, &json!({"unified": {"hugetlb.2MB.max": "max"}}));
    assert_eq!(take_pages(&rt, &mut bundle), "taken refused");
}

//! How little a container costs: the size of hull-init, its memory while it waits, a program under a limit of one megabyte, a hundred at once.

use integration::embedded::{load, quiet, runtime};
use integration::{Runtime, apart, json, proc};
use std::sync::Barrier;

/// What hull-init may take while it waits for `start`, in KB.
const WAITING: u64 = 256;

/// The filter that Docker has by default, as near as the benchmarks have it.
fn docker_like() -> integration::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/docker-seccomp.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A number of KB in a file of /proc/PID.
fn kilobytes(pid: i32, file: &str, key: &str) -> u64 {
    let text = proc::read(pid, file);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().trim_end_matches(" kB").parse().unwrap()
}

/// The resident memory of a process that waits in accept(2), in KB, by the mappings themselves: the counter in `status` may lag.
fn resident(pid: i32) -> u64 {
    let accepts =
        |text: &str| [libc::SYS_accept, libc::SYS_accept4].iter().any(|nr| text.starts_with(&format!("{nr} ")));
    // It closes what it needs no more before it waits; `create` does not wait for that.
    while !accepts(&proc::read(pid, "syscall")) {
        std::thread::yield_now();
    }
    kilobytes(pid, "status", "VmRSS").max(kilobytes(pid, "smaps_rollup", "Rss"))
}

#[test]
fn hull_init_is_small_and_takes_little_memory_while_it_waits() {
    for seccomp in [None, Some(docker_like())] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.args(&["sleep", "1000"]);
        let filtered = seccomp.is_some();
        if let Some(seccomp) = seccomp {
            bundle.set("/linux/seccomp", seccomp);
        }
        let mut container = runtime(&rt).create(rt.tag(), &load(&bundle), quiet()).unwrap();
        let pid = container.pid();
        let kb = resident(pid);
        let size = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap().len();
        println!("filtered: {filtered}, program and plan: {size} bytes, resident: {kb} KB");
        assert!(kb < WAITING, "{kb} KB, filtered: {filtered}");
        // The plan is in the same file.
        assert!(filtered || size < 64 << 10, "{size} bytes");
        container.delete(true).unwrap();
        let _ = std::fs::remove_dir_all(rt.root().join("@seccomp"));
    }
}

#[test]
fn a_program_runs_within_one_megabyte() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let limit = 1 << 20;
    bundle.args(&["true"]).set("/linux/resources/memory", json!({"limit": limit, "swap": limit}));
    let bundle = load(&bundle);
    for _ in 0..10 {
        let (mut container, child) = runtime(&rt).run(rt.tag(), &bundle, quiet()).unwrap();
        let status = child.wait().unwrap();
        let stats = container.stats().unwrap();
        assert!(status.success(), "{status:?}");
        let memory = &stats.memory;
        assert_eq!(memory.usage.limit, limit, "the premise");
        println!("at most {:?} bytes", memory.usage.max);
        container.delete(false).unwrap();
    }
}

#[test]
fn a_hundred_at_once_cost_a_hundred_times_little() {
    const COUNT: usize = 100;
    apart::apart("a_hundred_at_once_cost_a_hundred_times_little", &[], 900, || {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.unset("/linux/cgroupsPath").args(&["sleep", "1000"]);
        let bundle = load(&bundle);
        let runtime = runtime(&rt);
        let own = std::process::id() as i32;
        // One container and all threads before the count begins: their stacks and the allocator are the program's own matter.
        runtime.create(rt.tag(), &bundle, quiet()).unwrap().delete(true).unwrap();
        let (ready, begin, done, end) =
            (Barrier::new(COUNT + 1), Barrier::new(COUNT + 1), Barrier::new(COUNT + 1), Barrier::new(COUNT + 1));
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..COUNT)
                .map(|n| {
                    let (runtime, bundle, id) = (&runtime, &bundle, format!("{}-{n}", rt.tag()));
                    let (ready, begin, done, end) = (&ready, &begin, &done, &end);
                    scope.spawn(move || {
                        ready.wait();
                        begin.wait();
                        let mut container = runtime.create(&id, bundle, quiet()).unwrap();
                        let kb = resident(container.pid());
                        done.wait();
                        end.wait();
                        container.delete(true).unwrap();
                        kb
                    })
                })
                .collect();
            ready.wait();
            let before = kilobytes(own, "status", "VmRSS");
            begin.wait();
            done.wait();
            let peak = kilobytes(own, "status", "VmHWM");
            end.wait();
            let all: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            println!("{COUNT} waiting inits: {all} KB; their creator: {before} KB before, {peak} KB at most");
            assert!(all < WAITING * COUNT as u64, "{all} KB");
            // As much for each in its thread's stack and heap, where a copy of a program would be many times that.
            assert!(peak - before < 2 * WAITING * COUNT as u64, "the creator grew from {before} to {peak} KB");
        });
    });
}

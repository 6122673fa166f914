//! Scheduling of the program and of execs: every policy and flag, deadlines, I/O priorities, CPU affinity.

use integration::cgroup::either;
use integration::{Call, Container, Output, Runtime, Value, json, proc};
use std::collections::BTreeMap;

/// The keys and values of `/proc/PID/sched` and `/proc/PID/status` that tests ask for, by the end of the key.
fn sched(pid: i32) -> BTreeMap<String, String> {
    let text = proc::read(pid, "sched");
    let lines = text.lines().filter_map(|line| line.rsplit_once(':'));
    lines.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// What chrt(1) reads with sched_getattr(2), without the pid.
fn attributes(pid: i32) -> String {
    let text = Call::new("chrt").args(["--pid", &pid.to_string()]).go().ok();
    text.replace(&format!("pid {pid}'s current "), "")
}

/// An exec of a process written in full, with the `process` fields of `more`.
fn exec(rt: &Runtime, container: &Container<'_>, args: &[&str], more: &Value) -> Output {
    let mut process = json!({"cwd": "/", "args": args, "env": ["PATH=/bin"]});
    process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let file = rt.fresh("process");
    std::fs::write(&file, process.to_string()).unwrap();
    rt.call(["exec", "--process"]).arg(&file).arg(&container.id).go()
}

#[test]
fn a_deadline() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/process/scheduler",
        json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 20_000_000, "period": 30_000_000}),
    );
    let container = rt.sleeper(&mut bundle);
    let seen = attributes(container.pid());
    assert!(seen.contains("scheduling policy: SCHED_DEADLINE"), "{seen}");
    assert!(seen.contains("runtime/deadline/period parameters: 1000000/20000000/30000000"), "{seen}");
}

#[test]
fn flags() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    if std::path::Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists() {
        bundle.set("/linux/resources/cpu", json!({"realtimePeriod": 1_000_000, "realtimeRuntime": 1000}));
    }
    bundle
        .set("/process/scheduler", json!({"policy": "SCHED_RR", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}));
    let container = rt.sleeper(&mut bundle);
    let seen = attributes(container.pid());
    assert!(seen.contains("SCHED_RR|SCHED_RESET_ON_FORK"), "{seen}");
    container.verb(&["delete", "--force"]).ok();
    let deadline =
        |flag| json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 20_000_000, "flags": [flag]});
    for flag in ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"] {
        bundle.set("/process/scheduler", deadline(flag));
        let container = rt.sleeper(&mut bundle);
        assert!(attributes(container.pid()).contains("SCHED_DEADLINE"), "{flag}");
        container.verb(&["delete", "--force"]).ok();
    }
    // The kernel keeps what the runtime itself has: sched_setattr(2) takes neither policy nor nice value.
    bundle.set(
        "/process/scheduler",
        json!({"policy": "SCHED_BATCH", "nice": 9, "flags": ["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS"]}),
    );
    let container = rt.sleeper(&mut bundle);
    let seen = attributes(container.pid());
    assert!(seen.contains("SCHED_OTHER"), "{seen}");
    assert_eq!(sched(container.pid())["prio"], sched(std::process::id() as i32)["prio"]);
}

#[test]
fn clamps_of_utilization_are_the_kernels_to_take() {
    // The specification has the two flags and no field for their values: 0, which a kernel without uclamp refuses.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for flag in ["SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX"] {
        bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": [flag]})).args(&["true"]);
        let output = rt.run(&bundle);
        assert!(output.code == 0 || (output.code == 1 && output.mentions("process.scheduler")), "{flag}: {output}");
    }
}

#[test]
fn a_policy_the_kernel_has_not_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_ISO"})).args(&["true"]);
    rt.run(&bundle).exits(1).says("process.scheduler").says("invalid argument").one_line();
}

#[test]
fn what_is_not_said_is_zero() {
    let rt = Runtime::wrapped(["nice", "-n", "5"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER"})).args(&[
        "sh",
        "-c",
        "cut -d' ' -f19 /proc/1/stat",
    ]);
    assert_eq!(rt.run(&bundle).word(), "0", "nice, although the caller's is 5");
    bundle.unset("/process/scheduler");
    // Whoever started the tests may be nice, too.
    let callers = Call::new("nice").args(["-n", "5", "nice"]).go().word();
    assert_eq!(rt.run(&bundle).word(), callers, "the caller's, where no scheduler is asked for");
}

#[test]
fn io_priority_of_every_class_and_of_execs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT", "priority": 2}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.exec(&["ionice", "-p", "1"]).word(), "realtime: prio 2");
    // What the first process starts has it too: it is inherited.
    bundle.script("ionice -p $$; sh -c 'ionice -p $$'");
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(rt.run(&bundle).ok(), "realtime: prio 2\nrealtime: prio 2\n");
    let container = rt.sleeper(&mut bundle);
    let more = json!({"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 7}});
    assert_eq!(exec(&rt, &container, &["sh", "-c", "ionice -p $$"], &more).word(), "best-effort: prio 7");
}

/// The CPUs a program of an exec may run on.
fn cpus(rt: &Runtime, container: &Container<'_>, affinity: &Value) -> String {
    let more = json!({"execCPUAffinity": affinity});
    let seen = exec(rt, container, &["grep", "Cpus_allowed_list", "/proc/self/status"], &more).word();
    seen.rsplit('\t').next().unwrap().to_owned()
}

fn all_cpus() -> String {
    let file = either("/sys/fs/cgroup/cpuset/cpuset.cpus", "/sys/fs/cgroup/cpuset.cpus.effective");
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[test]
fn cpu_affinity_of_execs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // The container's own process is not concerned.
    bundle.set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(proc::field(container.pid(), "Cpus_allowed_list").unwrap(), all_cpus());
    assert_eq!(container.exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]).word(), "Cpus_allowed_list:\t0");
    assert_eq!(cpus(&rt, &container, &json!({"final": "0"})), "0");
    // Without a final one it is the kernel's to say: what it says of a process that does the same by hand.
    let cgroup = format!("/sys/fs/cgroup/{}{}", either("cpuset/", ""), rt.tag());
    let join = format!("echo $$ > {cgroup}/cgroup.procs; grep Cpus_allowed_list /proc/$$/status");
    let by_hand = Call::new("taskset").args(["-c", "0", "sh", "-c", &join]).go().word();
    let by_hand = by_hand.rsplit('\t').next().unwrap().to_owned();
    assert_eq!(cpus(&rt, &container, &json!({"initial": "0"})), by_hand);
    assert_eq!(cpus(&rt, &container, &json!({"initial": "0", "final": ""})), by_hand);
    let more = json!({"execCPUAffinity": {"final": "4000"}});
    exec(&rt, &container, &["true"], &more).exits(255).says("process.execCPUAffinity.final").one_line();
}

#[test]
fn initial_cpu_affinity_is_from_before_the_cgroup() {
    // Where no cpuset takes it back, it is seen.
    let rt = Runtime::pure_v2();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    assert_eq!(cpus(&rt, &container, &json!({"initial": "0"})), "0");
    assert_eq!(cpus(&rt, &container, &json!({"initial": "0", "final": all_cpus()})), all_cpus());
}

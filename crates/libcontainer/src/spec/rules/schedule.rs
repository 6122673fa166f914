//! Rules of `process.scheduler`, `process.ioPriority` and `process.execCPUAffinity`.

use super::Faults;
use crate::config::{Config, Scheduler};
use crate::spec::{given, names, parse_list};

/// The shortest runtime of `SCHED_DEADLINE`, in nanoseconds; the kernel computes in units of it.
const SHORTEST_RUNTIME: u64 = 1024;

fn scheduler(config: &Config) -> Option<&Scheduler> {
    config.process.as_ref()?.scheduler.as_ref()
}

pub(super) fn scheduler_policy_is_known(config: &Config, faults: &mut Faults) {
    let Some(Scheduler { policy, .. }) = scheduler(config) else { return };
    if policy.is_empty() {
        faults.error("process.scheduler.policy", "a scheduling policy is required");
    } else if names::SCHEDULER_POLICIES.get(policy).is_none() {
        let choices = names::SCHEDULER_POLICIES.choices();
        let what = format_args!("unknown scheduling policy {policy:?}: it is one of {choices}");
        faults.error("process.scheduler.policy", what);
    }
}

pub(super) fn scheduler_values_fit_the_policy(config: &Config, faults: &mut Faults) {
    let Some(scheduler) = scheduler(config) else { return };
    let policy = scheduler.policy.as_str();
    if names::SCHEDULER_POLICIES.get(policy).is_none() {
        return;
    }
    let priority = scheduler.priority;
    if matches!(policy, "SCHED_FIFO" | "SCHED_RR") {
        let what = format_args!("the priority of {policy} is between 1 and 99, not {priority}");
        faults.require((1..=99).contains(&priority), "process.scheduler.priority", what);
    } else {
        let what = "a priority goes with SCHED_FIFO or SCHED_RR alone";
        faults.require(priority == 0, "process.scheduler.priority", what);
    }
    if matches!(policy, "SCHED_OTHER" | "SCHED_BATCH") {
        let what = format_args!("nice is between -20 and 19, not {}", scheduler.nice);
        faults.require((-20..=19).contains(&scheduler.nice), "process.scheduler.nice", what);
    }
    if policy == "SCHED_DEADLINE" {
        deadline_is_ordered(scheduler, faults)
    } else {
        deadline_is_absent(scheduler, faults)
    }
}

fn deadline_is_absent(scheduler: &Scheduler, faults: &mut Faults) {
    for (name, value) in
        [("runtime", scheduler.runtime), ("deadline", scheduler.deadline), ("period", scheduler.period)]
    {
        let what = format_args!("a {name} goes with SCHED_DEADLINE alone");
        faults.require(value == 0, format_args!("process.scheduler.{name}"), what);
    }
}

/// sched(7): 1024 ns <= runtime <= deadline <= period, where period 0 is the deadline.
fn deadline_is_ordered(scheduler: &Scheduler, faults: &mut Faults) {
    let Scheduler { runtime, deadline, period, .. } = *scheduler;
    let what = format_args!("the runtime of SCHED_DEADLINE is at least {SHORTEST_RUNTIME} ns, not {runtime}");
    faults.require(runtime >= SHORTEST_RUNTIME, "process.scheduler.runtime", what);
    let what = format_args!("the deadline of {deadline} ns is shorter than the runtime of {runtime} ns");
    faults.require(deadline >= runtime, "process.scheduler.deadline", what);
    let what = format_args!("the period of {period} ns is shorter than the deadline of {deadline} ns");
    faults.require(period == 0 || period >= deadline, "process.scheduler.period", what);
}

pub(super) fn scheduler_flags_are_known(config: &Config, faults: &mut Faults) {
    let Some(scheduler) = scheduler(config) else { return };
    for (i, flag) in scheduler.flags.iter().enumerate() {
        let known = names::SCHEDULER_FLAGS.get(flag).is_some();
        let what = format_args!("unknown scheduling flag {flag:?}");
        faults.require(known, format_args!("process.scheduler.flags[{i}]"), what);
    }
}

pub(super) fn io_priority_is_known(config: &Config, faults: &mut Faults) {
    let Some(priority) = config.process.as_ref().and_then(|process| process.io_priority.as_ref()) else { return };
    let class = &priority.class;
    if class.is_empty() {
        faults.error("process.ioPriority.class", "an I/O scheduling class is required");
    } else if names::IO_PRIORITY_CLASSES.get(class).is_none() {
        let choices = names::IO_PRIORITY_CLASSES.choices();
        let what = format_args!("unknown I/O scheduling class {class:?}: it is {choices}");
        faults.error("process.ioPriority.class", what);
    }
    let what = format_args!("an I/O priority is between 0 and 7, not {}", priority.priority);
    faults.require((0..=7).contains(&priority.priority), "process.ioPriority.priority", what);
}

pub(super) fn exec_cpu_affinity_is_lists(config: &Config, faults: &mut Faults) {
    let Some(affinity) = config.process.as_ref().and_then(|process| process.exec_cpu_affinity.as_ref()) else { return };
    for (name, list) in [("initial", &affinity.initial), ("final", &affinity.last)] {
        if let Err(what) = parse_list(given(list).unwrap_or_default()) {
            faults.error(format_args!("process.execCPUAffinity.{name}"), what);
        }
    }
}

#[cfg(test)]
pub(super) const CASES: super::tests::Cases = &[
    (r#"{"process": {"scheduler": {"nice": 0}}}"#, "process.scheduler.policy", "a scheduling policy is required"),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_FAIR"}}}"#,
        "process.scheduler.policy",
        r#"unknown scheduling policy "SCHED_FAIR": it is one of SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_ISO, SCHED_IDLE or SCHED_DEADLINE"#,
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_FIFO"}}}"#,
        "process.scheduler.priority",
        "the priority of SCHED_FIFO is between 1 and 99, not 0",
    ),
    (r#"{"process": {"scheduler": {"policy": "SCHED_RR", "priority": 99}}}"#, "", ""),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_OTHER", "priority": 1}}}"#,
        "process.scheduler.priority",
        "a priority goes with SCHED_FIFO or SCHED_RR alone",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_BATCH", "nice": 20}}}"#,
        "process.scheduler.nice",
        "nice is between -20 and 19, not 20",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_IDLE", "runtime": 1}}}"#,
        "process.scheduler.runtime",
        "a runtime goes with SCHED_DEADLINE alone",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 2000, "period": 3000}}}"#,
        "process.scheduler.runtime",
        "the runtime of SCHED_DEADLINE is at least 1024 ns, not 1023",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 2048, "deadline": 2000, "period": 3000}}}"#,
        "process.scheduler.deadline",
        "the deadline of 2000 ns is shorter than the runtime of 2048 ns",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 2048, "deadline": 4000, "period": 3000}}}"#,
        "process.scheduler.period",
        "the period of 3000 ns is shorter than the deadline of 4000 ns",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 2048, "deadline": 4000, "flags": ["SCHED_FLAG_RECLAIM"]}}}"#,
        "",
        "",
    ),
    (
        r#"{"process": {"scheduler": {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_X"]}}}"#,
        "process.scheduler.flags[1]",
        r#"unknown scheduling flag "SCHED_FLAG_X""#,
    ),
    (
        r#"{"process": {"ioPriority": {"priority": 4}}}"#,
        "process.ioPriority.class",
        "an I/O scheduling class is required",
    ),
    (
        r#"{"process": {"ioPriority": {"class": "IOPRIO_CLASS_NONE", "priority": 4}}}"#,
        "process.ioPriority.class",
        r#"unknown I/O scheduling class "IOPRIO_CLASS_NONE": it is IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE"#,
    ),
    (
        r#"{"process": {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}}}"#,
        "process.ioPriority.priority",
        "an I/O priority is between 0 and 7, not 8",
    ),
    (
        r#"{"process": {"execCPUAffinity": {"initial": "0-3,x"}}}"#,
        "process.execCPUAffinity.initial",
        r#""x" is not a number or range such as 0-3,7"#,
    ),
    (
        r#"{"process": {"execCPUAffinity": {"initial": "0-3,7", "final": "3-1"}}}"#,
        "process.execCPUAffinity.final",
        r#"the range "3-1" runs backwards"#,
    ),
    (r#"{"process": {"execCPUAffinity": {"initial": "0-3,7", "final": ""}}}"#, "", ""),
];

//! How the kernel schedules the process and places its memory: scheduler, I/O priority, CPU affinity, memory policy, personality, OOM score.

use super::Act;
use super::builder::{Arg, Builder, origin};
use crate::config::Scheduler;
use crate::error::{Error, Result};
use crate::spec::{self, names};
use hull_init::op::Op;
use hull_init::wire::point;

const IOPRIO_WHO_PROCESS: u64 = 1;
const IOPRIO_CLASS_SHIFT: u32 = 13;

/// All of it, for a container's first process.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    exec(b)?;
    oom_score(b)
}

/// Of every process of the container: an exec is no child of its first process, whose personality it would have inherited.
fn personality(b: &mut Builder<'_>) -> Result<()> {
    let Some(personality) = &b.input.config.linux.personality else { return Ok(()) };
    let domain = names::PERSONALITY_DOMAINS.get(&personality.domain).ok_or_else(|| {
        Error::spec("linux.personality.domain", format!("unknown personality {:?}", personality.domain))
    })?;
    let why = origin("linux.personality", format!("set the personality {:?}", personality.domain));
    b.call(why, libc::SYS_personality, &[Arg::Value(domain.into())]);
    Ok(())
}

/// All CPUs of the container's cpuset, whatever the caller is bound to: since Linux 6.2 a process takes its affinity along
/// into another cgroup, and an engine that its administrator has bound to some CPUs would bind its containers.
pub(super) fn reset_affinity(b: &mut Builder<'_>) -> Result<()> {
    let asked = |affinity: &crate::config::CpuAffinity| {
        [&affinity.initial, &affinity.last].into_iter().flatten().any(|list| !list.is_empty())
    };
    let joins = b.input.launch.join != 0;
    if joins && b.input.process.exec_cpu_affinity.as_ref().is_some_and(asked) {
        return Ok(());
    }
    // The kernel takes what there is of so many CPUs.
    let mask = b.bytes(&[0xff; 1024]);
    let args = [Arg::Value(0), Arg::Value(mask.len.into()), Arg::Addr(mask.at)];
    let op = super::builder::call(libc::SYS_sched_setaffinity, &args);
    // Nobody has asked for it, so that a sandbox which forbids it is no failure.
    b.step_skipping(origin("", "run on all CPUs of the cpuset"), op, [libc::EPERM, libc::ENOSYS]);
    Ok(())
}

/// What belongs to a process, in an exec as well: the memory policy of the container, too, which is a thread's to the kernel.
pub(super) fn exec(b: &mut Builder<'_>) -> Result<()> {
    personality(b)?;
    memory_policy(b)?;
    if b.input.launch.join != 0 {
        affinity(b, |affinity| affinity.last.as_deref(), "process.execCPUAffinity.final")?;
    }
    if let Some(scheduler) = b.input.process.scheduler.as_ref().filter(|one| !is_set_inside(b, one)) {
        let attr = sched_attr(scheduler)?;
        let attr = b.bytes(&attr);
        let why = origin("process.scheduler", set_policy(&scheduler.policy));
        b.call(why, libc::SYS_sched_setattr, &[Arg::Value(0), Arg::Addr(attr.at), Arg::Value(0)]);
    }
    if let Some(priority) = &b.input.process.io_priority {
        let class = names::IO_PRIORITY_CLASSES.get(&priority.class).ok_or_else(|| {
            Error::spec("process.ioPriority.class", format!("unknown I/O priority class {:?}", priority.class))
        })?;
        let value = u64::from(class) << IOPRIO_CLASS_SHIFT | priority.priority.max(0) as u64;
        let why = origin("process.ioPriority", "set the I/O priority");
        b.call(why, libc::SYS_ioprio_set, &[Arg::Value(IOPRIO_WHO_PROCESS), Arg::Value(0), Arg::Value(value)]);
    }
    Ok(())
}

/// What a process that goes into a pid namespace by a fork cannot bring along is set by the parent, for the process itself has
/// no right to it by then.
pub(super) fn inside(b: &mut Builder<'_>) -> Result<()> {
    if let Some(scheduler) = b.input.process.scheduler.as_ref().filter(|one| is_set_inside(b, one)) {
        let act = Act::Scheduler(scheduler.policy.clone(), sched_attr(scheduler)?);
        b.meet(origin("process.scheduler", "wait for the scheduling policy"), point::RLIMITS, [act]);
    }
    Ok(())
}

/// sched(7): no process with a deadline forks, and of one with SCHED_FLAG_RESET_ON_FORK the policy ends there.
fn is_set_inside(b: &Builder<'_>, scheduler: &Scheduler) -> bool {
    let ends =
        scheduler.policy == "SCHED_DEADLINE" || scheduler.flags.iter().any(|flag| flag == "SCHED_FLAG_RESET_ON_FORK");
    super::namespaces::goes_inside(b) && ends
}

/// What a failure to set it says.
pub(crate) fn set_policy(policy: &str) -> String {
    format!("set the scheduling policy {policy:?}")
}

/// Before the process is in the container's cpuset: `execCPUAffinity.initial`.
pub(super) fn initial_affinity(b: &mut Builder<'_>) -> Result<()> {
    affinity(b, |affinity| affinity.initial.as_deref(), "process.execCPUAffinity.initial")
}

fn affinity(
    b: &mut Builder<'_>,
    which: fn(&crate::config::CpuAffinity) -> Option<&str>,
    field: &'static str,
) -> Result<()> {
    let list = b.input.process.exec_cpu_affinity.as_ref().and_then(which).filter(|list| !list.is_empty());
    let Some(list) = list else { return Ok(()) };
    let mask = b.bytes(&bit_list(list, field)?);
    let args = [Arg::Value(0), Arg::Value(mask.len.into()), Arg::Addr(mask.at)];
    b.call(origin(field, format!("run on the CPUs {list}")), libc::SYS_sched_setaffinity, &args);
    Ok(())
}

/// `0-3,7` as a bit mask of whole words.
fn bit_list(list: &str, field: &str) -> Result<Vec<u8>> {
    let ranges = spec::parse_list(list).map_err(|what| Error::spec(field, what))?;
    let bits = ranges.iter().map(|(_, last)| *last as usize + 1).max().unwrap_or(0);
    let mut mask = vec![0u8; bits.max(1).div_ceil(64) * 8];
    for (first, last) in ranges {
        for bit in first as usize..=last as usize {
            mask[bit / 8] |= 1 << (bit % 8);
        }
    }
    Ok(mask)
}

/// `struct sched_attr` of sched_setattr(2), its first published size.
fn sched_attr(scheduler: &Scheduler) -> Result<Vec<u8>> {
    const SIZE: u32 = 48;
    let policy = names::SCHEDULER_POLICIES.get(&scheduler.policy).ok_or_else(|| {
        Error::spec("process.scheduler.policy", format!("unknown scheduling policy {:?}", scheduler.policy))
    })?;
    let mut flags = 0u64;
    for (i, name) in scheduler.flags.iter().enumerate() {
        flags |= names::SCHEDULER_FLAGS.get(name).ok_or_else(|| {
            Error::spec(format!("process.scheduler.flags[{i}]"), format!("unknown scheduler flag {name:?}"))
        })?;
    }
    let mut attr = Vec::with_capacity(SIZE as usize);
    attr.extend_from_slice(&SIZE.to_ne_bytes());
    attr.extend_from_slice(&policy.to_ne_bytes());
    attr.extend_from_slice(&flags.to_ne_bytes());
    attr.extend_from_slice(&scheduler.nice.to_ne_bytes());
    attr.extend_from_slice(&scheduler.priority.to_ne_bytes());
    for value in [scheduler.runtime, scheduler.deadline, scheduler.period] {
        attr.extend_from_slice(&value.to_ne_bytes());
    }
    Ok(attr)
}

fn memory_policy(b: &mut Builder<'_>) -> Result<()> {
    let Some(policy) = b.input.config.linux.asked_memory_policy() else { return Ok(()) };
    let mode = names::MEMORY_POLICY_MODES
        .get(&policy.mode)
        .ok_or_else(|| Error::spec("linux.memoryPolicy.mode", format!("unknown memory policy {:?}", policy.mode)))?;
    let mut value = u64::from(mode);
    for (i, name) in policy.flags.iter().enumerate() {
        value |= names::MEMORY_POLICY_FLAGS.get(name).map(u64::from).ok_or_else(|| {
            Error::spec(format!("linux.memoryPolicy.flags[{i}]"), format!("unknown memory policy flag {name:?}"))
        })?;
    }
    let nodes = policy.nodes.as_deref().unwrap_or("");
    let mask = bit_list(nodes, "linux.memoryPolicy.nodes")?;
    let args = if nodes.is_empty() {
        [Arg::Value(value), Arg::Value(0), Arg::Value(0)]
    } else {
        let mask = b.bytes(&mask);
        // The kernel reads one bit less than it is told.
        [Arg::Value(value), Arg::Addr(mask.at), Arg::Value(u64::from(mask.len) * 8 + 1)]
    };
    b.call(
        origin("linux.memoryPolicy", format!("set the memory policy {:?}", policy.mode)),
        libc::SYS_set_mempolicy,
        &args,
    );
    Ok(())
}

/// In an exec this comes before a user namespace is joined, where a score could not be lowered any more.
pub(super) fn oom_score(b: &mut Builder<'_>) -> Result<()> {
    let Some(value) = b.input.process.oom_score_adj else { return Ok(()) };
    let why = origin("process.oomScoreAdj", format!("set oom_score_adj to {value}"));
    if super::namespaces::has_user_namespace(b) && b.input.launch.join == 0 {
        // Only CAP_SYS_RESOURCE of the initial user namespace may lower it.
        b.meet(why, point::RLIMITS, [Act::OomScoreAdj(value)]);
        return Ok(());
    }
    let dir = b.procfs();
    let (path, data) = (b.string("self/oom_score_adj"), b.bytes(value.to_string().as_bytes()));
    b.step(why, Op::Write { dir, path, data });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::bit_list;

    #[test]
    fn a_list_becomes_a_mask_of_whole_words() {
        assert_eq!(bit_list("0-3,7", "f").unwrap(), [0x8f, 0, 0, 0, 0, 0, 0, 0]);
        let long = bit_list("64", "f").unwrap();
        assert_eq!((long.len(), long[8]), (16, 1));
        assert_eq!(bit_list("3-1", "process.x").unwrap_err().config_field(), Some("process.x"));
    }
}

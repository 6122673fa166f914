//! The program itself: where it is, the wait before it, and the exec.

use super::OpenWhat;
use super::builder::{Arg, Builder, Origin, origin};
use crate::error::{Error, Result};
use hull_init::op::{Addr, Op};
use hull_init::wire::point;
use std::collections::BTreeSet;

/// execvp(3)'s search path for a process without PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// With a barrier the program is looked for before it, so that `create` fails for one that is not there.
pub(super) fn find(b: &mut Builder<'_>) -> Result<()> {
    if b.input.launch.barrier && b.input.process.args.is_some() {
        let candidates = candidates(b)?;
        b.step(why(b), Op::Find { candidates });
    }
    Ok(())
}

/// The wait for `start`.
pub(super) fn barrier(b: &mut Builder<'_>) -> Result<()> {
    if b.input.launch.barrier {
        let listener = b.open(OpenWhat::StartSocket, origin("", "open the start socket"));
        let [stdout, stderr] = super::hooks::outputs(b, &b.input.config.hooks.start_container);
        let op = Op::Barrier { listener, keep: inherited(b), stdout, stderr };
        b.step(origin("", "wait for start"), op);
    } else if b.input.launch.noted {
        b.meet(origin("", "wait to be noted"), point::PROGRAM, []);
    }
    Ok(())
}

/// Everything but what the program inherits is closed by the exec.
pub(super) fn close(b: &mut Builder<'_>) -> Result<()> {
    let first = u64::from(inherited(b));
    let flags = Arg::Value(libc::CLOSE_RANGE_CLOEXEC.into());
    let args = [Arg::Value(first), Arg::Value(u32::MAX.into()), flags];
    b.call(origin("", "mark descriptors for closing"), libc::SYS_close_range, &args);
    Ok(())
}

/// An exec leaves them behind as soon as it needs none any more: in the container's pid namespace others may have the right to look at
/// them, and would find the host's root in one of its procfs (CVE-2016-9962).
pub(super) fn strip(b: &mut Builder<'_>) -> Result<()> {
    let keep = inherited(b);
    b.step(origin("", "close all descriptors that are not the program's"), Op::Strip { keep });
    Ok(())
}

/// The number behind the descriptors that the program inherits.
pub(super) fn inherited(b: &Builder<'_>) -> u32 {
    3 + b.input.launch.preserve_fds
}

/// And then there is only the program; of a config without one no container is started.
pub(super) fn exec(b: &mut Builder<'_>) -> Result<()> {
    if b.input.process.args.is_none() {
        return Ok(());
    }
    let candidates = candidates(b)?;
    let argv = b.strings(b.input.process.args.as_deref().unwrap_or_default());
    let envp = b.strings(environment(b));
    b.step(why(b), Op::Exec { candidates, argv, envp });
    Ok(())
}

fn why(b: &Builder<'_>) -> Origin {
    let name = b.input.process.args.as_ref().and_then(|args| args.first()).map_or("", String::as_str);
    origin("process.args", format!("exec {name:?}"))
}

/// Each path the program may be at, in order, as execvp(3) would try them.
fn candidates(b: &mut Builder<'_>) -> Result<Addr> {
    let process = b.input.process;
    let Some(name) = process.args.as_ref().and_then(|args| args.first()).filter(|name| !name.is_empty()) else {
        return Err(Error::spec("process.args", "args must not be empty"));
    };
    if name.contains('/') {
        return Ok(b.strings([name]));
    }
    let path = process.env.iter().rev().find_map(|var| var.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let paths = path.split(':').filter(|dir| !dir.is_empty()).map(|dir| format!("{dir}/{name}"));
    Ok(b.strings(paths.collect::<Vec<_>>()))
}

/// The process's variables, each once, the last value of each; HOME by the container's own user database if there is none.
pub(super) fn environment(b: &Builder<'_>) -> Vec<String> {
    let launch = &b.input.launch;
    let mut seen = BTreeSet::new();
    let all: Vec<&String> = b.input.process.env.iter().chain(launch.extra_env).collect();
    let mut env: Vec<String> =
        all.into_iter().rev().filter(|var| seen.insert(var.split('=').next().unwrap_or(""))).cloned().collect();
    env.reverse();
    if let Some(home) = launch.home {
        env.retain(|var| !var.starts_with("HOME="));
        env.push(format!("HOME={home}"));
    }
    env
}

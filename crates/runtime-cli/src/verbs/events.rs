//! `events`: the figures of a container at intervals, and notice of processes killed for want of memory.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::stats::{Data, Event};
use crate::{duration, output};
use libcontainer::cgroup::OomEvent;
use libcontainer::{Container, Error, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::time::{Duration, Instant};

pub const VERB: Verb = Verb {
    name: "events",
    about: "show figures of a container at intervals, and when it runs out of memory",
    operands: "CONTAINER",
    detail: "Each is one line of JSON. Ends when the container is deleted.",
    options: &[
        &[
            Opt {
                names: &["interval"],
                takes: Takes::Duration("TIME"),
                about: "the time between figures, as 5s (the default) or 1m",
            },
            Opt { names: &["stats"], takes: Takes::Nothing, about: "show the figures once" },
        ],
        HELP,
    ],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    let container = globals.container(given)?;
    let interval = given.text("interval").and_then(duration::nanoseconds).unwrap_or(5_000_000_000);
    if interval == 0 {
        return Err(Failure::new("duration interval must be greater than 0"));
    }
    if container.status()? == Status::Stopped {
        return Err(Failure::new(format!("container with id {} is not running", container.id())));
    }
    if given.is("stats") {
        output::print(&figures(&container)?)?;
        return Ok(0);
    }
    let mut oom = container.oom_events()?;
    let oom_line = line(&Event { kind: "oom", id: container.id(), data: None })?;
    let interval = Duration::from_nanos(interval);
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let written = if wait(&oom, left)? {
            let mut written = Ok(());
            while let (Ok(()), Some(event)) = (written, oom.read()?) {
                match event {
                    OomEvent::Gone => return Ok(0),
                    OomEvent::Oom => written = output::write(&oom_line),
                }
            }
            written
        } else {
            next += interval;
            match figures(&container) {
                Ok(text) => output::write(&text),
                Err(failure) => {
                    globals.log.warning(&failure.text);
                    Ok(())
                }
            }
        };
        match written {
            // Whoever read the events has had enough.
            Err(Errno::PIPE) => return Ok(0),
            Err(errno) => return Err(Error::sys("write to standard output", errno).into()),
            Ok(()) => {}
        }
    }
}

/// Waits for an event of the cgroup; false if none comes in time.
fn wait(oom: &libcontainer::cgroup::OomEvents, left: Duration) -> Result<bool, Failure> {
    let fd = oom.fd();
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let timeout = Timespec::try_from(left).ok();
    match poll(&mut fds, timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::sys("poll", errno).into()),
    }
}

fn figures(container: &Container) -> Result<String, Failure> {
    let stats = container.stats()?;
    let class = container.class_stats()?;
    line(&Event { kind: "stats", id: container.id(), data: Some(Data::new(&stats, class.as_ref())) })
}

fn line(event: &Event) -> Result<String, Failure> {
    serde_json::to_string(event).map(|text| text + "\n").map_err(|error| Failure::new(error.to_string()))
}

//! `start`: lets a created container's program run.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::Outcome;
use crate::globals::Globals;
use crate::notify::{Manager, Relay};

pub const VERB: Verb = Verb {
    name: "start",
    about: "run the program of a created container",
    operands: "CONTAINER",
    detail: "With $NOTIFY_SOCKET, it returns once the program has said READY=1 there (sd_notify(3)), or has ended.",
    options: &[HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    let mut container = globals.container(given)?;
    let manager = Manager::connect()?;
    match manager {
        None => container.start()?,
        Some(_) => container.start_notifying()?,
    }
    Relay::between(&mut container, manager).map(|relay| relay.wait(&container)).transpose()?;
    Ok(0)
}

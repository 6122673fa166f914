//! `pause`: freezes every process of a container.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::Outcome;
use crate::globals::Globals;

pub const VERB: Verb = Verb {
    name: "pause",
    about: "stop all processes of a container for a while",
    operands: "CONTAINER",
    detail: "",
    options: &[HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    globals.container(given)?.pause()?;
    Ok(0)
}

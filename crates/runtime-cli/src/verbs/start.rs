//! `start`: lets a created container's program run.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::Outcome;
use crate::globals::Globals;

pub const VERB: Verb = Verb {
    name: "start",
    about: "run the program of a created container",
    operands: "CONTAINER",
    detail: "",
    options: &[HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    globals.container(given)?.start()?;
    Ok(0)
}

//! `resume`: lets a paused container go on.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::Outcome;
use crate::globals::Globals;

pub const VERB: Verb = Verb {
    name: "resume",
    about: "let a paused container go on",
    operands: "CONTAINER",
    detail: "",
    options: &[HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    globals.container(given)?.resume()?;
    Ok(0)
}

//! `explain`: the plan that a bundle compiles to, step by step.

use super::validate::{BUNDLE, bundle};
use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::Outcome;
use crate::globals::Globals;
use crate::output;
use libcontainer::Bundle;

pub const VERB: Verb = Verb {
    name: "explain",
    about: "show what hull would do to start a bundle",
    operands: "[BUNDLE]",
    detail: "BUNDLE is a directory; the working directory if absent. Needs no privileges and runs nothing.",
    options: &[&[BUNDLE], HELP],
    count: Count::Between(0, 1),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    let bundle = Bundle::load(bundle(given))?;
    for warning in bundle.warnings() {
        globals.log.warning(&warning.to_string());
    }
    output::print(&globals.runtime().explain(&bundle)?.to_string())?;
    Ok(0)
}

//! `delete`: removes what is left of a container.

use super::matching::{self, REGEX};
use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::Outcome;
use crate::globals::Globals;
use libcontainer::Kind;

pub const VERB: Verb = Verb {
    name: "delete",
    about: "remove a stopped container",
    operands: "CONTAINER",
    detail: "A container that is not stopped is not deleted without --force, which kills it first, and for which a container\n\
             that does not exist is no error.",
    options: &[&[FORCE, REGEX], HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

const FORCE: Opt = Opt { names: &["force", "f"], takes: Takes::Nothing, about: "kill the container if it still runs" };

fn run(globals: &Globals, given: &Given) -> Outcome {
    let force = given.is("force");
    let missing = |error: libcontainer::Error| if force { Ok(()) } else { Err(error.into()) };
    matching::each(globals, given, missing, |container| {
        match container.delete(force) {
            Ok(warnings) => warnings.iter().for_each(|warning| globals.log.warning(warning)),
            // Somebody else was quicker.
            Err(error) if force && error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })?;
    Ok(0)
}

//! `create`: makes a container and leaves it before its program.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::Outcome;
use crate::globals::Globals;
use crate::{launch, notify};

pub const VERB: Verb = Verb {
    name: "create",
    about: "make a container; its program waits for start",
    operands: "CONTAINER",
    detail: "CONTAINER is an id that no other container under the same --root has. The bundle's config.json says what is\n\
             made; the hooks of creation are run.",
    options: &[launch::OPTIONS, IGNORED, HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

/// crun has it on both verbs, where create can have no use for it.
const IGNORED: &[Opt] = &[Opt { names: &["no-subreaper"], takes: Takes::Nothing, about: "" }];

fn run(globals: &Globals, given: &Given) -> Outcome {
    create(globals, given).map_err(|failure| failure.context(format_args!("{} create failed", globals.program)))
}

fn create(globals: &Globals, given: &Given) -> Outcome {
    let id = globals.id(given)?;
    let bundle = launch::bundle(globals, given)?;
    let terminal = bundle.spec().process.as_ref().is_some_and(|process| process.terminal);
    let mut launch = launch::launch(globals, given, terminal, true)?;
    launch::pass_listen_fds(&mut launch);
    launch.notify = notify::wanted();
    let container = globals.runtime().create(id, &bundle, launch)?;
    launch::tell_done_without(globals, &container);
    Ok(0)
}

//! `run`: makes a container, runs its program, and unless detached stays with it to its end.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::Outcome;
use crate::foreground::Foreground;
use crate::globals::Globals;
use crate::launch;
use crate::notify::{Manager, Relay};
use libcontainer::Kind;

pub const VERB: Verb = Verb {
    name: "run",
    about: "make a container and run its program",
    operands: "CONTAINER",
    detail: "Without --detach, hull stays in the foreground: it forwards signals and a terminal, deletes the container at\n\
             its end, and returns its exit code (128 and the number of the signal that ended it).",
    options: &[launch::OPTIONS, OPTIONS, HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

const OPTIONS: &[Opt] = &[
    Opt { names: &["detach", "d"], takes: Takes::Nothing, about: "return once the program runs" },
    Opt { names: &["keep"], takes: Takes::Nothing, about: "do not delete the container at its end" },
    Opt {
        names: &["no-subreaper"],
        takes: Takes::Nothing,
        about: "do not adopt processes whose parent in the container has ended",
    },
];

fn run(globals: &Globals, given: &Given) -> Outcome {
    run_container(globals, given).map_err(|failure| failure.context(format_args!("{} run failed", globals.program)))
}

fn run_container(globals: &Globals, given: &Given) -> Outcome {
    let id = globals.id(given)?;
    let bundle = launch::bundle(globals, given)?;
    let terminal = bundle.spec().process.as_ref().is_some_and(|process| process.terminal);
    let detach = given.is("detach");
    let mut launch = launch::launch(globals, given, terminal, detach)?;
    launch::pass_listen_fds(&mut launch);
    let manager = Manager::connect().unwrap_or_else(|failure| {
        globals.log.warning(&failure.text);
        None
    });
    launch.notify = manager.is_some();
    if detach {
        let (mut container, child) = globals.runtime().run(id, &bundle, launch)?;
        child.abandon();
        launch::tell_done_without(globals, &container);
        // The program runs, whatever its manager hears of it.
        let told = Relay::between(&mut container, manager).map(|relay| relay.wait(&container));
        told.transpose().map(drop).unwrap_or_else(|failure| globals.log.warning(&failure.text));
        return Ok(0);
    }
    let mut foreground = Foreground::begin(terminal, !given.is("no-subreaper"))?;
    launch.console = foreground.console();
    let (mut container, child) = globals.runtime().run(id, &bundle, launch).inspect_err(|_| foreground.last_words())?;
    launch::tell_done_without(globals, &container);
    foreground.relay = Relay::between(&mut container, manager);
    let ended = foreground.attend(child, globals.log);
    if ended.is_err() || !given.is("keep") {
        match container.delete(true) {
            Ok(warnings) => warnings.iter().for_each(|warning| globals.log.warning(warning)),
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) if ended.is_ok() => globals.log.warning(&format!("delete container {id}: {error}")),
            _ => {}
        }
    }
    // The terminal is itself again; the rest of the foreground ends with the process.
    std::mem::forget(foreground);
    ended
}

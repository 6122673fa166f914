//! `kill`: sends a container a signal.

use super::matching::{self, REGEX};
use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::signals;
use libcontainer::{Kind, Status};

pub const VERB: Verb = Verb {
    name: "kill",
    about: "send a signal to a container",
    operands: "CONTAINER [SIGNAL]",
    detail: "SIGNAL is a name, with or without SIG and in any case, or a number; TERM if absent. The container's first\n\
             process gets it.",
    options: &[&[ALL, REGEX], HELP],
    count: Count::Between(1, 2),
    order: Order::Mixed,
    run,
};

const ALL: Opt =
    Opt { names: &["all", "a"], takes: Takes::Nothing, about: "send it to every process of the container" };

fn run(globals: &Globals, given: &Given) -> Outcome {
    let name = given.operands.get(1).map(|name| name.to_string_lossy()).unwrap_or("TERM".into());
    let all = given.is("all");
    matching::each(
        globals,
        given,
        |error| Err(error.into()),
        |container| {
            let signal = signals::number(&name).map_err(Failure::new)?;
            match container.kill(signal, all) {
                // Every process of it is gone, which is what `--all` was to see to.
                Err(error) if all && error.kind() == Kind::WrongState && container.status()? == Status::Stopped => {
                    Ok(())
                }
                other => Ok(other?),
            }
        },
    )?;
    Ok(0)
}

//! Which containers a verb acts on: the one named, or with `--regex` all whose id matches.

use crate::args::{Given, Opt, Takes};
use crate::failure::Failure;
use crate::globals::Globals;
use libcontainer::{Container, Kind};

/// crun's option.
pub const REGEX: Opt = Opt {
    names: &["regex", "r"],
    takes: Takes::Nothing,
    about: "CONTAINER is a regular expression; act on all that match",
};

/// Calls `act` for each container meant; several may fail, and the first failure is told. `missing` decides what
/// becomes of a named container that does not exist.
pub fn each(
    globals: &Globals,
    given: &Given,
    missing: impl Fn(libcontainer::Error) -> Result<(), Failure>,
    act: impl Fn(&mut Container) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let id = globals.id(given)?;
    if !given.is("regex") {
        return match globals.runtime().get(id) {
            Ok(mut container) => act(&mut container),
            Err(error) if error.kind() == Kind::NotFound => missing(error),
            Err(error) => Err(error.into()),
        };
    }
    let pattern = regex_lite::Regex::new(id)
        .map_err(|error| Failure::new(format!("invalid regular expression {id:?}: {error}")))?;
    let mut outcome = Ok(());
    for (id, container) in globals.runtime().list()? {
        if pattern.is_match(&id) {
            let acted = container.map_err(Failure::from).and_then(|mut container| act(&mut container));
            outcome = outcome.and(acted.map_err(|failure| failure.context(&id)));
        }
    }
    outcome
}

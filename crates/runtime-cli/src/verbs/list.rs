//! `list`: the containers below the root directory.

use super::state::State;
use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::{output, table};
use std::collections::HashMap;

pub const VERB: Verb = Verb {
    name: "list",
    about: "list the containers under --root",
    operands: "",
    detail: "",
    options: &[
        &[
            Opt { names: &["format", "f"], takes: Takes::Text("FORMAT"), about: "table (the default) or json" },
            Opt { names: &["quiet", "q"], takes: Takes::Nothing, about: "ids only" },
        ],
        HELP,
    ],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    let json = match given.text("format") {
        None | Some("table") => false,
        Some("json") => true,
        Some(_) => return Err(Failure::new("invalid format option")),
    };
    let listed = globals.runtime().list()?;
    if given.is("quiet") {
        output::print(&listed.iter().map(|(id, _)| format!("{id}\n")).collect::<String>())?;
        return Ok(0);
    }
    let mut owners = Owners::default();
    let mut states = Vec::new();
    for (id, container) in &listed {
        let state = match container {
            Ok(container) => State::of(container, owners.name(container.owner_uid())),
            Err(error) => Err(Failure::new(error.to_string())),
        };
        match state {
            Ok(state) => states.push(state),
            // One container that cannot be read hides no other.
            Err(failure) => globals.log.warning(&format!("load container {id}: {}", failure.text)),
        }
    }
    output::print(&if json { as_json(&states)? } else { as_table(&states) })?;
    Ok(0)
}

/// One line; of nothing, what Go makes of nothing.
fn as_json(states: &[State]) -> Result<String, Failure> {
    let list = Some(states).filter(|states| !states.is_empty());
    Ok(serde_json::to_string(&list).map_err(|error| Failure::new(error.to_string()))? + "\n")
}

fn as_table(states: &[State]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned).to_vec();
    let mut rows = vec![header];
    rows.extend(states.iter().map(|state| {
        let (pid, status, created) = (state.pid.to_string(), state.status.to_owned(), state.created.to_owned());
        vec![state.id.to_owned(), pid, status, state.bundle.clone().into_owned(), created, state.owner.clone()]
    }));
    table::layout(&rows)
}

/// Names of users, from passwd(5), read when the first is asked for.
#[derive(Default)]
struct Owners(Option<HashMap<u32, String>>);

impl Owners {
    /// The user's name, or `#uid`.
    fn name(&mut self, uid: u32) -> String {
        let names = self.0.get_or_insert_with(|| names(&std::fs::read_to_string("/etc/passwd").unwrap_or_default()));
        names.get(&uid).cloned().unwrap_or_else(|| format!("#{uid}"))
    }
}

fn names(passwd: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_by_name_or_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\ntoor:x:0:0::/:\nann:x:1000:1000::/home/ann:\n";
        let mut owners = Owners(Some(names(passwd)));
        assert_eq!((owners.name(0), owners.name(1000), owners.name(7)), ("root".into(), "ann".into(), "#7".into()));
    }

    #[test]
    fn nothing_is_null_or_a_header() {
        assert_eq!(as_json(&[]).unwrap(), "null\n");
        assert_eq!(as_table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }
}

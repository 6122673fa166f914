//! The verbs: a table of them, and one file for each.

mod checkpoint;
mod create;
mod delete;
mod events;
pub mod exec;
mod explain;
mod features;
mod kill;
mod list;
mod matching;
mod pause;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;
mod validate;

use crate::args::{Given, Opt, Order, Takes};
use crate::failure::Outcome;
use crate::globals::Globals;

/// One verb: how it is written, and what it does.
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// One line for the list of verbs.
    pub about: &'static str,
    /// The operands, as help shows them.
    pub operands: &'static str,
    /// What else there is to say; may be empty.
    pub detail: &'static str,
    /// Its options.
    pub options: &'static [&'static [Opt]],
    /// How many operands it takes.
    pub count: Count,
    /// Where its options may stand.
    pub order: Order,
    /// Does it.
    pub run: fn(&Globals, &Given) -> Outcome,
}

/// How many operands a verb takes.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
    /// From the first to the second.
    Between(usize, usize),
}

impl Count {
    /// The line to print if `given` operands are not right.
    pub fn check(self, program: &str, verb: &str, given: usize) -> Result<(), String> {
        let wrong = match self {
            Count::Exactly(count) if given != count => format!("exactly {count}"),
            Count::AtLeast(least) | Count::Between(least, _) if given < least => format!("a minimum of {least}"),
            Count::Between(_, most) if given > most => format!("a maximum of {most}"),
            _ => return Ok(()),
        };
        Err(format!("{program}: {verb:?} requires {wrong} argument(s)"))
    }
}

/// The option that every verb has.
const HELP: &[Opt] = &[Opt { names: &["help", "h"], takes: Takes::Nothing, about: "show this help" }];

/// Every verb, in the order of help.
pub const ALL: &[&Verb] = &[
    &create::VERB,
    &start::VERB,
    &run::VERB,
    &exec::VERB,
    &state::VERB,
    &list::VERB,
    &ps::VERB,
    &events::VERB,
    &kill::VERB,
    &delete::VERB,
    &pause::VERB,
    &resume::VERB,
    &update::VERB,
    &checkpoint::CHECKPOINT,
    &checkpoint::RESTORE,
    &spec::VERB,
    &validate::VERB,
    &explain::VERB,
    &features::VERB,
];

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn counts_are_worded_as_runc_words_them() {
        let check = |count: Count, given| count.check("hull", "kill", given);
        assert_eq!(check(Count::Exactly(1), 1), Ok(()));
        assert_eq!(check(Count::Exactly(1), 0), Err("hull: \"kill\" requires exactly 1 argument(s)".into()));
        assert_eq!(check(Count::AtLeast(1), 0), Err("hull: \"kill\" requires a minimum of 1 argument(s)".into()));
        assert_eq!(check(Count::Between(1, 2), 3), Err("hull: \"kill\" requires a maximum of 2 argument(s)".into()));
        assert_eq!(check(Count::Between(1, 2), 2), Ok(()));
        assert_eq!(check(Count::AtLeast(1), 9), Ok(()));
    }
}

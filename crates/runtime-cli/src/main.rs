//! hull: an OCI runtime with runc's command line. Arguments in, one call of the library, output in runc's formats.
#![deny(unsafe_code)]
#![cfg_attr(not(test), no_main)]

mod args;
mod duration;
mod entry;
mod exec_process;
mod failure;
mod foreground;
mod globals;
mod help;
mod inherited;
mod json_text;
mod launch;
mod log;
mod notify;
mod output;
mod signals;
mod size;
mod stats;
mod table;
mod terminal;
mod verbs;
mod version;

use args::{Given, Order};
use failure::{Failure, Outcome};
use globals::Globals;
use log::{Level, Log};
use std::ffi::{OsStr, OsString};

/// The exit code for a verb that does not exist.
const UNKNOWN_VERB: u8 = 3;

/// One call of hull; the result is its exit code.
fn run() -> u8 {
    inherited::put_right();
    let mut args = std::env::args_os();
    let program = called(args.next());
    let mut log = Log { file: None, json: false, level: Level::Warning };
    let outcome = call(args, program, &mut log);
    outcome.unwrap_or_else(|failure| {
        log.failure(&failure);
        failure.code
    })
}

/// How messages call this program: whoever installs hull under runc's name gets runc's messages to the letter.
fn called(arg0: Option<OsString>) -> &'static str {
    let name = arg0.as_deref().map(std::path::Path::new).and_then(|path| path.file_name());
    if name == Some(OsStr::new("runc")) { "runc" } else { "hull" }
}

/// Reads the command line and runs the verb. `log` is replaced as soon as it is known.
fn call(args: impl Iterator<Item = OsString>, program: &'static str, log: &mut Log) -> Outcome {
    let mut given = Given::read(args, &[globals::OPTIONS], Order::OptionsFirst).map_err(|fault| usage(fault, ""))?;
    if given.is("version") {
        return output::print(&version::text()).map(|()| 0);
    }
    let rest = given.operands.split_off(given.operands.len().min(1));
    let name = given.operands.pop();
    let name = match name.as_ref().map(|name| name.to_string_lossy()) {
        Some(name) if !given.is("help") => name,
        _ => return output::print(&help::program()).map(|()| 0),
    };
    *log = globals::log(&given)?;
    if name == "help" || name == "h" {
        return match rest.first() {
            None => output::print(&help::program()).map(|()| 0),
            Some(about) => output::print(&help::verb(verb(&about.to_string_lossy())?)).map(|()| 0),
        };
    }
    let verb = verb(&name)?;
    let fault = |fault| usage(fault, verb.name);
    let given_to_verb = Given::read(rest, verb.options, verb.order).map_err(fault)?;
    if given_to_verb.is("help") {
        return output::print(&help::verb(verb)).map(|()| 0);
    }
    verb.count.check(program, verb.name, given_to_verb.operands.len()).map_err(fault)?;
    (verb.run)(&Globals::new(&given, log, program)?, &given_to_verb)
}

fn verb(name: &str) -> Result<&'static verbs::Verb, Failure> {
    let unknown = || Failure::new(format!("No help topic for '{name}'")).exit(UNKNOWN_VERB);
    verbs::ALL.iter().find(|verb| verb.name == name).copied().ok_or_else(unknown)
}

/// A command line that cannot be read, and where to read how it is done.
fn usage(fault: String, verb: &str) -> Failure {
    let space = if verb.is_empty() { "" } else { " " };
    Failure::new(format!("{fault} (see hull{space}{verb} --help)"))
}

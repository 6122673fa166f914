//! `validate`: every fault of a bundle at once.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::Outcome;
use crate::globals::Globals;
use crate::output;
use libcontainer::config::Config;
use libcontainer::plan::options::parse_mount;
use libcontainer::{Bundle, Error};
use std::path::Path;

pub const VERB: Verb = Verb {
    name: "validate",
    about: "report every fault of a bundle",
    operands: "[BUNDLE]",
    detail: "BUNDLE is a directory; the working directory if absent. A line for each fault, and exit code 1 if there is one.",
    options: &[&[BUNDLE], HELP],
    count: Count::Between(0, 1),
    order: Order::Mixed,
    run,
};

/// The bundle as an option, as other verbs take it.
pub const BUNDLE: Opt =
    Opt { names: &["bundle", "b"], takes: Takes::Path("DIR"), about: "the bundle, instead of the operand" };

/// The bundle that the operand or the option names.
pub fn bundle(given: &Given) -> &Path {
    given.operands.first().map(Path::new).or(given.path("bundle")).unwrap_or(Path::new("."))
}

fn run(_: &Globals, given: &Given) -> Outcome {
    let dir = bundle(given);
    let mut faults = Bundle::faults(dir);
    if let Some(config) = config(dir) {
        let known: Vec<_> = faults.iter().map(Error::to_string).collect();
        let mounts = config.mounts.iter().enumerate();
        let mounts = mounts.filter_map(|(i, mount)| parse_mount(mount, &format!("mounts[{i}]")).err());
        let filter = config.linux.seccomp.iter().filter_map(|seccomp| libcontainer::seccomp::compile(seccomp).err());
        faults.extend(mounts.chain(filter).filter(|fault| !known.contains(&fault.to_string())));
    }
    output::print(&faults.iter().map(|fault| format!("{fault}\n")).collect::<String>())?;
    Ok(u8::from(!faults.is_empty()))
}

/// The config, whatever else is wrong with it; none if it cannot be parsed, which is told already.
fn config(dir: &Path) -> Option<Config> {
    match Bundle::load(dir) {
        Ok(bundle) => Some((**bundle.spec()).clone()),
        Err(_) => {
            let path = dir.join("config.json");
            path.metadata().ok().filter(|metadata| metadata.is_file())?;
            serde_json::from_slice(&std::fs::read(path).ok()?).ok()
        }
    }
}

//! `validate`: every fault of a bundle at once.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::Outcome;
use crate::globals::Globals;
use crate::output;
use libcontainer::Bundle;
use libcontainer::plan::options::parse_mount;
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
    // Those of a bundle which cannot be parsed at all are told already.
    if let Ok(bundle) = Bundle::load(dir) {
        let mounts = bundle.spec().mounts.iter().enumerate();
        faults.extend(mounts.filter_map(|(i, mount)| parse_mount(mount, &format!("mounts[{i}]")).err()));
        faults.extend(
            bundle.spec().linux.seccomp.iter().filter_map(|seccomp| libcontainer::seccomp::compile(seccomp).err()),
        );
    }
    output::print(&faults.iter().map(|fault| format!("{fault}\n")).collect::<String>())?;
    Ok(u8::from(!faults.is_empty()))
}

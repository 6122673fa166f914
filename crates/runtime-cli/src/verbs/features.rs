//! `features`: what hull knows, in the structure of the runtime specification's features.md.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::{output, version};
use libcontainer::Features;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

pub const VERB: Verb = Verb {
    name: "features",
    about: "show what hull knows, as JSON",
    operands: "",
    detail: "The structure is that of the runtime specification. It says what hull is made for, not what this machine can do.",
    options: &[HELP],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run,
};

fn run(_: &Globals, _: &Given) -> Outcome {
    let mut features = Features::known();
    features.annotations.extend(
        [
            ("io.github.hull-oci.hull.version", version::VERSION),
            ("io.github.hull-oci.hull.commit", version::COMMIT),
            ("org.opencontainers.runc.checkpoint.enabled", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let mut text = Vec::new();
    let mut json = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    features.serialize(&mut json).map_err(|error| Failure::new(error.to_string()))?;
    text.push(b'\n');
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

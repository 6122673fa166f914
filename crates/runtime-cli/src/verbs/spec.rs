//! `spec`: writes a config.json to begin with.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::json_text;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

pub const VERB: Verb = Verb {
    name: "spec",
    about: "write a config.json to begin with",
    operands: "",
    detail: "It runs sh in the bundle's rootfs. An existing file is not overwritten.",
    options: &[
        &[
            Opt {
                names: &["bundle", "b"],
                takes: Takes::Path("DIR"),
                about: "where to write it (default: the working directory)",
            },
            Opt { names: &["file", "f"], takes: Takes::Path("FILE"), about: "its name (default: config.json)" },
            Opt { names: &["rootless"], takes: Takes::Nothing, about: "one that the calling user can run" },
        ],
        HELP,
    ],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run,
};

fn run(_: &Globals, given: &Given) -> Outcome {
    let name = given.path("file").unwrap_or(Path::new("config.json"));
    let path = given.path("bundle").unwrap_or(Path::new("")).join(name);
    let ids = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let config = libcontainer::spec::default_config(given.is("rootless").then(ids));
    let text = json_text::pretty(&config, "\t", FIRST);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("File {} exists. Remove it first", name.display())));
        }
        Err(error) => return Err(Failure::io(format!("create {path:?}"), &error)),
    };
    file.write_all(text.as_bytes()).map_err(|error| Failure::io(format!("write {path:?}"), &error))?;
    Ok(0)
}

/// The keys that a reader looks for first, in the order of the specification.
const FIRST: &[&str] = &[
    "ociVersion",
    "process",
    "root",
    "hostname",
    "mounts",
    "terminal",
    "user",
    "args",
    "env",
    "cwd",
    "destination",
    "type",
    "source",
    "uid",
    "gid",
    "resources",
    "namespaces",
];

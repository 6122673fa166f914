//! `spec`: writes a config.json to begin with.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use serde_json::Value;
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
            Opt { names: &["rootless"], takes: Takes::Nothing, about: "one that the calling user can run" },
        ],
        HELP,
    ],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run,
};

fn run(_: &Globals, given: &Given) -> Outcome {
    let path = given.path("bundle").unwrap_or(Path::new("")).join("config.json");
    let ids = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let config = libcontainer::spec::default_config(given.is("rootless").then(ids));
    let mut text = String::new();
    lay_out(&config, 0, &mut text);
    text.push('\n');
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::new("File config.json exists. Remove it first"));
        }
        Err(error) => return Err(Failure::io(format!("create {path:?}"), &error)),
    };
    file.write_all(text.as_bytes()).map_err(|error| Failure::io(format!("write {path:?}"), &error))?;
    Ok(0)
}

/// The keys that a reader looks for first, in the order of the specification; others follow by name.
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

/// JSON for people to edit: indented by tabs, the keys in a sensible order.
fn lay_out(value: &Value, depth: usize, text: &mut String) {
    let (open, close, items): (_, _, Vec<(Option<&str>, &Value)>) = match value {
        Value::Object(object) if !object.is_empty() => {
            let mut items: Vec<_> = object.iter().map(|(key, value)| (Some(key.as_str()), value)).collect();
            let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
            items.sort_by_key(|(key, _)| (key.map(place), *key));
            ('{', '}', items)
        }
        Value::Array(array) if !array.is_empty() => ('[', ']', array.iter().map(|value| (None, value)).collect()),
        plain => return text.push_str(&plain.to_string()),
    };
    let line = |depth, text: &mut String| {
        text.push('\n');
        text.extend(std::iter::repeat_n('\t', depth));
    };
    text.push(open);
    for (at, (key, value)) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        line(depth + 1, text);
        if let Some(key) = key {
            *text += &format!("{}: ", Value::from(key));
        }
        lay_out(value, depth + 1, text);
    }
    line(depth, text);
    text.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_same_json() {
        let value = serde_json::json!({"linux": {}, "a\"b": [], "process": {"cwd": "/", "args": ["sh", 1.5, null]}, "ociVersion": "1"});
        let mut text = String::new();
        lay_out(&value, 0, &mut text);
        let expected = "{\n\t\"ociVersion\": \"1\",\n\t\"process\": {\n\t\t\"args\": [\n\t\t\t\"sh\",\n\t\t\t1.5,\n\t\t\tnull\n\t\t],\n\
            \t\t\"cwd\": \"/\"\n\t},\n\t\"a\\\"b\": [],\n\t\"linux\": {}\n}";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}

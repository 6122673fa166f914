//! The corpus of broken input: the tables below `bad/`, read into cases.

use crate::{Bundle, Value};
use std::fs;
use std::os::unix::fs::symlink;

/// A broken bundle.
pub struct BadConfig {
    /// What the message must contain.
    pub says: &'static str,
    /// The changes, as written.
    pub changes: &'static str,
}

/// A broken call.
pub struct BadCall {
    /// What the container is before and after.
    pub before: &'static str,
    /// The exit code.
    pub code: i32,
    /// What the message must contain.
    pub says: &'static str,
    /// The arguments, as written.
    pub args: &'static str,
}

fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(" || ").collect())
}

/// The broken bundles of `bad/configs.txt`.
pub fn configs() -> Vec<BadConfig> {
    let all = lines(include_str!("../bad/configs.txt"));
    all.map(|cells| BadConfig { says: cells[0], changes: cells[1] }).collect()
}

/// The broken calls of `bad/calls.txt`.
pub fn calls() -> Vec<BadCall> {
    let all = lines(include_str!("../bad/calls.txt"));
    all.map(|cells| BadCall { before: cells[0], code: cells[1].parse().unwrap(), says: cells[2], args: cells[3] })
        .collect()
}

impl BadConfig {
    /// Writes the bundle's config.json, broken.
    pub fn write(&self, bundle: &mut Bundle) {
        let file = bundle.dir().join("config.json");
        let Some(special) = self.changes.strip_prefix('@') else {
            for change in self.changes.split(" ;; ") {
                apply(bundle, change);
            }
            return bundle.write();
        };
        match special.trim_end() {
            "missing" => {}
            "directory" => fs::create_dir(file).unwrap(),
            "loop" => symlink("config.json", file).unwrap(),
            "fifo" => drop(crate::Fifo::new(&file)),
            "binary" => fs::write(file, b"\x7fELF\xff\xfe\0\0").unwrap(),
            "deep" => fs::write(file, "[".repeat(200_000)).unwrap(),
            "rootloop" => {
                symlink("loop", bundle.inside("/loop")).unwrap();
                bundle.set("/root/path", "rootfs/loop".into()).write();
            }
            text => fs::write(file, text.strip_prefix("text").unwrap().trim_start()).unwrap(),
        }
    }
}

/// `/pointer = JSON` or `/pointer -`; an index one past the end of a list appends.
fn apply(bundle: &mut Bundle, change: &str) {
    if let Some(pointer) = change.strip_suffix(" -") {
        bundle.unset(pointer);
        return;
    }
    let (pointer, text) = change.split_once(" = ").unwrap_or_else(|| panic!("a change: {change}"));
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match bundle.config.pointer_mut(parent) {
        Some(Value::Array(list)) if key.parse() == Ok(list.len()) => list.push(value),
        _ => {
            bundle.set(pointer, value);
        }
    }
}

impl BadCall {
    /// The arguments with the test's own names in them.
    pub fn arguments(&self, id: &str, bundle: &str, dir: &str) -> Vec<String> {
        let fill = |word: &str| word.replace("{id}", id).replace("{bundle}", bundle).replace("{dir}", dir);
        let plain = |word: String| if word == "%00" { String::new() } else { word.replace("%20", " ") };
        self.args.split(' ').map(fill).map(plain).collect()
    }
}

//! Imports point down only: the floors of the library, read from its sources.

#![allow(clippy::unwrap_used)] // a panic is how a test reports

use std::fs;
use std::path::{Path, PathBuf};

/// The floors from top to bottom. Rooms of one floor do not import each other; the verbs are one room.
const FLOORS: &[&[&[&str]]] = &[
    &[&["runtime", "container", "exec", "process"], &["features"]],
    &[&["launch"]],
    &[&["plan"]],
    &[&["spec"], &["host"], &["cgroup"], &["resctrl"], &["seccomp"], &["state"]],
    &[&["config"], &["proc"]],
    &[&["sys"]],
    &[&["error"]],
];

/// Where a room is: floor and place on it.
fn place(room: &str) -> Option<(usize, usize)> {
    let on = |floor: &[&[&str]]| floor.iter().position(|rooms| rooms.contains(&room));
    FLOORS.iter().enumerate().find_map(|(i, floor)| on(floor).map(|at| (i, at)))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The rooms named behind each `crate::`, also in a group: `crate::{spec, host}`. Tests below the code may look around.
fn imports(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect();
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `hull_init` and `$crate` are others' roots.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.push(name(rest)),
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_alphanumeric() => {
                            rooms.push(name(&group[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let from = place(room).unwrap_or_else(|| panic!("the room {room} is on no floor: add it to FLOORS"));
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            // What lib.rs gives out again is named by its capital letter: the error of the lowest floor, or a verb.
            let room = match import.as_str() {
                "Error" | "Kind" | "Result" | "errno_words" => "error",
                other => other,
            };
            let Some(to) = place(room) else { continue };
            seen += 1;
            let down = to.0 > from.0 || to == from;
            if !down {
                wrong.push(format!("{}: crate::{import}", inside.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found: is the reader broken?");
    assert!(wrong.is_empty(), "imports that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_sees_groups_and_paths() {
    let text = "use crate::spec::names;\nuse crate::{plan, sys::{mount, clone}, Error};\n// crate::launch\nfn f() { crate::state::now(); }";
    assert_eq!(imports(text), ["spec", "plan", "sys", "Error", "state"]);
}

#[test]
fn unsafe_code_is_where_it_may_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(root, &mut files);
    let rooms = ["init/", "libcontainer/src/sys/", "libcontainer/src/seccomp/ffi.rs", "runtime-cli/src/entry.rs"];
    let allowed = |path: &Path| rooms.iter().any(|room| path.to_str().unwrap().starts_with(room));
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str().to_str().unwrap().contains("tests"));
    // The word itself, be it a block, a function or an attribute; not `unsafe_code` of a lint.
    let word = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
    let code = |text: &str| text.lines().any(|line| word(line.split("//").next().unwrap()));
    let wrong: Vec<_> = files
        .iter()
        .map(|file| (file.strip_prefix(root).unwrap(), fs::read_to_string(file).unwrap()))
        .filter(|(path, text)| !allowed(path) && !is_test(path) && code(text))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "unsafe code outside sys/: {wrong:?}");
}

#[test]
fn nothing_sleeps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(root, &mut files);
    let is_test = |path: &Path| path.to_str().unwrap().contains("/tests");
    let wrong: Vec<_> = files
        .iter()
        .filter(|path| !is_test(path))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            ["thread::sleep", "nanosleep", "usleep", "SYS_pause"].iter().any(|word| text.contains(word))
        })
        .collect();
    assert!(wrong.is_empty(), "a wait without an event: {wrong:?}");
}

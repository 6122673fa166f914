//! Help, made from the tables that the command line is read with.

use crate::args::{Opt, Takes};
use crate::globals;
use crate::verbs::{ALL, Verb};

/// Help for the program.
pub fn program() -> String {
    let mut text = String::from(
        "hull - runs containers from OCI bundles\n\n\
         A bundle is a directory with a config.json and a root file system. A container is made from a bundle under an\n\
         id of your choice, lives until its first process ends, and is known to every call with the same --root.\n\n\
         Usage:\n   hull [global options] VERB [options] [operands]\n\nVerbs:\n",
    );
    let widest = ALL.iter().map(|verb| verb.name.len()).max().unwrap_or(0);
    for verb in ALL {
        text += &format!("   {:widest$}   {}\n", verb.name, verb.about);
    }
    text += &format!("   {:widest$}   {}\n", "help", "show help for the program or for a verb");
    text += "\nGlobal options:\n";
    options(&mut text, &[globals::OPTIONS]);
    text
}

/// Help for one verb.
pub fn verb(verb: &Verb) -> String {
    let usage = format!("hull {} [options] {}", verb.name, verb.operands);
    let mut text = format!("hull {} - {}\n\nUsage:\n   {}\n", verb.name, verb.about, usage.trim_end());
    if !verb.detail.is_empty() {
        text += &format!("\n{}\n", verb.detail);
    }
    text += "\nOptions:\n";
    options(&mut text, verb.options);
    text
}

/// A line for each option, the texts in one column.
fn options(text: &mut String, tables: &[&[Opt]]) {
    let shown = || tables.iter().flat_map(|table| table.iter()).filter(|opt| !opt.about.is_empty());
    let widest = shown().map(|opt| spelled(opt).len()).max().unwrap_or(0);
    for opt in shown() {
        *text += &format!("   {:widest$}   {}\n", spelled(opt), opt.about);
    }
}

/// `--bundle, -b DIR`.
fn spelled(opt: &Opt) -> String {
    let dashed = |name: &&str| format!("{}{name}", if name.len() == 1 { "-" } else { "--" });
    let names = opt.names.iter().map(dashed).collect::<Vec<_>>().join(", ");
    match opt.takes {
        Takes::Nothing => names,
        Takes::Path(what) | Takes::Text(what) | Takes::Number(what) | Takes::Duration(what) => {
            format!("{names} {what}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_every_shown_option_is_in_its_help() {
        for one in ALL {
            assert!(program().contains(one.about), "{}", one.name);
            let text = verb(one);
            for opt in one.options.iter().flat_map(|table| table.iter()).filter(|opt| !opt.about.is_empty()) {
                assert!(text.contains(&format!("--{}", opt.names[0])), "{}: {}", one.name, opt.names[0]);
            }
        }
    }

    #[test]
    fn no_name_means_two_things() {
        for one in ALL {
            let names: Vec<_> = one.options.iter().flat_map(|t| t.iter()).flat_map(|opt| opt.names).collect();
            let mut once = names.clone();
            once.sort();
            once.dedup();
            assert_eq!(names.len(), once.len(), "{}", one.name);
        }
    }
}

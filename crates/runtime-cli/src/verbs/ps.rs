//! `ps`: the processes of a container, as ps(1) shows them or as a list of pids.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::output;
use std::process::Command;

pub const VERB: Verb = Verb {
    name: "ps",
    about: "show the processes of a container",
    operands: "CONTAINER [PS OPTION...]",
    detail: "Runs ps(1) with the options given, or -ef, and shows the lines of the container's processes. Pids are those\n\
             of the host.",
    options: &[
        &[Opt {
            names: &["format", "f"],
            takes: Takes::Text("FORMAT"),
            about: "table (the default) or json: the pids alone",
        }],
        HELP,
    ],
    count: Count::AtLeast(1),
    order: Order::OptionsFirst,
    run,
};

fn run(globals: &Globals, given: &Given) -> Outcome {
    let pids = globals.container(given)?.processes()?;
    let text = match given.text("format") {
        Some("json") => serde_json::to_string(&pids).map_err(|error| Failure::new(error.to_string()))? + "\n",
        None | Some("table") => {
            let mut ps = Command::new("ps");
            match given.operands.get(1..) {
                None | Some([]) => ps.arg("-ef"),
                Some(args) => ps.args(args),
            };
            let output = ps.output().map_err(|error| Failure::io("run ps", &error))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(Failure::new(format!("ps: {}: {}", output.status, said.trim())));
            }
            filtered(&String::from_utf8_lossy(&output.stdout), &pids).map_err(Failure::new)?
        }
        Some(_) => return Err(Failure::new("invalid format option")),
    };
    output::print(&text)?;
    Ok(0)
}

/// The header, and the lines whose `PID` column is one of `pids`.
fn filtered(table: &str, pids: &[i32]) -> Result<String, &'static str> {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let missing = "couldn't find PID field in ps output";
    let column = header.split_whitespace().position(|title| title == "PID").ok_or(missing)?;
    let mut text = format!("{header}\n");
    for line in lines.filter(|line| !line.is_empty()) {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        if pids.contains(&pid.ok_or("unable to parse pid in ps output")?) {
            text += line;
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::filtered;

    #[test]
    fn lines_of_the_container() {
        let table = "UID          PID    PPID  C STIME TTY          TIME CMD\n\
                     root           1       0  0 08:00 ?        00:00:01 init\n\
                     root          42       1  0 08:01 ?        00:00:00 sleep 1\n";
        let expected = "UID          PID    PPID  C STIME TTY          TIME CMD\n\
                        root          42       1  0 08:01 ?        00:00:00 sleep 1\n";
        assert_eq!(filtered(table, &[42]).as_deref(), Ok(expected));
        assert_eq!(filtered(table, &[]).map(|text| text.lines().count()), Ok(1));
        assert!(filtered("COMMAND\nsleep\n", &[42]).is_err());
        assert!(filtered("", &[42]).is_err());
    }
}

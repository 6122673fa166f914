//! `exec`: runs one more process in a container.

use super::{Count, HELP, Verb};
use crate::args::{Given, Opt, Order, Takes};
use crate::exec_process;
use crate::failure::{Failure, Outcome};
use crate::foreground::Foreground;
use crate::globals::Globals;
use crate::launch::{self, CONSOLE_SOCKET, PID_FILE, PIDFD_SOCKET, PRESERVE_FDS};
use libcontainer::Exec;
use libcontainer::config::Process;
use std::path::Path;

/// The exit code for a process that was not run, where any other is the process's own.
const NOT_RUN: u8 = 255;

pub const VERB: Verb = Verb {
    name: "exec",
    about: "run another process in a container",
    operands: "CONTAINER [--] COMMAND [ARG...]   or   --process FILE CONTAINER",
    detail: "The process is the container's own (user, environment, capabilities ...) with what the options change.\n\
             Without --detach, hull stays in the foreground and returns its exit code; 255 if it was not run.",
    options: &[OPTIONS, HELP],
    count: Count::AtLeast(1),
    order: Order::OptionsFirst,
    run,
};

pub const OPTIONS: &[Opt] = &[
    CONSOLE_SOCKET,
    Opt { names: &["cwd"], takes: Takes::Text("DIR"), about: "the working directory in the container" },
    Opt { names: &["env", "e"], takes: Takes::Text("NAME=VALUE"), about: "add to the environment; may be repeated" },
    Opt { names: &["tty", "t"], takes: Takes::Nothing, about: "give the process a terminal" },
    Opt { names: &["user", "u"], takes: Takes::Text("UID[:GID]"), about: "run as this user, by number" },
    Opt {
        names: &["additional-gids", "g"],
        takes: Takes::Text("GID"),
        about: "add a supplementary group, by number; may be repeated",
    },
    Opt { names: &["process", "p"], takes: Takes::Path("FILE"), about: "read the whole process from a JSON file" },
    Opt { names: &["detach", "d"], takes: Takes::Nothing, about: "return once the process runs" },
    PID_FILE,
    Opt { names: &["process-label"], takes: Takes::Text("LABEL"), about: "its SELinux label" },
    Opt { names: &["apparmor"], takes: Takes::Text("PROFILE"), about: "its AppArmor profile" },
    Opt { names: &["no-new-privs"], takes: Takes::Nothing, about: "set no_new_privs" },
    Opt { names: &["cap", "c"], takes: Takes::Text("CAP"), about: "add a capability; may be repeated" },
    PRESERVE_FDS,
    Opt {
        names: &["cgroup"],
        takes: Takes::Text("[CONTROLLER:]PATH"),
        about: "run it in a cgroup below the container's; may be repeated",
    },
    Opt {
        names: &["ignore-paused"],
        takes: Takes::Nothing,
        about: "run it in a paused container too; it waits for resume",
    },
    PIDFD_SOCKET,
];

fn run(globals: &Globals, given: &Given) -> Outcome {
    exec(globals, given).map_err(|failure| failure.context("exec failed").exit(NOT_RUN))
}

fn exec(globals: &Globals, given: &Given) -> Outcome {
    let container = globals.container(given)?;
    let process = match given.path("process") {
        Some(file) => read(file)?,
        None => exec_process::from_options(container.config(), given)?,
    };
    exec_process::check(&process)?;
    let detach = given.is("detach");
    let mut exec = Exec {
        launch: launch::launch(globals, given, process.terminal, detach)?,
        cgroup: given.texts("cgroup").map(str::to_owned).collect(),
        ignore_paused: given.is("ignore-paused"),
    };
    if detach {
        container.exec(&process, exec)?.abandon();
        return Ok(0);
    }
    let mut foreground = Foreground::begin(process.terminal, false)?;
    exec.launch.console = foreground.console();
    let child = container.exec(&process, exec)?;
    let ended = foreground.attend(child, globals.log);
    // The terminal is itself again; the rest of the foreground ends with the process.
    std::mem::forget(foreground);
    ended
}

/// The process in a JSON file.
fn read(file: &Path) -> Result<Process, Failure> {
    let text = std::fs::read(file).map_err(|error| Failure::io(format!("open {file:?}"), &error))?;
    Ok(libcontainer::spec::parse_process(&text, &format!("{file:?}"))?)
}

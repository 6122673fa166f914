//! What `create` and `run` share: where the bundle is, and what the new process gets from the caller.

use crate::args::{Given, Opt, Takes};
use crate::failure::Failure;
use crate::globals::Globals;
use libcontainer::spec::annotations::SECCOMP_RECEIVER;
use libcontainer::{Bundle, Console, Container, Launch};
use std::path::Path;

/// The options of both verbs.
pub const OPTIONS: &[Opt] = &[
    Opt { names: &["bundle", "b"], takes: Takes::Path("DIR"), about: "the bundle (default: the working directory)" },
    Opt { names: &["config", "f"], takes: Takes::Path("FILE"), about: "read this instead of the bundle's config.json" },
    CONSOLE_SOCKET,
    PID_FILE,
    Opt {
        names: &["no-pivot"],
        takes: Takes::Nothing,
        about: "enter the root file system without pivot_root(2), as a ramdisk needs it",
    },
    Opt { names: &["no-new-keyring"], takes: Takes::Nothing, about: "keep the caller's session keyring" },
    PRESERVE_FDS,
    PIDFD_SOCKET,
];

/// Where a terminal's master goes.
pub const CONSOLE_SOCKET: Opt = Opt {
    names: &["console-socket"],
    takes: Takes::Path("SOCKET"),
    about: "send the terminal's master to this unix socket",
};
/// Where the pid goes.
pub const PID_FILE: Opt =
    Opt { names: &["pid-file"], takes: Takes::Path("FILE"), about: "write the new process's id to this file" };
/// How many descriptors stay open.
pub const PRESERVE_FDS: Opt = Opt {
    names: &["preserve-fds"],
    takes: Takes::Number("N"),
    about: "pass on N descriptors after the standard streams and $LISTEN_FDS more",
};
/// Where a pidfd goes.
pub const PIDFD_SOCKET: Opt = Opt {
    names: &["pidfd-socket"],
    takes: Takes::Path("SOCKET"),
    about: "send a pidfd of the new process to this unix socket",
};

/// Loads the bundle and logs what is doubtful in it. `$RUN_OCI_SECCOMP_RECEIVER` counts as the annotation of that meaning, as with crun.
pub fn bundle(globals: &Globals, given: &Given) -> Result<Bundle, Failure> {
    let dir = given.path("bundle").unwrap_or(Path::new("."));
    let receiver = std::env::var("RUN_OCI_SECCOMP_RECEIVER").ok().filter(|receiver| !receiver.is_empty());
    let bundle = Bundle::load_changed(dir, given.path("config"), |config| {
        let Some(receiver) = receiver.filter(|_| config.linux.seccomp.is_some()) else { return false };
        config.annotations.entry(SECCOMP_RECEIVER.to_owned()).or_insert(receiver);
        true
    })?;
    for warning in bundle.warnings() {
        globals.log.warning(&warning.to_string());
    }
    Ok(bundle)
}

/// Logs what the container had to do without for lack of privileges.
pub fn tell_done_without(globals: &Globals, container: &Container) {
    for what in container.done_without() {
        globals.log.warning(&format!("done without: {what}"));
    }
}

/// What the options of `create`, `run` and `exec` say about the new process. With `detach`, nobody of hull stays with it.
pub fn launch(globals: &Globals, given: &Given, terminal: bool, detach: bool) -> Result<Launch, Failure> {
    let socket = given.path("console-socket");
    check_terminal(globals.program, terminal, detach, socket.is_some())?;
    let preserve_fds = u32::try_from(given.number("preserve-fds").unwrap_or(0))
        .map_err(|_| Failure::new("invalid value for --preserve-fds: a count of descriptors cannot be negative"))?;
    Ok(Launch {
        console: socket.map(|path| Console::Socket(path.to_owned())),
        preserve_fds,
        no_pivot: given.is("no-pivot"),
        no_new_keyring: given.is("no-new-keyring"),
        pid_file: given.path("pid-file").map(Path::to_owned),
        pidfd_socket: given.path("pidfd-socket").map(Path::to_owned),
        ..Launch::default()
    })
}

/// Passes on the sockets that the caller got by socket activation (sd_listen_fds(3)). They come before other preserved
/// descriptors, and the container's first process has pid 1 in its own eyes.
pub fn pass_listen_fds(launch: &mut Launch) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    let ours = || number("LISTEN_PID") == Some(std::process::id());
    if let Some(count) = number("LISTEN_FDS").filter(|count| *count > 0 && ours()) {
        launch.preserve_fds = launch.preserve_fds.saturating_add(count);
        launch.extra_env.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".into()]);
    }
}

/// A terminal's master goes to a socket if and only if nobody of hull stays to serve it.
fn check_terminal(program: &str, terminal: bool, detach: bool, socket: bool) -> Result<(), Failure> {
    if detach && terminal && !socket {
        let text = format!("cannot allocate tty if {program} will detach without setting console socket");
        return Err(Failure::new(text));
    }
    if socket && !(detach && terminal) {
        return Err(Failure::new(format!("cannot use console socket if {program} will not detach or allocate tty")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_terminal;

    #[test]
    fn who_gets_the_terminal() {
        let check = |terminal, detach, socket| check_terminal("hull", terminal, detach, socket).map_err(|f| f.text);
        for (terminal, detach, socket) in
            [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
        {
            assert_eq!(check(terminal, detach, socket), Ok(()));
        }
        let missing = "cannot allocate tty if hull will detach without setting console socket";
        assert_eq!(check(true, true, false), Err(missing.into()));
        let needless = "cannot use console socket if hull will not detach or allocate tty";
        for (terminal, detach) in [(true, false), (false, true), (false, false)] {
            assert_eq!(check(terminal, detach, true), Err(needless.into()));
        }
    }
}

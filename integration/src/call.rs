//! One call of the runtime: arguments, standard streams, a time limit, and what came of it.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Refusal;
use crate::fifo::readable;
use crate::place;

/// A call being prepared.
pub struct Call {
    command: Command,
    shown: Vec<String>,
    input: Option<Vec<u8>>,
    seconds: u64,
}

impl Call {
    /// A call of `program`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let shown = vec![program.as_ref().to_string_lossy().into_owned()];
        Self { command: Command::new(program), shown, input: None, seconds: crate::PATIENCE }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(arg.as_ref().to_string_lossy().into_owned());
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(self, args: I) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Removes an environment variable.
    pub fn no_env(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Sets the working directory.
    pub fn cwd(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Has the kernel refuse a system call to the program and all that descends from it.
    pub fn refusing(mut self, refusal: Refusal) -> Self {
        crate::sys::refuse(&mut self.command, refusal);
        self
    }

    /// Gives standard input these bytes.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// The time the call may take, in seconds.
    pub fn within(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// The command, for what a call has no word for.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts the call and does not wait.
    pub fn spawn(mut self) -> Running {
        let file = || tempfile::tempfile_in(place::for_tests()).unwrap();
        let (out, err) = (file(), file());
        let input = match self.input {
            Some(bytes) => {
                let mut file = file();
                file.write_all(&bytes).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
                Stdio::from(file)
            }
            None => Stdio::null(),
        };
        self.command.stdin(input).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.shown));
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        Running { child, pidfd, out, err, shown: self.shown, seconds: self.seconds }
    }

    /// Makes the call and waits for its end (not for the end of whoever inherited its streams).
    ///
    /// # Panics
    /// When it takes longer than it may; it is killed then.
    pub fn go(self) -> Output {
        self.spawn().wait()
    }

    /// Makes the call with streams of the caller's choice, such as a terminal.
    pub fn spawn_on(mut self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Child {
        self.command.stdin(stdin).stdout(stdout).stderr(stderr);
        self.command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.shown))
    }
}

/// A call under way.
pub struct Running {
    child: Child,
    pidfd: OwnedFd,
    out: File,
    err: File,
    shown: Vec<String>,
    seconds: u64,
}

impl Running {
    /// The process id of the runtime.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the runtime a signal.
    pub fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.pidfd, signal).unwrap();
    }

    /// Waits up to `nanoseconds` for the end; whether it came.
    pub fn ended_within(&self, nanoseconds: u64) -> bool {
        let timeout = rustix::time::Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_nsec: (nanoseconds % 1_000_000_000) as i64,
        };
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap() > 0
    }

    /// What was printed on standard output so far.
    pub fn stdout_so_far(&mut self) -> String {
        read_all(&mut self.out)
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it takes longer than it may; it is killed then.
    pub fn wait(mut self) -> Output {
        let ended = readable(self.pidfd.as_fd(), self.seconds);
        if !ended {
            self.child.kill().unwrap();
        }
        let status = self.child.wait().unwrap();
        let output = Output {
            code: status.code().unwrap_or_else(|| -status.signal().unwrap()),
            stdout: read_all(&mut self.out),
            stderr: read_all(&mut self.err),
            shown: self.shown,
            out: self.out,
        };
        assert!(ended, "did not end within {} seconds: {output}", self.seconds);
        output
    }
}

fn read_all(file: &mut File) -> String {
    // A duplicate shares the offset with the writer: read by position instead of moving it.
    let mut bytes = Vec::new();
    let mut path = OsString::from("/proc/self/fd/");
    path.push(std::os::fd::AsRawFd::as_raw_fd(file).to_string());
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a call left: its status and what it printed.
pub struct Output {
    /// The exit code; a signal's number, negated, when one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    shown: Vec<String>,
    out: File,
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n exit code {}\n stdout: {}\n stderr: {}",
            self.shown.join(" "),
            self.code,
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}

impl Output {
    /// Asserts success and gives standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self}");
        self.stdout
    }

    /// Asserts success and gives standard output without white space at its ends.
    #[track_caller]
    pub fn word(self) -> String {
        self.ok().trim().to_owned()
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "expected exit code {code}: {self}");
        self
    }

    /// Asserts that standard error contains a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.mentions(text), "expected «{text}» on standard error: {self}");
        self
    }

    /// Whether standard error contains a text, plainly or as the quoted form of the logs.
    pub fn mentions(&self, text: &str) -> bool {
        self.stderr.contains(text) || self.stderr.contains(&text.replace('"', "\\\""))
    }

    /// Asserts that standard error contains one of the texts.
    #[track_caller]
    pub fn says_one_of(self, texts: &[&str]) -> Self {
        assert!(texts.iter().any(|text| self.mentions(text)), "expected one of {texts:?} on standard error: {self}");
        self
    }

    /// Asserts that standard error is exactly one line of printable text.
    #[track_caller]
    pub fn one_line(self) -> Self {
        assert_eq!(
            self.stderr.trim_end_matches('\n').lines().count(),
            1,
            "expected one line on standard error: {self}"
        );
        let readable = self.stderr.trim_end().chars().all(|c| !c.is_control());
        assert!(readable, "control characters on standard error: {self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Standard output again: a container that lives on writes on.
    pub fn stdout_now(&mut self) -> String {
        read_all(&mut self.out)
    }
}

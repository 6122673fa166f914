//! Whether a process of a record still is that process: pids are used again, start times are not.

use crate::{Error, Kind, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;

/// A process, named so that a later one with the same pid is told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process id in the pid namespace of the one who wrote it.
    pub pid: i32,
    /// The time it was started, in clock ticks since boot: field 22 of `/proc/PID/stat`, proc(5).
    pub start_time: u64,
}

/// What there is of a process by the time it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It lives.
    Alive(Process),
    /// It has ended, if it ever was.
    Ended,
    /// It ends, or has, and was hull-init to the last: it has not come to a program.
    Unborn,
}

impl Found {
    /// # Errors
    /// ESRCH where it does not live.
    pub fn alive(self, pid: i32) -> Result<Process> {
        match self {
            Found::Alive(process) => Ok(process),
            Found::Ended | Found::Unborn => Err(Error::sys(format!("find process {pid}"), Errno::SRCH)),
        }
    }
}

impl Process {
    /// The process that has `pid` now.
    ///
    /// # Errors
    /// ESRCH where there is none or it has ended; whatever kept `/proc/PID/stat` from being read.
    pub fn observe(pid: i32) -> Result<Process> {
        Process::find(pid)?.alive(pid)
    }

    /// What becomes of the process that has `pid` now. One whose descriptors are closed without its having executed a program
    /// is known to end: the kernel marks it before it closes them.
    ///
    /// # Errors
    /// Whatever kept `/proc/PID/stat` from being read.
    pub fn find(pid: i32) -> Result<Found> {
        Ok(match look(pid)? {
            Some(stat) if stat.unborn() => Found::Unborn,
            Some(stat) if !stat.ended => Found::Alive(Process { pid, start_time: stat.start_time }),
            _ => Found::Ended,
        })
    }

    /// Whether the process ends, or has, as hull-init. One that was waited for is not known any more: false.
    ///
    /// # Errors
    /// As [`Process::alive`].
    pub fn is_unborn(&self) -> Result<bool> {
        Ok(look(self.pid)?.is_some_and(|stat| stat.start_time == self.start_time && stat.unborn()))
    }

    /// Whether the process lives. One that ended and was not waited for does not; one whose first thread ended while
    /// others run does, although the kernel shows it as a zombie.
    ///
    /// # Errors
    /// Where that cannot be found out, as without a procfs: a guess could remove the state of a running container.
    pub fn alive(&self) -> Result<bool> {
        Ok(look(self.pid)?.is_some_and(|stat| !stat.ended && stat.start_time == self.start_time))
    }

    /// Whether the pid is the process's still: it lives, or has ended and was not waited for.
    ///
    /// # Errors
    /// As [`Process::alive`].
    pub fn is_or_was(&self) -> Result<bool> {
        Ok(look(self.pid)?.is_some_and(|stat| stat.start_time == self.start_time))
    }

    /// Whether the process has ended or is about to: with its last system call behind it, it has no namespaces any more, but may have
    /// to wait for the processes in its pid namespace.
    ///
    /// # Errors
    /// As [`Process::alive`].
    pub fn ends(&self) -> Result<bool> {
        Ok(look(self.pid)?.is_none_or(|stat| stat.ended || stat.exiting || stat.start_time != self.start_time))
    }

    /// A pidfd of the process, `None` where it has ended: pidfd_open(2). What is done through it cannot meet another.
    ///
    /// # Errors
    /// Where the kernel refuses the pidfd, or `/proc/PID/stat` cannot be read.
    pub fn pidfd(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = known(self.pid) else { return Ok(None) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(Error::sys(format!("pidfd_open {}", self.pid), errno)),
        };
        // Seen alive after the pidfd was opened, it was the owner of the pid before, too.
        Ok(self.alive()?.then_some(pidfd))
    }
}

/// The pid as the kernel takes it; none of zero and below, which would mean groups of processes.
fn known(pid: i32) -> Option<Pid> {
    if pid > 0 { Pid::from_raw(pid) } else { None }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ended: bool,
    exiting: bool,
    hull_init: bool,
    start_time: u64,
}

impl Stat {
    fn unborn(&self) -> bool {
        self.hull_init && (self.ended || self.exiting)
    }
}

/// Reads `/proc/PID/stat`; `None` where no process has the pid.
fn look(pid: i32) -> Result<Option<Stat>> {
    let Some(process) = known(pid) else { return Ok(None) };
    let path = format!("/proc/{pid}/stat");
    for last in [false, true] {
        match read(&path) {
            Ok((buffer, length)) => {
                return match parse(&buffer[..length]) {
                    Some(stat) => Ok(Some(stat)),
                    None => Err(Error::new(Kind::System, format!("read {path:?}: not in the form of proc(5)"))),
                };
            }
            Err(Errno::SRCH) => return Ok(None),
            // No such process, or no procfs that shows it? Its pid may have been taken again in between: look twice.
            Err(Errno::NOENT) => match rustix::process::test_kill_process(process) {
                Err(Errno::SRCH) => return Ok(None),
                _ if last => return Err(Error::sys(format!("open {path:?}"), Errno::NOENT).hint("is /proc mounted?")),
                _ => {}
            },
            Err(errno) => return Err(Error::sys(format!("read {path:?}"), errno)),
        }
    }
    Ok(None)
}

/// The head of the file: the 22 fields needed have at most some 500 bytes.
fn read(path: &str) -> std::result::Result<([u8; 1024], usize), Errno> {
    let mut buffer = [0; 1024];
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer[..]))?;
    Ok((buffer, length))
}

/// linux/sched.h.
const PF_EXITING: u32 = 4;

/// Takes apart `PID (COMM) STATE ...`. A process chooses its COMM, spaces, brackets and line ends included; the last
/// closing bracket of the file ends it, for only letters and numbers follow.
fn parse(stat: &[u8]) -> Option<Stat> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let begin = stat.iter().position(|&byte| byte == b'(')? + 1;
    let hull_init = is_hull_init(stat.get(begin..end)?);
    let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?; // field 3
    let flags: u32 = fields.nth(5)?.parse().ok()?; // field 9
    let threads: i64 = fields.nth(10)?.parse().ok()?; // field 20
    let start_time = fields.nth(1)?.parse().ok()?; // field 22
    let ended = matches!(state, "Z" | "X" | "x") && threads <= 1;
    Some(Stat { ended, exiting: flags & PF_EXITING != 0, hull_init, start_time })
}

/// What the kernel calls a process that executes [`sealed`](crate::sys::program::sealed): by the file since Linux 6.14, by the number
/// of the descriptor before.
fn is_hull_init(comm: &[u8]) -> bool {
    let is_number = !comm.is_empty() && comm.iter().all(u8::is_ascii_digit);
    is_number || comm == b"memfd:hull-init" || comm == b"hull-init"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn stat(comm: &str, state: &str, threads: u32) -> Vec<u8> {
        format!(
            "12 ({comm}) {state} 1 12 12 0 -1 4194304 9 0 0 0 1 2 3 4 20 0 {threads} 0 777 1024 5 18446744073709551615"
        )
        .into_bytes()
    }

    #[test]
    fn the_name_of_a_program_cannot_disturb() {
        for comm in ["cat", "", "a b", ") Z 1 2", "((", "))", "\n) R (", "Z"] {
            assert_eq!(
                parse(&stat(comm, "S", 1)),
                Some(Stat { ended: false, exiting: false, hull_init: false, start_time: 777 }),
                "{comm:?}"
            );
        }
        let mut bytes = stat("?", "S", 1);
        bytes[4] = 0xff;
        assert_eq!(parse(&bytes), Some(Stat { ended: false, exiting: false, hull_init: false, start_time: 777 }));
    }

    #[test]
    fn a_zombie_with_other_threads_lives() {
        for (state, threads, ended) in
            [("Z", 1, true), ("X", 0, true), ("x", 1, true), ("Z", 2, false), ("T", 1, false)]
        {
            assert_eq!(parse(&stat("a", state, threads)).map(|stat| stat.ended), Some(ended), "{state} {threads}");
        }
        for cut in ["", "12", "12 (a", "12 (a) S 1 2 3"] {
            assert_eq!(parse(cut.as_bytes()), None);
        }
    }

    #[test]
    fn hull_init_at_its_end_is_told_from_a_program_at_its_own() {
        for (comm, state, unborn) in [
            ("memfd:hull-init", "Z", true),
            ("hull-init", "Z", true),
            ("27", "Z", true),
            ("memfd:hull-init", "S", false),
            ("sh", "Z", false),
            ("", "Z", false),
        ] {
            assert_eq!(parse(&stat(comm, state, 1)).map(|stat| stat.unborn()), Some(unborn), "{comm} {state}");
        }
    }

    #[test]
    fn ourselves_a_child_and_its_end() {
        let me = Process::observe(std::process::id() as i32).unwrap();
        assert!(me.alive().unwrap() && me.pidfd().unwrap().is_some() && !me.ends().unwrap());
        let impostor = Process { start_time: me.start_time + 1, ..me };
        assert!(!impostor.alive().unwrap() && impostor.pidfd().unwrap().is_none());

        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::observe(child.id() as i32).unwrap();
        let pidfd = process.pidfd().unwrap().unwrap();
        child.kill().unwrap();
        let mut ready = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut ready, None).unwrap();
        assert!(!process.alive().unwrap(), "a zombie is not alive");
        assert!(process.is_or_was().unwrap() && process.ends().unwrap());
        assert_eq!(Process::observe(process.pid).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        child.wait().unwrap();
        assert!(!process.alive().unwrap() && process.pidfd().unwrap().is_none());
    }

    #[test]
    fn pids_that_mean_groups_are_nobody() {
        for pid in [0, -1, i32::MIN] {
            let process = Process { pid, start_time: 0 };
            assert!(!process.alive().unwrap() && process.pidfd().unwrap().is_none());
        }
    }
}

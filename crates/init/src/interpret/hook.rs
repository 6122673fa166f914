//! A hook: a program that is run with the container's state on its standard input, and waited for.

use super::{Run, release};
use crate::op::{Addr, HookSpec, Slot};
use crate::sys::process::{self, POLLIN, POLLOUT, Poll, SIGKILL, Shared};
use crate::sys::{Errno, Fd, Result, Text, fs};
use core::sync::atomic::Ordering;

impl Run {
    pub(super) fn hook(&mut self, spec: Addr) -> Result<()> {
        let spec: &HookSpec = self.plan.value(spec)?;
        let path = self.plan.text(spec.path)?;
        let outputs = [spec.stdout, spec.stderr].map(|slot| self.plan.fd(Slot(slot as u16)).ok());
        let mut digits = [0; 10];
        let pid = decimal(process::getpid() as u32, &mut digits);
        let mut state = State { parts: [self.plan.bytes(spec.before_pid)?, pid, self.plan.bytes(spec.after_pid)?] };

        // Why the hook could not be executed; execve unmaps it.
        let refusal = Shared::new()?;
        let [read, write] = fs::pipe()?;
        fs::set_nonblocking(write)?;
        // A state of usual size is in the pipe before anyone could wait for it.
        state.pour(write)?;
        // SAFETY: hull-init has one thread and no locks.
        let (pid, pidfd) = unsafe { process::clone_child() }?;
        if pid == 0 {
            let errno = execute(spec, path, read, outputs);
            refusal.number().store(i32::from(errno.0), Ordering::Relaxed);
            process::exit(127);
        }
        let ended = await_end(pidfd, &mut state, [read, write], spec.timeout);
        if ended.is_err() {
            process::signal(pidfd, SIGKILL);
        }
        let status = process::wait(pid)?;
        release(pidfd);
        let refusal = refusal.number().load(Ordering::Relaxed);
        match ended {
            Err(errno) => {
                self.extra = -1;
                Err(errno)
            }
            Ok(()) if refusal != 0 => Err(Errno(refusal as u16)),
            Ok(()) if status != 0 => {
                self.extra = status;
                Err(Errno(0))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// In the child: the standard streams, no other descriptor, the program.
fn execute(spec: &HookSpec, path: Text, input: Fd, outputs: [Option<Fd>; 2]) -> Errno {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    let place = |fd: Option<Fd>, number| fd.map_or(Ok(()), |fd| fs::place(fd, number));
    let prepared = place(Some(input), 0)
        .and_then(|()| place(outputs[0], 1))
        .and_then(|()| place(outputs[1], 2))
        .and_then(|()| fs::close_range(3, u32::MAX, CLOSE_RANGE_CLOEXEC));
    match prepared {
        // SAFETY: the layout has null-terminated arrays of strings there.
        Ok(()) => unsafe { process::execve(path, spec.argv.0 as *const *const u8, spec.envp.0 as *const *const u8) },
        Err(errno) => errno,
    }
}

/// Waits for the hook's end, for at most `timeout` milliseconds, giving it what of the state has not been in the pipe yet.
///
/// The end to read stays open here until all is written: a hook that does not read then costs no SIGPIPE.
fn await_end(pidfd: Fd, state: &mut State, [read, write]: [Fd; 2], timeout: u64) -> Result<()> {
    let mut time = [timeout / 1000, timeout % 1000 * 1_000_000];
    let mut open = true;
    let result = loop {
        if open && state.is_poured() {
            close_both([read, write]);
            open = false;
        }
        let mut both = [
            Poll { fd: pidfd, events: POLLIN, revents: 0 },
            Poll { fd: if open { write } else { -1 }, events: POLLOUT, revents: 0 },
        ];
        match process::poll(&mut both, if timeout == 0 { None } else { Some(&mut time) }) {
            Err(Errno::INTR) => {}
            Err(errno) => break Err(errno),
            Ok(0) => break Err(Errno::TIMEDOUT),
            Ok(_) if both[0].revents != 0 => break Ok(()),
            Ok(_) => {
                if let Err(errno) = state.pour(write) {
                    break Err(errno);
                }
            }
        }
    };
    if open {
        close_both([read, write]);
    }
    result
}

fn close_both([read, write]: [Fd; 2]) {
    fs::close(read);
    fs::close(write);
}

/// What is left to be written of the state.
struct State<'a> {
    parts: [&'a [u8]; 3],
}

impl State<'_> {
    fn is_poured(&self) -> bool {
        self.parts.iter().all(|part| part.is_empty())
    }

    /// Writes as much as there is room for.
    fn pour(&mut self, pipe: Fd) -> Result<()> {
        for part in &mut self.parts {
            while !part.is_empty() {
                match fs::write(pipe, part) {
                    Ok(written) => *part = &part[written..],
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }
}

fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

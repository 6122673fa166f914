//! Every process that a call of the runtime makes, stopped before its first instruction: what anybody else could have made of it
//! at that instant is there to be seen.

use crate::{Call, Output};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;

/// Makes the call and shows `look` the pid of each process it makes, while that stands at its first instruction. It says whether
/// the children of that process are of interest, too.
pub fn look_at_births(mut call: Call, mut look: impl FnMut(i32) -> bool) -> Output {
    let trace_me = || {
        // SAFETY: a system call without pointers.
        match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure allocates nothing.
    unsafe { call.command().pre_exec(trace_me) };
    let running = call.spawn();
    let runtime = running.pid() as i32;
    let mut known = BTreeSet::new();
    while let Some((pid, status)) = next(runtime) {
        if !libc::WIFSTOPPED(status) {
            continue;
        }
        if known.insert(pid) {
            if pid == runtime {
                let forks = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;
                // SAFETY: a tracee of this thread that is stopped; no pointers.
                let set = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, forks | libc::PTRACE_O_EXITKILL) };
                assert_eq!(set, 0);
            } else if !look(pid) {
                // SAFETY: as above.
                unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) };
                continue;
            }
        }
        let signal = match libc::WSTOPSIG(status) {
            libc::SIGTRAP | libc::SIGSTOP => 0,
            signal => signal,
        };
        // SAFETY: as above. A process that is killed meanwhile is no tracee any more.
        unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, signal) };
    }
    running.wait()
}

/// The next change of a process that this thread traces; none once the runtime has ended, which is left to be waited for.
fn next(runtime: i32) -> Option<(i32, i32)> {
    let mine = libc::__WALL | libc::__WNOTHREAD;
    loop {
        // SAFETY: siginfo_t is numbers, for which zeroes are values; the kernel fills it in.
        let pid = unsafe {
            let mut seen: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | mine;
            if libc::waitid(libc::P_ALL, 0, &raw mut seen, options) != 0 {
                assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINTR));
                continue;
            }
            if seen.si_pid() == runtime && [libc::CLD_EXITED, libc::CLD_KILLED].contains(&seen.si_code) {
                return None;
            }
            seen.si_pid()
        };
        let mut status = 0;
        // SAFETY: the kernel writes the status.
        if unsafe { libc::waitpid(pid, &raw mut status, mine) } == pid {
            return Some((pid, status));
        }
    }
}

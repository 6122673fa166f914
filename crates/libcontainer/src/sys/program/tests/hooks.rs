//! Hooks as they run: their input, their end, and what they do not get.

use super::draft::{Draft, Running, ignored};
use hull_init::op::{HookSpec, Op, Slot};
use hull_init::wire;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Runs a shell script as a hook; what it writes is read by the returned end of a pipe.
fn hook(path: &str, script: &str, timeout: u64, padding: usize) -> (Running, std::fs::File) {
    let (output, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let mut draft = Draft::new(0);
    draft.stdio([Stdio::null(), theirs.into(), Stdio::inherit()]);
    // A descriptor that the hook must not get.
    draft.fd(std::fs::File::open("/dev/null").unwrap());
    let before_pid = draft.bytes(format!(r#"{{"padding":"{}","pid":"#, "x".repeat(padding)).as_bytes());
    let after_pid = draft.bytes(b",\"status\":\"created\"}");
    let (argv, envp) = (draft.texts(&["sh", "-c", script]), draft.texts(&["PATH=/bin", "HOOK=yes"]));
    let path = draft.text(path);
    let none = u64::from(Slot::NONE.0);
    let spec = HookSpec { name: path, path, argv, envp, timeout, stdout: none, stderr: none, before_pid, after_pid };
    let words = [
        spec.name.0,
        spec.path.0,
        spec.argv.0,
        spec.envp.0,
        spec.timeout,
        spec.stdout,
        spec.stderr,
        spec.before_pid.at.0,
        spec.before_pid.len.into(),
        spec.after_pid.at.0,
        spec.after_pid.len.into(),
    ];
    let spec = draft.words(&words);
    draft.step(Op::Hook { spec });
    (draft.start(), output.into())
}

const SHELL: &str = "/bin/busybox";

#[test]
fn a_hook_reads_the_state_and_has_nothing_else() {
    let (mut running, output) = hook(SHELL, "cat; echo; echo $HOOK; ls /proc/self/fd; cat /proc/self/status", 0, 1);
    let pid = running.pid();
    assert!(running.listen().is_none());
    assert_eq!(running.wait(), 0);
    let output = std::io::read_to_string(output).unwrap();
    let state = format!("{{\"padding\":\"x\",\"pid\":{pid},\"status\":\"created\"}}\nyes\n0\n1\n2\n3\n");
    assert!(output.starts_with(&state), "{output}");
    let mask = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    // SIGQUIT the shell ignores by itself.
    let ignored = ignored() & !(1 << (libc::SIGQUIT - 1));
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & ignored), (0, 0));
}

#[test]
fn a_state_larger_than_a_pipe_arrives_whole() {
    let (mut running, output) = hook(SHELL, "sleep 0.1; wc -c", 60_000, 300_000);
    let digits = running.pid().to_string().len();
    assert_eq!(running.wait(), 0);
    let expected = r#"{"padding":"","pid":,"status":"created"}"#.len() + 300_000 + digits;
    assert_eq!(std::io::read_to_string(output).unwrap(), format!("{expected}\n"));
}

#[test]
fn a_hook_may_leave_its_input_unread() {
    for padding in [1, 300_000] {
        let (mut running, _output) = hook(SHELL, "exec <&-; exit 0", 0, padding);
        assert!(running.listen().is_none());
        assert_eq!(running.wait(), 0);
    }
}

#[test]
fn a_hooks_failure_is_its_status() {
    for (script, status) in [("exit 3", 3 << 8), ("kill -9 $$", libc::SIGKILL)] {
        let (mut running, _output) = hook(SHELL, script, 0, 1);
        let said = running.listen().unwrap();
        let message = said.message;
        assert_eq!((message.kind, message.value, message.extra), (wire::FAILED, 0, status));
        assert_eq!(said.text, SHELL);
        assert_eq!(running.wait(), 1);
    }
}

#[test]
fn a_hook_that_cannot_be_executed_says_why() {
    for (path, errno) in [("/no/such/hook", libc::ENOENT), ("/etc/passwd", libc::EACCES)] {
        let (mut running, _output) = hook(path, "", 0, 1);
        let said = running.listen().unwrap();
        assert_eq!((said.message.value, said.message.extra, said.text.as_str()), (errno, 0, path));
    }
}

#[test]
fn a_hook_that_takes_too_long_is_killed() {
    // One that reads nothing of what does not fit, too.
    for padding in [1, 300_000] {
        let begin = Instant::now();
        let (mut running, output) = hook(SHELL, "echo $$; exec sleep 1000", 200, padding);
        let said = running.listen().unwrap();
        assert_eq!((said.message.value, said.message.extra), (libc::ETIMEDOUT, -1));
        assert!(begin.elapsed() >= Duration::from_millis(200), "{:?}", begin.elapsed());
        assert_eq!(running.wait(), 1);
        // The end of the pipe is the end of the hook, which has it as its standard output. It may not have come to its first word.
        let pid = std::io::read_to_string(output).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1000), "it was not killed");
        let is_there = |pid: &str| std::path::Path::new(&format!("/proc/{pid}")).exists();
        assert!(pid.is_empty() || !is_there(pid.trim()), "{pid} is still there");
    }
}

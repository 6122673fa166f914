//! A plan under construction, and the running program that performs it, for tests.

use crate::sys::program::{PLAN_AT, sealed};
use hull_init::op::{Addr, Bytes, Op, Slot, Step};
use hull_init::wire::{self, Header, Message};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const ARENA: u64 = wire::BASE + size_of::<Header>() as u64;

/// A plan whose first place is the conversation.
pub struct Draft {
    arena: Vec<u8>,
    fds: Vec<Option<OwnedFd>>,
    steps: Vec<Step>,
    kinds: i32,
    stdio: [Stdio; 3],
    traced: bool,
}

impl Draft {
    /// An empty plan for a process with new namespaces (CLONE_NEW*).
    pub fn new(kinds: i32) -> Draft {
        let stdio = [Stdio::null(), Stdio::inherit(), Stdio::inherit()];
        Draft { arena: Vec::new(), fds: vec![None], steps: Vec::new(), kinds, stdio, traced: false }
    }

    /// What standard input, output and error are.
    pub fn stdio(&mut self, stdio: [Stdio; 3]) {
        self.stdio = stdio;
    }

    /// Stops the program before its first instruction, traced by the thread that starts it.
    pub fn traced(&mut self) {
        self.traced = true;
    }

    fn put(&mut self, bytes: &[u8]) -> Addr {
        self.arena.resize(self.arena.len().next_multiple_of(8), 0);
        let at = Addr(ARENA + self.arena.len() as u64);
        self.arena.extend_from_slice(bytes);
        at
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Bytes {
        Bytes { at: self.put(bytes), len: bytes.len() as u32 }
    }

    pub fn text(&mut self, text: impl AsRef<Path>) -> Addr {
        let mut bytes = text.as_ref().as_os_str().as_encoded_bytes().to_owned();
        bytes.push(0);
        self.put(&bytes)
    }

    pub fn texts(&mut self, texts: &[&str]) -> Addr {
        let mut words: Vec<u64> = texts.iter().map(|text| self.text(text).0).collect();
        words.push(0);
        self.words(&words)
    }

    pub fn words(&mut self, words: &[u64]) -> Addr {
        self.put(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>())
    }

    pub fn params(&mut self, params: &[(&str, Option<&str>)]) -> Bytes {
        let mut bytes = Vec::new();
        for (key, value) in params {
            bytes.push(if value.is_some() { hull_init::op::PARAM_STRING } else { hull_init::op::PARAM_FLAG });
            for text in [Some(*key), *value].into_iter().flatten() {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
            }
        }
        self.bytes(&bytes)
    }

    /// A place with a descriptor that the program inherits.
    pub fn fd(&mut self, fd: impl Into<OwnedFd>) -> Slot {
        self.fds.push(Some(fd.into()));
        Slot(self.fds.len() as u16 - 1)
    }

    pub fn step(&mut self, op: Op) {
        self.steps.push(Step { op, out: Slot::NONE, skip: [0; 2] });
    }

    pub fn step_to_slot(&mut self, op: Op) -> Slot {
        self.fds.push(None);
        let out = Slot(self.fds.len() as u16 - 1);
        self.steps.push(Step { op, out, skip: [0; 2] });
        out
    }

    /// The errors after which the plan goes on behind the last step.
    pub fn skip_last(&mut self, skip: [u16; 2]) {
        self.steps.last_mut().unwrap().skip = skip;
    }

    /// Any system call, its arguments numbers, or places with their bit in `slots`.
    pub fn call(&mut self, number: i64, slots: u64, args: &[u64]) {
        self.step(call(number, slots, args));
    }

    /// A meeting, at which the test looks at the process.
    pub fn meet(&mut self) {
        self.step(Op::Meet { point: 1 });
    }

    /// Makes the mount namespace private and clones `dir` over `/`, as a container's root file system.
    pub fn root(&mut self, dir: &Path) -> Slot {
        let slash = self.text("/");
        let private = self.words(&[0, 0, libc::MS_PRIVATE, 0]);
        self.call(libc::SYS_mount_setattr, 0, &[AT_FDCWD, slash.0, libc::AT_RECURSIVE as u64, private.0, 32]);
        let path = self.text(dir);
        let tree = self.step_to_slot(Op::CloneTree { dir: Slot::CWD, path, flags: libc::AT_RECURSIVE as u64 });
        let empty = self.text("");
        let args = [tree.0.into(), empty.0, AT_FDCWD, slash.0, libc::MOVE_MOUNT_F_EMPTY_PATH.into()];
        self.call(libc::SYS_move_mount, 1, &args);
        tree
    }

    /// A detached tmpfs.
    pub fn tmpfs(&mut self) -> Slot {
        let (kind, params) = (self.text("tmpfs"), self.params(&[("size", Some("64k"))]));
        self.step_to_slot(Op::Filesystem { kind, params, attrs: 0 })
    }

    /// A detached mount of a path of the host.
    pub fn clone_of(&mut self, path: impl AsRef<Path>) -> Slot {
        let path = self.text(path);
        self.step_to_slot(Op::CloneTree { dir: Slot::CWD, path, flags: 0 })
    }

    pub fn attach(&mut self, tree: Slot, root: Slot, path: &str, flags: u32) {
        let path = self.text(path);
        self.step(Op::Attach { tree, root, path, flags });
    }

    /// Executes a shell script with the host's busybox.
    pub fn shell(&mut self, script: &str) {
        let candidates = self.texts(&["/bin/busybox"]);
        let (argv, envp) = (self.texts(&["sh", "-c", script]), self.texts(&["PATH=/bin:/usr/bin"]));
        let range = [3, u32::MAX.into(), libc::CLOSE_RANGE_CLOEXEC.into()];
        self.call(libc::SYS_close_range, 0, &range);
        self.step(Op::Exec { candidates, argv, envp });
    }

    fn lay_out(&self, numbers: &[RawFd]) -> Vec<u8> {
        let fds = size_of::<Header>() + self.arena.len().next_multiple_of(8);
        let steps = (fds + numbers.len() * 4).next_multiple_of(8);
        let size = steps + self.steps.len() * 64;
        let header = Header {
            magic: wire::MAGIC,
            size: size as u64,
            fds: fds as u32,
            slots: numbers.len() as u32,
            steps: steps as u32,
            count: self.steps.len() as u32,
        };
        // SAFETY: a Header is integers without padding.
        let mut bytes = unsafe { std::slice::from_raw_parts((&raw const header).cast(), size_of::<Header>()) }.to_vec();
        bytes.extend_from_slice(&self.arena);
        bytes.resize(fds, 0);
        bytes.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        bytes.resize(steps, 0);
        bytes.extend(self.steps.iter().flat_map(|step| wire::write_step(step).map(u64::to_ne_bytes).concat()));
        bytes
    }

    /// Starts the program on this plan.
    pub fn start(mut self) -> Running {
        let (socket, theirs) = seqpacket();
        crate::sys::socket::ask_for_senders(socket.as_fd()).unwrap();
        self.fds[0] = Some(theirs);
        let numbers: Vec<RawFd> = self.fds.iter().map(|fd| fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)).collect();
        let layout = self.lay_out(&numbers);
        self.execute(&layout, numbers, socket)
    }

    /// Starts the program on whatever `plan` is, from a caller that ignores and blocks signals.
    pub fn execute(self, plan: &[u8], inherited: Vec<RawFd>, socket: OwnedFd) -> Running {
        let (kinds, traced) = (self.kinds, self.traced);
        let program = sealed(plan).unwrap();
        let program_fd = program.as_raw_fd();
        let place = [program_fd as usize, PLAN_AT, plan.len()].map(|n| CString::new(n.to_string()).unwrap());
        let [input, output, error] = self.stdio;
        let mut command = Command::new("hull-init");
        command.stdin(input).stdout(output).stderr(error);
        let enter = move || {
            let [fd, at, size] = [0, 1, 2].map(|i| place[i].as_ptr());
            let argv = [c"hull-init".as_ptr(), fd, at, size, std::ptr::null()];
            let envp = [std::ptr::null::<libc::c_char>()];
            // SAFETY: system calls only, on descriptors and strings that live.
            unsafe {
                if kinds != 0 && libc::unshare(kinds) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                for fd in inherited.iter().chain([&program_fd]).filter(|fd| **fd >= 0) {
                    libc::fcntl(*fd, libc::F_SETFD, 0);
                }
                for signal in IGNORED {
                    libc::signal(signal, libc::SIG_IGN);
                }
                let mut all = std::mem::zeroed();
                libc::sigfillset(&mut all);
                // The stop of a traced exec is this signal.
                libc::sigdelset(&mut all, libc::SIGTRAP);
                libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
                if traced {
                    libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                }
                let (argv, envp) = (argv.as_ptr(), envp.as_ptr());
                libc::syscall(libc::SYS_execveat, program_fd, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH);
            }
            Err(std::io::Error::last_os_error())
        };
        // SAFETY: between fork and exec there is no allocation and no lock.
        unsafe { command.pre_exec(enter) };
        #[expect(clippy::zombie_processes, reason = "Running waits for it, and for what it goes on as")]
        let child = command.spawn().unwrap();
        Running { pids: vec![child.id() as i32], socket }
    }
}

/// What the program has said.
#[derive(Debug)]
pub struct Said {
    pub message: Message,
    /// The pid of who says it.
    pub sender: i32,
    pub text: String,
}

/// A program that runs. Dropped, it is killed.
pub struct Running {
    /// The process, and those it has gone on as.
    pub pids: Vec<i32>,
    pub socket: OwnedFd,
}

impl Running {
    /// The next message; none when the other side has closed.
    pub fn listen(&mut self) -> Option<Said> {
        let mut bytes = [0u8; size_of::<Message>() + wire::TEXT];
        let (len, sender) = crate::sys::socket::receive(self.socket.as_fd(), &mut bytes).unwrap();
        let text = bytes.get(size_of::<Message>()..len)?;
        // SAFETY: a Message is integers, and at least as many bytes have come.
        let message = unsafe { bytes.as_ptr().cast::<Message>().read_unaligned() };
        Some(Said { message, sender, text: String::from_utf8_lossy(text).into_owned() })
    }

    /// The next message, which must be of this kind, and is its value; of a fork the pid.
    #[track_caller]
    pub fn expect(&mut self, kind: u32) -> i32 {
        let said = self.listen().expect("end of the conversation");
        assert_eq!(said.message.kind, kind, "{said:?}");
        if kind == wire::FORKED {
            self.pids.push(said.sender);
            return said.sender;
        }
        said.message.value
    }

    /// The next message, which must be a failure: errno and text.
    #[track_caller]
    pub fn failure(&mut self) -> (i32, String) {
        let said = self.listen().expect("end of the conversation");
        assert_eq!(said.message.kind, wire::FAILED, "{said:?}");
        (said.message.value, said.text)
    }

    /// Waits for the meeting and leaves the process waiting.
    #[track_caller]
    pub fn reach(&mut self) -> Root {
        self.expect(wire::REACHED);
        Root(format!("/proc/{}/root", self.pid()))
    }

    pub fn go(&self) {
        rustix::net::send(&self.socket, b"g", SendFlags::NOSIGNAL).unwrap();
    }

    /// The process it has become.
    pub fn pid(&self) -> i32 {
        self.pids[self.pids.len() - 1]
    }

    /// A file of its directory in /proc.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.pid())).unwrap()
    }

    /// Resident memory in KB, counted page by page.
    pub fn rss(&self) -> u32 {
        let rollup = self.proc("smaps_rollup");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Lets a traced process run to its end: the system calls it makes.
    pub fn trace(&mut self) -> Vec<i64> {
        let pid = self.pids.pop().unwrap();
        let (mut calls, mut status) = (Vec::new(), 0);
        // SAFETY: the process is this thread's tracee; the kernel writes at most the given size.
        unsafe {
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL);
            loop {
                libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0);
                assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
                if !libc::WIFSTOPPED(status) {
                    return calls;
                }
                let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
                libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size_of_val(&info), &raw mut info);
                if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    calls.push(info.u.entry.nr as i64);
                }
            }
        }
    }

    /// Waits for the end of the process: exit code, or minus the signal.
    pub fn wait(&mut self) -> i32 {
        let mut status = 0;
        let pid = self.pids.pop().unwrap();
        // SAFETY: the status is written.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.pids.drain(..) {
            // SAFETY: children of this process which have not been waited for.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// The root directory of a process as seen from outside.
pub struct Root(String);

impl Root {
    pub fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

/// The signals that the caller of every program here ignores, and which must not be ignored any further.
pub const IGNORED: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGCHLD];

/// The same as a mask of /proc/PID/status.
pub fn ignored() -> u64 {
    IGNORED.iter().map(|signal| 1 << (signal - 1)).sum()
}

pub const AT_FDCWD: u64 = libc::AT_FDCWD as u64;

pub fn call(number: i64, slots: u64, args: &[u64]) -> Op {
    let arg = |at| args.get(at).copied().unwrap_or(0);
    Op::Call { call: number as u64 | slots << 32, a: arg(0), b: arg(1), c: arg(2), d: arg(3), e: arg(4), f: arg(5) }
}

pub fn seqpacket() -> (OwnedFd, OwnedFd) {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Whether a test that needs root can run; if not, says so.
pub fn root_or_skip(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: {test} makes mount and pid namespaces and needs root");
    }
    root
}

//! hull under conmon, as Podman and CRI-O put it there: created, attached, executed in, and its end written down.

use integration::fifo::readable;
use integration::{Bundle, Call, Fifo, Output, Runtime, Value, binary, json, proc};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

/// One conmon: its arguments, and what it says about the container.
struct Conmon<'rt> {
    rt: &'rt Runtime,
    bundle: PathBuf,
    name: String,
    args: Vec<String>,
    sync: Fifo,
    gone: Fifo,
}

/// Whether there is a conmon to test with.
fn installed() -> bool {
    let found = PathBuf::from("/usr/bin/conmon").exists();
    if !found {
        eprintln!("skipped: conmon is not installed");
    }
    found
}

impl<'rt> Conmon<'rt> {
    /// conmon as Podman calls it for the test's first container, under a `name` of its own.
    fn new(rt: &'rt Runtime, bundle: &Bundle, name: &str) -> Conmon<'rt> {
        let path = |what: &str| rt.path(&format!("{name}.{what}")).to_str().unwrap().to_owned();
        let (sync, gone) = (Fifo::new(path("sync").as_ref()), Fifo::new(path("gone").as_ref()));
        fs::create_dir_all(rt.path(&format!("{name}.exits"))).unwrap();
        let root = format!("--root={}", rt.root().display());
        let told = format!("echo gone > {}", path("gone"));
        let (log, uuid) = (format!("k8s-file:{}", path("log")), format!("{}{name}", rt.tag()));
        let (exits, pid, own_pid) = (path("exits"), path("pid"), path("conmon.pid"));
        let (runtime, dir, id) = (binary::path().to_str().unwrap(), bundle.dir().to_str().unwrap(), rt.id(""));
        #[rustfmt::skip]
        let args = [
            "--api-version", "1", "-c", &id, "-u", &uuid, "-n", name, "-r", runtime, "-b", dir, "-p", &pid, "-P", &own_pid,
            "--exit-dir", &exits, "--full-attach", "-l", &log, "--log-level", "error", "--runtime-arg", &root,
            "--exit-command", "/bin/sh", "--exit-command-arg", "-c", "--exit-command-arg", &told,
        ];
        let args = args.map(str::to_owned).to_vec();
        Conmon { rt, bundle: bundle.dir().to_owned(), name: name.to_owned(), args, sync, gone }
    }

    fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    fn path(&self, what: &str) -> PathBuf {
        self.rt.path(&format!("{}.{what}", self.name))
    }

    /// Calls it; what it says first: the pid, or -1 with a message.
    fn call(&self) -> Value {
        let script = "sync=$1; shift; _OCI_SYNCPIPE=3 exec conmon \"$@\" 3<>$sync";
        let call = Call::new("sh").args(["-c", script, "sh"]).arg(self.path("sync")).args(&self.args);
        call.env(integration::residue::TAG, self.rt.tag()).go();
        self.said()
    }

    fn said(&self) -> Value {
        serde_json::from_str(&self.sync.line()).unwrap()
    }

    /// Calls it for an exec that is attached: it says that it listens, and runs nothing before the client it then has is told
    /// of by a byte in its pipe for that.
    fn call_attached(&self, bundle: &Bundle, talk: impl FnOnce(&Attached)) -> Value {
        let attach = Fifo::new(&self.path("attachpipe"));
        let script = "sync=$1 attach=$2; shift 2; _OCI_SYNCPIPE=3 _OCI_ATTACHPIPE=4 _OCI_STARTPIPE=5 exec conmon \"$@\" \
                      3<>$sync 4<>$attach 5</dev/zero";
        let call = Call::new("sh").args(["-c", script, "sh"]).arg(self.path("sync")).arg(self.path("attachpipe"));
        call.args(&self.args).env(integration::residue::TAG, self.rt.tag()).go();
        assert_eq!(attach.line(), "{\"data\": 0}");
        let client = self.attach(bundle);
        let said = self.said();
        talk(&client);
        said
    }

    /// Calls it, which must work; the container's or the exec's pid.
    #[track_caller]
    fn pid(&self) -> i32 {
        let said = self.call();
        let pid = i32::try_from(said["data"].as_i64().unwrap()).unwrap();
        assert!(pid > 1, "{said}");
        assert_eq!(fs::read_to_string(self.path("pid")).unwrap(), pid.to_string(), "digits and nothing else");
        pid
    }

    /// Waits for its end.
    fn wait(&self) {
        assert_eq!(self.gone.line(), "gone");
        assert!(proc::ended(fs::read_to_string(self.path("conmon.pid")).unwrap().parse().unwrap()));
    }

    /// Waits for its end; the exit file.
    fn end(&self) -> String {
        self.wait();
        fs::read_to_string(self.path("exits").join(self.rt.tag())).unwrap()
    }

    /// The lines of the log without their times: `stdout F text`.
    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// A client of its attach socket.
    fn attach(&self, bundle: &Bundle) -> Attached {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(bundle.dir().join("attach")).unwrap()).unwrap();
        Attached(socket, RefCell::default())
    }
}

impl Drop for Conmon<'_> {
    /// What conmon leaves in the bundle is Podman's to remove.
    fn drop(&mut self) {
        for name in ["attach", "ctl", "winsz"] {
            let _ = fs::remove_file(self.bundle.join(name));
        }
    }
}

/// A client, and what it has read and not looked at.
struct Attached(rustix::fd::OwnedFd, RefCell<String>);

impl Attached {
    fn send(&self, text: &str) {
        rustix::net::send(&self.0, text.as_bytes(), SendFlags::empty()).unwrap();
    }

    /// Reads until the text has come; each packet says first whose it is.
    #[track_caller]
    fn until(&self, text: &str) {
        let mut seen = self.1.borrow_mut();
        loop {
            if let Some(at) = seen.find(text) {
                seen.drain(..at + text.len());
                return;
            }
            assert!(readable(&self.0, integration::PATIENCE), "waiting for «{text}», saw «{seen}»");
            let mut buffer = [0; 8193];
            let (length, _) = rustix::net::recv(&self.0, &mut buffer, RecvFlags::empty()).unwrap();
            assert!(length > 0, "hung up; waiting for «{text}», saw «{seen}»");
            seen.push_str(&String::from_utf8_lossy(&buffer[1..length]));
        }
    }
}

fn start(rt: &Runtime) -> Output {
    rt.call(["start", rt.tag()]).go()
}

fn delete(rt: &Runtime) {
    rt.call(["delete", "--force", rt.tag()]).go().ok();
}

#[test]
fn created_started_logged_and_ended() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("echo hello; echo oops >&2; exit 7").write();
    let conmon = Conmon::new(&rt, &bundle, "c").with(&["--no-pivot", "--no-new-keyring"]);
    let pid = conmon.pid();
    let container = rt.container();
    assert_eq!((container.status(), container.pid()), ("created".to_owned(), pid));
    let parent: i32 = proc::field(pid, "PPid").unwrap().parse().unwrap();
    assert_eq!(proc::read(parent, "comm").trim(), "conmon", "whose child it is to reap");
    start(&rt).ok();
    assert_eq!(conmon.end(), "7");
    let mut log = conmon.log();
    log.sort();
    assert_eq!(log, ["stderr F oops", "stdout F hello"]);
    assert_eq!(container.status(), "stopped");
    container.verb(&["delete"]).ok();
}

#[test]
fn a_terminal_that_is_attached_and_resized() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/terminal", json!(true));
    bundle.script("read x; echo got $x; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 1; done").write();
    let conmon = Conmon::new(&rt, &bundle, "c").with(&["-t"]);
    conmon.pid();
    let client = conmon.attach(&bundle);
    start(&rt).ok();
    client.send("word\n");
    client.until("got word");
    client.until("ready");
    fs::write(bundle.dir().join("ctl"), "1 30 100\n").unwrap();
    client.until("30 100");
    assert_eq!(conmon.end(), "3");
    delete(&rt);
}

#[test]
fn standard_input_that_is_attached() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("read x; echo got $x; exit 4").write();
    let conmon = Conmon::new(&rt, &bundle, "c").with(&["-i"]);
    conmon.pid();
    start(&rt).ok();
    let client = conmon.attach(&bundle);
    client.send("a line\n");
    client.until("got a line");
    assert_eq!(conmon.end(), "4");
    delete(&rt);
}

#[test]
fn killed_while_it_runs_and_before() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    for (name, starts) in [("running", true), ("created", false)] {
        let conmon = Conmon::new(&rt, &bundle, name);
        conmon.pid();
        if starts {
            start(&rt).ok();
        }
        rt.call(["kill", rt.tag(), "9"]).go().ok();
        assert_eq!(conmon.end(), "137");
        rt.call(["kill", rt.tag(), "15"]).go().exits(1).says("container not running");
        rt.call(["delete", rt.tag()]).go().ok();
    }
}

/// The file of `--exec-process-spec`.
fn process(rt: &Runtime, script: &str, terminal: bool) -> String {
    let path = rt.fresh("process");
    let env = ["PATH=/bin", &format!("{}={}", integration::residue::TAG, rt.tag())];
    let process = json!({"terminal": terminal, "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": env,
        "args": ["sh", "-c", script]});
    fs::write(&path, process.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn exec_with_and_without_a_terminal() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let container = rt.detach(&bundle);
    for (name, terminal) in [("plain", false), ("tty", true)] {
        let script = "read x; [ -t 0 ] && echo tty; echo got $x; exit 5";
        let file = process(&rt, script, terminal);
        let conmon = Conmon::new(&rt, &bundle, name).with(&["-e", "--exec-attach", "--exec-process-spec", &file, "-i"]);
        let conmon = if terminal { conmon.with(&["-t"]) } else { conmon };
        // With --exec-attach conmon waits until its client is there before it runs anything: first it says that it listens.
        let said = conmon.call_attached(&bundle, |client| {
            client.send("word\n");
            client.until(if terminal { "tty" } else { "got word" });
        });
        assert!(said["data"].as_i64().unwrap() > 1, "{said}");
        assert_eq!(conmon.end(), "5", "{name}");
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn what_fails_is_told_in_one_object() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.file("/etc/text", "no program");
    for (n, (program, text)) in [
        ("nosuchprogram", "executable file not found in $PATH"),
        ("/no/such", "no such file or directory"),
        ("/etc/text", "permission denied"),
    ]
    .into_iter()
    .enumerate()
    {
        bundle.args(&[program]).write();
        let log = rt.fresh("oci-log");
        let conmon = Conmon::new(&rt, &bundle, &format!("f{n}")).with(&[
            "--runtime-arg",
            "--log-format=json",
            "--runtime-arg",
            "--log",
            "--runtime-arg",
            log.to_str().unwrap(),
        ]);
        let said = conmon.call();
        conmon.wait();
        assert!(said["data"].as_i64().unwrap() < 0, "{said}");
        assert!(said["message"].as_str().unwrap().contains(text), "{said}");
        // Podman reads the whole file as one object.
        let logged: Value = serde_json::from_str(&fs::read_to_string(&log).unwrap()).unwrap();
        assert!(logged["msg"].as_str().unwrap().contains(text), "{logged}");
        assert_eq!(logged["level"], "error");
        assert!(!conmon.path("pid").exists());
        assert!(!rt.root().join(rt.tag()).exists());
    }
}

#[test]
fn without_cgroups() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).unset("/linux/resources").write();
    let conmon =
        Conmon::new(&rt, &bundle, "c").with(&["--runtime-arg", "--cgroup-manager", "--runtime-arg", "disabled"]);
    let pid = conmon.pid();
    start(&rt).ok();
    assert!(!proc::read(pid, "cgroup").contains(rt.tag()));
    rt.call(["kill", rt.tag(), "9"]).go().ok();
    assert_eq!(conmon.end(), "137");
    rt.call(["delete", rt.tag()]).go().ok();
}

#[test]
fn exec_that_nobody_is_attached_to() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    rt.detach(&bundle);
    let file = process(&rt, "echo done; exit 6", false);
    let conmon = Conmon::new(&rt, &bundle, "works").with(&["-e", "--exec-process-spec", &file]);
    conmon.pid();
    assert_eq!(conmon.end(), "6");
    assert_eq!(conmon.log(), ["stdout F done"]);

    let spec = json!({"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": ["nosuchprogram"]});
    fs::write(&file, spec.to_string()).unwrap();
    let conmon = Conmon::new(&rt, &bundle, "fails").with(&["-e", "--exec-process-spec", &file]);
    let said = conmon.call();
    conmon.wait();
    assert!(said["data"].as_i64().unwrap() < 0, "{said}");
    assert!(said["message"].as_str().unwrap().contains("executable file not found in $PATH"), "{said}");
}

#[test]
fn a_time_limit() {
    if !installed() {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    // It begins with `create`, and must not be over before `start`.
    let conmon = Conmon::new(&rt, &bundle, "c").with(&["-T", "10"]);
    conmon.pid();
    start(&rt).ok();
    conmon.wait();
    assert_eq!(rt.container().status(), "stopped");
    delete(&rt);
}

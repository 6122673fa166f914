//! The calls of go-runc, argument by argument, as containerd's shim, Docker and BuildKit make them, and what these read of the answers.

use integration::console::FdSocket;
use integration::{Bundle, Call, Output, Runtime, Value, binary, cgroup, json, proc};
use std::fs;
use std::path::PathBuf;

/// containerd's shim: every call has its options before the verb, and a log of its own.
struct Shim {
    rt: Runtime,
    bundle: Bundle,
    log: PathBuf,
}

impl Shim {
    fn new() -> Shim {
        let rt = Runtime::new();
        let bundle = rt.bundle();
        let log = rt.path("log.json");
        Shim { rt, bundle, log }
    }

    fn call(&self, args: &[&str]) -> Call {
        let globals = ["--log", self.log.to_str().unwrap(), "--log-format", "json"];
        self.rt.call(globals).args(args).no_env("NOTIFY_SOCKET")
    }

    /// A call with the id at its end, which must work and say nothing.
    #[track_caller]
    fn does(&self, args: &[&str]) {
        assert_eq!(self.call(args).arg(self.rt.tag()).go().ok(), "", "{args:?}");
        assert_eq!(fs::read_to_string(&self.log).unwrap_or_default(), "", "{args:?}");
    }

    /// A call which must fail with this in its error, read as go-runc does: the last object of level error.
    #[track_caller]
    fn fails(&self, args: &[&str], text: &str) -> Output {
        let _ = fs::remove_file(&self.log);
        let output = self.call(args).go();
        assert_ne!(output.code, 0, "{output}");
        let log = fs::read_to_string(&self.log).unwrap();
        let objects: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = objects.iter().rfind(|object| object["level"] == "error").unwrap_or_else(|| panic!("{log}"));
        assert!(last["msg"].as_str().unwrap().contains(text), "{args:?}: {log}");
        fs::remove_file(&self.log).unwrap();
        output
    }

    /// `create` as the shim calls it; the pid in the file.
    fn create(&self, more: &[&str]) -> i32 {
        self.bundle.write();
        let pid_file = self.rt.path("init.pid");
        let mut args =
            vec!["create", "--bundle", self.bundle.dir().to_str().unwrap(), "--pid-file", pid_file.to_str().unwrap()];
        args.extend(more);
        self.rt.id("");
        self.does(&args);
        let text = fs::read_to_string(&pid_file).unwrap();
        text.parse().unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }

    fn state(&self) -> Value {
        self.call(&["state", self.rt.tag()]).go().json()
    }

    /// The file of `exec --process`, as Go encodes a process.
    fn process(&self, args: &[&str], terminal: bool) -> String {
        let path = self.rt.fresh("runc-process");
        let env = ["PATH=/bin", &format!("{}={}", integration::residue::TAG, self.rt.tag())];
        let process = json!({"terminal": terminal, "user": {"uid": 0, "gid": 0}, "args": args, "env": env, "cwd": "/"});
        fs::write(&path, format!("{process}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn the_life_of_a_task() {
    let mut shim = Shim::new();
    let said = shim.bundle.fifo("/said");
    shim.bundle.script("trap 'exit 9' TERM; echo up > /said; while :; do sleep 1000 & wait; done");
    let pid = shim.create(&["--no-pivot", "--no-new-keyring"]);
    let state = shim.state();
    assert_eq!((&state["status"], &state["pid"]), (&json!("created"), &json!(pid)));
    shim.does(&["start"]);
    assert_eq!(shim.state()["status"], "running");
    assert_eq!(said.line(), "up");

    let pid_file = shim.rt.path("exec.pid");
    let process = shim.process(&["sleep", "1001"], false);
    shim.does(&["exec", "--process", &process, "--detach", "--pid-file", pid_file.to_str().unwrap()]);
    let exec: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    let pids: Vec<i32> =
        serde_json::from_str(&shim.call(&["ps", "--format", "json", shim.rt.tag()]).go().ok()).unwrap();
    assert!(pids.contains(&pid) && pids.contains(&exec), "{pids:?}");

    shim.does(&["pause"]);
    assert_eq!(shim.state()["status"], "paused");
    shim.does(&["resume"]);
    assert_eq!(shim.state()["status"], "running");

    // What containerd encodes of an update: Go leaves out what is empty.
    let resources = json!({"memory": {"limit": 128 << 20}, "cpu": {"shares": 512}, "pids": {"limit": 50}});
    let call = shim.call(&["update", "--resources", "-", shim.rt.tag()]).input(format!("{resources}\n"));
    assert_eq!(call.go().ok(), "");
    let limit = cgroup::either("memory.limit_in_bytes", "memory.max");
    assert_eq!(cgroup::read(&shim.rt, limit), (128 << 20).to_string());

    let event = shim.call(&["events", "--stats", shim.rt.tag()]).go().json();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(shim.rt.tag())));

    assert_eq!(shim.call(&["kill", shim.rt.tag(), "15"]).go().ok(), "");
    assert!(proc::ended(pid));
    let state = shim.state();
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &json!(0)));
    shim.does(&["delete"]);
    shim.fails(&["delete", shim.rt.tag()], "container does not exist").exits(1);
    assert_eq!(shim.call(&["delete", "--force", shim.rt.tag()]).go().ok(), "");
}

#[test]
fn kill_all_takes_execs_along() {
    let mut shim = Shim::new();
    shim.bundle.args(&["sleep", "1000"]);
    let pid = shim.create(&[]);
    shim.does(&["start"]);
    let pid_file = shim.rt.path("exec.pid");
    let process = shim.process(&["sleep", "1001"], false);
    shim.does(&["exec", "--process", &process, "--detach", "--pid-file", pid_file.to_str().unwrap()]);
    let exec: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    shim.call(&["kill", "--all", shim.rt.tag(), "9"]).go().ok();
    assert!(proc::ended(pid) && proc::ended(exec));
    // With --all it is well that nobody is left; without, the shim takes this for "not found".
    shim.call(&["kill", "--all", shim.rt.tag(), "9"]).go().ok();
    shim.fails(&["kill", shim.rt.tag(), "9"], "container not running").exits(1);
    shim.does(&["delete", "--force"]);
}

#[test]
fn errors_are_in_the_log() {
    let mut shim = Shim::new();
    let id = shim.rt.id("");
    for verb in ["state", "start", "kill", "pause", "resume"] {
        shim.fails(&[verb, &id], "container does not exist").exits(1);
    }
    let dir = shim.bundle.dir().to_str().unwrap().to_owned();
    let create = ["create", "--bundle", &dir, &id];
    let host = shim.rt.host_dir("dir");
    shim.bundle.file("/etc/text", "no program");
    // (the program, what Docker looks for beside its name)
    for (program, text) in [
        ("nosuchprogram", "executable file not found in $PATH"),
        ("/no/such/program", "no such file or directory"),
        ("/etc/text", "permission denied"),
        ("/etc", "permission denied"),
    ] {
        shim.bundle.args(&[program]).write();
        shim.fails(&create, text).exits(1).says(program);
    }
    shim.bundle.args(&["sleep", "1000"]).bind(&host, "/etc/text", &[]).write();
    shim.fails(&create, "not a directory").exits(1);
    shim.bundle.unmount("/etc/text").write();
    shim.call(&create).go().ok();
    shim.fails(&create, "container with given ID already exists").exits(1);
    shim.call(&["start", &id]).go().ok();
    shim.fails(&["delete", &id], "that is not stopped: running").exits(1);
    let process = shim.process(&["nosuchprogram"], false);
    let exec = ["exec", "--process", &process, "--detach", &id];
    shim.fails(&exec, "executable file not found in $PATH").exits(255).says("exec failed");
    let pid = i32::try_from(shim.state()["pid"].as_i64().unwrap()).unwrap();
    shim.call(&["kill", &id, "9"]).go().ok();
    assert!(proc::ended(pid));
    shim.fails(&exec, "container").exits(255);
}

#[test]
fn terminals_come_through_the_console_socket() {
    let mut shim = Shim::new();
    let socket = FdSocket::new(shim.rt.path("console"));
    shim.bundle.set("/process/terminal", json!(true)).script("tty; exec sleep 1000");
    shim.create(&["--console-socket", socket.arg()]);
    let terminal = socket.terminal();
    shim.does(&["start"]);
    terminal.until("/dev/");
    let process = shim.process(&["sh", "-c", "read x; echo got $x"], true);
    shim.does(&["exec", "--process", &process, "--console-socket", socket.arg(), "--detach"]);
    let terminal = socket.terminal();
    terminal.send("word\n");
    terminal.until("got word");
}

#[test]
fn extra_files_are_preserved() {
    let mut shim = Shim::new();
    shim.bundle.script("cat <&3; cat <&4");
    shim.bundle.write();
    let script = "exec 3<$1 4<$2; shift 2; exec \"$@\"";
    let (one, two) = (shim.rt.path("one"), shim.rt.path("two"));
    fs::write(&one, "one\n").unwrap();
    fs::write(&two, "two\n").unwrap();
    let call = Call::new("sh").args(["-c", script, "sh"]).arg(one).arg(two).arg(binary::path());
    let call = call.arg("--root").arg(shim.rt.root()).args(["run", "--bundle"]).arg(shim.bundle.dir());
    assert_eq!(call.args(["--preserve-fds", "2", &shim.rt.id("")]).go().ok(), "one\ntwo\n");
}

#[test]
fn run_attached_as_buildkit_does() {
    let mut shim = Shim::new();
    shim.bundle.script("read x; echo got $x; echo wrong >&2; exit 21");
    shim.bundle.write();
    let dir = shim.bundle.dir().to_str().unwrap();
    for more in [&[][..], &["--no-pivot"], &["--keep"]] {
        let call = shim.call(&[&["run", "--bundle", dir], more].concat()).arg(shim.rt.id("")).input("word\n");
        let output = call.go().exits(21);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("got word\n", "wrong\n"));
    }
    assert_eq!(shim.state()["status"], "stopped");
    shim.does(&["delete"]);
}

#[test]
fn called_through_a_descriptor() {
    // go-runc can hold the binary open and execute /proc/self/fd/N, whatever its name says.
    let mut shim = Shim::new();
    shim.bundle.script("echo up");
    shim.bundle.write();
    let call = Call::new("sh").args(["-c", "exec 9<$1; shift; exec /proc/self/fd/9 \"$@\"", "sh"]).arg(binary::path());
    let call = call.arg("--root").arg(shim.rt.root()).args(["run", "--bundle"]).arg(shim.bundle.dir());
    assert_eq!(call.arg(shim.rt.id("")).go().word(), "up");
}

#[test]
fn top_list_and_events() {
    let mut shim = Shim::new();
    shim.bundle.args(&["sleep", "1000"]);
    let pid = shim.create(&[]);
    shim.does(&["start"]);
    let id = shim.rt.tag();
    for options in [&["-ef"][..], &["-o", "pid,comm"], &["aux"]] {
        let text = shim.call(&[&["ps", "--format", "table", id], options].concat()).go().ok();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let column = rows[0].iter().position(|name| *name == "PID").unwrap();
        assert_eq!(rows[1][column], pid.to_string(), "{text}");
        assert_eq!(rows.len(), 2, "{text}");
    }
    let list: Value = serde_json::from_str(&shim.call(&["list", "--format=json"]).go().ok()).unwrap();
    assert_eq!((&list[0]["id"], &list[0]["pid"], &list[0]["status"]), (&json!(id), &json!(pid), &json!("running")));
    assert!(list[0]["bundle"].is_string() && list[0]["rootfs"].is_string() && list[0]["created"].is_string());

    let mut events = shim.call(&["events", "--interval=1s", id]).spawn();
    let first = loop {
        let text = events.stdout_so_far();
        if let Some((line, _)) = text.split_once('\n') {
            break serde_json::from_str::<Value>(line).unwrap();
        }
        assert!(!events.ended_within(100_000_000), "no event came");
    };
    assert_eq!(first["type"], "stats");
    shim.does(&["delete", "--force"]);
    events.wait();
}

#[test]
fn debug_and_rootless_are_understood_everywhere() {
    let mut shim = Shim::new();
    shim.bundle.args(&["true"]).write();
    let globals = ["--debug", "--log", shim.log.to_str().unwrap(), "--log-format", "json", "--rootless=false"];
    let call = shim.rt.call(globals).args(["run", "--bundle"]).arg(shim.bundle.dir()).arg(shim.rt.id(""));
    call.go().ok();
    // A line that is no object would be "unable to parse log msg".
    for line in fs::read_to_string(&shim.log).unwrap().lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert!(object["level"].is_string() && object["msg"].is_string(), "{line}");
    }
}

#[test]
fn checkpoint_and_restore_are_read_to_the_end() {
    // What is not there yet is told as such, and not as a flag that nobody knows.
    let shim = Shim::new();
    let dir = shim.bundle.dir().to_str().unwrap();
    let paths = [
        "--image-path",
        "/i",
        "--work-path",
        "/w",
        "--tcp-established",
        "--ext-unix-sk",
        "--shell-job",
        "--file-locks",
    ];
    let modes = ["--manage-cgroups-mode", "soft", "--empty-ns", "network"];
    for action in ["--leave-running", "--pre-dump"] {
        let output = shim.call(&[&["checkpoint"], &paths[..], &modes, &[action, "nobody"]].concat()).go();
        assert!(output.code != 0 && !output.mentions("flag"), "{output}");
    }
    let rest = ["--detach", "--pid-file", "/p", "--no-pivot", "-no-subreaper", "--bundle", dir, "nobody"];
    let output = shim.call(&[&["restore"], &paths[..], &modes, &rest].concat()).go();
    assert!(output.code != 0 && !output.mentions("flag"), "{output}");
}

#[test]
fn version_and_features() {
    let shim = Shim::new();
    let text = shim.call(&["--version"]).go().ok();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].split_once("version ").is_some_and(|(_, version)| !version.is_empty()), "{text}");
    assert!(lines[1].starts_with("commit: ") && lines[2].starts_with("spec: "), "{text}");
    let features = shim.call(&["features"]).go().json();
    for key in ["ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux"] {
        assert!(!features[key].is_null(), "{key}");
    }
    // CRI: recursive read-only mounts and user namespaces of pods.
    assert!(features["mountOptions"].as_array().unwrap().contains(&json!("rro")));
    assert!(features["linux"]["namespaces"].as_array().unwrap().contains(&json!("user")));
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
}

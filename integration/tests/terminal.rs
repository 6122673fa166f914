//! Terminals: through the console socket, in the foreground, with sizes, job control and restored settings.

use integration::console::{FdSocket, Terminal};
use integration::{Bundle, Runtime, binary, json};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

fn with_terminal(rt: &Runtime) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/process/terminal", json!(true));
    bundle
}

#[test]
fn the_master_comes_through_the_console_socket() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = with_terminal(&rt);
    bundle.set("/process/consoleSize", json!({"width": 91, "height": 37}));
    bundle.args(&["sh"]);
    let _container = rt.make(&bundle, "", &["create", "--console-socket", socket.arg()]);
    let terminal = socket.terminal();
    assert_eq!(terminal.size(), (91, 37));
    rt.container().start();
    terminal.send(
        "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all of th\"\"em; readlink /proc/self/fd/0\n",
    );
    let seen = terminal.until("all of them");
    assert!(seen.contains("/dev/pts/0") || seen.contains("/dev/console"), "{seen}");
    assert!(seen.contains("37 91"), "{seen}");
    terminal.resize(100, 50);
    terminal.send("stty size\n");
    terminal.until("50 100");
    terminal.send("exit\n");
}

#[test]
fn dev_console_is_the_terminal() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = with_terminal(&rt);
    bundle.script("echo to the console > /dev/console; stat -c %F /dev/console; ls -l /proc/self/fd/1; sleep 1000");
    let container = rt.make(&bundle, "", &["run", "--detach", "--console-socket", socket.arg()]);
    let terminal = socket.terminal();
    let seen = terminal.until("/dev/pts/0");
    assert!(seen.contains("to the console") && seen.contains("character special file"), "{seen}");
    container.stop();
}

#[test]
fn it_is_the_controlling_terminal() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = with_terminal(&rt);
    let said = bundle.fifo("/said");
    bundle.script("trap 'echo interrupted; exit 3' INT; echo ready > /said; while true; do sleep 1000 & wait; done");
    rt.make(&bundle, "", &["run", "--detach", "--console-socket", socket.arg()]);
    let terminal = socket.terminal();
    assert_eq!(said.line(), "ready");
    terminal.send("\u{3}");
    terminal.until("interrupted");
}

#[test]
fn job_control() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = with_terminal(&rt);
    bundle.args(&["sh", "-i"]);
    rt.make(&bundle, "", &["run", "--detach", "--console-socket", socket.arg()]);
    let terminal = socket.terminal();
    terminal.until("# ");
    terminal.send("sh -c 'echo ru\"\"n; exec sleep 1000'\n");
    terminal.until("run");
    terminal.send("\u{1a}");
    let seen = terminal.until("Stopped");
    assert!(!seen.contains("can't access tty"), "{seen}");
    terminal.send("jobs; exit\nexit\n");
}

#[test]
fn the_terminal_belongs_to_the_user() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = with_terminal(&rt);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.script("stat -c '%u %a' $(tty); echo ok > /dev/tty; sleep 1000");
    rt.make(&bundle, "", &["run", "--detach", "--console-socket", socket.arg()]);
    let seen = socket.terminal().until("ok");
    assert!(seen.contains("1000 620"), "{seen}");
}

#[test]
fn exec_with_a_terminal() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let socket = FdSocket::new(rt.path("console"));
    let args = ["sh", "-c", "test -t 0 && echo terminal; stty size; sleep 1000"];
    container.exec_call(&["--tty", "--detach", "--console-socket", socket.arg()], &args).go().ok();
    socket.terminal().until("terminal");
    let again = FdSocket::new(rt.path("again"));
    let file = rt.path("process.json");
    let process = json!({"terminal": true, "consoleSize": {"height": 11, "width": 22}, "cwd": "/", "args": ["sh", "-c", "stty size; sleep 1000"], "env": ["PATH=/bin"]});
    std::fs::write(&file, process.to_string()).unwrap();
    rt.call(["exec", "--detach", "--console-socket", again.arg(), "--process"]).arg(&file).arg(&container.id).go().ok();
    again.terminal().until("11 22");
}

#[test]
fn a_terminal_needs_a_socket_when_detached() {
    let rt = Runtime::new();
    let mut bundle = with_terminal(&rt);
    bundle.args(&["true"]).write();
    for verb in [&["create"][..], &["run", "--detach"]] {
        let output = rt.call(verb).arg("--bundle").arg(bundle.dir()).arg(rt.id("")).go().exits(1).one_line();
        assert!(output.stderr.contains("console socket"), "{output}");
    }
}

#[test]
fn a_socket_needs_a_terminal() {
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let output =
        rt.call(["create", "--console-socket", socket.arg(), "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    output.exits(1).says("will not detach or allocate tty").one_line();
    bundle.set("/process/terminal", json!(true)).write();
    let output = rt.call(["run", "--console-socket", socket.arg(), "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    output.exits(1).says("console socket").one_line();
}

#[test]
fn a_socket_nobody_listens_at() {
    let rt = Runtime::new();
    let mut bundle = with_terminal(&rt);
    bundle.args(&["true"]).write();
    let output =
        rt.call(["create", "--console-socket", "/no/such/socket", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    output.exits(1).says_one_of(&["/no/such/socket", "no such file or directory"]).one_line();
}

/// Runs a command line in the foreground of a new session which has `slave` for its terminal.
fn foreground(rt: &Runtime, slave: &Path, args: &[&str]) -> std::process::Child {
    let open = || -> File { OpenOptions::new().read(true).write(true).open(slave).unwrap() };
    let call = integration::Call::new("setsid")
        .args(["--ctty", "--wait"])
        .arg(binary::path())
        .arg("--root")
        .arg(rt.root())
        .args(args);
    let call = call.env(integration::residue::TAG, rt.tag());
    call.spawn_on(Stdio::from(open()), Stdio::from(open()), Stdio::from(open()))
}

#[test]
fn foreground_run() {
    let rt = Runtime::new();
    let mut bundle = with_terminal(&rt);
    bundle.args(&["sh"]).write();
    let (terminal, slave) = Terminal::open();
    terminal.resize(77, 33);
    // A slave held open keeps the settings, to be compared before and after.
    let held = OpenOptions::new().read(true).write(true).custom_flags(0o400).open(&slave).unwrap();
    let before = format!("{:?}", rustix::termios::tcgetattr(&held).unwrap());
    let mut child = foreground(&rt, &slave, &["run", "--bundle", bundle.dir().to_str().unwrap(), &rt.id("")]);
    terminal.send("stty size; echo e\"\"nd\n");
    let seen = terminal.until("end");
    assert!(seen.contains("33 77"), "the caller's size: {seen}");
    assert_ne!(format!("{:?}", rustix::termios::tcgetattr(&held).unwrap()), before, "raw while it runs");
    terminal.resize(120, 44);
    terminal.send("until stty size | grep '44 120'; do :; done\n");
    terminal.until("44 120\r\n");
    terminal.send("exit 9\n");
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(9), "{}", terminal.until(""));
    assert_eq!(format!("{:?}", rustix::termios::tcgetattr(&held).unwrap()), before, "restored");
}

#[test]
fn foreground_exec() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let (terminal, slave) = Terminal::open();
    let held = OpenOptions::new().read(true).write(true).custom_flags(0o400).open(&slave).unwrap();
    let before = format!("{:?}", rustix::termios::tcgetattr(&held).unwrap());
    let mut child = foreground(
        &rt,
        &slave,
        &[
            "exec",
            "-t",
            &container.id,
            "sh",
            "-c",
            "trap 'echo got it; exit 4' INT; echo re\"\"ady; while true; do sleep 1000 & wait; done",
        ],
    );
    terminal.until("ready");
    terminal.send("\u{3}");
    terminal.until("got it");
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(format!("{:?}", rustix::termios::tcgetattr(&held).unwrap()), before, "restored");
}

#[test]
fn the_terminal_is_restored_after_a_failure() {
    let rt = Runtime::new();
    let mut bundle = with_terminal(&rt);
    bundle.args(&["nosuchprogram"]).write();
    let (terminal, slave) = Terminal::open();
    let held = OpenOptions::new().read(true).write(true).custom_flags(0o400).open(&slave).unwrap();
    let before = format!("{:?}", rustix::termios::tcgetattr(&held).unwrap());
    let mut child = foreground(&rt, &slave, &["run", "--bundle", bundle.dir().to_str().unwrap(), &rt.id("")]);
    terminal.until("executable file not found");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(format!("{:?}", rustix::termios::tcgetattr(&held).unwrap()), before);
}

#[test]
fn a_foreground_terminal_that_hangs_up() {
    let rt = Runtime::new();
    let mut bundle = with_terminal(&rt);
    bundle.args(&["sh"]).write();
    let (terminal, slave) = Terminal::open();
    let mut child = foreground(&rt, &slave, &["run", "--bundle", bundle.dir().to_str().unwrap(), &rt.id("")]);
    terminal.send("echo u\"\"p\n");
    terminal.until("up");
    let init = rt.container().pid();
    drop(terminal);
    let runtime = i32::try_from(child.id()).unwrap();
    if !integration::proc::ended_within(runtime, 1) {
        // It may outlive its terminal, with the container it waits for, but not at the expense of a processor.
        let stat = integration::proc::read(runtime, "stat");
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        assert!(ticks < 50, "{ticks} ticks of processor time in a second of waiting");
        integration::proc::kill(init);
    }
    assert!(integration::proc::ended(runtime), "it ends with the container");
    child.wait().unwrap();
}

#[test]
fn a_fake_devpts_in_the_image_is_not_used() {
    // CVE-2025-52565: the image's own /dev/pts/0 as a link to something of the host's kernel.
    let rt = Runtime::new();
    let socket = FdSocket::new(rt.path("console"));
    let mut bundle = with_terminal(&rt);
    std::fs::create_dir_all(bundle.inside("/dev/pts")).unwrap();
    std::os::unix::fs::symlink("/proc/sys/kernel/core_pattern", bundle.inside("/dev/pts/0")).unwrap();
    std::os::unix::fs::symlink("/proc/sys/kernel/core_pattern", bundle.inside("/dev/console")).unwrap();
    bundle.unmount("/dev").unmount("/dev/pts").unmount("/dev/shm").unmount("/dev/mqueue");
    bundle.script("echo x > /dev/console; sleep 1000").write();
    rt.call(["run", "--detach", "--console-socket", socket.arg(), "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    assert_ne!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), "x\n");
}

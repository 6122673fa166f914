//! run: exit codes, pid file, detach, keep, standard streams, signals to the foreground.

use integration::bundle::Join;
use integration::{Runtime, json};
use rustix::process::Signal;

#[test]
fn exit_codes_are_the_programs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for code in [0, 1, 42, 127, 255] {
        rt.sh(&mut bundle, &format!("exit {code}")).exits(code);
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // The first process of a pid namespace ignores the signals it sends itself.
    bundle.namespace("pid", Join::None);
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("USR1", 138)] {
        rt.sh(&mut bundle, &format!("kill -{signal} $$")).exits(code);
    }
}

#[test]
fn standard_streams_are_the_callers() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("cat; echo to-stderr >&2");
    let output = rt.run_call(&bundle, &[]).input("to-stdout\n").go().exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("to-stdout\n", "to-stderr\n"));
}

#[test]
fn a_closed_reader_is_no_matter_of_the_runtime() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("seq 100000").write();
    let id = rt.id("");
    let script = format!("\"$@\" run --bundle {} {id} | head -n 1", bundle.dir().display());
    let piped = integration::Call::new("sh").args(["-c", &script, "sh"]).arg(integration::binary::path());
    assert_eq!(piped.arg("--root").arg(rt.root()).go().ok(), "1\n");
}

#[test]
fn pid_file_is_the_number_and_nothing_else() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    bundle.write();
    let file = rt.path("init.pid");
    for verb in [&["create"][..], &["run", "--detach"]] {
        let call = rt.call(verb).arg("--pid-file").arg(&file).arg("--bundle").arg(bundle.dir()).arg(rt.id(""));
        call.go().ok();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, rt.container().pid().to_string(), "no newline, no more");
        rt.container().verb(&["delete", "--force"]).ok();
    }
    let names: Vec<_> = std::fs::read_dir(rt.dir()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with('.')), "{names:?}");
}

#[test]
fn pid_file_is_relative_to_the_caller() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let call = rt.call(["create", "--pid-file", "here.pid", "--bundle", "bundle", &rt.id("")]).cwd(rt.dir());
    call.go().ok();
    assert_eq!(std::fs::read_to_string(rt.path("here.pid")).unwrap(), rt.container().pid().to_string());
}

#[test]
fn detach_returns_while_the_container_runs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for flag in ["--detach", "-d"] {
        bundle.args(&["sleep", "1000"]);
        let container = rt.make(&bundle, "", &["run", flag]);
        assert_eq!(container.status(), "running");
        container.verb(&["delete", "--force"]).ok();
    }
}

#[test]
fn a_foreground_run_deletes_its_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    rt.sh(&mut bundle, "exit 3").exits(3);
    rt.container().verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn keep_keeps_the_container() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("exit 5");
    rt.run_with(&bundle, &["--keep"]).exits(5);
    assert_eq!(rt.container().status(), "stopped");
    rt.container().verb(&["delete"]).ok();
}

#[test]
fn single_dash_long_flags_are_understood() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "yes"]);
    assert_eq!(rt.run_with(&bundle, &["-no-subreaper"]).ok(), "yes\n");
    assert_eq!(rt.run_with(&bundle, &["--no-subreaper", "-no-pivot=false"]).ok(), "yes\n");
    bundle.args(&["sleep", "1000"]);
    rt.make(&bundle, "", &["run", "-detach", "-no-subreaper"]).verb(&["delete", "-force"]).ok();
}

#[test]
fn signals_are_forwarded_to_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script(
        "trap 'echo usr1 > /said' USR1; trap 'echo hup > /said' HUP; trap 'exit 7' TERM; echo up > /said; \
         while true; do sleep 1000 & wait $!; done",
    );
    let run = rt.run_call(&bundle, &[]).spawn();
    assert_eq!(said.line(), "up");
    run.signal(Signal::USR1);
    assert_eq!(said.line(), "usr1");
    run.signal(Signal::HUP);
    assert_eq!(said.line(), "hup");
    run.signal(Signal::TERM);
    run.wait().exits(7);
}

#[test]
fn orphans_of_a_foreground_container_end_with_it() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    rt.sh(&mut bundle, "sleep 1000 & (setsid sleep 1000 &) ; exit 0").ok();
    rt.assert_clean();
}

#[test]
fn a_missing_program_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["nosuchprogram"]);
    rt.run(&bundle).exits(1).says("nosuchprogram").says("executable file not found in $PATH").one_line();
    bundle.args(&["/no/such/program"]);
    rt.run(&bundle).exits(1).says("/no/such/program").says("no such file or directory").one_line();
    bundle.file("/plain", "not a program");
    bundle.args(&["/plain"]);
    rt.run(&bundle).exits(1).says("permission denied").one_line();
    bundle.args(&["/etc"]);
    rt.run(&bundle).exits(1).says_one_of(&["permission denied", "is a directory"]).one_line();
}

#[test]
fn a_file_that_is_no_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.program("/bin/garbage", "\u{1}\u{2}\u{3} not a program");
    bundle.args(&["garbage"]);
    rt.run(&bundle).exits(1).says("exec format error").one_line();
}

#[test]
fn a_program_is_looked_for_in_the_containers_path() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/env", json!(["PATH=/opt/one:/opt/two"]));
    bundle.program("/opt/two/greet", "#!/bin/sh\necho found $0\n");
    bundle.args(&["greet"]);
    assert_eq!(rt.run(&bundle).ok(), "found /opt/two/greet\n");
}

#[test]
fn argument_zero_is_as_written() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["cat", "/proc/self/cmdline", "", "two words"]);
    let output = rt.run(&bundle).exits(1);
    assert_eq!(output.stdout, "cat\0/proc/self/cmdline\0\0two words\0");
}

//! The corpus of broken input: each gives one line with the cause, runc's exit code, and leaves nothing behind.

use integration::corpus::{BadConfig, calls, configs};
use integration::{Output, Runtime, Value, view};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs every case, so that all faults are seen at once, and fails when one did.
fn all_of<T>(cases: impl Iterator<Item = T>, name: impl Fn(&T) -> String, run: impl Fn(&T)) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases {
        count += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&case))) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without words".into());
            wrong.push(format!("{}\n  {text}", name(&case)));
        }
    }
    assert!(count > 0, "an empty table");
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// One object in the JSON log, and the bare message on standard error.
fn logged_once(output: &Output, log: &std::path::Path) {
    let text = std::fs::read_to_string(log).unwrap();
    let object: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in the log: {text}"));
    assert_eq!(object["level"], "error", "{text}");
    let message = object["msg"].as_str().unwrap();
    assert!(output.stderr.contains(message), "the message «{message}» on standard error too: {output}");
}

fn config_case(case: &BadConfig) {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    case.write(&mut bundle);
    let output = rt.call(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    output.exits(1).says(case.says).one_line();
    let log = rt.path("log.json");
    let call = rt.call(["--log", log.to_str().unwrap(), "--log-format", "json", "create", "--bundle"]);
    let output = call.arg(bundle.dir()).arg(rt.id("")).go().exits(1).says(case.says).one_line();
    logged_once(&output, &log);
    assert_eq!(output.stdout, "", "{output}");
    assert!(!rt.root().join(rt.tag()).exists(), "no state is left");
    rt.assert_clean();
}

/// A part of the table: the tests of the parts run side by side.
fn config_part(part: usize) {
    let all = configs();
    assert!(all.len() >= 60, "{} broken bundles", all.len());
    let mine = all.into_iter().enumerate().filter(|(number, _)| number % 4 == part).map(|(_, case)| case);
    all_of(mine, |case| format!("«{}» for {}", case.says, case.changes), config_case);
}

#[test]
fn broken_bundles_first_part() {
    config_part(0);
}

#[test]
fn broken_bundles_second_part() {
    config_part(1);
}

#[test]
fn broken_bundles_third_part() {
    config_part(2);
}

#[test]
fn broken_bundles_fourth_part() {
    config_part(3);
}

fn call_part(before: &'static str) {
    let cases = calls().into_iter().filter(|case| case.before == before);
    all_of(
        cases,
        |case| format!("«{}» for {}", case.says, case.args),
        |case| {
            let rt = Runtime::new();
            let mut bundle = rt.bundle();
            bundle.args(&["sleep", "1000"]).write();
            let container = match before {
                "none" => rt.container(),
                "created" => rt.create(&bundle),
                _ => rt.detach(&bundle),
            };
            match before {
                "paused" => drop(container.verb(&["pause"]).ok()),
                "stopped" => drop(container.stop()),
                _ => {}
            }
            let processes = integration::residue::processes(rt.tag());
            let args = case.arguments(rt.tag(), bundle.dir().to_str().unwrap(), rt.dir().to_str().unwrap());
            let output = rt.call(args).go().exits(case.code).says(case.says).one_line();
            if before == "none" {
                assert!(output.code == 1 || output.stdout.is_empty(), "{output}");
                assert_eq!(std::fs::read_dir(rt.root()).unwrap().count(), 0, "no state is left");
            } else {
                assert_eq!(container.status(), before);
                assert_eq!(integration::residue::processes(rt.tag()), processes, "no process came or went");
            }
            rt.assert_clean();
        },
    );
}

#[test]
fn calls_without_a_container() {
    call_part("none");
}

#[test]
fn calls_on_a_created_container() {
    call_part("created");
}

#[test]
fn calls_on_a_running_container() {
    call_part("running");
}

#[test]
fn calls_on_a_paused_container() {
    call_part("paused");
}

#[test]
fn calls_on_a_stopped_container() {
    call_part("stopped");
}

#[test]
fn an_unknown_command() {
    let rt = Runtime::new();
    let output = rt.call(["frobnicate"]).go().exits(3);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("No help topic for 'frobnicate'"), "{output}");
}

/// Creates a container with a state directory which a shell command prepared; nothing may be left but what it made.
fn in_a_root(prepare: &str, says: &[&str]) {
    let mut rt = Runtime::new();
    let root = rt.root();
    let prepare = prepare.replace("ROOT", root.to_str().unwrap());
    // The verdict on what is left is made inside the namespace, where the state directory is.
    let mut wrapper = view::in_mount_namespace(&prepare);
    wrapper[3] = wrapper[3].replace("exec \"$@\"", &format!("\"$@\"; code=$?; ls {}; exit $code", root.display()));
    rt.wrap(wrapper);
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    for verb in ["create", "run"] {
        let output = rt.call([verb, "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().exits(1);
        let output = output.says_one_of(says).one_line();
        assert!(output.stdout.is_empty() || output.stdout == "fill\n", "left in the root: {output}");
    }
}

#[test]
fn a_full_disk_for_the_state() {
    // All blocks taken; then all inodes.
    in_a_root(
        "mount -t tmpfs -o size=16k it-full ROOT && (cat /dev/zero > ROOT/fill || true) 2>/dev/null",
        &["no space left on device"],
    );
    in_a_root("mount -t tmpfs -o nr_inodes=2 it-full ROOT && touch ROOT/fill", &["no space left on device"]);
    in_a_root("mount -t tmpfs -o nr_inodes=3 it-full ROOT && touch ROOT/fill", &["no space left on device"]);
}

#[test]
fn an_unwritable_root() {
    in_a_root("mount -t tmpfs -o ro it-ro ROOT", &["read-only file system"]);
}

#[test]
fn a_root_that_is_no_directory() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let run = |root: &str| rt.bare().args(["--root", root, "run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    run("/etc/passwd").exits(1).says("not a directory").one_line();
    run("/proc/no/such").exits(1).says("/proc/no").one_line();
    run("/").exits(1).one_line();
}

#[test]
fn a_root_file_system_without_room_for_a_mount_point() {
    let mut rt = Runtime::new();
    let mut bundle = rt.bundle();
    let rootfs = bundle.rootfs();
    rt.wrap(view::in_mount_namespace(&format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0}",
        rootfs.display()
    )));
    bundle.mount("/not/there", "tmpfs", "tmpfs", &[]).args(&["true"]);
    rt.run(&bundle).exits(1).says("read-only file system").says("mounts[7]").one_line();
}

#[test]
fn a_working_directory_that_was_deleted() {
    let rt = Runtime::wrapped(
        ["sh", "-c", "cd $(mktemp -d) && rmdir \"$PWD\" && exec \"$@\"", "sh"].map(str::to_owned).to_vec(),
    );
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "ok"]);
    assert_eq!(rt.run(&bundle).ok(), "ok\n", "an absolute bundle needs no working directory");
    rt.call(["run", "--bundle", "relative", &rt.id("")]).go().exits(1).one_line();
    rt.call(["run", &rt.id("")]).go().exits(1).one_line();
}

#[test]
fn a_damaged_state_is_named() {
    for damage in ["", "{", "null", "[]", "{\"id\": 7}", "\u{0}\u{0}\u{0}\u{0}"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let container = rt.sleeper(&mut bundle);
        let pid = container.pid();
        let dir = rt.root().join(&container.id);
        let records: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        assert!(!records.is_empty(), "a record in {}", dir.display());
        for record in records.iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
            std::fs::write(record, damage).unwrap();
        }
        container.verb(&["state"]).exits(1).one_line();
        container.verb(&["start"]).exits(1).one_line();
        rt.call(["list", "--format", "json"]).go().exits(0);
        // Only a record tells what is the container's; without it the state may be given up or kept, but with a clear word.
        let deleted = container.verb(&["delete", "--force"]);
        if deleted.code != 0 {
            deleted.exits(1).says(dir.to_str().unwrap()).one_line();
            std::fs::remove_dir_all(&dir).unwrap();
        }
        assert!(!dir.exists(), "«{damage}»");
        integration::proc::kill(pid);
        integration::proc::ended(pid);
        integration::residue::sweep(rt.tag());
    }
}

#[test]
fn a_thousand_arguments_and_a_long_id() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let long = "x".repeat(5000);
    rt.call(["run", "--bundle"]).arg(bundle.dir()).arg(&long).go().exits(1).one_line();
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let mut args = vec!["echo"];
    args.extend(many.iter().map(String::as_str));
    bundle.args(&args);
    assert_eq!(rt.run(&bundle).ok().split_whitespace().count(), 1000);
}

/// The container's first process dies of its own limit: version 2 tells before it is born, version 1 by its end.
#[test]
fn a_limit_below_what_the_start_takes() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/resources/memory", integration::json!({"limit": 4096})).write();
    let create = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    create.exits(1).says("memory limit too low?").one_line();
    rt.assert_clean();
}

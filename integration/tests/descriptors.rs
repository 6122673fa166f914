//! Descriptors: a program sees its three streams, what it was promised, and nothing of the runtime or its caller.

use integration::{Runtime, binary, json};

/// A caller which holds descriptors 3 to 9 open across the call, as a careless engine does.
fn leaky() -> Vec<String> {
    ["sh", "-c", "exec 3</ 4</etc/passwd 5</proc 6</sys/fs/cgroup 7</dev/null 8</tmp 9</; exec \"$@\"", "sh"]
        .map(str::to_owned)
        .to_vec()
}

/// Lists the descriptors a program inherits.
const LIST: &str = "exec ls -l /proc/self/fd";

fn numbers(listing: &str) -> Vec<u32> {
    // `ls` has one more, that of the directory it reads, closed again when its link is asked for.
    listing.lines().filter(|line| line.contains(" -> ")).filter_map(number).collect()
}

fn number(line: &str) -> Option<u32> {
    line.split(" -> ").next()?.split_whitespace().last()?.parse().ok()
}

#[test]
fn init_has_three() {
    for wrapper in [Vec::new(), leaky()] {
        let rt = Runtime::wrapped(wrapper);
        let mut bundle = rt.bundle();
        let listing = rt.sh(&mut bundle, LIST).ok();
        assert_eq!(numbers(&listing), [0, 1, 2], "{listing}");
    }
}

#[test]
fn a_detached_init_has_three() {
    let rt = Runtime::wrapped(leaky());
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", container.pid())).unwrap();
    let mut names: Vec<_> = fds.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["0", "1", "2"]);
}

#[test]
fn exec_has_three() {
    let rt = Runtime::wrapped(leaky());
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let listing = container.sh(LIST).ok();
    assert_eq!(numbers(&listing), [0, 1, 2], "{listing}");
}

#[test]
fn a_created_container_that_waits_holds_nothing_of_the_host() {
    let rt = Runtime::wrapped(leaky());
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    for entry in std::fs::read_dir(format!("/proc/{}/fd", container.pid())).unwrap().flatten() {
        let target = std::fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned();
        assert!(!["/", "/etc/passwd", "/tmp", "/sys/fs/cgroup"].contains(&target.as_str()), "{entry:?} -> {target}");
    }
}

#[test]
fn preserved_descriptors() {
    let rt = Runtime::wrapped(leaky());
    let mut bundle = rt.bundle();
    bundle.script(LIST);
    let listing = rt.run_with(&bundle, &["--preserve-fds", "2"]).ok();
    assert_eq!(numbers(&listing), [0, 1, 2, 3, 4], "{listing}");
    bundle.script("head -n 1 <&4");
    assert!(rt.run_with(&bundle, &["--preserve-fds=2"]).ok().starts_with("root:"));
    let container = rt.sleeper(&mut bundle);
    let listing = container.exec_call(&["--preserve-fds", "3"], &["sh", "-c", LIST]).go().ok();
    assert_eq!(numbers(&listing).len(), 6, "{listing}");
}

#[test]
fn a_missing_preserved_descriptor_is_an_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    rt.run_with(&bundle, &["--preserve-fds", "25"]).exits(1).one_line();
    // Numbers that end beyond what a descriptor's number can be.
    for many in ["2147483644", "2147483645", "2147483647", "4294967293", "4294967295"] {
        let output = rt.run_with(&bundle, &["--preserve-fds", many]).exits(1);
        assert!(output.stderr.contains("preserved descriptor"), "{many}: {output}");
        rt.assert_clean();
    }
}

#[test]
fn listen_fds() {
    let mut wrapper = leaky();
    wrapper[2] = wrapper[2].replace("exec \"$@\"", "LISTEN_PID=$$ exec \"$@\"");
    let rt = Runtime::wrapped(wrapper);
    let mut bundle = rt.bundle();
    bundle.script("echo $LISTEN_FDS $LISTEN_PID; head -n 1 <&4");
    let seen = rt.run_call(&bundle, &[]).env("LISTEN_FDS", "2").go().ok();
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[0], "2 1");
    assert!(lines[1].starts_with("root:"), "{seen}");
    bundle.script(LIST);
    let both = rt.run_call(&bundle, &["--preserve-fds", "1"]).env("LISTEN_FDS", "2").go().ok();
    assert_eq!(numbers(&both), [0, 1, 2, 3, 4, 5], "{both}");
}

#[test]
fn closed_standard_streams_are_no_hole() {
    // A caller without standard streams must not make the runtime's own files the container's streams.
    let rt = Runtime::wrapped(["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script("ls -l /proc/1/fd > /said; echo end > /said");
    rt.run(&bundle);
    while let Some(line) = said.line_within(integration::PATIENCE) {
        if line == "end" {
            return;
        }
        assert!(!line.contains(rt.root().to_str().unwrap()) && !line.contains("cgroup"), "{line}");
    }
}

#[test]
fn the_hosts_program_is_not_to_be_seen() {
    // CVE-2019-5736: whatever of the runtime a container can see must not be the file the host runs.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let waiting = integration::proc::link(container.pid(), "exe");
    let host = std::fs::canonicalize(binary::path()).unwrap();
    assert_ne!(std::path::Path::new(&waiting), host, "the process that waits in the container");
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", container.pid())).unwrap();
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(&host).unwrap().ino();
    // A memfd has a number of another file system, which may be the same.
    let mut files = maps.lines().filter(|line| !line.contains(" /memfd:"));
    assert!(!files.any(|line| line.split_whitespace().nth(4) == Some(&inode.to_string())), "{maps}");
}

#[test]
fn a_program_that_is_proc_self_exe_cannot_write_the_runtime() {
    let rt = Runtime::new();
    let before = std::fs::read(binary::path()).unwrap();
    let mut bundle = rt.bundle();
    bundle.caps(&integration::config::MANY_CAPS).set("/process/noNewPrivileges", json!(false));
    bundle.args(&["/proc/self/exe"]);
    let output = rt.run(&bundle);
    assert_ne!(output.code, 0, "{output}");
    assert!(std::fs::read(binary::path()).unwrap() == before);
}

#[test]
fn a_container_that_attacks_each_exec_writes_nothing() {
    let rt = Runtime::new();
    let before = std::fs::read(binary::path()).unwrap();
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
    let said = bundle.fifo("/said");
    bundle.script(
        "echo up > /said; while true; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) ;; \
         *) (echo owned > $p/exe) 2>/dev/null && echo wrote $p > /said;; esac; done; done",
    );
    let container = rt.detach(&bundle);
    assert_eq!(said.line(), "up");
    for _ in 0..20 {
        container.exec(&["true"]);
    }
    container.stop();
    assert_eq!(said.line_within(0), None);
    assert!(std::fs::read(binary::path()).unwrap() == before);
}

#[test]
fn a_created_container_has_closed_all_directories_when_create_returns() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
    bundle.args(&["sleep", "1000"]);
    // The process that waits and the runtime's return are not in step: many looks, each at once.
    for n in 0..30 {
        let container = rt.make(&bundle, &n.to_string(), &["create"]);
        for entry in std::fs::read_dir(format!("/proc/{}/fd", container.pid())).unwrap().flatten() {
            let kind = std::fs::metadata(entry.path());
            let target = || std::fs::read_link(entry.path());
            assert!(!kind.is_ok_and(|meta| meta.is_dir()), "{:?} -> {:?}", entry.path(), target());
        }
        container.verb(&["delete", "--force"]).ok();
    }
}

#[test]
fn the_runtime_leaks_nothing_to_hooks() {
    let rt = Runtime::wrapped(leaky());
    let mut bundle = rt.bundle();
    let file = rt.path("hook-fds");
    bundle.hook("createRuntime", &format!("ls /proc/self/fd > {}", file.display())).args(&["true"]);
    rt.run(&bundle).ok();
    let seen = std::fs::read_to_string(&file).unwrap();
    assert_eq!(seen, "0\n1\n2\n3\n", "three, and the directory ls reads");
}

//! Attacks from a container on the part of the runtime that it can see: hull-init, while it still is in there.

use integration::seccomp_agent::{Agent, answer, notified};
use integration::{Bundle, Runtime, json, proc};
use std::fs;

/// Starts the container of [`Agent::before_the_program`], which lets its first process go on.
fn start_past(agent: &Agent, rt: &Runtime, bundle: &Bundle) {
    bundle.write();
    let starting = rt.call(["run", "--detach", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).spawn();
    agent.let_one_pass();
    starting.wait().ok();
}

#[test]
fn cve_2016_9962_an_exec_seen_from_the_container_holds_nothing_of_the_host() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // The right to trace is all that an attacker can have: without it the kernel shows nothing of hull-init at all.
    bundle.caps(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_KILL"]);
    bundle.set("/process/oomScoreAdj", json!(100));
    let agent = Agent::before_the_program(&rt, &mut bundle);
    let (go, said) = (bundle.fifo("/go"), bundle.fifo("/said"));
    bundle.script(
        "read x < /go; for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; for f in $p/fd/* $p/cwd $p/root; do \
         [ -e $f/1/status -o -e $f/rootfs -o -e $f/state.json -o -e $f/work ] && echo $f: $(readlink $f) > /said; done; \
         (echo owned > $p/exe) 2>/dev/null && echo wrote $p/exe > /said; ls $p/fd > /dev/null && echo saw > /said; done; \
         echo end > /said; sleep 1000",
    );
    start_past(&agent, &rt, &bundle);
    let container = rt.container();
    let exec = container.exec_call(&[], &["true"]).spawn();
    let (_, listeners) = agent.hear();
    let held = notified(&listeners[0]);
    let init = i32::try_from(held.pid).unwrap();
    assert!(proc::link(init, "exe").contains("hull-init"), "{}", proc::link(init, "exe"));
    for entry in fs::read_dir(format!("/proc/{init}/fd")).unwrap().flatten() {
        let kind = fs::metadata(entry.path());
        assert!(!kind.is_ok_and(|kind| kind.is_dir()), "a directory: {:?}", fs::read_link(entry.path()));
    }
    go.send("go");
    let mut heard = Vec::new();
    while heard.last().is_none_or(|line| line != "end") {
        heard.push(said.line());
    }
    answer(&listeners[0], &held, Ok(0));
    exec.wait().ok();
    assert_eq!(heard, ["saw", "end"], "the attack ran, and found nothing");
}

#[test]
fn cve_2016_9962_without_the_right_to_trace_an_exec_is_closed() {
    let rt = Runtime::new();
    for in_user_namespace in [false, true] {
        let mut bundle = rt.bundle();
        bundle.caps(&["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]);
        if in_user_namespace {
            // There root has the right, over what the namespace owns: hull-init's memory is not among it.
            bundle.userns(700_000, 65536);
            bundle.caps(&["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]);
        }
        let agent = Agent::before_the_program(&rt, &mut bundle);
        let (go, said) = (bundle.fifo("/go"), bundle.fifo("/said"));
        bundle.script(
            "read x < /go; for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; n=$(for f in $p/fd/* $p/cwd $p/root; do readlink $f; done | wc -l); \
             m=$(head -c 1 $p/environ 2>/dev/null | wc -c); e=$(readlink $p/exe); echo \"$n $m $e\" > /said; done; \
             echo end > /said; sleep 1000",
        );
        start_past(&agent, &rt, &bundle);
        let exec = rt.container().exec_call(&[], &["true"]).spawn();
        let (_, listeners) = agent.hear();
        let held = notified(&listeners[0]);
        go.send("go");
        assert_eq!(said.line(), "0 0 ", "user namespace: {in_user_namespace}");
        answer(&listeners[0], &held, Ok(0));
        exec.wait().ok();
        rt.assert_clean();
        fs::remove_dir_all(bundle.dir()).unwrap();
        fs::remove_file(rt.path("agent")).unwrap();
    }
}

#[test]
fn cve_2019_5736_the_program_in_sight_cannot_be_written() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    // Not even by root of the host: there is no file behind it.
    let exe = format!("/proc/{}/exe", container.pid());
    let before = fs::read(&exe).unwrap();
    for options in [fs::OpenOptions::new().write(true), fs::OpenOptions::new().append(true)] {
        options.open(&exe).expect_err("hull-init can be written to");
    }
    assert!(fs::OpenOptions::new().write(true).truncate(true).open(&exe).is_err());
    assert!(fs::read(&exe).unwrap() == before);
    drop(container);
    rt.assert_clean();
    // As an interpreter it gets no plan: it ends, and nothing of the host has run.
    bundle.program("/entry", "#!/proc/self/exe\n");
    bundle.args(&["/entry"]);
    let output = rt.run(&bundle);
    assert_ne!(output.code, 0, "{output}");
}

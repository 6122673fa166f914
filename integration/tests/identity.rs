//! Who the program is: user, groups, umask, capabilities, no_new_privs, rlimits, oom score, keyring.

use integration::{Bundle, Runtime, json};

/// A line of /proc/self/status inside, without its key.
fn status(rt: &Runtime, bundle: &mut Bundle, key: &str) -> String {
    bundle.args(&["cat", "/proc/self/status"]);
    let text = rt.run(bundle).ok();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in {text}"));
    line.split_once(':').unwrap().1.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn user_and_groups() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [7, 8, 70000]}));
    assert_eq!(status(&rt, &mut bundle, "Uid"), "1000 1000 1000 1000");
    assert_eq!(status(&rt, &mut bundle, "Gid"), "1001 1001 1001 1001");
    assert_eq!(status(&rt, &mut bundle, "Groups"), "7 8 70000");
}

#[test]
fn the_callers_groups_are_dropped() {
    let rt = Runtime::wrapped(["setpriv", "--groups=4242,4343"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    assert_eq!(status(&rt, &mut bundle, "Groups"), "");
    bundle.set("/process/user/uid", json!(1000));
    assert_eq!(status(&rt, &mut bundle, "Groups"), "");
}

#[test]
fn standard_streams_can_be_reopened_by_the_user() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let output = rt.sh(&mut bundle, "echo out > /dev/stdout && echo err > /dev/stderr").exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn umask() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/user/umask", json!(0o027));
    assert_eq!(status(&rt, &mut bundle, "Umask"), "0027");
    bundle.set("/process/user/umask", json!(0));
    assert_eq!(status(&rt, &mut bundle, "Umask"), "0000");
    bundle.set("/process/user/umask", json!(0o777));
    assert_eq!(status(&rt, &mut bundle, "Umask"), "0777");
}

#[test]
fn an_umask_that_is_not_given_is_the_callers() {
    let rt = Runtime::wrapped(["sh", "-c", "umask 0035; exec \"$@\"", "sh"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    assert_eq!(status(&rt, &mut bundle, "Umask"), "0035");
}

#[test]
fn five_sets_of_capabilities() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
            "inheritable": ["CAP_KILL", "CAP_NET_RAW"],
            "ambient": ["CAP_KILL"]
        }),
    );
    // A user other than root: what they have after exec is the ambient set.
    bundle.set("/process/user/uid", json!(1000));
    for (set, mask) in
        [("CapBnd", 0x20_2021_u64), ("CapInh", 0x2020), ("CapAmb", 0x20), ("CapPrm", 0x20), ("CapEff", 0x20)]
    {
        assert_eq!(status(&rt, &mut bundle, set), format!("{mask:016x}"), "{set} of a user");
    }
    // Root has after exec what is inheritable or in the bounding set.
    bundle.set("/process/user/uid", json!(0));
    for (set, mask) in [("CapBnd", 0x20_2021_u64), ("CapInh", 0x2020), ("CapAmb", 0x20)] {
        assert_eq!(status(&rt, &mut bundle, set), format!("{mask:016x}"), "{set} of root");
    }
}

#[test]
fn no_capability_at_all() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for value in
        [json!({}), json!({"bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": []})]
    {
        bundle.set("/process/capabilities", value);
        for set in ["CapBnd", "CapInh", "CapAmb", "CapPrm", "CapEff"] {
            assert_eq!(status(&rt, &mut bundle, set), "0000000000000000", "{set}");
        }
    }
    bundle.unset("/process/capabilities");
    assert_eq!(status(&rt, &mut bundle, "CapEff"), "0000000000000000", "none are granted that are not named");
}

#[test]
fn a_user_loses_capabilities_that_are_not_ambient() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_CHOWN", "CAP_KILL"]).set("/process/user/uid", json!(1000));
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(&rt, &mut bundle, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(&rt, &mut bundle, "CapBnd"), "0000000000000021");
}

#[test]
fn an_unknown_capability_is_no_error() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_KILL", "CAP_FROM_THE_FUTURE"]);
    bundle.args(&["cat", "/proc/self/status"]);
    let output = rt.run(&bundle).exits(0);
    assert!(output.stdout.contains("CapEff:\t0000000000000020"), "{output}");
    assert!(output.stderr.contains("CAP_FROM_THE_FUTURE"), "a warning names it: {output}");
}

#[test]
fn a_capability_the_runtime_has_not_is_no_error() {
    let rt =
        Runtime::wrapped(["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_KILL", "CAP_NET_RAW"]).args(&["cat", "/proc/self/status"]);
    let output = rt.run(&bundle).exits(0);
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert!(output.stdout.contains(&format!("{set}:\t0000000000000020")), "{set}: {output}");
    }
    assert!(output.stderr.contains("level=warning") && output.stderr.contains("CAP_NET_RAW"), "{output}");
}

#[test]
fn no_new_privileges() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    assert_eq!(status(&rt, &mut bundle, "NoNewPrivs"), "1");
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(status(&rt, &mut bundle, "NoNewPrivs"), "0");
    bundle.unset("/process/noNewPrivileges");
    assert_eq!(status(&rt, &mut bundle, "NoNewPrivs"), "0");
}

#[test]
fn rlimits() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/rlimits", json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_CPU", "soft": 1000, "hard": 2000}, {"type": "RLIMIT_FSIZE", "soft": 1048576, "hard": 2097152},
        {"type": "RLIMIT_STACK", "soft": 4194304, "hard": 8388608}, {"type": "RLIMIT_MEMLOCK", "soft": 4096, "hard": 8192},
        {"type": "RLIMIT_MSGQUEUE", "soft": 1000, "hard": 2000}, {"type": "RLIMIT_SIGPENDING", "soft": 10, "hard": 20}
    ]));
    let text = rt.sh(&mut bundle, "cat /proc/self/limits").ok();
    for (name, soft, hard) in [
        ("Max open files", "100", "200"),
        ("Max core file size", "0", "0"),
        ("Max cpu time", "1000", "2000"),
        ("Max file size", "1048576", "2097152"),
        ("Max stack size", "4194304", "8388608"),
        ("Max locked memory", "4096", "8192"),
        ("Max msgqueue size", "1000", "2000"),
        ("Max pending signals", "10", "20"),
    ] {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<_> = line[name.len()..].split_whitespace().collect();
        assert_eq!(words[..2], [soft, hard], "{line}");
    }
}

#[test]
fn every_rlimit() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // None above its usual hard limit, which a caller without CAP_SYS_RESOURCE could not raise.
    let all = [
        ("CPU", 1001, "Max cpu time"),
        ("FSIZE", 1_000_002, "Max file size"),
        ("DATA", 100_000_003, "Max data size"),
        ("STACK", 10_000_004, "Max stack size"),
        ("CORE", 1005, "Max core file size"),
        ("RSS", 1006, "Max resident set"),
        ("NPROC", 30_007, "Max processes"),
        ("NOFILE", 108, "Max open files"),
        ("MEMLOCK", 1009, "Max locked memory"),
        ("AS", 200_000_010, "Max address space"),
        ("LOCKS", 1011, "Max file locks"),
        ("SIGPENDING", 1012, "Max pending signals"),
        ("MSGQUEUE", 1013, "Max msgqueue size"),
        ("NICE", 0, "Max nice priority"),
        ("RTPRIO", 0, "Max realtime priority"),
        ("RTTIME", 1016, "Max realtime timeout"),
    ];
    let hard = |soft: u64| soft + u64::from(soft != 0);
    let limit = |(name, soft, _): &(&str, u64, &str)| json!({"type": format!("RLIMIT_{name}"), "soft": soft, "hard": hard(*soft)});
    bundle.set("/process/rlimits", json!(all.iter().map(limit).collect::<Vec<_>>()));
    let text = rt.sh(&mut bundle, "cat /proc/self/limits").ok();
    for (_, soft, name) in all {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<_> = line[name.len()..].split_whitespace().collect();
        assert_eq!(words[..2], [soft.to_string(), hard(soft).to_string()], "{line}");
    }
}

#[test]
fn rlimits_hold_for_the_first_process_too() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}]));
    let container = rt.sleeper(&mut bundle);
    let limits = integration::proc::read(container.pid(), "limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["55", "66"]);
}

#[test]
fn oom_score() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/oomScoreAdj", json!(789));
    assert_eq!(rt.sh(&mut bundle, "cat /proc/self/oom_score_adj").word(), "789");
    bundle.set("/process/oomScoreAdj", json!(0));
    assert_eq!(rt.sh(&mut bundle, "cat /proc/self/oom_score_adj").word(), "0");
    bundle.unset("/process/oomScoreAdj");
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(rt.sh(&mut bundle, "cat /proc/self/oom_score_adj").ok(), own, "unset does not change it");
}

#[test]
fn a_session_keyring_of_its_own() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/maskedPaths", json!([]));
    bundle.script("grep keyring /proc/keys");
    let seen = rt.run(&bundle);
    assert!(seen.stdout.contains(&format!("_ses.{}", rt.tag())), "{seen}");
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/linux/maskedPaths", json!([])).script("grep keyring /proc/keys; true");
    let seen = rt.run_with(&bundle, &["--no-new-keyring"]);
    assert!(!seen.stdout.contains(rt.tag()), "{seen}");
}

#[test]
fn the_program_leads_its_session() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    // pid, pgrp and session of /proc/self/stat of the shell
    assert_eq!(rt.sh(&mut bundle, "cut -d' ' -f1,5,6 /proc/1/stat").word(), "1 1 1");
}

#[test]
fn signals_are_as_new() {
    let rt = Runtime::wrapped(["sh", "-c", "trap '' HUP INT QUIT PIPE; exec \"$@\"", "sh"].map(str::to_owned).to_vec());
    let mut bundle = rt.bundle();
    assert_eq!(status(&rt, &mut bundle, "SigBlk"), "0000000000000000", "nothing is blocked");
    // Signals 32 and up may be ignored by whoever started the tests; the four above are not.
    let ignored = u64::from_str_radix(&status(&rt, &mut bundle, "SigIgn"), 16).unwrap();
    assert_eq!(ignored & 0x7fff_ffff, 0, "nothing is ignored: {ignored:x}");
}

#[test]
fn an_ambient_capability_that_cannot_be_raised_is_a_warning() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.caps(&["CAP_CHOWN"]).set("/process/capabilities/ambient", json!(["CAP_CHOWN"])).args(&["true"]);
    rt.run(&bundle).exits(0).says("can't raise ambient capability CAP_CHOWN");
}

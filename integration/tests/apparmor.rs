//! AppArmor profiles of the program and of exec, on a machine whose kernel has AppArmor (that of integration/machine).

use integration::apparmor::Profiles;
use integration::{Bundle, Call, Refusal, Runtime, json, proc};

/// Which profile it is, by the kernel's new files and by the old, and which of two files it denies.
const LOOK: &str = "cat /proc/self/attr/apparmor/current /proc/self/attr/current; \
    for f in group passwd; do cat /etc/$f >/dev/null 2>&1 && echo $f || echo no $f; done";

/// lsm_set_self_attr(2).
const SET_SELF_ATTR: Refusal = Refusal { call: 460, fourth: None, errno: libc::ENOSYS };

fn seen(profile: &str, files: &str) -> String {
    format!("{profile} (enforce)\n{profile} (enforce)\n{files}\n")
}

fn bundle(rt: &Runtime, profile: &str) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/process/apparmorProfile", json!(profile));
    bundle
}

/// The profile under which this test runs, as hull does that it calls.
fn own_profile() -> String {
    std::fs::read_to_string("/proc/self/attr/apparmor/current").unwrap()
}

/// A call as on the newest kernel, as on one without lsm_set_self_attr(2), and as under an old filter that refuses what it does not know.
fn both_ways(call: impl Fn() -> Call) -> [Call; 3] {
    [call(), call().refusing(SET_SELF_ATTR), call().refusing(Refusal { errno: libc::EPERM, ..SET_SELF_ATTR })]
}

#[test]
fn a_profile_confines_the_program_and_what_it_denies_is_denied() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, &profiles.first);
    bundle.script(LOOK);
    let assert_seen = |bundle: &Bundle, what: &str| {
        for call in both_ways(|| rt.run_call(bundle, &[])) {
            assert_eq!(call.go().ok(), seen(&profiles.first, "no group\npasswd"), "{what}");
        }
    };
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        assert_seen(&bundle, "noNewPrivileges");
        // The filter is for the program: what labels it is not among what the program may do.
        let syscalls = json!([{"names": ["lsm_set_self_attr", "openat2", "prctl"], "action": "SCMP_ACT_ERRNO"}]);
        bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls}));
        assert_seen(&bundle, "a filter");
        bundle.unset("/linux/seccomp");
    }
    bundle.userns(700_000, 65536);
    assert_seen(&bundle, "in a user namespace");
}

#[test]
fn the_system_call_is_made_where_it_can_be_and_its_refusal_is_final() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, &profiles.first);
    bundle.script("echo ran");
    let plan = |call: Call| call.go().ok();
    let explain = || rt.call(["explain"]).arg(bundle.dir());
    bundle.write();
    let [new, old, filtered] = both_ways(explain).map(plan);
    assert!(new.contains("lsm_set_self_attr") && !new.contains("attr/apparmor"), "{new}");
    assert!(!old.contains("lsm_set_self_attr") && old.contains("/proc/self/attr/apparmor/exec"), "{old}");
    assert_eq!(old, filtered);
    // The probe has another fourth argument than the call: the file is no second way for what was refused.
    let refused = Refusal { fourth: Some(0), errno: libc::EACCES, ..SET_SELF_ATTR };
    let output = rt.run_call(&bundle, &[]).refusing(refused).go().exits(1).one_line();
    let output = output.says("process.apparmorProfile").says("lsm_set_self_attr").says("permission denied");
    assert_eq!(output.stdout, "");
    bundle.unset("/process/apparmorProfile");
    let container = rt.sleeper(&mut bundle);
    let exec = container.exec_call(&["--apparmor", &profiles.first], &["echo", "ran"]).refusing(refused).go();
    assert_eq!(exec.exits(255).says("lsm_set_self_attr").stdout, "");
}

#[test]
fn create_confines_at_start_and_not_what_waits_for_it() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, &profiles.first);
    let said = bundle.fifo("/said");
    bundle.script("cat /proc/self/attr/apparmor/current > /said; exec sleep 1000");
    let container = rt.create(&bundle);
    let waits = container.pid();
    assert_eq!(proc::read(waits, "attr/apparmor/current"), own_profile());
    container.start();
    assert_eq!(said.line(), format!("{} (enforce)", profiles.first));
    assert_eq!(proc::read(waits, "attr/apparmor/current"), format!("{} (enforce)\n", profiles.first));
}

#[test]
fn exec_has_the_containers_profile_or_its_own() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    for user_namespace in [false, true] {
        let mut bundle = bundle(&rt, &profiles.first);
        if user_namespace {
            bundle.userns(700_000, 65536);
        }
        let container = rt.sleeper(&mut bundle);
        let [first, second] = [seen(&profiles.first, "no group\npasswd"), seen(&profiles.second, "group\nno passwd")];
        let none = "unconfined\nunconfined\ngroup\npasswd\n".to_owned();
        let look = ["sh", "-c", LOOK];
        for (flags, wanted) in [
            (vec![], &first),
            (vec!["--apparmor", ""], &first),
            (vec!["--apparmor", &profiles.second], &second),
            (vec!["--apparmor", "unconfined"], &none),
        ] {
            for call in both_ways(|| container.exec_call(&flags, &look)) {
                assert_eq!(call.go().ok(), *wanted, "{flags:?}");
            }
        }
        // A file that says nothing of profiles opens nothing.
        for (own, wanted) in [
            (json!(null), &first),
            (json!(""), &first),
            (json!(profiles.second), &second),
            (json!("unconfined"), &none),
        ] {
            let process =
                json!({"cwd": "/", "args": ["/bin/sh", "-c", LOOK], "env": ["PATH=/bin"], "apparmorProfile": own});
            let file = rt.fresh("process");
            std::fs::write(&file, process.to_string()).unwrap();
            for call in both_ways(|| rt.call(["exec", "--process"]).arg(&file).arg(&container.id)) {
                assert_eq!(call.go().ok(), *wanted, "{own}");
            }
        }
        container.verb(&["delete", "--force"]).ok();
        std::fs::remove_dir_all(bundle.dir()).unwrap();
    }
}

#[test]
fn a_profile_that_is_not_loaded_is_an_error() {
    let rt = Runtime::new();
    let Some(_profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, "hulltest-unknown");
    bundle.script("echo ran");
    bundle.write();
    let says = |output: integration::Output, code| {
        let output = output.exits(code).says("hulltest-unknown").says("process.apparmorProfile").says("not loaded");
        assert_eq!(output.one_line().stdout, "");
    };
    for call in both_ways(|| rt.run_call(&bundle, &[])) {
        says(call.go(), 1);
    }
    for call in both_ways(|| rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id(""))) {
        says(call.go(), 1);
        // Nor is there a container; the end of the test looks for the rest.
        rt.call(["state", rt.tag()]).go().exits(1).says("does not exist");
    }
    bundle.unset("/process/apparmorProfile");
    let container = rt.sleeper(&mut bundle);
    for call in both_ways(|| container.exec_call(&["--apparmor", "hulltest-unknown"], &["echo", "ran"])) {
        says(call.go(), 255);
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn without_a_profile_the_container_has_its_callers() {
    let rt = Runtime::new();
    let Some(_profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, "");
    assert_eq!(rt.sh(&mut bundle, "cat /proc/self/attr/apparmor/current").ok(), own_profile());
    bundle.set("/process/apparmorProfile", json!("unconfined"));
    assert_eq!(rt.sh(&mut bundle, "cat /proc/self/attr/apparmor/current").word(), "unconfined");
}

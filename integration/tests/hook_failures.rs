//! Hooks that fail, take too long or are not there: what becomes of the container (runtime.md#lifecycle).

use integration::{Output, Runtime, Value, json};
use std::fs;

/// The states that poststop hooks have read, from the file they append to.
fn poststops(rt: &Runtime) -> Vec<Value> {
    let text = fs::read_to_string(rt.path("poststop")).unwrap_or_default();
    serde_json::Deserializer::from_str(&text).into_iter().map(|state| state.unwrap()).collect()
}

/// The container is destroyed, and the poststop hook has run once.
#[track_caller]
fn is_over(rt: &Runtime, failed: &Output) {
    rt.container().verb(&["state"]).exits(1).says("container does not exist");
    assert!(!rt.root().join(rt.tag()).exists());
    assert_eq!(integration::residue::processes(rt.tag()), [0; 0], "{failed}");
    assert_eq!(integration::residue::cgroups(rt.tag()), [""; 0].map(std::path::PathBuf::from), "{failed}");
    let states = poststops(rt);
    assert_eq!(states.len(), 1, "{failed}");
    assert_eq!((&states[0]["status"], &states[0]["id"]), (&json!("stopped"), &json!(rt.tag())));
}

#[test]
fn a_failing_hook_fails_the_creation() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.hook(kind, "echo broken hook >&2; exit 3").args(&["true"]);
        bundle.write();
        let output = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().exits(1);
        assert!(output.stderr.contains("hook"), "{kind}: {output}");
        assert!(output.stderr.contains('3') || output.stderr.contains("broken hook"), "{kind}: {output}");
        rt.container().verb(&["state"]).exits(1).says("container does not exist");
    }
}

#[test]
fn the_hooks_after_a_failing_one_do_not_run() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("ran");
    bundle.hook("createRuntime", "exit 1").hook("createRuntime", &format!("touch {}", file.display()));
    bundle.hook("createContainer", &format!("touch {}", file.display())).args(&["true"]);
    rt.run(&bundle).exits(1);
    assert!(!file.exists());
}

#[test]
fn a_hook_of_any_kind_that_takes_too_long_is_ended_and_has_failed() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let slow = json!({"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1});
        bundle.push(&format!("/hooks/{kind}"), slow).args(&["true"]);
        let begin = std::time::Instant::now();
        let output = rt.run(&bundle).exits(if kind == "poststop" { 0 } else { 1 });
        assert!(output.mentions(&format!("error running {kind} hook #0: ")), "{output}");
        assert!(output.mentions("ran longer than its timeout"), "{output}");
        let seconds = begin.elapsed().as_secs();
        assert!((1..1000).contains(&seconds), "{kind}: {seconds}");
    }
}

#[test]
fn a_hook_in_time_is_not_ended() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .push("/hooks/createRuntime", json!({"path": "/bin/true", "args": ["true"], "timeout": 30}))
        .args(&["echo", "ok"]);
    assert_eq!(rt.run(&bundle).ok(), "ok\n");
}

#[test]
fn a_missing_hook_is_named() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.push("/hooks/createRuntime", json!({"path": "/no/such/hook"})).args(&["true"]);
    rt.run(&bundle).exits(1).says("/no/such/hook").one_line();
}

#[test]
fn a_timeout_that_no_clock_reaches() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        bundle.set(&format!("/hooks/{kind}"), json!([{"path": "/bin/true", "timeout": i64::MAX}]));
    }
    assert_eq!(rt.sh(&mut bundle, "echo ran").ok(), "ran\n");
}

#[test]
fn a_failing_hook_of_create_destroys_the_container_and_goes_on_with_poststop() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let program = rt.path("ran");
        bundle.hook(kind, "true").hook(kind, "exit 3");
        bundle.hook("poststop", &format!("cat >> {}", rt.path("poststop").display()));
        bundle.bind(&rt.path(""), "/host", &[]).script("touch /host/ran").write();
        let output = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().exits(1);
        let output =
            output.says(&format!("error running {kind} hook #1: ")).says(&format!("hooks.{kind}[1]")).one_line();
        is_over(&rt, &output);
        assert!(!program.exists());
    }
}

#[test]
fn a_failing_start_container_hook_destroys_the_container_and_goes_on_with_poststop() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let program = bundle.fifo("/ran");
    bundle.hook("startContainer", "true").hook("startContainer", "exit 5").script("echo ran > /ran");
    bundle.hook("poststart", &format!("touch {}", rt.path("poststart").display()));
    bundle.hook("poststop", &format!("cat >> {}", rt.path("poststop").display()));
    let container = rt.create(&bundle);
    let output = container.verb(&["start"]).exits(1);
    let output = output
        .says("error running startContainer hook #1: \"/bin/sh\": exit status 5")
        .says("hooks.startContainer[1]")
        .one_line();
    is_over(&rt, &output);
    assert_eq!(program.line_within(0), None, "the program never ran");
    assert!(!rt.path("poststart").exists());
    // The same in one go.
    fs::remove_file(rt.path("poststop")).unwrap();
    let output = rt.run(&bundle).exits(1).says("error running startContainer hook #1: ").one_line();
    is_over(&rt, &output);
    assert_eq!(program.line_within(0), None);
}

#[test]
fn a_failing_poststart_hook_stops_and_destroys_the_container_and_goes_on_with_poststop() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.hook("poststart", "exit 5").hook("poststart", &format!("touch {}", rt.path("second").display()));
    bundle.hook("poststop", &format!("cat >> {}", rt.path("poststop").display())).args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let pid = container.pid();
    let output = container.verb(&["start"]).exits(1).says("error running poststart hook #0: ").one_line();
    assert!(!integration::proc::alive(pid));
    is_over(&rt, &output);
    assert!(!rt.path("second").exists(), "the hooks after it do not run");
    for flags in [&[][..], &["--detach"]] {
        fs::remove_file(rt.path("poststop")).unwrap();
        let output = rt.run_with(&bundle, flags).exits(1).says("error running poststart hook #0: ").one_line();
        is_over(&rt, &output);
    }
}

#[test]
fn a_failing_poststop_hook_is_a_warning_and_the_rest_goes_on() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("second");
    bundle.hook("poststop", "exit 5").hook("poststop", &format!("touch {}", file.display())).args(&["sleep", "1000"]);
    let container = rt.detach(&bundle);
    let output = container.stop().verb(&["delete"]).exits(0).one_line();
    assert!(output.mentions("level=warning") && output.mentions("error running poststop hook #0: "), "{output}");
    assert!(file.exists(), "the hooks after it run");
    container.verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn a_poststop_hook_that_fails_after_another_hook_is_told_beside_it() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle
        .hook("createRuntime", "exit 3")
        .hook("poststop", "exit 4")
        .hook("poststop", &format!("touch {}", rt.path("second").display()));
    bundle.args(&["true"]);
    let output = rt.run(&bundle).exits(1).says("error running createRuntime hook #0: ").one_line();
    assert!(output.mentions("error running poststop hook #0: "), "{output}");
    assert!(rt.path("second").exists());
}

#[test]
fn an_environment_that_cannot_be_made_is_an_error_and_leaves_nothing() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/m", "no-such-filesystem", "none", &[]).args(&["true"]).write();
    rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().exits(1).says("mounts[7]").one_line();
    rt.container().verb(&["state"]).exits(1).says("container does not exist");
    rt.assert_clean();
}

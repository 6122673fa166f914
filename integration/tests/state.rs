//! What `state` says of a container in each status (runtime.md#state).

use integration::{Runtime, Value, json};

#[test]
fn state_has_every_key() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"org.example.key": "value", "empty": ""}));
    let container = rt.sleeper(&mut bundle);
    let text = container.verb(&["state"]).ok();
    assert!(text.starts_with("{\n  \"ociVersion\""), "indented by two: {text}");
    let state = container.state();
    assert_eq!(state["id"], container.id);
    assert_eq!(state["status"], "running");
    assert_eq!(state["bundle"], bundle.dir().to_str().unwrap());
    assert_eq!(state["rootfs"], bundle.rootfs().to_str().unwrap());
    assert_eq!(state["annotations"]["org.example.key"], "value");
    assert_eq!(state["annotations"]["empty"], "");
    assert_eq!(state["owner"], "");
    assert_eq!(state["ociVersion"], rt.call(["features"]).go().json()["ociVersionMax"], "the state's own version");
    let created = state["created"].as_str().unwrap();
    assert!(created.starts_with("20") && created.ends_with('Z') && created.contains('T'), "{created}");
    container.stop();
    let state = container.state();
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &json!(0)));
}

#[test]
fn state_of_nothing() {
    let rt = Runtime::new();
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps"] {
        rt.call([verb, "nobody"]).go().exits(1).says("container does not exist").one_line();
    }
    rt.call(["exec", "nobody", "true"]).go().exits(255).says("container does not exist").one_line();
}

#[test]
fn each_status_by_its_word_and_with_its_pid() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let init = container.pid();
    let shows = |status: &str, pid: i32| {
        let state = container.state();
        assert_eq!((&state["status"], &state["pid"]), (&json!(status), &json!(pid)));
        assert_eq!(state["id"], rt.tag());
    };
    shows("created", init);
    container.start();
    shows("running", init);
    container.verb(&["pause"]).ok();
    shows("paused", init);
    container.verb(&["resume"]).ok();
    shows("running", init);
    container.stop();
    shows("stopped", 0);
}

#[test]
fn a_program_that_ends_by_itself_is_stopped() {
    for script in ["exit 0", "exit 3", "kill -SEGV $$"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        bundle.namespace("pid", integration::bundle::Join::None).script(script);
        let container = rt.create(&bundle);
        let init = container.pid();
        container.start();
        assert!(integration::proc::ended(init));
        assert_eq!(container.status(), "stopped", "{script}");
    }
}

/// A hook of `create` looks at its own container: it is being made, and nobody waits for anybody.
#[test]
fn creating_is_seen_by_a_hook() {
    for (kind, verb) in [("prestart", "create"), ("createRuntime", "create"), ("createRuntime", "run")] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let file = rt.path("seen");
        let hull = integration::binary::path();
        let state = format!("{} --root {} state {}", hull.display(), rt.root().display(), rt.tag());
        bundle.set("/annotations", json!({"key": "value"})).args(&["true"]);
        bundle.hook(kind, &format!("{state} > {}", file.display()));
        rt.make(&bundle, "", &[verb]);
        let seen: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(seen["status"], "creating", "{kind} of {verb}");
        assert_eq!(seen["id"], rt.tag());
        assert_eq!(seen["bundle"], bundle.dir().to_str().unwrap());
        assert_eq!(seen["annotations"]["key"], "value");
        assert!(seen["ociVersion"].is_string());
    }
}

#[test]
fn nothing_but_state_may_be_asked_of_a_container_being_made() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let hull = format!("{} --root {}", integration::binary::path().display(), rt.root().display());
    let id = rt.tag();
    bundle.hook(
        "createRuntime",
        &format!("{hull} kill {id} KILL; {hull} start {id}; {hull} delete {id}; {hull} exec {id} true; true"),
    );
    bundle.args(&["sleep", "1000"]);
    let output = rt.run_call(&bundle, &["--detach"]).go().exits(0);
    assert!(output.mentions("container not running"), "{output}");
    assert!(output.mentions(&format!("cannot delete container {id} that is not stopped: creating")), "{output}");
    assert!(output.mentions("cannot start a container that is being created"), "{output}");
    assert_eq!(rt.container().status(), "running");
}

#[test]
fn the_bundle_is_absolute_whatever_was_given() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).write();
    rt.call(["run", "-d", "-b", "./bundle/../bundle", &rt.id("")]).cwd(rt.dir()).go().ok();
    assert_eq!(rt.container().state()["bundle"], bundle.dir().to_str().unwrap());
}

#[test]
fn no_annotations_no_key() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    assert!(rt.sleeper(&mut bundle).state().get("annotations").is_none());
}

#[test]
fn the_creator_may_use_every_operation_from_another_process() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    container.start();
    let pid = container.pid();
    container.kill("KILL");
    assert!(integration::proc::ended(pid));
    container.verb(&["delete"]).ok();
}

//! explain and validate: the plan in words and every fault at once, without privileges and without running anything.

use integration::user::USER;
use integration::{Runtime, json, residue, view};

fn unprivileged() -> Runtime {
    Runtime::wrapped(view::as_user(USER))
}

#[test]
fn explain_tells_each_step_with_its_field() {
    let rt = unprivileged();
    let mut bundle = rt.bundle();
    bundle.set("/process/oomScoreAdj", json!(100)).set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    bundle.mount("/extra", "tmpfs", "tmpfs", &["size=1m"]).hook("createRuntime", "touch /tmp/never").write();
    let text = rt.call(["explain"]).arg(bundle.dir()).go().ok();
    for field in [
        "mounts[0]",
        "mounts[7]",
        "root.path",
        "hostname",
        "linux.maskedPaths",
        "linux.readonlyPaths",
        "process.capabilities",
        "process.args",
        "linux.sysctl",
        "process.rlimits",
        "hooks.createRuntime",
    ] {
        assert!(text.contains(field), "{field} in {text}");
    }
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word} in {text}"));
    assert!(at("mounts[0]") < at("mounts[7]"), "mounts in their order");
    assert!(at("mounts[7]") < at("linux.maskedPaths"), "masks after mounts");
    assert!(at("linux.maskedPaths") < at("process.capabilities"), "capabilities go last");
    assert!(residue::left(rt.tag(), &rt.root(), &[bundle.dir().to_owned()]).is_empty(), "nothing was run or made");
    assert!(!bundle.inside("/extra").exists());
}

#[test]
fn the_same_bundle_is_explained_the_same() {
    let rt = unprivileged();
    let bundle = rt.bundle();
    bundle.write();
    let explain = || rt.call(["explain"]).arg(bundle.dir()).go().ok();
    assert_eq!(explain(), explain());
}

#[test]
fn explain_of_a_broken_bundle_is_an_error() {
    let rt = unprivileged();
    let mut bundle = rt.bundle();
    bundle.set("/process/cwd", json!("relative")).write();
    rt.call(["explain"]).arg(bundle.dir()).go().exits(1).says("process.cwd").one_line();
    rt.call(["explain", "/no/such/bundle"]).go().exits(1).says("/no/such/bundle").one_line();
}

#[test]
fn validate_tells_every_fault_at_once() {
    let rt = unprivileged();
    let mut bundle = rt.bundle();
    bundle
        .set("/process/cwd", json!("relative"))
        .set("/process/args", json!([]))
        .set("/linux/rootfsPropagation", json!("sideways"));
    bundle.push("/mounts", json!({"destination": "/x"})).push("/linux/namespaces", json!({"type": "galaxy"})).write();
    let output = rt.call(["validate"]).arg(bundle.dir()).go().exits(1);
    let text = format!("{}{}", output.stdout, output.stderr);
    for field in
        ["process.cwd", "process.args", "linux.rootfsPropagation", "mounts[7].type", "linux.namespaces[5].type"]
    {
        assert_eq!(
            text.lines().filter(|line| line.contains(field)).count(),
            1,
            "{field} once, on a line of its own: {text}"
        );
    }
}

#[test]
fn validate_of_a_good_bundle_is_silent_success() {
    let rt = unprivileged();
    let bundle = rt.bundle();
    bundle.write();
    let output = rt.call(["validate"]).arg(bundle.dir()).go().exits(0);
    assert_eq!(output.stderr, "", "{output}");
}

#[test]
fn validate_of_the_default_config_is_silent_success() {
    let rt = unprivileged();
    let bundle = rt.bundle();
    integration::bundle::chown_tree(bundle.dir(), USER);
    for flags in [&["spec"][..], &["spec", "--rootless"]] {
        rt.call(flags).arg("--bundle").arg(bundle.dir()).go().ok();
        rt.call(["validate"]).arg(bundle.dir()).go().ok();
        std::fs::remove_file(bundle.dir().join("config.json")).unwrap();
    }
}

#[test]
fn validate_of_a_file_that_is_no_json() {
    let rt = unprivileged();
    let bundle = rt.bundle();
    std::fs::write(bundle.dir().join("config.json"), "{\n  \"process\": oops\n}").unwrap();
    let output = rt.call(["validate"]).arg(bundle.dir()).go().exits(1);
    let text = format!("{}{}", output.stdout, output.stderr);
    assert!(text.contains("line 2"), "where it is: {text}");
}

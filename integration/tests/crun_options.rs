//! Options of crun that engines use: --cgroup-manager, --regex, --config, spec --file.

use integration::bundle::Join;
use integration::{Runtime, json, proc};
use std::fs;

/// What is there of a test in the cgroup file systems.
fn cgroups_of(rt: &Runtime) -> Vec<String> {
    let find =
        integration::Call::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", &format!("*{}*", rt.tag())]);
    find.go().ok().lines().map(str::to_owned).collect()
}

#[test]
fn without_a_cgroup_manager_no_cgroup_is_touched() {
    for mut rt in [Runtime::new(), Runtime::pure_v2()] {
        // Whatever a call writes to a cgroup file system would be seen to fail.
        let mut wrapper = rt.wrapper().to_vec();
        let script = "mount --make-rprivate / && for m in $(grep ' /sys/fs/cgroup' /proc/self/mountinfo | cut -d' ' -f5); do \
                      mount -o remount,bind,ro $m || exit 1; done; exec \"$@\"";
        wrapper.extend(["unshare", "--mount", "sh", "-c", script, "sh"].map(str::to_owned));
        rt.wrap(wrapper);
        let mut bundle = rt.bundle();
        bundle.set("/linux/resources/memory", json!({"limit": 64 << 20})).args(&["sleep", "1000"]);
        bundle.write();
        let global = ["--cgroup-manager", "disabled"];
        let call = |args: &[&str]| rt.call(global).args(args);
        let created = call(&["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
        created.says("linux.resources.memory");
        call(&["start", rt.tag()]).go().ok();
        let container = rt.container();
        let pid = container.pid();
        let own = proc::read(std::process::id() as i32, "cgroup");
        let path = |line: &str| line.split_once(':').unwrap().1.to_owned();
        let places: Vec<_> = own.lines().map(path).collect();
        let theirs = proc::read(pid, "cgroup");
        assert_eq!(theirs.lines().map(path).collect::<Vec<_>>(), places);
        assert_eq!(cgroups_of(&rt), [""; 0]);

        assert_eq!(call(&["exec", rt.tag(), "echo", "joined"]).go().word(), "joined");
        for verb in ["pause", "resume"] {
            call(&[verb, rt.tag()]).go().exits(1).one_line();
        }
        call(&["update", "--pids-limit", "5", rt.tag()]).go().exits(1).one_line();
        assert_eq!(container.status(), "running");
        // The library remembers: who only kills and deletes needs not say so again.
        container.kill("KILL");
        assert!(proc::ended(pid));
        container.verb(&["delete"]).ok();
        bundle.args(&["true"]).write();
        assert_eq!(rt.call(global).args(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go().code, 0);
        assert_eq!(cgroups_of(&rt), [""; 0]);
    }
}

#[test]
fn cgroup_managers_by_name() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let run =
        |manager: &str| rt.call(["--cgroup-manager", manager, "run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).go();
    run("cgroupfs").ok();
    run("none").exits(1).says("none").one_line();
}

#[test]
fn kill_and_delete_by_regular_expression() {
    let rt = Runtime::new();
    let mut bundles = Vec::new();
    for name in ["web-1", "web-2", "db"] {
        let mut bundle = rt.bundle_named(name);
        bundle.script("trap 'exit 5' USR1; while :; do sleep 1000 & wait; done");
        rt.detach_named(&bundle, name);
        bundles.push(bundle);
    }
    let list = || {
        let ids = rt.call(["list", "-q"]).go().ok();
        ids.lines().map(|id| id.rsplit_once('x').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(), ["-db", "-web-1", "-web-2"]);
    let pids = ["web-1", "web-2", "db"].map(|name| {
        let state = rt.call(["state", &rt.id(name)]).go().json();
        i32::try_from(state["pid"].as_i64().unwrap()).unwrap()
    });

    rt.call(["kill", "--regex", "web-(", "KILL"]).go().exits(1).says("regular expression").one_line();
    rt.call(["kill", "-r", "nobody", "KILL"]).go().ok();
    rt.call(["delete", "--regex", "web-[0-9]$"]).go().exits(1).says("web-1").says("running").one_line();
    assert_eq!(list().len(), 3);
    rt.call(["kill", "--all", "--regex", "web-[0-9]$", "KILL"]).go().ok();
    assert!(proc::ended(pids[0]) && proc::ended(pids[1]) && proc::alive(pids[2]));
    rt.call(["delete", "-r", "web-1"]).go().ok();
    assert_eq!(list(), ["-db", "-web-2"]);
    rt.call(["delete", "--force", "-r", rt.tag()]).go().ok();
    assert_eq!(list(), [""; 0]);
    assert!(!proc::alive(pids[2]));
    rt.call(["delete", "-r", rt.tag()]).go().ok();
}

#[test]
fn kill_all_signals_every_process() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script(
        "(trap 'echo child > /said; exit' USR1; echo up > /said; while :; do sleep 1; done) & \
                   trap 'echo init > /said' USR1; echo up > /said; while :; do wait; done",
    );
    let container = rt.detach(&bundle);
    assert_eq!([said.line(), said.line()], ["up", "up"]);
    rt.call(["kill", "-a", &container.id, "USR1"]).go().ok();
    let mut both = [said.line(), said.line()];
    both.sort();
    assert_eq!(both, ["child", "init"]);
}

#[test]
fn another_file_than_config_json() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.script("echo other");
    bundle.write();
    let other = rt.path("other.json");
    fs::rename(bundle.dir().join("config.json"), &other).unwrap();
    for flag in ["--config", "-f", "-config"] {
        let run = rt.call(["run", flag]).arg(&other).arg("--bundle").arg(bundle.dir()).arg(rt.id("")).go();
        assert_eq!(run.word(), "other", "{flag}");
    }
    // Where the caller is counts, and not where the bundle is.
    let run = rt.call(["run", "-f", "other.json", "-b", "bundle", &rt.id("")]).cwd(rt.dir()).go();
    assert_eq!(run.word(), "other");
    rt.call(["create", "-f"]).arg(&other).arg("-b").arg(bundle.dir()).arg(rt.id("")).go().ok();
    rt.container().start().verb(&["delete", "--force"]).ok();
    let missing = rt.call(["run", "-f", "/no/such.json", "-b"]).arg(bundle.dir()).arg(rt.id("")).go();
    missing.exits(1).says("\"/no/such.json\": no such file").one_line();
    fs::write(&other, r#"{"ociVersion": "1.0.0", "hostname": 5}"#).unwrap();
    let wrong = rt.call(["run", "-f"]).arg(&other).arg("-b").arg(bundle.dir()).arg(rt.id("")).go();
    wrong.exits(1).says("other.json").says("(hostname)").one_line();
}

#[test]
fn spec_into_another_file() {
    let rt = Runtime::new();
    for (flag, name) in [("-f", "a.json"), ("--file", "b.json")] {
        rt.call(["spec", "-b"]).arg(rt.dir()).args([flag, name]).go().ok();
        let config: integration::Value = serde_json::from_slice(&fs::read(rt.path(name)).unwrap()).unwrap();
        assert_eq!(config["process"]["args"], json!(["sh"]));
        rt.call(["spec", "-b"]).arg(rt.dir()).args([flag, name]).go().exits(1).says(&format!("File {name} exists"));
    }
    assert!(!rt.path("config.json").exists());
}

#[test]
fn exec_as_crun_takes_it() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.namespace("cgroup", Join::New);
    let container = rt.sleeper(&mut bundle);
    let flags = ["--tty=false", "--cwd=/etc", "-e", "A=b", "-u", "1000:1000", "--no-new-privs", "--cap", "CAP_KILL"];
    let seen = container.exec_call(&flags, &["sh", "-c", "pwd; echo $A; id -u; id -g"]).go().ok();
    assert_eq!(seen, "/etc\nb\n1000\n1000\n");
    let file = rt.path("exec.pid");
    container.exec_call(&["-d", "--pid-file", file.to_str().unwrap()], &["sleep", "1001"]).go().ok();
    let pid: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert!(proc::alive(pid));
}

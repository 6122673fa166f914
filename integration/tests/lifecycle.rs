//! create, start, kill, delete and what `state` says between them.

use integration::{Runtime, json, proc};

#[test]
fn create_start_stop_delete() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    assert_eq!(container.status(), "created");
    let init = container.pid();
    container.start();
    assert_eq!(container.status(), "running");
    assert_eq!(container.pid(), init, "start keeps the process of create");
    assert_eq!(proc::read(init, "cmdline"), "sleep\x001000\0");
    container.stop();
    assert_eq!(container.status(), "stopped");
    container.verb(&["delete"]).ok();
    container.verb(&["state"]).exits(1).says("container does not exist");
    assert!(!rt.root().join(&container.id).exists());
}

#[test]
fn create_runs_nothing_of_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script("echo ran > /said");
    let container = rt.create(&bundle);
    let init = container.pid();
    assert_ne!(proc::link(init, "ns/mnt"), std::fs::read_link("/proc/self/ns/mnt").unwrap().to_str().unwrap());
    container.start();
    assert_eq!(said.line(), "ran");
    assert!(proc::ended(init));
}

#[test]
fn an_id_is_used_once() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    for verb in ["create", "run"] {
        let again = rt.call([verb, "--bundle"]).arg(bundle.dir()).arg(&container.id).go();
        again.exits(1).says("container with given ID already exists").one_line();
    }
    assert_eq!(container.status(), "running", "the first one lives on");
}

#[test]
fn start_twice() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    container.start();
    container.verb(&["start"]).exits(1).says("cannot start an already running container").one_line();
    assert_eq!(container.status(), "running");
    container.stop();
    container.verb(&["start"]).exits(1).says("cannot start a container that has stopped").one_line();
}

#[test]
fn delete_while_running() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let expected = format!("cannot delete container {} that is not stopped: running", container.id);
    container.verb(&["delete"]).exits(1).says(&expected).one_line();
    assert_eq!(container.status(), "running");
    let init = container.pid();
    container.verb(&["delete", "--force"]).ok();
    assert!(!proc::alive(init));
    container.verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn delete_force_of_nothing_succeeds() {
    let rt = Runtime::new();
    let output = rt.call(["delete", "--force", "nobody"]).go().exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    rt.call(["delete", "-f", "nobody"]).go().ok();
}

#[test]
fn delete_of_a_created_container() {
    let rt = Runtime::new();
    let bundle = rt.bundle();
    let container = rt.create(&bundle);
    let init = container.pid();
    let expected = format!("cannot delete container {} that is not stopped: created", container.id);
    container.verb(&["delete"]).exits(1).says(&expected).one_line();
    assert_eq!((container.status().as_str(), container.pid()), ("created", init), "no effect");
    container.verb(&["delete", "--force"]).ok();
    assert!(!proc::alive(init), "the waiting init goes with its container");
    container.verb(&["state"]).exits(1).says("container does not exist");
}

#[test]
fn delete_ends_every_process_of_a_shared_pid_namespace() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.namespace("pid", integration::bundle::Join::None);
    bundle.script("sleep 1000 & echo up > /said; exec sleep 1000");
    let container = rt.detach(&bundle);
    said.line();
    let processes = integration::residue::processes(rt.tag());
    assert!(processes.len() >= 2, "{processes:?}");
    container.verb(&["delete", "--force"]).ok();
    rt.assert_clean();
}

#[test]
fn a_fresh_root_directory_is_made() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let root = rt.path("root/deep/er");
    let run = rt.bare().arg("--root").arg(&root).args(["run", "--bundle"]).arg(bundle.dir()).arg(rt.tag());
    run.go().ok();
    assert!(root.is_dir());
    std::fs::remove_dir_all(rt.path("root/deep")).unwrap();
}

#[test]
fn ids_hold_only_safe_characters() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).write();
    let id = format!("{}_A+b-c.9", rt.tag());
    rt.call(["run", "--bundle"]).arg(bundle.dir()).arg(&id).go().ok();
}

#[test]
fn bundle_is_the_working_directory_by_default() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "here"]).write();
    assert_eq!(rt.call(["run", &rt.id("")]).cwd(bundle.dir()).go().ok(), "here\n");
    let relative = rt.call(["run", "-b", "bundle", &rt.id("")]).cwd(rt.dir()).go();
    assert_eq!(relative.ok(), "here\n");
}

#[test]
fn create_makes_all_but_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.mount("/m", "tmpfs", "tmpfs", &["size=64k"]).set("/linux/resources/pids", json!({"limit": 77}));
    let said = bundle.fifo("/said");
    bundle.script("echo ran > /said; exec sleep 1000");
    let container = rt.create(&bundle);
    let init = container.pid();
    assert_eq!(said.line_within(0), None);
    let mounts = proc::read(init, "mountinfo");
    assert!(mounts.contains(" /m ") && mounts.contains(" /proc "), "{mounts}");
    assert!(proc::read(init, "cgroup").contains(rt.tag()));
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(proc::link(init, &format!("ns/{kind}")), own.to_str().unwrap(), "{kind}");
    }
    assert!(!proc::read(init, "cmdline").contains("sleep"));
    container.start();
    assert_eq!(said.line(), "ran");
    assert_eq!(proc::read(init, "mountinfo"), mounts, "start makes nothing more");
}

#[test]
fn changes_of_the_config_after_create_have_no_effect() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.set("/annotations", json!({"of": "create"})).script("echo first > /said; exec sleep 1000");
    bundle.hook("poststop", &format!("echo first >> {}", rt.path("hook").display()));
    let container = rt.create(&bundle);
    bundle.script("echo second > /said; exec sleep 1000").set("/annotations", json!({"of": "later"}));
    bundle.set("/hooks", json!({"poststop": [{"path": "/bin/false"}], "poststart": [{"path": "/bin/false"}]}));
    bundle.set("/process/env", json!(["PATH=/bin", "LATER=1"])).write();
    container.start();
    assert_eq!(said.line(), "first");
    assert_eq!(container.state()["annotations"], json!({"of": "create"}));
    assert!(!container.sh("env").ok().contains("LATER"));
    std::fs::remove_file(bundle.dir().join("config.json")).unwrap();
    container.stop().verb(&["delete"]).ok();
    assert_eq!(std::fs::read_to_string(rt.path("hook")).unwrap(), "first\n");
}

#[test]
fn a_config_without_a_process_is_created_and_cannot_be_started() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.unset("/process");
    let container = rt.create(&bundle);
    let init = container.pid();
    container.verb(&["start"]).exits(1).says("a process is required to start the container (process)").one_line();
    assert_eq!((container.status().as_str(), container.pid()), ("created", init), "no effect");
    let inside = container.exec_call(&["--cwd", "/"], &["/bin/echo", "inside"]).env("PATH", "/bin").go();
    assert_eq!(inside.ok(), "inside\n");
    container.stop().verb(&["delete"]).ok();
    rt.run(&bundle).exits(1).says("a process is required to start the container (process)").one_line();
    assert!(!rt.root().join(rt.tag()).exists());
}

#[test]
fn every_operation_wants_an_id() {
    let rt = Runtime::new();
    let bundle = rt.bundle();
    bundle.write();
    for verb in ["state", "create", "start", "kill", "delete"] {
        let output = rt.call([verb]).cwd(bundle.dir()).go();
        assert!(output.code != 0 && output.stderr.contains("argument"), "{output}");
        rt.call([verb, ""]).cwd(bundle.dir()).go().exits(1).says("container id cannot be empty");
    }
    assert_eq!(std::fs::read_dir(rt.root()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn an_invalid_id_makes_nothing() {
    let rt = Runtime::new();
    let bundle = rt.bundle();
    bundle.write();
    for id in ["..", "a/b", "a b", "@a", "a\u{e9}"] {
        let output = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(id).go().exits(1);
        output.says("invalid container ID format").one_line();
    }
    assert_eq!(std::fs::read_dir(rt.root()).unwrap().count(), 0);
    assert_eq!(integration::residue::processes(rt.tag()), [0; 0]);
}

#[test]
fn create_wants_a_bundle() {
    let rt = Runtime::new();
    rt.call(["create", "--bundle", "/no/such/bundle", rt.tag()]).go().exits(1).says("/no/such/bundle").one_line();
    let empty = rt.path("empty");
    std::fs::create_dir(&empty).unwrap();
    rt.call(["create", rt.tag()]).cwd(&empty).go().exits(1).says("config.json").one_line();
    assert_eq!(std::fs::read_dir(rt.root()).unwrap().count(), 0);
}

#[test]
fn an_id_may_be_used_again_after_its_delete() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let first = rt.sleeper(&mut bundle);
    let init = first.pid();
    first.stop();
    let again = rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(&first.id).go();
    again.exits(1).says("container with given ID already exists").one_line();
    first.verb(&["delete"]).ok();
    let second = rt.sleeper(&mut bundle);
    assert_ne!(second.pid(), init);
}

#[test]
fn what_is_done_in_the_wrong_state_has_no_effect() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let container = rt.sleeper(&mut bundle);
    let running = container.state();
    container.verb(&["start"]).exits(1);
    container.verb(&["delete"]).exits(1);
    assert_eq!(container.state(), running);
    container.verb(&["pause"]).ok();
    let paused = container.state();
    container.verb(&["start"]).exits(1).says("cannot start an already running container");
    container.verb(&["delete"]).exits(1).says("that is not stopped: paused");
    assert_eq!(container.state(), paused);
    container.verb(&["resume"]).ok();
    container.stop();
    let stopped = container.state();
    container.verb(&["start"]).exits(1);
    rt.call(["kill", &container.id, "KILL"]).go().exits(1).says("container not running");
    assert_eq!(container.state(), stopped);
}

#[test]
fn delete_leaves_what_create_did_not_make() {
    let rt = Runtime::new();
    let dir = rt.host_dir("source");
    // A cgroup, a network namespace, a bind mount's source, the bundle.
    let cgroups: Vec<_> =
        ["pids", "memory", "freezer"].map(|name| format!("/sys/fs/cgroup/{name}/{}", rt.tag())).into();
    let cgroups: Vec<_> = cgroups.iter().filter(|path| std::fs::create_dir(path).is_ok()).collect();
    let mut holder = std::process::Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().unwrap();
    let mut bundle = rt.bundle();
    bundle.bind(&dir, "/m", &[]).args(&["sleep", "1000"]);
    while std::fs::read_to_string(format!("/proc/{}/comm", holder.id())).unwrap() != "sleep\n" {
        std::thread::yield_now();
    }
    let net = format!("/proc/{}/ns/net", holder.id());
    bundle.namespace("network", integration::bundle::Join::Path(net.clone()));
    let container = rt.detach(&bundle);
    assert_eq!(proc::link(container.pid(), "ns/net"), std::fs::read_link(&net).unwrap().to_str().unwrap());
    container.stop().verb(&["delete"]).ok();
    assert!(std::fs::read_link(&net).is_ok());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(dir.join("file").exists() && dir.join("sub").exists() && bundle.inside("/bin/busybox").exists());
    for path in &cgroups {
        assert_eq!(std::fs::read_to_string(format!("{path}/cgroup.procs")).unwrap(), "", "{path} stays, empty");
        std::fs::remove_dir(path).unwrap();
    }
}

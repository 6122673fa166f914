//! Hooks: six kinds, their order and place, what they are given, what they find.

use integration::bundle::write_program;
use integration::{Runtime, Value, json};
use std::fs;

const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

#[test]
fn six_kinds_in_their_order() {
    let rt = Runtime::new();
    let log = rt.path("log");
    let mut bundle = rt.bundle();
    let inside = bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let file = if kind == "startContainer" { "/host/log".to_owned() } else { log.display().to_string() };
        for number in 1..=2 {
            inside.hook(kind, &format!("echo {kind} {number} >> {file}"));
        }
    }
    inside.script("echo program >> /host/log; exec sleep 1000");
    let container = rt.create(&bundle);
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let created = lines(fs::read_to_string(&log).unwrap());
    assert_eq!(
        created,
        ["prestart 1", "prestart 2", "createRuntime 1", "createRuntime 2", "createContainer 1", "createContainer 2"]
    );
    container.start();
    container.stop();
    container.verb(&["delete", "--force"]).ok();
    let all = lines(fs::read_to_string(&log).unwrap());
    let started = &all[6..];
    let at = |line: &str| started.iter().position(|have| have == line).unwrap_or_else(|| panic!("{line} in {all:?}"));
    assert!(at("startContainer 1") < at("startContainer 2"));
    assert!(at("startContainer 2") < at("poststart 1"), "{all:?}");
    assert!(at("poststart 1") < at("poststart 2"));
    assert_eq!(started[started.len() - 2..], ["poststop 1", "poststop 2"]);
    assert_eq!(started.iter().filter(|line| *line != "program").count(), 6, "each once: {all:?}");
}

#[test]
fn the_state_is_on_standard_input() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"key": "value"}));
    bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let file = if kind == "startContainer" { format!("/host/{kind}") } else { rt.path(kind).display().to_string() };
        bundle.hook(kind, &format!("cat > {file}"));
    }
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    container.start();
    let pid = container.pid();
    container.stop().verb(&["delete"]).ok();
    for (kind, status) in KINDS.iter().zip(["created", "created", "created", "created", "running", "stopped"]) {
        let text = fs::read_to_string(rt.path(kind)).unwrap();
        let state: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind}: {error}: {text}"));
        assert_eq!(state["id"], rt.tag(), "{kind}");
        assert_eq!(state["bundle"], bundle.dir().to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["key"], "value", "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}: {text}");
        assert_eq!(state["status"], status, "{kind}");
        if ["prestart", "createRuntime", "poststart"].contains(kind) {
            assert_eq!(state["pid"], pid, "{kind}");
        }
    }
}

/// runtime.md#state: a running container has a pid, and that is what poststart hooks are told, however short the program was.
#[test]
fn poststart_hooks_are_told_the_pid_of_a_program_that_ended() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("state");
    bundle.hook("poststart", &format!("cat > {}", file.display()));
    bundle.args(&["true"]);
    for n in 0..20 {
        let container = rt.make(&bundle, &n.to_string(), &["create"]);
        let pid = container.pid();
        container.start();
        let state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!((state["status"].as_str(), &state["pid"]), (Some("running"), &json!(pid)));
        container.verb(&["delete", "--force"]).ok();
    }
}

#[test]
fn the_namespaces_they_run_in() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let dir = if kind == "startContainer" { "/host".to_owned() } else { rt.dir().display().to_string() };
        bundle.hook(
            kind,
            &format!("readlink /proc/self/ns/mnt > {dir}/{kind}; readlink /proc/self/ns/net >> {dir}/{kind}"),
        );
    }
    let container = rt.sleeper(&mut bundle);
    let init = container.pid();
    let inside = [integration::proc::link(init, "ns/mnt"), integration::proc::link(init, "ns/net")];
    let host =
        ["mnt", "net"].map(|ns| fs::read_link(format!("/proc/self/ns/{ns}")).unwrap().to_string_lossy().into_owned());
    container.stop().verb(&["delete"]).ok();
    for kind in KINDS {
        let text = fs::read_to_string(rt.path(kind)).unwrap();
        let seen: Vec<_> = text.lines().take(2).collect();
        let expected = if ["createContainer", "startContainer"].contains(&kind) { &inside } else { &host };
        assert_eq!(seen, *expected, "{kind}");
    }
}

#[test]
fn create_container_runs_before_the_pivot() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("seen");
    bundle.hook(
        "createContainer",
        &format!(
            "readlink /proc/self/root > {0}; test -e /proc/self && test -d {1} && echo host root >> {0}",
            file.display(),
            rt.dir().display()
        ),
    );
    bundle.args(&["true"]);
    rt.run(&bundle).ok();
    assert!(fs::read_to_string(&file).unwrap().contains("host root"));
}

#[test]
fn arguments_and_environment_are_the_hooks() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("seen");
    bundle.push("/hooks/createRuntime", json!({
        "path": "/bin/sh", "args": ["zeroth", "-c", format!("echo $0 $1 >> {0}; env | grep -v -E '^(PWD|SHLVL|_|OLDPWD)=' >> {0}", file.display()), "a", "b c"],
        "env": ["ONLY=this"]
    }));
    bundle.args(&["true"]);
    rt.run_call(&bundle, &[]).env("FROM_CALLER", "1").go().ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "a b c\nONLY=this\n");
}

#[test]
fn a_hook_may_not_read_its_state() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/annotations", json!({"long": "x".repeat(300_000)}));
    bundle.push("/hooks/createRuntime", json!({"path": "/bin/true", "args": ["true"]})).args(&["echo", "ok"]);
    assert_eq!(rt.run(&bundle).ok(), "ok\n", "more than a pipe holds, and nobody reads");
}

#[test]
fn a_hook_prepares_the_network() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.hook("createRuntime", "pid=$(sed -n 's/.*\"pid\":[ ]*\\([0-9]*\\).*/\\1/p'); nsenter -t $pid -n ip link add it-veth type dummy 2>/dev/null || nsenter -t $pid -n busybox ip link set lo mtu 1234");
    let seen = rt.sh(&mut bundle, "ls /sys/class/net; cat /sys/class/net/lo/mtu").ok();
    assert!(seen.contains("it-veth") || seen.contains("1234"), "{seen}");
}

#[test]
fn create_runtime_hooks_find_the_mounts_made_and_the_root_not_changed() {
    for kind in ["prestart", "createRuntime"] {
        let rt = Runtime::new();
        let mut bundle = rt.bundle();
        let file = rt.path("seen");
        let inside =
            format!("nsenter -t $pid -m sh -c 'cat /proc/self/mountinfo; ls -d {}'", bundle.rootfs().display());
        bundle.hook(
            kind,
            &format!("pid=$(sed -n 's/.*\"pid\":[ ]*\\([0-9]*\\).*/\\1/p'); {inside} > {}", file.display()),
        );
        rt.sh(&mut bundle, "true").ok();
        let seen = fs::read_to_string(&file).unwrap();
        for place in ["", "/proc", "/dev/pts", "/sys"] {
            let mount = format!(" {}{place} ", bundle.rootfs().display());
            assert!(seen.contains(&mount), "{kind}: {place} of {seen}");
        }
        assert!(seen.ends_with(&format!("\n{}\n", bundle.rootfs().display())), "{kind}: {seen}");
    }
}

#[test]
fn create_container_hooks_find_the_containers_tree_where_the_host_has_it() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let (file, rootfs) = (rt.path("seen"), bundle.rootfs());
    let extra = rt.host_dir("extra");
    bundle.bind(&extra, "/extra", &[]);
    bundle.hook(
        "createContainer",
        &format!(
            "exec > {}; pwd; cat {1}/extra/file; test -e {1}/proc/version && test -c {1}/dev/null && echo; umask",
            file.display(),
            rootfs.display()
        ),
    );
    // As hooks do that bring devices and libraries into a container.
    bundle.hook(
        "createContainer",
        &format!("mount -t tmpfs it-of-hook {0}/root && touch {0}/root/of-hook", rootfs.display()),
    );
    assert_eq!(rt.sh(&mut bundle, "ls /root; ls / | grep -c extra").ok(), "of-hook\n1\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\nfrom the host\n0022\n", rootfs.display()));
    assert!(!rootfs.join("root/of-hook").exists(), "the host sees nothing of it");
}

#[test]
fn hooks_of_create_find_the_tree_in_every_kind_of_root() {
    let seen = |change: &dyn Fn(&mut integration::Bundle), flags: &[&str]| {
        // Below a mount that is shared, as the host's own are on a machine with systemd.
        let mut rt = Runtime::new();
        let shared = format!("mount --bind {0} {0} && mount --make-rshared /", rt.dir().display());
        rt.wrap(integration::view::in_mount_namespace(&shared));
        let mut bundle = rt.bundle();
        let file = rt.path("seen");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let (rootfs, seen) = (bundle.rootfs().display().to_string(), file.display().to_string());
        bundle.hook("createRuntime", &format!("grep -c {rootfs} /proc/self/mountinfo >> {seen}; true"));
        bundle.hook("createContainer", &format!("test -e {rootfs}/proc/version && pwd >> {seen}"));
        bundle.hook("createContainer", &format!("mount --bind {rootfs}/etc {rootfs}/root"));
        bundle.hook("poststart", &format!("grep -c {rootfs} /proc/self/mountinfo >> {seen}; true"));
        bundle.script("test -e /root/passwd && ! test -d /tmp && echo ran");
        change(&mut bundle);
        assert_eq!(rt.run_with(&bundle, flags).ok(), "ran\n", "{flags:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("0\n{rootfs}\n0\n"), "the host sees nothing of it");
    };
    seen(&|_| {}, &[]);
    seen(&|_| {}, &["--no-pivot"]);
    seen(&|bundle| _ = bundle.userns(100_000, 65_536), &[]);
    for propagation in ["private", "rslave", "shared", "rshared", "unbindable"] {
        seen(&|bundle| _ = bundle.set("/linux/rootfsPropagation", json!(propagation)), &[]);
    }
}

#[test]
fn the_pid_is_the_one_the_hooks_own_namespace_knows() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.bind(&rt.path(""), "/host", &[]);
    for kind in KINDS {
        let dir = if kind == "startContainer" { "/host".to_owned() } else { rt.dir().display().to_string() };
        bundle.hook(kind, &format!("cat > {dir}/{kind}"));
    }
    let container = rt.sleeper(&mut bundle);
    let pid = container.pid();
    container.stop().verb(&["delete"]).ok();
    let told = KINDS.map(|kind| {
        let state: Value = serde_json::from_slice(&fs::read(rt.path(kind)).unwrap()).unwrap();
        state["pid"].as_i64()
    });
    let host = Some(i64::from(pid));
    assert_eq!(told, [host, host, Some(1), Some(1), host, None]);
}

#[test]
fn the_path_of_a_start_container_hook_is_the_containers() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.program("/only-inside", "#!/bin/sh\necho hook >> /log\n");
    bundle.writable().push("/hooks/startContainer", json!({"path": "/only-inside"}));
    rt.sh(&mut bundle, "echo program >> /log").ok();
    assert_eq!(fs::read_to_string(bundle.inside("/log")).unwrap(), "hook\nprogram\n");
}

#[test]
fn a_hook_inside_without_variables_has_the_programs() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.bind(&rt.path(""), "/host", &[]);
    bundle.push("/process/env", json!("OF_PROGRAM=1"));
    for (kind, dir) in [("createContainer", rt.dir().display().to_string()), ("startContainer", "/host".into())] {
        bundle.hook(kind, &format!("env > {dir}/default-{kind}"));
        let script = format!("env > {dir}/own-{kind}");
        bundle.push(
            &format!("/hooks/{kind}"),
            json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin", "OWN=1"]}),
        );
    }
    bundle.args(&["true"]);
    rt.run_call(&bundle, &[]).env("FROM_CALLER", "1").go().ok();
    for kind in ["createContainer", "startContainer"] {
        let env = |which: &str| fs::read_to_string(rt.path(&format!("{which}-{kind}"))).unwrap();
        let default = env("default");
        assert!(default.contains("OF_PROGRAM=1\n") && default.contains("HOME=/root\n"), "{kind}: {default}");
        let own = env("own");
        assert!(own.contains("OWN=1\n") && !own.contains("OF_PROGRAM"), "{kind}: {own}");
        assert!(!format!("{default}{own}").contains("FROM_CALLER"), "{kind}");
    }
}

#[test]
fn a_hook_without_arguments_is_called_by_its_path() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let script = rt.path("hook");
    write_program(&script, &format!("#!/bin/sh\necho $0 $# > {}\n", rt.path("seen").display()));
    bundle.push("/hooks/createRuntime", json!({"path": script})).args(&["true"]);
    rt.run(&bundle).ok();
    assert_eq!(fs::read_to_string(rt.path("seen")).unwrap(), format!("{} 0\n", script.display()));
}

#[test]
fn poststart_hooks_run_after_the_program_was_executed_and_before_start_returns() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("seen");
    let script = format!(
        "pid=$(sed -n 's/.*\"pid\":[ ]*\\([0-9]*\\).*/\\1/p'); tr '\\0' ' ' < /proc/$pid/cmdline > {}",
        file.display()
    );
    bundle.hook("poststart", &script).args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    assert!(!file.exists());
    container.start();
    assert_eq!(fs::read_to_string(&file).unwrap(), "sleep 1000 ");
}

#[test]
fn poststop_hooks_run_after_the_container_is_deleted_and_before_delete_returns() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let file = rt.path("seen");
    let state = format!("{} --root {} state {}", integration::binary::path().display(), rt.root().display(), rt.tag());
    bundle.hook("poststop", &format!("{state} > {} 2>&1", file.display()));
    bundle.hook("poststop", "true");
    let container = rt.sleeper(&mut bundle);
    container.stop();
    assert!(!file.exists());
    let warned = container.verb(&["delete"]).exits(0);
    assert!(warned.mentions("poststop"), "its exit code is that of state: {warned}");
    assert!(fs::read_to_string(&file).unwrap().contains("container does not exist"));
}

#[test]
fn a_start_container_hook_is_confined_as_the_program() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]).set("/process/env", json!(["PATH=/bin", "ONE=two"]));
    bundle.set(
        "/hooks/startContainer",
        json!([{"path": "/bin/sh", "args": ["sh", "-c", "[ $ONE = two ] && [ $HOME = /root ]"]}]),
    );
    rt.run(&bundle).ok();
    let deny = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": deny}));
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]));
    bundle.set("/hooks/startContainer", json!([{"path": "/bin/sh", "args": ["sh", "-c", "exec mkdir /dev/shm/x"]}]));
    rt.run(&bundle).exits(1).says("error running startContainer hook #0").says("bad system call").one_line();
    let container = rt.create(&bundle);
    container.verb(&["start"]).exits(1).says("error running startContainer hook #0");
}

#[test]
fn a_create_container_hook_works_in_the_root_file_system() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.writable().hook("createContainer", "echo made > ./made").args(&["cat", "/made"]);
    assert_eq!(rt.run(&bundle).ok(), "made\n");
}

#[test]
fn what_a_failing_hook_says_on_the_terminal_is_seen() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/terminal", json!(true)).args(&["true"]);
    bundle
        .set("/hooks/startContainer", json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo it is broken; exit 3"]}]));
    let output = rt.run(&bundle).exits(1).says("exit status 3");
    assert!(output.stdout.contains("it is broken"), "{output}");
}

//! Rootless: an ordinary user with one id, and with ranges through newuidmap.

use integration::user::{USER, bundle, runtime, runtime_with};
use integration::{json, proc, view};

#[test]
fn one_id_without_a_helper() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    let seen = rt.sh(&mut bundle, "id -u; cat /proc/self/uid_map /proc/self/setgroups; echo $$; hostname").ok();
    let words: Vec<_> = seen.split_whitespace().collect();
    assert_eq!(words, ["0", "0", &USER.to_string(), "1", "deny", "1", "hull"]);
}

#[test]
fn the_whole_lifecycle() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    assert_eq!(container.status(), "created");
    container.start();
    let pid = container.pid();
    assert_eq!(proc::field(pid, "Uid").unwrap().split_whitespace().next(), Some(USER.to_string().as_str()));
    assert_eq!(container.sh("id -u; readlink /proc/self/ns/user").ok(), format!("0\n{}\n", proc::link(pid, "ns/user")));
    assert!(rt.call(["list"]).go().ok().contains(&container.id));
    container.stop();
    container.verb(&["delete"]).ok();
}

#[test]
fn ranges_through_newuidmap() {
    // The helper wants an account and its ranges: given in a private mount namespace, the machine's own files untouched.
    let mut rt = runtime();
    let (passwd, subids) = (rt.path("passwd"), rt.path("subids"));
    std::fs::write(&passwd, format!("root:x:0:0::/:/bin/sh\nranger:x:{USER}:{USER}::/:/bin/sh\n")).unwrap();
    std::fs::write(&subids, "ranger:800000:65536\n").unwrap();
    let prepare = format!(
        "mount --bind {0} /etc/passwd && mount --bind {1} /etc/subuid && mount --bind {1} /etc/subgid",
        passwd.display(),
        subids.display()
    );
    let mut wrapper = view::in_mount_namespace(&prepare);
    wrapper.extend(view::as_user(USER));
    rt.wrap(wrapper);
    let mut bundle = bundle(&rt);
    let map =
        json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": 800000, "size": 65536}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.caps(&integration::config::MANY_CAPS);
    let seen = rt
        .sh(&mut bundle, "cat /proc/self/uid_map; touch /dev/shm/f && chown 5:6 /dev/shm/f && stat -c %u:%g /dev/shm/f")
        .ok();
    let words: Vec<_> = seen.split_whitespace().collect();
    assert_eq!(words, ["0", &USER.to_string(), "1", "1", "800000", "65536", "5:6"]);
}

#[test]
fn ranges_that_are_not_the_users_are_refused() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    bundle.args(&["true"]);
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": 800000, "size": 10}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let output = rt.run(&bundle).exits(1);
    assert!(output.mentions("Mappings") || output.mentions("idmap"), "{output}");
}

#[test]
fn someone_elses_id_is_refused() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    bundle.args(&["true"]);
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    rt.run(&bundle).exits(1);
}

#[test]
fn without_a_user_namespace_it_says_so() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    bundle.args(&["true"]).namespace("user", integration::bundle::Join::None);
    bundle.unset("/linux/uidMappings").unset("/linux/gidMappings");
    rt.run(&bundle).exits(1).says("user namespace").one_line();
}

#[test]
fn exec_of_another_user_than_root_is_refused_cleanly() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    let container = rt.sleeper(&mut bundle);
    container.exec_call(&["--user", "1000"], &["true"]).go().exits(255).one_line();
    container.exec_call(&["--additional-gids", "7"], &["true"]).go().exits(255).one_line();
}

#[test]
fn a_limit_that_cannot_be_set_is_said() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    bundle.args(&["true"]).set("/linux/resources", json!({"memory": {"limit": 64 << 20}}));
    bundle.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())));
    let output = rt.run(&bundle).exits(1).one_line();
    assert!(output.stderr.contains("(linux.cgroupsPath)"), "{output}");
    bundle.unset("/linux/cgroupsPath");
    let output = rt.run(&bundle).exits(1).one_line();
    assert!(
        output.stderr.contains("cannot set memory limit") && output.stderr.contains("permission denied"),
        "{output}"
    );
    assert!(output.stderr.contains("(linux.resources.memory.limit)"), "{output}");
}

#[test]
fn a_cgroup_is_had_or_refused_where_the_config_names_it_and_else_done_without() {
    let rt = runtime();
    let mut bundle = bundle(&rt);
    let silent = rt.sh(&mut bundle, "true");
    assert_eq!((silent.code, silent.stderr.as_str()), (0, ""));
    bundle.set("/linux/cgroupsPath", json!(format!("/{}", rt.tag())));
    let output = rt.sh(&mut bundle, "true").exits(1).one_line();
    assert!(output.stderr.contains("(linux.cgroupsPath)"), "{output}");
}

/// As `unshare --map-root-user` makes it: the mounts are still the machine's, and groups cannot be changed.
#[test]
fn root_of_a_user_namespace_and_of_nothing_else() {
    let wrapper = view::as_user(USER).into_iter().chain(["unshare", "--user", "--map-root-user"].map(str::to_owned));
    let rt = runtime_with(wrapper.collect());
    let mut bundle = bundle(&rt);
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let seen = rt.sh(&mut bundle, "id -u; cat /proc/self/setgroups; hostname").ok();
    assert_eq!(seen, "0\ndeny\nhull\n");
    bundle.namespace("user", integration::bundle::Join::None);
    bundle.unset("/linux/uidMappings").unset("/linux/gidMappings");
    assert_eq!(rt.sh(&mut bundle, "id -u; hostname").ok(), "0\nhull\n", "nor does it need one more");
}

#[test]
fn another_users_container_is_not_theirs() {
    let root = integration::Runtime::new();
    let mut bundle = root.bundle();
    let container = root.sleeper(&mut bundle);
    let mut theirs = runtime_with(view::as_user(USER));
    let state_dir = root.root();
    let call = theirs.bare().arg("--root").arg(&state_dir);
    let output = call.args(["kill", &container.id, "KILL"]).go();
    assert_eq!(output.code, 1, "{output}");
    assert_eq!(container.status(), "running");
    theirs.wrap(Vec::new());
}

#[test]
fn kill_without_a_cgroup() {
    for (own_pids, line) in [(true, &["kill"][..]), (true, &["kill", "--all"]), (false, &["kill"])] {
        let rt = runtime();
        let mut bundle = bundle(&rt);
        if !own_pids {
            bundle.namespace("pid", integration::bundle::Join::None);
            bundle.unmount("/proc").mount("/proc", "none", "/proc", &["rbind"]);
            bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        }
        let container = rt.sleeper(&mut bundle);
        let pid = container.pid();
        rt.call(line).arg(&container.id).arg("KILL").go().ok();
        assert!(proc::ended(pid), "{line:?}");
        container.verb(&["delete"]).ok();
    }
}

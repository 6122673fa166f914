//! An ordinary user's containers without hull asking systemd (in the machine of integration/machine): in a unit that systemd has delegated,
//! where nothing is delegated, in user namespaces as engines make them; where the state is, and what a logout leaves.

use integration::bundle::{Join, chown_tree};
use integration::systemd::{
    DELEGATED, Instance, LOGIN, LOGIN_ID, cgroup_of, is_here_with_v2, login_bundle, login_runtime, login_runtime_in,
    runtime_without_login,
};
use integration::{Bundle, Call, Runtime, json, proc, user, view};
use std::fs;
use std::os::unix::fs::MetadataExt;

const INSTANCE: &str = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";

/// A bundle with limits that sees its cgroup, and leaves its place to hull.
fn limited(rt: &Runtime) -> Bundle {
    let mut bundle = login_bundle(rt);
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]);
    bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 2}}));
    bundle.unset("/linux/cgroupsPath");
    bundle
}

const SEEN: &str = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.weight; cat /proc/self/cgroup";
const LIMITED: &str = "67108864\n20\n1\n0::/\n";

/// A delegated unit that lasts. systemd takes controllers, and the limits of all below, from a slice in which no unit wants them any more.
struct Lasting(String);

impl Lasting {
    fn new(rt: &Runtime) -> Lasting {
        let name = format!("lasting-{}.service", rt.tag());
        let of_user = ["--user", "-M", &format!("{LOGIN}@")];
        let unit = ["--collect", "--unit", &name, "--slice=app.slice", "-p", "Delegate=yes", "sleep", "1000"];
        Call::new("systemd-run").args(of_user).args(unit).go().ok();
        Lasting(name)
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        Instance::User.systemctl(&["stop", &self.0]).go();
    }
}

#[test]
fn in_a_delegated_unit_limits_are_set_beside_it() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime_in(&DELEGATED);
    let _unit = Lasting::new(&rt);
    let mut bundle = limited(&rt);
    let container = rt.sleeper(&mut bundle);
    let cgroup = cgroup_of(container.pid());
    assert_eq!(cgroup.to_str().unwrap(), format!("{INSTANCE}/app.slice/{}", rt.tag()));
    assert_eq!(container.sh(SEEN).ok(), LIMITED);
    container.verb(&["update", "--pids-limit", "10", "--memory", "33554432"]).ok();
    assert_eq!(container.sh("cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max").ok(), "10\n33554432\n");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    assert_eq!(container.verb(&["events", "--stats"]).json()["data"]["pids"]["limit"], 10);
    container.verb(&["delete", "--force"]).ok();
    assert!(!cgroup.exists());
}

/// Somebody else's cgroups are above, and pass the controllers on already.
#[test]
fn parents_are_made_and_go_and_foreign_ones_are_left_alone() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime_in(&DELEGATED);
    let mut bundle = limited(&rt);
    let instance = INSTANCE.strip_prefix("/sys/fs/cgroup").unwrap();
    for path in [format!("{}-a/b", rt.tag()), format!("{instance}/app.slice/{}-a/b", rt.tag())] {
        bundle.set("/linux/cgroupsPath", json!(path));
        assert_eq!(rt.sh(&mut bundle, SEEN).ok(), LIMITED, "{path}");
        let parent = format!("{INSTANCE}/app.slice/{}-a", rt.tag());
        assert!(!fs::exists(&parent).unwrap(), "{parent}");
    }
    // A parent that is there, and passes nothing on yet.
    let parent = format!("{INSTANCE}/app.slice/{}-there", rt.tag());
    let as_user = |line: &[&str]| Call::new("setpriv").args(&view::as_user(LOGIN_ID)[1..]).args(line).go().ok();
    as_user(&["mkdir", &parent]);
    bundle.set("/linux/cgroupsPath", json!(format!("{}/c", parent.strip_prefix("/sys/fs/cgroup").unwrap())));
    let seen = rt.sh(&mut bundle, SEEN);
    as_user(&["rmdir", &parent]);
    assert_eq!(seen.ok(), LIMITED);
}

#[test]
fn a_cgroup_with_processes_is_no_parent() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime_in(&DELEGATED);
    let mut bundle = limited(&rt);
    bundle.set("/linux/cgroupsPath", json!("@own@/below")).write();
    // Below the caller's own: sh puts it into the config, since only it knows its unit.
    let script = "sed -i \"s|@own@|$(cut -d: -f3 /proc/self/cgroup)|\" \"$1\" && shift && exec \"$@\"";
    let wrapper: Vec<_> = rt.wrapper().to_vec();
    let call = Call::new(&wrapper[0])
        .args(&wrapper[1..])
        .args(["sh", "-c", script, "sh"])
        .arg(bundle.dir().join("config.json"));
    let call = call.arg(integration::binary::path()).arg("--root").arg(rt.root()).args(["run", "--bundle"]);
    let said = call.arg(bundle.dir()).arg(rt.id("")).go().exits(1).one_line();
    assert!(
        said.stderr.contains("linux.resources.memory.limit") && said.stderr.contains("processes of its own"),
        "{said}"
    );
}

#[test]
fn where_nothing_is_delegated_a_container_without_limits_stays_with_its_caller() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = limited(&rt);
    bundle.unset("/linux/resources");
    let container = rt.sleeper(&mut bundle);
    let cgroup = cgroup_of(container.pid());
    let cgroup = cgroup.to_str().unwrap();
    assert!(cgroup.contains("/user-1000.slice/session-") || cgroup.contains("/user-0.slice/session-"), "{cgroup}");
    assert_eq!(container.sh("id -u").ok(), "0\n");
    // The session that started it has ended by now.
    assert_eq!(container.status(), "running");
    container.verb(&["update", "--pids-limit", "10"]).exits(1).says("without a cgroup").one_line();
    container.stop().verb(&["delete"]).ok();
    let silent = rt.sh(&mut bundle, "true");
    assert_eq!((silent.code, silent.stderr.as_str()), (0, ""), "nobody has asked for a cgroup");
}

#[test]
fn where_nothing_is_delegated_what_is_asked_for_is_an_error() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = limited(&rt);
    let said = rt.sh(&mut bundle, "true").exits(1).one_line();
    assert!(said.stderr.contains("(linux.resources.memory.limit)"), "{said}");
    assert!(said.stderr.contains("permission denied") && said.stderr.contains("Delegate=yes"), "{said}");
    bundle.unset("/linux/resources");
    for path in ["/x/y", "x/y"] {
        bundle.set("/linux/cgroupsPath", json!(path));
        let said = rt.sh(&mut bundle, "true").exits(1).one_line();
        assert!(said.stderr.contains("(linux.cgroupsPath)") && said.stderr.contains("Delegate=yes"), "{said}");
    }
}

/// As podman unshare, RootlessKit and `unshare -r` make them. The first two have mounts of their own, the last has not.
const USER_NAMESPACES: [&[&str]; 3] = [
    &["unshare", "--user", "--map-root-user", "--map-auto", "--mount"],
    &["unshare", "--user", "--map-root-user", "--mount"],
    &["unshare", "--user", "--map-root-user"],
];

/// Root of a user namespace is an ordinary user: it has that one's systemd, cgroups and rights.
#[test]
fn root_of_a_user_namespace_is_an_ordinary_user() {
    if !is_here_with_v2() {
        return;
    }
    for (namespace, systemd, own_ids) in USER_NAMESPACES.map(|n| [(n, true, true), (n, false, false)]).concat() {
        let starter: &[&str] = if systemd { &[] } else { &DELEGATED };
        let rt = login_runtime_in(&[starter, namespace].concat());
        let mut bundle = limited(&rt);
        let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
        bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        if !own_ids {
            bundle.namespace("user", Join::None);
            bundle.unset("/linux/uidMappings").unset("/linux/gidMappings");
        }
        bundle.set("/process/oomScoreAdj", json!(300));
        bundle.script(&format!("{SEEN}; cat /proc/self/oom_score_adj; : > /dev/null && echo null")).write();
        let driver = if systemd { "systemd" } else { "cgroupfs" };
        let call = rt.call(["--cgroup-manager", driver, "run", "--bundle"]).arg(bundle.dir()).arg(rt.id(""));
        let output = call.go();
        let which = format!("{namespace:?}, ids of its own: {own_ids}, {driver}: {output}");
        assert_eq!(output.stdout, format!("{LIMITED}300\nnull\n"), "{which}");
        assert_eq!(output.stderr, "", "{which}");
    }
}

#[test]
fn the_state_of_a_user_is_in_their_runtime_directory() {
    if !is_here_with_v2() {
        return;
    }
    let rt = login_runtime();
    let mut bundle = limited(&rt);
    bundle.unset("/linux/resources");
    bundle.args(&["sleep", "1000"]).write();
    let id = rt.tag().to_owned();
    rt.bare().args(["run", "--detach", "--bundle"]).arg(bundle.dir()).arg(&id).go().ok();
    let root = fs::metadata(format!("/run/user/{LOGIN_ID}/hull")).unwrap();
    assert_eq!((root.mode() & 0o7777, root.uid()), (0o1700, LOGIN_ID), "sticky, so that it is not tidied away");
    // sudo(8) and cron(8) come without the variables of a login.
    let elsewhere = runtime_without_login();
    let seen = elsewhere.bare().args(["list", "--quiet"]).go().ok();
    let deleted = elsewhere.bare().args(["delete", "--force", &id]).go();
    assert!(seen.lines().any(|line| line == id), "{seen}");
    deleted.ok();
    let _ = fs::remove_dir_all(format!("/run/user/{LOGIN_ID}/hull/@seccomp"));
    let _ = fs::remove_dir(format!("/run/user/{LOGIN_ID}/hull")); // unless it was there before, with containers
}

#[test]
fn a_user_without_a_runtime_directory_is_told_what_to_set() {
    let rt = user::runtime();
    let mut bundle = user::bundle(&rt);
    bundle.args(&["true"]).write();
    let call = rt.bare().args(["run", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).no_env("XDG_RUNTIME_DIR");
    let said = call.go().exits(1).one_line();
    assert!(said.stderr.contains("/run/hull") && said.stderr.contains("XDG_RUNTIME_DIR"), "{said}");
}

/// An account for a test that ends its systemd. Dropped, it is removed.
struct Account(&'static str);

impl Account {
    const ID: u32 = 1717;

    fn new(name: &'static str) -> Account {
        Call::new("useradd").args(["--create-home", "--uid", &Account::ID.to_string(), name]).go().ok();
        Account(name)
    }

    fn instance(&self, verb: &str) {
        Call::new("systemctl").args([verb, &format!("user@{}.service", Account::ID)]).go().ok();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.instance("stop");
        Call::new("userdel").args(["--remove", self.0]).go().ok();
    }
}

#[test]
fn with_the_users_systemd_its_containers_end_and_can_be_deleted() {
    if !is_here_with_v2() {
        return;
    }
    assert_ne!(LOGIN, "lodger");
    let account = Account::new("lodger");
    account.instance("start");
    let rt = user::runtime_with(view::as_user(Account::ID));
    chown_tree(rt.dir(), Account::ID);
    let mut bundle = user::bundle_of(&rt, Account::ID);
    // The first process of a pid namespace has no signal's default, and systemd waits for it.
    bundle.script("trap 'exit 0' TERM; sleep 1000 & wait");
    bundle.set("/linux/cgroupsPath", json!(format!(":hull:{}", rt.tag())));
    bundle.set("/linux/resources", json!({"pids": {"limit": 20}}));
    let container = rt.make(&bundle, "", &["--systemd-cgroup", "run", "--detach"]);
    let pid = container.pid();
    assert!(cgroup_of(pid).to_str().unwrap().contains("/user@1717.service/"));
    account.instance("stop");
    assert!(proc::ended(pid), "the container is in a unit of that systemd's");
    assert_eq!(container.status(), "stopped");
    container.verb(&["update", "--pids-limit", "10"]).exits(1).one_line();
    container.verb(&["delete"]).ok();
}

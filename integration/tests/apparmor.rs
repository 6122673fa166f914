//! AppArmor profiles of the program and of exec, on a machine whose kernel has AppArmor (that of integration/machine).

use integration::{Bundle, Call, Runtime, json};

/// Two profiles of a test's own in the kernel, each of which denies one file; removed with the value.
struct Profiles {
    text: String,
    first: String,
    second: String,
}

impl Profiles {
    /// Loads them; says so where that cannot be.
    fn load(rt: &Runtime) -> Option<Self> {
        let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        if enabled.trim() != "Y" {
            println!("skipped: AppArmor is not enabled here; integration/machine has a machine where it is");
            return None;
        }
        let [first, second] = ["first", "second"].map(|name| format!("hulltest-{}-{name}", rt.tag()));
        let profile = |name: &str, denied: &str| {
            format!(
                "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n file,\n capability,\n network,\n signal,\n \
                 deny {denied} r,\n}}\n"
            )
        };
        let profiles = Self { text: profile(&first, "/etc/group") + &profile(&second, "/etc/passwd"), first, second };
        profiles.parser("--replace").ok();
        Some(profiles)
    }

    fn parser(&self, act: &str) -> integration::Output {
        Call::new("apparmor_parser").args([act, "--skip-cache"]).input(self.text.as_str()).go()
    }
}

impl Drop for Profiles {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

/// Which profile it is, by the kernel's new interface and by the old, and which of two files it denies.
const LOOK: &str = "cat /proc/self/attr/apparmor/current /proc/self/attr/current; \
    for f in group passwd; do cat /etc/$f >/dev/null 2>&1 && echo $f || echo no $f; done";

fn seen(profile: &str, files: &str) -> String {
    format!("{profile} (enforce)\n{profile} (enforce)\n{files}\n")
}

fn bundle(rt: &Runtime, profile: &str) -> Bundle {
    let mut bundle = rt.bundle();
    bundle.set("/process/apparmorProfile", json!(profile));
    bundle
}

#[test]
fn a_profile_confines_the_program_and_what_it_denies_is_denied() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, &profiles.first);
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        assert_eq!(rt.sh(&mut bundle, LOOK).ok(), seen(&profiles.first, "no group\npasswd"));
    }
    bundle.userns(700_000, 65536);
    assert_eq!(rt.sh(&mut bundle, LOOK).ok(), seen(&profiles.first, "no group\npasswd"), "in a user namespace");
}

#[test]
fn create_confines_at_start_and_not_what_waits_for_it() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, &profiles.first);
    let said = bundle.fifo("/said");
    bundle.script("cat /proc/self/attr/apparmor/current > /said; exec sleep 1000");
    let container = rt.create(&bundle);
    container.start();
    assert_eq!(said.line(), format!("{} (enforce)", profiles.first));
}

#[test]
fn exec_has_the_containers_profile_or_its_own() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, &profiles.first);
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh(LOOK).ok(), seen(&profiles.first, "no group\npasswd"));
    let own = container.exec_call(&["--apparmor", &profiles.second], &["sh", "-c", LOOK]).go();
    assert_eq!(own.ok(), seen(&profiles.second, "group\nno passwd"));
    let process =
        json!({"cwd": "/", "args": ["/bin/sh", "-c", LOOK], "env": ["PATH=/bin"], "apparmorProfile": profiles.second});
    std::fs::write(rt.path("process"), process.to_string()).unwrap();
    let by_file = rt.call(["exec", "--process"]).arg(rt.path("process")).arg(&container.id).go();
    assert_eq!(by_file.ok(), seen(&profiles.second, "group\nno passwd"));
    let unknown = container.exec_call(&["--apparmor", "hulltest-unknown"], &["true"]).go().exits(255);
    unknown.says("hulltest-unknown").says("process.apparmorProfile").says("not loaded").one_line();
}

#[test]
fn a_profile_that_is_not_loaded_is_an_error() {
    let rt = Runtime::new();
    let Some(_profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, "hulltest-unknown");
    bundle.script("echo ran");
    let output = rt.run(&bundle).exits(1).one_line();
    let output = output.says("hulltest-unknown").says("process.apparmorProfile").says("not loaded");
    assert_eq!(output.stdout, "");
}

#[test]
fn unconfined_is_a_profile_too() {
    let rt = Runtime::new();
    let Some(_profiles) = Profiles::load(&rt) else { return };
    let mut bundle = bundle(&rt, "unconfined");
    assert_eq!(rt.sh(&mut bundle, "cat /proc/self/attr/apparmor/current").word(), "unconfined");
}

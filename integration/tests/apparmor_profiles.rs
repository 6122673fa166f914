//! Every kind of AppArmor profile a config may name: odd names, stacked, in a namespace, in complain mode, with children.

use integration::apparmor::{Profiles, profile};
use integration::{Runtime, json};

/// The profile as the program itself sees it, and which of two files it denies.
const LOOK: &str = "cat /proc/self/attr/apparmor/current; \
    for f in group passwd; do cat /etc/$f >/dev/null 2>&1 && echo $f || echo no $f; done";

#[test]
fn a_name_may_have_spaces_and_odd_characters_and_be_as_long_as_the_kernel_takes() {
    let rt = Runtime::new();
    let odd = |first: &str| {
        let long = format!("{first}{}", "n".repeat(240 - first.len()));
        [format!("{first} with  spaces"), format!("{first}<ä'$=:;%>"), long]
    };
    let text = |first: &str, _: &str| odd(first).map(|name| profile(&name, "deny /etc/passwd r,")).concat();
    let Some(profiles) = Profiles::load_with(&rt, text) else { return };
    let mut bundle = rt.bundle();
    bundle.script(LOOK);
    for name in odd(&profiles.first) {
        bundle.set("/process/apparmorProfile", json!(name));
        assert_eq!(rt.run(&bundle).ok(), format!("{name} (enforce)\ngroup\nno passwd\n"));
    }
    // White space around a name is none of it, for the kernel.
    bundle.set("/process/apparmorProfile", json!(format!(" {}  ", profiles.first)));
    assert_eq!(rt.run(&bundle).ok(), format!("{} (enforce)\nno group\npasswd\n", profiles.first));
}

#[test]
fn a_name_that_is_none_is_an_error() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = rt.bundle();
    bundle.script("echo ran");
    let long = "n".repeat(5000);
    let broken = format!("{}\n{}", &profiles.first[..4], &profiles.first[4..]);
    let half = format!("{}//&hulltest-unknown", profiles.first);
    for name in ["  ", &long, &broken, &half, "hulltest-unknown", "/hulltest/unknown", ":hulltest-unknown://unconfined"]
    {
        bundle.set("/process/apparmorProfile", json!(name));
        let output = rt.run(&bundle);
        assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{name:?}: {output}");
        output.says("process.apparmorProfile").one_line();
    }
}

#[test]
fn profiles_may_be_stacked_and_of_a_namespace() {
    let rt = Runtime::new();
    let Some(mut profiles) = Profiles::load(&rt) else { return };
    let namespace = profiles.load_in_namespace();
    let (first, second) = (&profiles.first, &profiles.second);
    let mut bundle = rt.bundle();
    bundle.script(LOOK);
    // Of a namespace's, those in it see the name alone.
    for (name, seen, files) in [
        (format!("{first}//&{second}"), format!("{first}//&{second}"), "no group\nno passwd"),
        (format!(":{namespace}://{first}"), first.clone(), "no group\npasswd"),
        (format!(":{namespace}:{second}"), second.clone(), "group\nno passwd"),
    ] {
        bundle.set("/process/apparmorProfile", json!(name));
        assert_eq!(rt.run(&bundle).ok(), format!("{seen} (enforce)\n{files}\n"), "{name}");
        bundle.unset("/process/apparmorProfile");
        let container = rt.sleeper(&mut bundle);
        let exec = container.exec_call(&["--apparmor", &name], &["sh", "-c", LOOK]).go();
        assert_eq!(exec.ok(), format!("{seen} (enforce)\n{files}\n"), "{name}");
        container.verb(&["delete", "--force"]).ok();
        bundle.script(LOOK);
    }
    bundle.set("/process/apparmorProfile", json!(format!(":{namespace}://{first}")));
    let container = rt.sleeper(&mut bundle);
    let seen = integration::proc::read(container.pid(), "attr/apparmor/current");
    assert_eq!(seen, format!(":{namespace}:{first} (enforce)\n"), "from outside");
    container.verb(&["delete", "--force"]).ok();
}

#[test]
fn a_profile_in_complain_mode_denies_only_what_it_names() {
    let rt = Runtime::new();
    let text = |first: &str, _: &str| {
        let flags = "flags=(complain,attach_disconnected,mediate_deleted)";
        format!("profile {first}-complains {flags} {{\n /bin/* mrix,\n deny /etc/passwd r,\n}}\n")
    };
    let Some(profiles) = Profiles::load_with(&rt, text) else { return };
    let name = format!("{}-complains", profiles.first);
    let mut bundle = rt.bundle();
    bundle.set("/process/apparmorProfile", json!(name));
    assert_eq!(rt.sh(&mut bundle, LOOK).ok(), format!("{name} (complain)\ngroup\nno passwd\n"));
}

#[test]
fn a_profile_with_children_is_as_its_rules_say() {
    let rt = Runtime::new();
    let text = |first: &str, _: &str| {
        let flags = "flags=(attach_disconnected,mediate_deleted)";
        format!(
            "profile {first}-parent {flags} {{\n file,\n capability,\n network,\n signal,\n audit deny /etc/group r,\n \
             /bin/busybox cx -> child,\n profile child {flags} {{\n file,\n deny /etc/passwd r,\n }}\n}}\n"
        )
    };
    let Some(profiles) = Profiles::load_with(&rt, text) else { return };
    let parent = format!("{}-parent", profiles.first);
    let child = format!("{parent}//child");
    let mut bundle = rt.bundle();
    // By its own name.
    bundle.set("/process/apparmorProfile", json!(child));
    assert_eq!(rt.sh(&mut bundle, LOOK).ok(), format!("{child} (enforce)\ngroup\nno passwd\n"));
    // By an exec in the container, which a profile may arrange where privileges may change.
    bundle.set("/process/apparmorProfile", json!(parent));
    bundle.set("/process/noNewPrivileges", json!(false));
    let script = "read own < /proc/self/attr/apparmor/current; echo $own; /bin/cat /proc/self/attr/apparmor/current /etc/group >&1; /bin/cat /etc/passwd";
    let output = rt.sh(&mut bundle, script).exits(1).says("Permission denied");
    let group = std::fs::read_to_string(bundle.inside("/etc/group")).unwrap();
    assert_eq!(output.stdout, format!("{parent} (enforce)\n{child} (enforce)\n{group}"));
}

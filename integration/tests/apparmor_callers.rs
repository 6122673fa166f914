//! AppArmor and who calls: an ordinary user, a runtime that is confined itself, one whose /proc is a false one; and the hooks.

use integration::apparmor::{Profiles, profile};
use integration::bundle::copy_program;
use integration::{Bundle, Refusal, Runtime, binary, json, user, view};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const LOOK: &str = "cat /proc/self/attr/apparmor/current; \
    for f in group passwd; do cat /etc/$f >/dev/null 2>&1 && echo $f || echo no $f; done";

/// A kernel without lsm_set_self_attr(2).
const OLD_KERNEL: Refusal = Refusal { call: 460, fourth: None, errno: libc::ENOSYS };

fn seen(profile: &str) -> String {
    format!("{profile} (enforce)\nno group\npasswd\n")
}

fn under(profile: &str) -> Vec<String> {
    ["aa-exec", "-p", profile, "--"].map(str::to_owned).to_vec()
}

#[test]
fn an_ordinary_users_container_is_confined_too() {
    let rt = user::runtime();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = user::bundle(&rt);
    bundle.set("/process/apparmorProfile", json!(profiles.first));
    assert_eq!(rt.sh(&mut bundle, LOOK).ok(), seen(&profiles.first));
    let container = rt.sleeper(&mut bundle);
    assert_eq!(container.sh(LOOK).ok(), seen(&profiles.first));
    let second = container.exec_call(&["--apparmor", &profiles.second], &["sh", "-c", LOOK]).go().ok();
    assert_eq!(second, format!("{} (enforce)\ngroup\nno passwd\n", profiles.second));
    container.verb(&["delete", "--force"]).ok();
    bundle.set("/process/apparmorProfile", json!("hulltest-unknown"));
    let output = rt.sh(&mut bundle, "echo ran").exits(1).says("process.apparmorProfile").says("not loaded").one_line();
    assert_eq!(output.stdout, "");
}

#[test]
fn hooks_run_under_the_runtimes_profile_and_in_the_container_under_the_containers() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = rt.bundle();
    bundle.writable().set("/process/apparmorProfile", json!(profiles.first));
    let own = fs::read_to_string("/proc/self/attr/apparmor/current").unwrap();
    let outside = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    for kind in outside {
        let said = rt.path(kind);
        bundle.hook(kind, &format!("cat /proc/self/attr/apparmor/current > {}", said.display()));
    }
    // It is a program of the image's, as the container's own is.
    bundle.hook("startContainer", "cat /proc/self/attr/apparmor/current > /said; cat /etc/group >> /said || true");
    rt.sh(&mut bundle, "true").ok();
    for kind in outside {
        assert_eq!(fs::read_to_string(rt.path(kind)).unwrap(), own, "{kind}");
    }
    assert_eq!(fs::read_to_string(bundle.inside("/said")).unwrap(), format!("{} (enforce)\n", profiles.first));
}

#[test]
fn a_confined_runtime_may_change_to_what_its_profile_allows() {
    let rt = Runtime::new();
    let text = |first: &str, second: &str| {
        profile(&format!("{first}-runtime"), &format!("unix,\n userns,\n change_profile -> {second},"))
    };
    let Some(profiles) = Profiles::load_with(&rt, text) else { return };
    let runtime = format!("{}-runtime", profiles.first);
    let mut rt = rt;
    rt.wrap(under(&runtime));
    let mut bundle = rt.bundle();
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(rt.sh(&mut bundle, LOOK).ok(), format!("{runtime} (enforce)\ngroup\npasswd\n"));
    bundle.set("/process/apparmorProfile", json!(profiles.second));
    assert_eq!(rt.sh(&mut bundle, LOOK).ok(), format!("{} (enforce)\ngroup\nno passwd\n", profiles.second));
    for name in [&profiles.first, "unconfined"] {
        bundle.set("/process/apparmorProfile", json!(name));
        for call in [rt.run_call(&bundle, &[]), rt.run_call(&bundle, &[]).refusing(OLD_KERNEL)] {
            let output = call.go().exits(1).says("process.apparmorProfile").says("change_profile").one_line();
            assert_eq!(output.stdout, "");
        }
    }
}

#[test]
fn a_runtime_that_may_make_no_user_namespace_says_whose_word_that_is() {
    let rt = user::runtime();
    let text = |first: &str, _: &str| profile(&format!("{first}-runtime"), "unix,\n deny userns,");
    let Some(profiles) = Profiles::load_with(&rt, text) else { return };
    let mut rt = rt;
    let runtime = format!("{}-runtime", profiles.first);
    rt.wrap([under(&runtime), view::as_user(user::USER)].concat());
    let mut bundle = user::bundle(&rt);
    let output = rt.sh(&mut bundle, "echo ran").exits(1).says("linux.namespaces").says("\"userns\"").one_line();
    assert_eq!(output.stdout, "");
    let rooted = Runtime::wrapped(under(&runtime));
    let mut bundle = rooted.bundle();
    bundle.userns(700_000, 65536);
    rooted.sh(&mut bundle, "echo ran").exits(1).says("linux.namespaces").says("\"userns\"").one_line();
}

/// The profile that docs/apparmor.md gives for hull, at the place where hull is here.
fn own_profile(rt: &Runtime, runtime: &Path) -> String {
    let page = include_str!("../../docs/apparmor.md");
    let (_, block) = page.split_once("```apparmor\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let named = block.replace("profile hull ", &format!("profile {}-hull ", rt.tag()));
    assert!(named.contains("/usr/local/bin/hull"), "{named}");
    named.replace("/usr/local/bin/hull", runtime.to_str().unwrap())
}

#[test]
fn the_documented_profile_lets_hull_do_all_it_does() {
    let rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    // A copy, for the profile goes by the path.
    let runtime = rt.path("hull");
    copy_program(binary::path(), &runtime);
    let text = own_profile(&rt, &runtime);
    let parser = |act| integration::Call::new("apparmor_parser").args([act, "--skip-cache"]).input(text.as_str()).go();
    parser("--replace").ok();
    let mut bundle = rt.bundle();
    let hull = |bundle: &Bundle| {
        bundle.write();
        let call = integration::Call::new(&runtime).arg("--root").arg(rt.root()).args(["run", "--bundle"]);
        call.arg(bundle.dir()).arg(rt.id("")).env(integration::residue::TAG, rt.tag()).go()
    };
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges)).script(LOOK);
        let label = format!("{}-hull (unconfined)", rt.tag());
        assert_eq!(hull(&bundle).ok(), format!("{label}\ngroup\npasswd\n"));
        bundle.set("/process/apparmorProfile", json!(profiles.first));
        assert_eq!(hull(&bundle).ok(), seen(&profiles.first));
        bundle.unset("/process/apparmorProfile");
    }
    bundle.userns(700_000, 65536);
    hull(&bundle).ok();
    parser("--remove").ok();
}

/// Files where AppArmor's are, that take what is written to them.
fn false_procfs(dir: &Path) -> Vec<std::path::PathBuf> {
    let taken =
        ["self/attr/exec", "self/attr/apparmor/exec", "thread-self/attr/apparmor/exec"].map(|file| dir.join(file));
    for file in &taken {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    taken.to_vec()
}

#[test]
fn cve_2019_16884_2023_28642_2025_52881_an_images_proc_takes_no_profile() {
    for old_kernel in [false, true] {
        let rt = Runtime::new();
        let Some(profiles) = Profiles::load(&rt) else { return };
        let call = |call: integration::Call| if old_kernel { call.refusing(OLD_KERNEL) } else { call };
        let label = format!("{} (enforce)\n", profiles.first);
        // The image's own, without a procfs over it, and a volume's, which comes there by a symlink of the image's.
        for volume in [false, true] {
            let mut bundle = rt.bundle();
            bundle.set("/process/apparmorProfile", json!(profiles.first)).args(&["sleep", "1000"]);
            bundle.unset("/linux/maskedPaths").unset("/linux/readonlyPaths");
            let taken = if volume {
                let taken = false_procfs(&rt.path("volume"));
                symlink("/proc", bundle.inside("/data")).unwrap();
                bundle.bind(&rt.path("volume"), "/data", &["rw"]);
                taken
            } else {
                bundle.unmount("/proc");
                false_procfs(&bundle.inside("/proc"))
            };
            let ran = call(rt.run_call(&bundle, &["--detach"])).go();
            assert_eq!(ran.code, 0, "{ran}");
            let container = rt.container();
            assert_eq!(integration::proc::read(container.pid(), "attr/apparmor/current"), label, "volume: {volume}");
            // Nothing in there tells an exec its own profile: the denied file does.
            for (profile, files) in [(&profiles.first, "no group\npasswd\n"), (&profiles.second, "group\nno passwd\n")]
            {
                let script = LOOK.split_once("; ").unwrap().1;
                let exec = call(container.exec_call(&["--apparmor", profile], &["sh", "-c", script])).go();
                assert_eq!(exec.ok(), files, "volume: {volume}");
            }
            for file in taken {
                assert_eq!(fs::read_to_string(&file).unwrap(), "", "{}", file.display());
            }
            container.verb(&["delete", "--force"]).ok();
            fs::remove_dir_all(bundle.dir()).unwrap();
        }
    }
}

#[test]
fn cve_2019_16884_where_the_runtimes_own_proc_is_a_false_one() {
    let mut rt = Runtime::new();
    let Some(profiles) = Profiles::load(&rt) else { return };
    let mut bundle = rt.bundle();
    bundle.set("/process/apparmorProfile", json!(profiles.first)).script(LOOK);
    let fake = rt.path("fake");
    let taken = false_procfs(&fake);
    // With what hull reads of it for other ends.
    for file in ["self/cgroup", "self/mountinfo"] {
        fs::write(fake.join(file), fs::read(Path::new("/proc").join(file)).unwrap()).unwrap();
    }
    rt.wrap(view::in_mount_namespace(&format!("mount --rbind {} /proc", fake.display())));
    // On an old kernel there is no way to apply it, and none is tried.
    let output = rt.run_call(&bundle, &[]).refusing(OLD_KERNEL).go().exits(1).one_line();
    assert_eq!(output.says("not a procfs").stdout, "");
    let output = rt.run(&bundle);
    assert!(output.code != 0 || output.stdout == seen(&profiles.first), "{output}");
    for file in taken {
        assert_eq!(fs::read_to_string(&file).unwrap(), "", "{}", file.display());
    }
}

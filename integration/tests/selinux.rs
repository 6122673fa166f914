//! SELinux labels of the program, its session keyring and its file systems, on a machine whose kernel has SELinux (a boot of
//! integration/machine). The labels are those of the common policies; what is denied is denied in enforcing mode only.

use integration::console::FdSocket;
use integration::selinux::{attribute, denies, file_label, keyring_label, knows, label_file, label_tree};
use integration::{Bundle, Container, Runtime, json};
use std::path::{Path, PathBuf};

const PROCESS: &str = "system_u:system_r:container_t:s0:c1,c2";
const FILES: &str = "system_u:object_r:container_file_t:s0:c1,c2";
/// More categories, and others.
const WIDER: &str = "system_u:system_r:container_t:s0:c1,c2,c3";
const OTHERS: &str = "system_u:object_r:container_file_t:s0:c7";
/// What nobody may become who starts a container.
const REFUSED: &str = "system_u:system_r:sshd_t:s0";
const UNKNOWN: &str = "no:such:label:s0";

/// A bundle whose files a container of `PROCESS` may use, with that label and that of its mounts.
fn labelled(rt: &Runtime) -> Option<Bundle> {
    if ![PROCESS, FILES, WIDER, OTHERS].iter().all(|label| knows(label)) {
        return None;
    }
    let mut bundle = rt.bundle();
    bundle.file("/said", "");
    label_tree(&bundle.rootfs(), FILES);
    bundle.writable().set("/process/selinuxLabel", json!(PROCESS)).set("/linux/mountLabel", json!(FILES));
    Some(bundle)
}

/// The script with its output in a file of the root: a confined process may not write where the test's output goes.
fn into_said(script: &str) -> String {
    format!("exec >/said 2>&1\n{script}")
}

fn said(bundle: &Bundle) -> String {
    std::fs::read_to_string(bundle.inside("/said")).unwrap().replace('\0', "")
}

/// What a script in the container said.
fn run(rt: &Runtime, bundle: &mut Bundle, script: &str) -> String {
    rt.sh(bundle, &into_said(script)).ok();
    said(bundle)
}

/// What a script said that was executed in the container.
fn exec(bundle: &Bundle, container: &Container<'_>, flags: &[&str], script: &str) -> String {
    container.exec_call(flags, &["sh", "-c", &into_said(script)]).go().ok();
    said(bundle)
}

fn root_of(container: &Container<'_>) -> PathBuf {
    format!("/proc/{}/root", container.pid()).into()
}

/// The label; that nothing is left to be taken by what the program does next.
const LOOK: &str = "cat /proc/self/attr/current; echo; cat /proc/self/attr/exec /proc/self/attr/keycreate";

#[test]
fn the_program_has_the_label() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        assert_eq!(run(&rt, &mut bundle, LOOK).trim(), PROCESS, "no_new_privs {no_new_privileges}");
    }
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    rustix::fs::chmod(bundle.inside("/said"), rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
    assert_eq!(run(&rt, &mut bundle, LOOK).trim(), PROCESS, "another user");
    bundle.set("/process/user", json!({"uid": 0, "gid": 0})).userns(700_000, 65536);
    assert_eq!(run(&rt, &mut bundle, LOOK).trim(), PROCESS, "in a user namespace");
}

#[test]
fn create_labels_at_start_and_not_what_waits_for_it() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let ours = attribute(std::process::id() as i32, "current");
    assert_eq!(attribute(container.pid(), "current"), ours, "it is still the runtime's");
    container.start();
    assert_eq!(attribute(container.pid(), "current"), PROCESS);
    if denies() {
        container.verb(&["delete", "--force"]).ok();
        bundle.set("/process/selinuxLabel", json!(REFUSED));
        let container = rt.create(&bundle);
        container.verb(&["start"]).exits(1).says("exec").says("process.selinuxLabel").one_line();
    }
}

#[test]
fn exec_has_the_containers_label_or_its_own() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    let container = rt.sleeper(&mut bundle);
    assert_eq!(exec(&bundle, &container, &[], LOOK).trim(), PROCESS);
    let short = "system_u:system_r:container_t:s0:c1.c3"; // the kernel's way to write it
    assert_eq!(exec(&bundle, &container, &["--process-label", WIDER], LOOK).trim(), short);
    let args = ["/bin/sh", "-c", &into_said(LOOK)];
    let process = json!({"cwd": "/", "args": args, "env": ["PATH=/bin"], "selinuxLabel": WIDER});
    std::fs::write(rt.path("process"), process.to_string()).unwrap();
    rt.call(["exec", "--process"]).arg(rt.path("process")).arg(&container.id).go().ok();
    assert_eq!(said(&bundle).trim(), short);
    let unknown = container.exec_call(&["--process-label", UNKNOWN], &["true"]).go().exits(255);
    unknown.says(UNKNOWN).says("process.selinuxLabel").says("does not know the label").one_line();
}

#[test]
fn what_the_label_may_not_do_is_denied() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    if !denies() {
        return;
    }
    for (name, label) in [("/own", FILES), ("/others", OTHERS), ("/shadow", "system_u:object_r:shadow_t:s0")] {
        label_file(&bundle.file(name, &format!("{name}\n")), label);
    }
    let read = "for f in /own /others /shadow; do cat $f 2>/dev/null || echo denied; done";
    assert_eq!(run(&rt, &mut bundle, read), "/own\ndenied\ndenied\n");
    bundle.set("/process/selinuxLabel", json!("system_u:system_r:container_t:s0:c1,c2,c7"));
    assert_eq!(run(&rt, &mut bundle, read), "/own\n/others\ndenied\n", "a category more");
    // What the policy lets nobody become from here is not run without a word, as the caller or as something else.
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges)).args(&["true"]);
        bundle.set("/process/selinuxLabel", json!(REFUSED));
        rt.run(&bundle).exits(1).says("exec").says("process.selinuxLabel").one_line();
    }
}

/// Paths in a container, and whether what is there has the label of its mounts.
fn see(root: &Path, paths: &[&str]) -> Vec<(String, String)> {
    paths.iter().map(|path| ((*path).to_owned(), file_label(&root.join(path.trim_start_matches('/'))))).collect()
}

#[test]
fn file_systems_have_the_mount_label() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    bundle.file("/copied/file", "");
    bundle.mount("/tmp", "tmpfs", "tmpfs", &[]).mount("/copied", "tmpfs", "tmpfs", &["tmpcopyup"]);
    for userns in [false, true] {
        if userns {
            bundle.userns(700_000, 65536);
        }
        let container = rt.sleeper(&mut bundle);
        let root = root_of(&container);
        let paths = ["/dev", "/dev/pts", "/dev/pts/ptmx", "/dev/shm", "/dev/mqueue", "/dev/fd", "/tmp", "/copied/file"];
        // A directory that is hidden is hidden under a tmpfs, which has the label too.
        for (path, label) in see(&root, &paths).into_iter().chain(see(&root, &["/proc/acpi", "/sys/firmware"])) {
            assert_eq!(label, FILES, "{path}, user namespace: {userns}");
        }
        for (path, kind) in [("/proc", ":proc_t:"), ("/sys", ":sysfs_t:"), ("/sys/fs/cgroup", ":cgroup_t:")] {
            let label = file_label(&root.join(&path[1..]));
            assert!(label.contains(kind), "{path}, which has labels of its own: {label}");
        }
        let table = exec(&bundle, &container, &[], "cat /proc/self/mounts");
        for place in ["/dev", "/dev/pts", "/dev/shm", "/tmp"] {
            let line = table.lines().find(|line| line.split(' ').nth(1) == Some(place)).unwrap();
            assert!(line.contains(&format!("context=\"{FILES}\"")), "{line}");
        }
        let write = "for d in /dev/shm /dev/mqueue /tmp /copied; do : > $d/made && echo $d; done";
        assert_eq!(exec(&bundle, &container, &[], write), "/dev/shm\n/dev/mqueue\n/tmp\n/copied\n");
        container.verb(&["delete", "--force"]).ok();
    }
}

#[test]
fn without_a_mount_label_a_file_system_has_the_label_of_its_own_option() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    bundle.set("/linux/mountLabel", json!(""));
    bundle.mount("/tmp", "tmpfs", "tmpfs", &[&format!("context=\"{OTHERS}\"")]);
    let container = rt.sleeper(&mut bundle);
    let root = root_of(&container);
    assert_eq!(file_label(&root.join("tmp")), OTHERS);
    for path in ["dev", "dev/shm", "dev/mqueue"] {
        assert!(!file_label(&root.join(path)).contains("container_file_t"), "{path}");
    }
}

#[test]
fn the_type_of_the_mount_label_is_that_of_the_annotation() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    bundle.mount("/tmp", "tmpfs", "tmpfs", &[]);
    for kind in ["fscontext", "rootcontext", "context"] {
        bundle.set("/annotations", json!({"run.oci.mount_context_type": kind}));
        let container = rt.sleeper(&mut bundle);
        let table = std::fs::read_to_string(format!("/proc/{}/mounts", container.pid())).unwrap();
        let line = table.lines().find(|line| line.split(' ').nth(1) == Some("/tmp")).unwrap();
        assert!(line.contains(&format!("{kind}=\"{FILES}\"")) && line.matches("context=").count() == 1, "{line}");
        container.verb(&["delete", "--force"]).ok();
    }
}

#[test]
fn the_session_keyring_has_the_label() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    // Seen from inside only by who may.
    bundle.config["linux"]["maskedPaths"].as_array_mut().unwrap().retain(|path| path != "/proc/keys");
    let name = format!("_ses.{}", rt.tag());
    let look = format!("grep -q ' {name}:' /proc/keys && echo seen");
    let container = rt.sleeper(&mut bundle);
    assert_eq!(keyring_label(&name).as_deref(), Some(PROCESS));
    assert_eq!(exec(&bundle, &container, &[], &look), "seen\n", "exec joins it");
    container.verb(&["delete", "--force"]).ok();
    // An exec into a container without one makes it.
    let container = rt.make(&bundle, "", &["run", "--detach", "--no-new-keyring"]);
    assert_eq!(keyring_label(&name), None);
    assert_eq!(exec(&bundle, &container, &["--process-label", WIDER], &look), "seen\n");
    container.verb(&["delete", "--force"]).ok();
    assert_eq!(run(&rt, &mut bundle, &look), "seen\n");
    bundle.userns(700_000, 65536);
    assert_eq!(run(&rt, &mut bundle, &look), "seen\n", "in a user namespace");
}

#[test]
fn a_label_that_the_policy_does_not_know_is_an_error() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    bundle.set("/process/selinuxLabel", json!(UNKNOWN)).script("echo ran");
    for flags in [&[][..], &["--no-new-keyring"]] {
        let output = rt.run_with(&bundle, flags).exits(1).says("process.selinuxLabel");
        assert_eq!(output.says(UNKNOWN).says("does not know the label").one_line().stdout, "");
    }
    bundle.set("/process/selinuxLabel", json!(PROCESS)).set("/linux/mountLabel", json!(UNKNOWN));
    let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
    let tmpfs = |options| json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options});
    let mqueue = json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"});
    bundle.set("/linux/maskedPaths", json!([]));
    for mounts in [json!([proc, tmpfs(json!([]))]), json!([proc, tmpfs(json!(["tmpcopyup"]))]), json!([proc, mqueue])] {
        bundle.set("/mounts", mounts.clone());
        let output = rt.run(&bundle).exits(1).says("linux.mountLabel").says(UNKNOWN).one_line();
        assert_eq!(output.stdout, "", "{mounts}");
    }
    bundle.set("/mounts", json!([proc])).set("/linux/maskedPaths", json!(["/proc/acpi"]));
    rt.run(&bundle).exits(1).says("linux.mountLabel").one_line();
}

#[test]
fn hooks_of_the_container_are_confined_from_start_on() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    let ours = attribute(std::process::id() as i32, "current");
    for (kind, file) in [("createRuntime", rt.path("seen1")), ("createContainer", rt.path("seen2"))] {
        bundle.hook(kind, &format!("cat /proc/self/attr/current > {}", file.display()));
    }
    bundle.file("/hooked", "");
    label_file(&bundle.inside("/hooked"), FILES);
    bundle.hook("startContainer", "cat /proc/self/attr/current > /hooked");
    assert_eq!(run(&rt, &mut bundle, LOOK).trim(), PROCESS);
    let seen = |path: &Path| std::fs::read_to_string(path).unwrap().trim_end_matches(['\0', '\n']).to_owned();
    assert_eq!([seen(&rt.path("seen1")), seen(&rt.path("seen2"))], [ours.clone(), ours]);
    assert_eq!(seen(&bundle.inside("/hooked")), PROCESS);
}

#[test]
fn a_terminal_is_of_the_containers_devpts() {
    let rt = Runtime::new();
    let Some(mut bundle) = labelled(&rt) else { return };
    let socket = FdSocket::new(rt.path("console"));
    bundle.set("/process/terminal", json!(true)).args(&["sh"]);
    let container = rt.make(&bundle, "", &["run", "--detach", "--console-socket", socket.arg()]);
    let terminal = socket.terminal();
    let root = root_of(&container);
    for path in ["dev/console", "dev/pts/0"] {
        assert_eq!(file_label(&root.join(path)), FILES, "{path}");
    }
    terminal.send("cat /proc/self/attr/current; echo; echo e\"\"nd\n");
    assert!(terminal.until("end").contains(PROCESS));
    terminal.send("exit\n");
}

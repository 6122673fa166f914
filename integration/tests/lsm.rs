//! Security labels on a machine without AppArmor and SELinux: clear errors. What profiles of AppArmor do where it
//! is, apparmor.rs shows; what labels of SELinux do, selinux.rs.

use integration::{Runtime, json};

const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
const SELINUX: &str = "/sys/fs/selinux/status";

/// Where the module is there after all, the label is not an error: the test has nothing to say.
fn skip_with(module: &str) -> bool {
    // AppArmor is in the kernel, and says so, where another module was chosen instead.
    let there = std::fs::read(module).is_ok_and(|text| text.first() != Some(&b'N'));
    if there {
        println!("skipped: this machine has {module}");
    }
    there
}

#[test]
fn an_apparmor_profile_that_cannot_be_applied_is_an_error() {
    if skip_with(APPARMOR) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/process/apparmorProfile", json!("acme_secure_profile")).args(&["true"]);
    let output = rt.run(&bundle).exits(1).says("acme_secure_profile").says("process.apparmorProfile");
    output.says("AppArmor is not enabled on this host").one_line();
    bundle.set("/process/apparmorProfile", json!(""));
    rt.run(&bundle).ok();
    let container = rt.sleeper(&mut bundle);
    let process = json!({"cwd": "/", "args": ["true"], "apparmorProfile": "acme_secure_profile"});
    std::fs::write(rt.path("process"), process.to_string()).unwrap();
    let exec = rt.call(["exec", "--process"]).arg(rt.path("process")).arg(&container.id).go();
    exec.exits(255).says("process.apparmorProfile").one_line();
}

#[test]
fn an_selinux_label_that_cannot_be_applied_is_an_error() {
    if skip_with(SELINUX) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["true"]);
    let label = "system_u:system_r:svirt_lxc_net_t:s0:c124,c675";
    for (pointer, field) in
        [("/process/selinuxLabel", "process.selinuxLabel"), ("/linux/mountLabel", "linux.mountLabel")]
    {
        bundle.set(pointer, json!(label));
        rt.run(&bundle).exits(1).says(label).says(field).says("SELinux is not enabled on this host").one_line();
        bundle.set(pointer, json!(""));
        rt.run(&bundle).ok();
    }
}

#[test]
fn a_mount_label_without_a_file_system_to_get_it_is_an_error_too() {
    if skip_with(SELINUX) {
        return;
    }
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]));
    bundle.set("/linux/mountLabel", json!("system_u:object_r:svirt_sandbox_file_t:s0")).args(&["true"]);
    rt.run(&bundle).exits(1).says("linux.mountLabel").one_line();
}

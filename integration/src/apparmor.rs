//! Profiles of AppArmor for a test: loaded under names of its own, removed with the value.

use crate::{Call, Output, Runtime};
use std::path::PathBuf;

/// What most profiles of tests allow: all that a container's shell does. Rules of the test's own follow.
pub const MOST: &str = "file,\n capability,\n network,\n signal,\n ptrace,\n mount,\n umount,\n pivot_root,\n";

/// Two profiles, of which each denies one file, and what else a test wants.
pub struct Profiles {
    text: String,
    /// Its name; it denies /etc/group.
    pub first: String,
    /// Its name; it denies /etc/passwd.
    pub second: String,
    /// The namespace of AppArmor's in which they are as well.
    namespace: Option<String>,
}

impl Profiles {
    /// Loads the two; says so where that cannot be.
    pub fn load(rt: &Runtime) -> Option<Self> {
        Self::load_with(rt, |_, _| String::new())
    }

    /// Loads the two and the profiles of a text, which is made with their names.
    pub fn load_with(rt: &Runtime, more: impl FnOnce(&str, &str) -> String) -> Option<Self> {
        let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        if enabled.trim() != "Y" {
            println!("skipped: AppArmor is not enabled here; integration/machine has a machine where it is");
            return None;
        }
        let [first, second] = ["first", "second"].map(|name| format!("hulltest-{}-{name}", rt.tag()));
        let text = profile(&first, "deny /etc/group r,") + &profile(&second, "deny /etc/passwd r,");
        let text = format!("abi <abi/4.0>,\n{text}{}", more(&first, &second));
        let profiles = Self { text, first, second, namespace: None };
        profiles.parser(&["--replace"]).ok();
        Some(profiles)
    }

    /// Loads all of them in a new namespace of AppArmor's too; its name.
    pub fn load_in_namespace(&mut self) -> String {
        let name = format!("{}-ns", self.first);
        self.parser(&["--replace", "--namespace", &name]).ok();
        self.namespace = Some(name.clone());
        name
    }

    fn parser(&self, args: &[&str]) -> Output {
        Call::new("apparmor_parser").arg("--skip-cache").args(args).input(self.text.as_str()).go()
    }
}

impl Drop for Profiles {
    fn drop(&mut self) {
        if let Some(name) = &self.namespace {
            self.parser(&["--remove", "--namespace", name]);
            let namespaces = PathBuf::from("/sys/kernel/security/apparmor/policy/namespaces");
            let _ = std::fs::remove_dir(namespaces.join(name));
        }
        self.parser(&["--remove"]);
    }
}

/// The text of a profile with these rules beside [`MOST`].
pub fn profile(name: &str, rules: &str) -> String {
    format!("profile \"{name}\" flags=(attach_disconnected,mediate_deleted) {{\n {MOST} {rules}\n}}\n")
}

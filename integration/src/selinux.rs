//! SELinux: whether it is here, and the labels of files, processes and keys as the kernel has them.

use rustix::fs::XattrFlags;
use std::path::Path;

/// Where the kernel answers whether its policy knows a context.
const CONTEXT: &str = "/sys/fs/selinux/context";
const XATTR: &str = "security.selinux";

/// Whether SELinux labels here, by a policy that has this label. Says so where not.
pub fn knows(label: &str) -> bool {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        println!("skipped: SELinux is not enabled here; integration/machine has a boot where it is");
        return false;
    }
    let known = std::fs::write(CONTEXT, label).is_ok();
    if !known {
        println!("skipped: the SELinux policy of this machine has no {label}");
    }
    known
}

/// Whether SELinux denies here, and not only labels. Says so where not.
pub fn denies() -> bool {
    let enforcing = std::fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|text| text == "1");
    if !enforcing {
        println!("skipped in part: SELinux is permissive here, so that nothing is denied");
    }
    enforcing
}

/// The label of what is at this path, which may lead into a container (`/proc/PID/root/dev`).
pub fn file_label(path: &Path) -> String {
    let mut label = [0u8; 4096];
    let len =
        rustix::fs::lgetxattr(path, XATTR, &mut label).unwrap_or_else(|errno| panic!("{}: {errno}", path.display()));
    String::from_utf8_lossy(&label[..len]).trim_end_matches('\0').to_owned()
}

/// Labels a file.
pub fn label_file(path: &Path, label: &str) {
    rustix::fs::lsetxattr(path, XATTR, label.as_bytes(), XattrFlags::empty())
        .unwrap_or_else(|errno| panic!("{}: {errno}", path.display()));
}

/// Labels a tree.
pub fn label_tree(path: &Path, label: &str) {
    label_file(path, label);
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            label_tree(&entry.unwrap().path(), label);
        }
    }
}

/// An attribute of a process: `current`, `exec`.
pub fn attribute(pid: i32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/attr/{name}")).unwrap();
    text.trim_end_matches(['\0', '\n']).to_owned()
}

/// The label of the session keyring of this name that the caller may see.
pub fn keyring_label(name: &str) -> Option<String> {
    let keys = std::fs::read_to_string("/proc/keys").unwrap();
    let line = keys.lines().find(|line| line.contains(&format!(" {name}:")))?;
    let number = u32::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
    Some(crate::sys::key_label(number as i32).unwrap())
}

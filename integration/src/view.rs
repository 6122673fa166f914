//! Other worlds for the runtime to be called in: a pure cgroup v2 view, an ordinary user.
//!
//! A wrapper is the head of a command line; the runtime's own command line follows it.

use std::path::Path;

/// A private mount namespace whose /sys/fs/cgroup is cgroup v2 and nothing else.
pub fn pure_v2() -> Vec<String> {
    // The options of such a mount are the whole machine's.
    in_mount_namespace(
        "options=$(awk '$3 == \"cgroup2\" { print $4; exit }' /proc/self/mounts) && umount -R /sys/fs/cgroup && \
         mount -t cgroup2 -o \"$options\" cgroup2 /sys/fs/cgroup",
    )
}

/// Where the host has the tree that [`pure_v2`] shows at /sys/fs/cgroup.
pub fn v2_root() -> &'static Path {
    let hybrid = Path::new("/sys/fs/cgroup/unified");
    if hybrid.is_dir() { hybrid } else { Path::new("/sys/fs/cgroup") }
}

/// Whether the host has that tree mounted, so that a test can look there; says so where not.
pub fn has_v2_root() -> bool {
    let here = v2_root().join("cgroup.procs").exists();
    if !here {
        println!("skipped: the host has no mount of cgroup v2 to look at");
    }
    here
}

/// A private mount namespace in which a shell command prepares the ground.
pub fn in_mount_namespace(prepare: &str) -> Vec<String> {
    let script = format!("mount --make-rprivate / && {prepare} && exec \"$@\"");
    ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

/// An ordinary user: no capability, no group but their own.
pub fn as_user(id: u32) -> Vec<String> {
    let (user, group) = (format!("--reuid={id}"), format!("--regid={id}"));
    ["setpriv", &user, &group, "--clear-groups", "--inh-caps=-all"].map(str::to_owned).to_vec()
}

/// A process in a cgroup of its own in every hierarchy: where a relative `cgroupsPath` starts. A directory beside them on which nothing is
/// mounted is none.
pub fn in_cgroup(name: &str) -> Vec<String> {
    let script = format!(
        "set -e; for top in /sys/fs/cgroup/*/; do [ -e ${{top}}cgroup.procs ] || continue; own=${{top}}{name}; mkdir -p $own; \
         if [ -e $top/cpuset.cpus ]; then cat $top/cpuset.cpus > $own/cpuset.cpus; cat $top/cpuset.mems > $own/cpuset.mems; fi; \
         echo $$ > $own/cgroup.procs; done; exec \"$@\""
    );
    ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

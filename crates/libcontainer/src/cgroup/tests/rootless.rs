//! What an ordinary user gets: no cgroup of its own, and a list of what that means.

use super::*;

#[test]
fn an_ordinary_user_is_told_what_is_left_out() {
    if std::env::var_os(INSIDE).is_none() {
        if is_root() {
            let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
            again("cgroup::tests::rootless::an_ordinary_user_is_told_what_is_left_out", &user);
        }
        return;
    }
    let site = Site::bare();
    let resources = resources_of(r#"{"pids":{"limit":5},"memory":{"limit":1048576}}"#);
    let strict = Cgroup::create(&site.location, &resources, &Options::default()).unwrap_err();
    assert_eq!(strict.config_field(), Some("linux.cgroupsPath"), "{strict}");
    // A limit that is asked for and cannot be set is an error for everybody, too.
    let rootless = Options { rootless: true, ..Options::default() };
    let refused = Cgroup::create(&site.location, &resources, &rootless).unwrap_err();
    assert_eq!(refused.config_field(), Some("linux.resources.memory.limit"), "{refused}");
    let mut cgroup = Cgroup::create(&site.location, &Resources::default(), &rootless).unwrap();
    let told = cgroup.limits_skipped().join("\n");
    assert!(told.contains("linux.cgroupsPath"), "{told}");
    assert_eq!(cgroup.location().paths().count(), 0);
    let entry = cgroup.entry().unwrap();
    assert!(entry.clone_into.is_none() && entry.procs.is_empty());
    cgroup.remove().unwrap();
    // A value without sense is an error for everybody.
    let senseless = resources_of(r#"{"cpu":{"shares":1}}"#);
    assert!(Cgroup::create(&site.location, &senseless, &Options { rootless: true, ..Options::default() }).is_err());
}

//! What an ordinary user gets where nothing is delegated: no cgroup of its own, and an error for whatever needs one.

use super::*;

#[test]
fn an_ordinary_user_does_without_what_nobody_asks_for() {
    if std::env::var_os(INSIDE).is_none() {
        if is_root() {
            let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
            again("cgroup::tests::rootless::an_ordinary_user_does_without_what_nobody_asks_for", &user);
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
    assert!(refused.raw_os_error().is_some() && refused.advice().is_some(), "why there is no cgroup: {refused}");
    // So is a cgroup that the config names.
    let named = Options { named: true, ..rootless.clone() };
    let refused = Cgroup::create(&site.location, &Resources::default(), &named).unwrap_err();
    assert_eq!(refused.config_field(), Some("linux.cgroupsPath"), "{refused}");
    // Who asks for nothing gets nothing and is told nothing.
    let mut cgroup = Cgroup::create(&site.location, &Resources::default(), &rootless).unwrap();
    assert!(cgroup.limits_skipped().is_empty(), "{:?}", cgroup.limits_skipped());
    assert_eq!(cgroup.location().paths().count(), 0);
    let entry = cgroup.entry().unwrap();
    assert!(entry.clone_into.is_none() && entry.procs.is_empty());
    cgroup.remove().unwrap();
    // A value without sense is an error for everybody.
    let senseless = resources_of(r#"{"cpu":{"shares":1}}"#);
    assert!(Cgroup::create(&site.location, &senseless, &Options { rootless: true, ..Options::default() }).is_err());
}

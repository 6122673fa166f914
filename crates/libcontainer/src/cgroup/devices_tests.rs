//! The rules' meaning against their renderings for version 1, with the kernel's algorithm as the judge.

use super::*;

fn policy(json: &str) -> Result<Policy> {
    Policy::new(&serde_json::from_str::<Vec<DeviceRule>>(json).unwrap())
}

/// What the list of rules means, straight from its definition: each access asked for is decided by the last rule that
/// names it, and all must be allowed.
pub(crate) fn allowed(policy: &Policy, kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    let device = Devices { kind, major: Some(major), minor: Some(minor) };
    [Access::READ, Access::WRITE, Access::MKNOD].into_iter().filter(|bit| access.covers(*bit)).all(|bit| {
        let last = policy.rules.iter().rev().find(|rule| rule.devices.covers(&device) && rule.access.covers(bit));
        last.map_or(policy.default_allow, |rule| rule.allow)
    })
}

/// Numbers below what is asked for, the same in every run.
fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Random rule lists over few numbers, so that they overlap.
pub(crate) fn random_policies(seed: u64, count: usize) -> Vec<Policy> {
    let mut next = random(seed);
    let mut all = Vec::new();
    for _ in 0..count {
        let mut policy = Policy { default_allow: next(2) == 0, rules: Vec::new() };
        for _ in 0..next(9) {
            let number = |next: &mut dyn FnMut(u64) -> u64| (next(3) != 0).then(|| next(3) as u32);
            let (major, minor) = (number(&mut next), number(&mut next));
            let kind = if next(3) == 0 { Kind::Block } else { Kind::Char };
            let access = Access(next(7) as u8 + 1);
            policy.rules.push(Rule {
                allow: next(2) == 0,
                devices: Devices { kind, major, minor },
                access,
                origin: Some(0),
            });
        }
        all.push(policy);
    }
    all
}

/// Random sets of minor numbers of one major number, dense and sparse.
pub(crate) fn random_minors(seed: u64, count: usize) -> Vec<Policy> {
    let mut next = random(seed);
    let mut all = Vec::new();
    for _ in 0..count {
        let (default_allow, below, density) = (next(2) == 0, 2 + next(39), 1 + next(4));
        let minors = (0..below as u32).filter(|_| next(density + 1) != 0);
        let devices = minors.map(|minor| Devices { kind: Kind::Char, major: Some(1), minor: Some(minor) });
        let rules =
            devices.map(|devices| Rule { allow: !default_allow, devices, access: Access::ALL, origin: Some(0) });
        all.push(Policy { default_allow, rules: rules.collect() });
    }
    all
}

/// Every device and access that the rules can tell apart, numbers that no rule names included.
pub(crate) fn requests() -> impl Iterator<Item = (Kind, u32, u32, Access)> {
    let numbers = || 0..4u32;
    [Kind::Block, Kind::Char].into_iter().flat_map(move |kind| {
        numbers().flat_map(move |major| {
            numbers().flat_map(move |minor| (0..8).map(move |bits| (kind, major, minor, Access(bits))))
        })
    })
}

/// A device cgroup as security/device_cgroup.c keeps it.
struct Kernel {
    default_allow: bool,
    entries: Entries,
}

impl Kernel {
    fn write(&mut self, file: &str, line: &str) {
        let allow = file == "devices.allow";
        if line == "a" {
            *self = Kernel { default_allow: allow, entries: Entries::default() };
            return;
        }
        let parsed = Exceptions::parse(line).unwrap();
        let (devices, access) = parsed.entries.0[0];
        if allow != self.default_allow {
            self.entries.add(devices, access);
        } else if let Some((_, entry)) = self.entries.0.iter_mut().find(|(have, _)| *have == devices) {
            *entry = entry.without(access);
            self.entries.0.retain(|(_, access)| !access.is_empty());
        }
    }

    fn allowed(&self, kind: Kind, major: u32, minor: u32, access: Access) -> bool {
        let device = Devices { kind, major: Some(major), minor: Some(minor) };
        let mut matching = self.entries.0.iter().filter(|(devices, _)| devices.covers(&device));
        if self.default_allow {
            !matching.any(|(_, a)| !a.and(access).is_empty())
        } else {
            matching.any(|(_, a)| a.covers(access))
        }
    }
}

#[test]
fn reducing_changes_nothing() {
    for policy in random_policies(1, 2000) {
        let mut reduced = policy.clone();
        reduced.reduce();
        assert!(reduced.rules.len() <= policy.rules.len());
        for (kind, major, minor, access) in requests() {
            let (before, after) =
                (allowed(&policy, kind, major, minor, access), allowed(&reduced, kind, major, minor, access));
            assert_eq!(before, after, "{policy:?} {kind:?} {major}:{minor} {access}");
        }
    }
}

#[test]
fn version_1_decides_as_the_rules_mean() {
    let mut expressed = 0;
    let policies = random_policies(2, 4000);
    for pair in policies.windows(2) {
        let (Ok(old), Ok(new)) = (pair[0].exceptions(), pair[1].exceptions()) else { continue };
        expressed += 1;
        // From a fresh cgroup that inherited something, and from the other rules.
        let mut fresh = Kernel { default_allow: true, entries: old.entries.clone() };
        new.writes(None).iter().for_each(|(file, line)| fresh.write(file, line));
        let mut changed = Kernel { default_allow: old.default_allow, entries: old.entries.clone() };
        let shown = if old.default_allow { None } else { Some(&old) };
        new.writes(shown).iter().for_each(|(file, line)| changed.write(file, line));
        // The kernel asks for making a device file, or for opening it.
        let asked = |access: Access| access == Access::MKNOD || !access.is_empty() && !access.covers(Access::MKNOD);
        for (kind, major, minor, access) in requests().filter(|request| asked(request.3)) {
            let meant = allowed(&pair[1], kind, major, minor, access);
            assert_eq!(
                fresh.allowed(kind, major, minor, access),
                meant,
                "{:?} {kind:?} {major}:{minor} {access}",
                pair[1]
            );
            assert_eq!(
                changed.allowed(kind, major, minor, access),
                meant,
                "{:?} {kind:?} {major}:{minor} {access}",
                pair[1]
            );
        }
    }
    assert!(expressed > 1000, "{expressed}");
}

#[test]
fn no_rules_are_the_ones_that_always_hold() {
    let writes = policy("[]").unwrap().exceptions().unwrap().writes(None);
    let lines: Vec<_> = writes.iter().map(|(file, line)| format!("{} {line}", &file["devices.".len()..])).collect();
    assert_eq!(
        lines,
        [
            "deny a",
            "allow c *:* m",
            "allow b *:* m",
            "allow c 1:3 rwm",
            "allow c 1:5 rwm",
            "allow c 1:7 rwm",
            "allow c 1:8 rwm",
            "allow c 1:9 rwm",
            "allow c 5:0 rwm",
            "allow c 5:2 rwm",
            "allow c 136:* rwm",
            "allow c 10:200 rwm"
        ]
    );
    assert_eq!(policy(r#"[{"allow":false,"access":"rwm"}]"#).unwrap(), policy("[]").unwrap());
}

/// config-linux.md#allowed-device-list: "The runtime MUST apply entries in the listed order."
#[test]
fn version_1_has_the_rules_in_their_order() {
    let json = r#"[{"allow":false,"access":"rwm"},
        {"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"},
        {"allow":true,"type":"b","major":8,"minor":20,"access":"rw"},
        {"allow":true,"type":"b","major":8,"minor":1,"access":"r"}]"#;
    let writes = policy(json).unwrap().exceptions().unwrap().writes(None);
    let lines: Vec<_> = writes.iter().map(|(_, line)| line.as_str()).take(4).collect();
    assert_eq!(lines, ["a", "c 10:229 rwm", "b 8:20 rw", "b 8:1 r"]);
}

#[test]
fn everything_allowed_needs_no_rules() {
    for json in [
        r#"[{"allow":true,"access":"rwm"}]"#,
        r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"a","major":-1,"access":"mrw"}]"#,
    ] {
        let policy = policy(json).unwrap();
        assert!(policy.allows_everything());
        assert_eq!(policy.exceptions().unwrap().writes(None), [("devices.allow", "a".to_owned())]);
    }
}

#[test]
fn type_a_with_numbers_opens_only_these() {
    let policy = policy(r#"[{"allow":true,"major":10,"minor":200,"access":"rwm"}]"#).unwrap();
    assert!(allowed(&policy, Kind::Char, 10, 200, Access::ALL) && allowed(&policy, Kind::Block, 10, 200, Access::ALL));
    assert!(!allowed(&policy, Kind::Char, 10, 201, Access::READ));
}

#[test]
fn an_update_writes_the_difference() {
    let before = Exceptions::parse("c 1:3 rwm\nc 10:229 rw\nb *:* m\n").unwrap();
    let after = Exceptions::parse("c 1:3 rw\nb *:* m\nc 10:200 rwm\n").unwrap();
    let writes = after.writes(Some(&before));
    let expected = [("devices.allow", "c 10:200 rwm"), ("devices.deny", "c 1:3 m"), ("devices.deny", "c 10:229 rw")];
    assert_eq!(writes, expected.map(|(file, line)| (file, line.to_owned())));
    assert_eq!(Exceptions::parse("a *:* rwm\n"), None);
}

#[test]
fn version_1_refuses_a_hole_and_names_the_rule() {
    let json = r#"[{"allow":true,"type":"c","major":10,"access":"rwm"},{"allow":false,"type":"c","major":10,"minor":5,"access":"w"}]"#;
    let error = policy(json).unwrap().exceptions().unwrap_err();
    assert_eq!((error.kind(), error.config_field()), (ErrorKind::Unsupported, Some("linux.resources.devices[1]")));
}

#[test]
fn version_1_takes_the_default_that_can_say_it() {
    let json = r#"[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","access":"rwm"}]"#;
    let exceptions = policy(json).unwrap().exceptions().unwrap();
    assert!(!exceptions.default_allow);
    assert!(exceptions.writes(None).contains(&("devices.allow", "b *:* rwm".to_owned())));
}

#[test]
fn faults_name_their_field() {
    let cases = [
        (r#"[{"allow":true,"access":""}]"#, "linux.resources.devices[0].access"),
        (r#"[{"allow":true}]"#, "linux.resources.devices[0].access"),
        (r#"[{"allow":true,"access":"rx"}]"#, "linux.resources.devices[0].access"),
        (r#"[{"allow":true,"type":"p","access":"r"}]"#, "linux.resources.devices[0].type"),
        (r#"[{"allow":true,"type":"c","major":-2,"access":"r"}]"#, "linux.resources.devices[0].major"),
        (r#"[{"allow":true,"type":"c","minor":4294967296,"access":"r"}]"#, "linux.resources.devices[0].minor"),
    ];
    for (json, field) in cases {
        assert_eq!(policy(json).unwrap_err().config_field(), Some(field), "{json}");
    }
}

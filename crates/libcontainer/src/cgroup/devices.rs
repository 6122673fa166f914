//! Which devices a container may read, write and make: the ordered rules and their meaning.

use crate::config::DeviceRule;
use crate::error::{Error, Kind as ErrorKind, Result};
use std::fmt;

/// The two kinds of device files, with the numbers that the kernel gives them in a device program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Block = 1,
    Char = 2,
}

/// What may be done to a device, as a set of the kernel's bits (`BPF_DEVCG_ACC_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access(pub u8);

impl Access {
    pub const MKNOD: Access = Access(1);
    pub const READ: Access = Access(2);
    pub const WRITE: Access = Access(4);
    pub const ALL: Access = Access(7);

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub fn and(self, other: Access) -> Access {
        Access(self.0 & other.0)
    }
    pub fn or(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }
    pub fn without(self, other: Access) -> Access {
        Access(self.0 & !other.0)
    }
    pub fn covers(self, other: Access) -> bool {
        other.without(self).is_empty()
    }
}

/// The devices a rule is about; `None` is every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Devices {
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
}

impl Devices {
    fn covers(&self, other: &Devices) -> bool {
        let number = |mine: Option<u32>, theirs: Option<u32>| mine.is_none() || mine == theirs;
        self.kind == other.kind && number(self.major, other.major) && number(self.minor, other.minor)
    }

    fn common(&self, other: &Devices) -> Option<Devices> {
        let number =
            |a: Option<u32>, b: Option<u32>| if a.is_none() || b.is_none() || a == b { Some(a.or(b)) } else { None };
        if self.kind != other.kind {
            return None;
        }
        Some(Devices {
            kind: self.kind,
            major: number(self.major, other.major)?,
            minor: number(self.minor, other.minor)?,
        })
    }
}

/// One rule, with the index in `linux.resources.devices` that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub allow: bool,
    pub devices: Devices,
    pub access: Access,
    pub origin: Option<usize>,
}

/// The rules of a container. Of those that name a device and an access the last decides, without one the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub default_allow: bool,
    pub rules: Vec<Rule>,
}

/// What every container may use whatever its config says: the devices which the runtime specification has made for it,
/// its terminals, tun, and making any device file (which is harmless where opening it is not allowed).
const ALWAYS: [(Kind, Option<u32>, Option<u32>, Access); 11] = [
    (Kind::Char, None, None, Access::MKNOD),
    (Kind::Block, None, None, Access::MKNOD),
    (Kind::Char, Some(1), Some(3), Access::ALL),
    (Kind::Char, Some(1), Some(5), Access::ALL),
    (Kind::Char, Some(1), Some(7), Access::ALL),
    (Kind::Char, Some(1), Some(8), Access::ALL),
    (Kind::Char, Some(1), Some(9), Access::ALL),
    (Kind::Char, Some(5), Some(0), Access::ALL),
    (Kind::Char, Some(5), Some(2), Access::ALL),
    (Kind::Char, Some(136), None, Access::ALL),
    (Kind::Char, Some(10), Some(200), Access::ALL),
];

impl Policy {
    /// The rules of config.json after "deny everything", then those that always hold; reduced to the ones that matter.
    ///
    /// # Errors
    /// `InvalidSpec` with the field of the rule.
    pub fn new(rules: &[DeviceRule]) -> Result<Policy> {
        let mut policy = Policy { default_allow: false, rules: Vec::new() };
        for (index, rule) in rules.iter().enumerate() {
            policy.add(index, rule)?;
        }
        for (kind, major, minor, access) in ALWAYS {
            policy.rules.push(Rule { allow: true, devices: Devices { kind, major, minor }, access, origin: None });
        }
        policy.reduce();
        Ok(policy)
    }

    /// Whether nothing is forbidden.
    pub fn allows_everything(&self) -> bool {
        self.default_allow && self.rules.is_empty()
    }

    fn add(&mut self, index: usize, rule: &DeviceRule) -> Result<()> {
        let field = |name: &str| format!("linux.resources.devices[{index}].{name}");
        let number = |name: &str, value: Option<i64>| match value {
            None | Some(-1) => Ok(None),
            Some(value) => u32::try_from(value)
                .map(Some)
                .map_err(|_| Error::spec(field(name), format!("invalid device number {value}"))),
        };
        let (major, minor) = (number("major", rule.major)?, number("minor", rule.minor)?);
        let letters = rule.access.as_deref().unwrap_or_default();
        if letters.is_empty() {
            return Err(Error::spec(field("access"), format!("device access at {index} field cannot be empty")));
        }
        let mut access = Access::default();
        for letter in letters.chars() {
            access = access.or(match letter {
                'r' => Access::READ,
                'w' => Access::WRITE,
                'm' => Access::MKNOD,
                _ => {
                    return Err(Error::spec(
                        field("access"),
                        format!("invalid device access {letters:?}: it is of r, w and m"),
                    ));
                }
            });
        }
        let kinds: &[Kind] = match rule.kind.as_deref() {
            None | Some("" | "a") => &[Kind::Char, Kind::Block],
            Some("c") => &[Kind::Char],
            Some("b") => &[Kind::Block],
            Some(other) => return Err(Error::spec(field("type"), format!("invalid cgroup device type {other:?}"))),
        };
        // The kernel of version 1 takes any rule of type `a` as "all devices, all access". The specification does not: of
        // type `a` with a number the numbers count.
        if kinds.len() == 2 && major.is_none() && minor.is_none() && access == Access::ALL {
            *self = Policy { default_allow: rule.allow, rules: Vec::new() };
            return Ok(());
        }
        for &kind in kinds {
            self.rules.push(Rule {
                allow: rule.allow,
                devices: Devices { kind, major, minor },
                access,
                origin: Some(index),
            });
        }
        Ok(())
    }

    #[cfg(test)]
    pub fn reduced(mut self) -> Policy {
        self.reduce();
        self
    }

    /// Drops rules that decide nothing: those which a later one covers, and those which say what holds without them.
    fn reduce(&mut self) {
        let mut kept: Vec<Rule> = Vec::new();
        for rule in self.rules.drain(..).rev() {
            if !kept.iter().any(|later| later.devices.covers(&rule.devices) && later.access.covers(rule.access)) {
                kept.push(rule);
            }
        }
        for rule in kept.into_iter().rev() {
            let contradicts = |earlier: &Rule| {
                earlier.allow != rule.allow
                    && earlier.devices.common(&rule.devices).is_some()
                    && !earlier.access.and(rule.access).is_empty()
            };
            if rule.allow != self.default_allow || self.rules.iter().any(contradicts) {
                self.rules.push(rule);
            }
        }
    }

    /// The rules as version 1 keeps them: a default and exceptions to it, none of which says twice what another says.
    ///
    /// # Errors
    /// `Unsupported` with the field of a rule that takes part of an exception back, which version 1 cannot express.
    pub fn exceptions(&self) -> Result<Exceptions> {
        self.exceptions_to_default()
            .or_else(|error| self.with_other_default().exceptions_to_default().map_err(|_| error))
    }

    /// The same rules on the opposite default.
    fn with_other_default(&self) -> Policy {
        let all = |kind| Rule {
            allow: self.default_allow,
            devices: Devices { kind, major: None, minor: None },
            access: Access::ALL,
            origin: None,
        };
        let rules = [Kind::Char, Kind::Block].map(all).into_iter().chain(self.rules.iter().cloned()).collect();
        let mut policy = Policy { default_allow: !self.default_allow, rules };
        policy.reduce();
        policy
    }

    fn exceptions_to_default(&self) -> Result<Exceptions> {
        let mut entries = Entries::default();
        for rule in &self.rules {
            if rule.allow != self.default_allow {
                entries.add(rule.devices, rule.access);
                continue;
            }
            for (devices, access) in &mut entries.0 {
                if rule.devices.covers(devices) {
                    *access = access.without(rule.access);
                } else if rule.devices.common(devices).is_some() && !access.and(rule.access).is_empty() {
                    let what = format!(
                        "cgroup v1 cannot take \"{}\" out of \"{}\"",
                        line(&rule.devices, rule.access),
                        line(devices, *access)
                    );
                    let error = Error::new(ErrorKind::Unsupported, what);
                    return Err(match rule.origin {
                        Some(index) => error.field(format!("linux.resources.devices[{index}]")),
                        None => error.field("linux.resources.devices"),
                    });
                }
            }
            entries.0.retain(|(_, access)| !access.is_empty());
        }
        if !self.default_allow {
            close(&mut entries);
        }
        let all = entries.0.clone();
        entries.0.retain(|(devices, access)| {
            !all.iter().any(|(wider, theirs)| wider != devices && wider.covers(devices) && theirs.covers(*access))
        });
        Ok(Exceptions { default_allow: self.default_allow, entries })
    }
}

/// The kernel of version 1 allows an access only if one exception has all of it: opening for reading and writing is one
/// access, making the file another. Where several exceptions have it together, the devices they share get their own.
fn close(entries: &mut Entries) {
    let opening = Access::READ.or(Access::WRITE);
    loop {
        let all = entries.0.clone();
        for (index, (a, _)) in all.iter().enumerate() {
            for common in all[index..].iter().filter_map(|(b, _)| a.common(b)) {
                let covering = || all.iter().filter(|(devices, _)| devices.covers(&common)).map(|(_, access)| *access);
                let access = covering().fold(Access::default(), Access::or).and(opening);
                if !covering().any(|one| one.covers(access)) {
                    entries.add(common, access);
                }
            }
        }
        if entries.0 == all {
            return;
        }
    }
}

/// Devices with what may be done to each, in the order in which config.json has them: the kernel keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries(pub Vec<(Devices, Access)>);

impl Entries {
    pub fn get(&self, devices: &Devices) -> Access {
        self.0.iter().find(|(have, _)| have == devices).map_or(Access::default(), |(_, access)| *access)
    }

    pub fn add(&mut self, devices: Devices, access: Access) {
        match self.0.iter_mut().find(|(have, _)| *have == devices) {
            Some((_, have)) => *have = have.or(access),
            None => self.0.push((devices, access)),
        }
    }
}

/// A device cgroup of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exceptions {
    pub default_allow: bool,
    pub entries: Entries,
}

impl Exceptions {
    /// Reads `devices.list`. In a cgroup that allows by default the kernel does not show the exceptions: `None`.
    pub fn parse(list: &str) -> Option<Exceptions> {
        let mut entries = Entries::default();
        for text in list.lines() {
            let mut words = text.split_whitespace();
            let (kind, numbers, letters) = (words.next()?, words.next()?, words.next()?);
            let kind = match kind {
                "c" => Kind::Char,
                "b" => Kind::Block,
                _ => return None,
            };
            let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
            let (major, minor) = numbers.split_once(':')?;
            let devices = Devices { kind, major: number(major)?, minor: number(minor)? };
            let bit = |letter, access| if letters.contains(letter) { access } else { Access::default() };
            let access = bit('r', Access::READ).or(bit('w', Access::WRITE)).or(bit('m', Access::MKNOD));
            entries.add(devices, access);
        }
        Some(Exceptions { default_allow: false, entries })
    }

    /// The writes (file, line) that make a cgroup with the exceptions `before`, if they are known, into this one: no more
    /// than needed, and what is allowed before and after is allowed in between if it can be.
    pub fn writes(&self, before: Option<&Exceptions>) -> Vec<(&'static str, String)> {
        let files = |allow: bool| if allow { "devices.allow" } else { "devices.deny" };
        let mut writes = Vec::new();
        let before = before.filter(|before| before.default_allow == self.default_allow);
        if before.is_none() {
            writes.push((files(self.default_allow), "a".to_owned()));
        }
        let none = Entries::default();
        let old = before.map_or(&none, |before| &before.entries);
        let mut changes = |file, from: &Entries, to: &Entries| {
            for (devices, access) in &to.0 {
                let more = access.without(from.get(devices));
                if !more.is_empty() {
                    writes.push((file, line(devices, more)));
                }
            }
        };
        changes(files(!self.default_allow), old, &self.entries);
        changes(files(self.default_allow), &self.entries, old);
        writes
    }
}

fn line(devices: &Devices, access: Access) -> String {
    let kind = if devices.kind == Kind::Char { 'c' } else { 'b' };
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
    format!("{kind} {}:{} {access}", number(devices.major), number(devices.minor))
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Access::READ, "r"), (Access::WRITE, "w"), (Access::MKNOD, "m")] {
            if self.covers(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
pub(crate) mod tests;

//! Where systemd is to be spoken to: the sockets of the system's and of a user's own instance, in the order in which they are tried.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A socket behind which systemd is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address {
    pub socket: Socket,
    /// A bus is in between, which wants to be greeted. Otherwise this is systemd itself.
    pub bus: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Socket {
    Path(PathBuf),
    /// A name without a file (unix(7)).
    Abstract(Vec<u8>),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.socket {
            Socket::Path(path) => write!(f, "{}", path.display()),
            Socket::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

/// The sockets of the system's instance: `$DBUS_SYSTEM_BUS_ADDRESS` and nothing else if that is set, the well-known bus,
/// systemd's private socket.
pub(crate) fn of_system(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Address> {
    match variable("DBUS_SYSTEM_BUS_ADDRESS").filter(|text| !text.is_empty()) {
        Some(text) => listed(text.as_bytes()),
        None => around(Path::new("/run"), "dbus/system_bus_socket"),
    }
}

/// The sockets of the instance of the user `uid`: `$DBUS_SESSION_BUS_ADDRESS`, and those in `$XDG_RUNTIME_DIR` and where that is
/// for every user, since neither sudo(8) nor cron(8) sets the variables.
pub(crate) fn of_user(variable: impl Fn(&str) -> Option<OsString>, uid: u32) -> Vec<Address> {
    let mut all = variable("DBUS_SESSION_BUS_ADDRESS").map(|text| listed(text.as_bytes())).unwrap_or_default();
    let named = variable("XDG_RUNTIME_DIR").filter(|text| !text.is_empty()).map(PathBuf::from);
    for directory in named.into_iter().chain([format!("/run/user/{uid}").into()]) {
        for address in around(&directory, "bus") {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    all
}

/// The caller's user id as the system's services know it: in a user namespace, what it stands for outside.
pub(crate) fn own_uid() -> u32 {
    let uid = rustix::process::geteuid().as_raw();
    std::fs::read_to_string("/proc/self/uid_map").ok().and_then(|map| outside(uid, &map)).unwrap_or(uid)
}

/// The id for which `uid` stands by a map of user_namespaces(7).
fn outside(uid: u32, map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(Ok(first)), Some(Ok(there)), Some(Ok(size))) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return None;
        };
        uid.checked_sub(first).filter(|nth| *nth < size).and_then(|nth| there.checked_add(nth))
    })
}

fn around(directory: &Path, bus: &str) -> Vec<Address> {
    let at = |name: &str, bus| Address { socket: Socket::Path(directory.join(name)), bus };
    vec![at(bus, true), at("systemd/private", false)]
}

/// The Unix sockets of a list in D-Bus's form: `unix:path=/a,guid=...;unix:abstract=b`.
fn listed(text: &[u8]) -> Vec<Address> {
    let one = |address: &[u8]| {
        let keys = address.strip_prefix(b"unix:")?;
        let socket = keys.split(|b| *b == b',').find_map(|key| {
            let path = key.strip_prefix(b"path=").map(|path| Socket::Path(OsString::from_vec(unescaped(path)).into()));
            path.or_else(|| key.strip_prefix(b"abstract=").map(|name| Socket::Abstract(unescaped(name))))
        })?;
        Some(Address { socket, bus: true })
    };
    text.split(|b| *b == b';').filter_map(one).collect()
}

/// `%2f` and the like as the bytes they stand for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digits = text.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                at += 3;
            }
            None => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(addresses: Vec<Address>) -> Vec<String> {
        addresses.iter().map(|a| format!("{a}{}", if a.bus { "" } else { " (systemd)" })).collect()
    }

    #[test]
    fn the_system() {
        let none = |_: &str| None;
        assert_eq!(shown(of_system(none)), ["/run/dbus/system_bus_socket", "/run/systemd/private (systemd)"]);
        let given = |name: &str| (name == "DBUS_SYSTEM_BUS_ADDRESS").then(|| "unix:path=/x%2cy,guid=1".into());
        assert_eq!(shown(of_system(given)), ["/x,y"]);
        let other = |name: &str| (name == "DBUS_SYSTEM_BUS_ADDRESS").then(|| "tcp:host=h;unix:abstract=/tmp/b".into());
        assert_eq!(shown(of_system(other)), ["@/tmp/b"]);
    }

    #[test]
    fn the_user() {
        let login = |name: &str| match name {
            "DBUS_SESSION_BUS_ADDRESS" => Some("unix:path=/run/user/7/bus".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            _ => None,
        };
        let of_login = ["/run/user/7/bus", "/run/user/7/systemd/private (systemd)"];
        assert_eq!(shown(of_user(login, 7)), of_login);
        assert_eq!(shown(of_user(|_| None, 7)), of_login, "without a login's environment");
        let elsewhere = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| "/x".into());
        assert_eq!(shown(of_user(elsewhere, 7))[..2], ["/x/bus", "/x/systemd/private (systemd)"]);
    }

    #[test]
    fn an_id_outside_of_a_user_namespace() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!([0, 1, 65536, 65537].map(|uid| outside(uid, map)), [Some(1000), Some(100_000), Some(165_535), None]);
        assert_eq!(outside(5, "0 0 4294967295"), Some(5));
    }
}

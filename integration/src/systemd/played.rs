//! A systemd that is played, for machines without one: it listens on a socket, makes a cgroup for each scope it is asked for,
//! and keeps the names of the methods that were called.

use crate::view;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// The player. Its thread ends with the test's process.
pub struct Played {
    directory: tempfile::TempDir,
    stage: Arc<(Mutex<Stage>, Condvar)>,
}

#[derive(Default)]
struct Stage {
    calls: Vec<String>,
    /// The cgroups of the units that there are.
    units: BTreeMap<String, PathBuf>,
    /// Says nothing when asked for a scope.
    silent: bool,
}

impl Default for Played {
    fn default() -> Played {
        Played::new()
    }
}

impl Played {
    /// Begins to listen.
    pub fn new() -> Played {
        let directory = tempfile::tempdir().unwrap();
        rustix::fs::chmod(directory.path(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        let listener = UnixListener::bind(directory.path().join("bus")).unwrap();
        let stage = Arc::new((Mutex::new(Stage::default()), Condvar::new()));
        let theirs = stage.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let stage = theirs.clone();
                std::thread::spawn(move || converse(stream, &stage));
            }
        });
        Played { directory, stage }
    }

    /// What leads a runtime's calls here, as the head of a command line.
    pub fn wrapper(&self) -> Vec<String> {
        let bus = self.directory.path().join("bus");
        vec!["env".to_owned(), format!("DBUS_SYSTEM_BUS_ADDRESS=unix:path={}", bus.display())]
    }

    /// The methods of systemd's that were called since the last look.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.stage.0.lock().unwrap().calls)
    }

    /// Waits until a method was called.
    #[track_caller]
    pub fn wait_for(&self, method: &str) {
        let is_missing = |stage: &mut Stage| !stage.calls.iter().any(|call| call == method);
        let (stage, called) = (self.stage.0.lock().unwrap(), &self.stage.1);
        let (stage, waited) =
            called.wait_timeout_while(stage, Duration::from_secs(crate::PATIENCE), is_missing).unwrap();
        assert!(!waited.timed_out(), "{method} was not called: {:?}", stage.calls);
    }

    /// From now on a call for a scope has no answer.
    pub fn fall_silent(&self) {
        self.stage.0.lock().unwrap().silent = true;
    }
}

/// Serves one connection to its end.
fn converse(mut stream: UnixStream, (stage, called): &(Mutex<Stage>, Condvar)) -> Option<()> {
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"BEGIN\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        greeting.extend(byte);
    }
    stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").ok()?;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head).ok()?;
        let [body, serial, fields] = [4, 8, 12].map(|at| number(&head, at));
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        stream.read_exact(&mut rest).ok()?;
        let (fields, body) = rest.split_at(fields.next_multiple_of(8));
        let member = after(fields, b"\x03\x01s\0").unwrap_or_default();
        let stage = &mut *stage.lock().unwrap();
        if !["Hello", "AddMatch"].contains(&member.as_str()) {
            stage.calls.push(member.clone());
            called.notify_all();
        }
        for answer in stage.answers(&member, body, serial as u32)? {
            stream.write_all(&answer).ok()?;
        }
    }
}

impl Stage {
    /// What is said to a call; `None` ends the conversation.
    fn answers(&mut self, member: &str, body: &[u8], serial: u32) -> Option<Vec<Vec<u8>>> {
        let unit = text(body, 0).unwrap_or_default();
        let job = [4, 0, 0, 0, b'/', b'j', b'/', b'1', 0];
        Some(match member {
            "StartTransientUnit" if self.silent => Vec::new(),
            "StartTransientUnit" if self.units.contains_key(&unit) => {
                let (name, why) = ("org.freedesktop.systemd1.UnitExists", "Unit was already loaded.");
                vec![message(3, &[(4, 's', &string(name)), (5, 'u', &serial.to_le_bytes())], "s", &string(why))]
            }
            "StartTransientUnit" => {
                let slice = after(body, b"Slice\0\x01s\0")?;
                let cgroup = view::v2_root().join(slice).join(&unit);
                fs::create_dir_all(&cgroup).ok()?;
                let at = find(body, b"PIDs\0\x02au\0")?.next_multiple_of(4);
                fs::write(cgroup.join("cgroup.procs"), number(body, at + 4).to_string()).ok()?;
                self.units.insert(unit.clone(), cgroup);
                vec![reply(serial, "o", &job), job_removed(&unit)]
            }
            "StopUnit" => {
                if let Some(cgroup) = self.units.remove(&unit) {
                    // With all below it; its slice goes when nothing is in it any more.
                    remove(&cgroup);
                    let _ = fs::remove_dir(cgroup.parent().unwrap());
                }
                vec![job_removed(&unit), reply(serial, "o", &job)]
            }
            _ => vec![reply(serial, "", &[])],
        })
    }
}

/// Removes a cgroup and those below it, as far as they are empty.
fn remove(cgroup: &Path) {
    let below = fs::read_dir(cgroup).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    let _ = fs::remove_dir(cgroup);
}

fn reply(serial: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    message(2, &[(5, 'u', &serial.to_le_bytes())], signature, body)
}

fn job_removed(unit: &str) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0];
    for part in ["/j/1", unit, "done"] {
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(string(part));
    }
    let manager = string("org.freedesktop.systemd1.Manager");
    let fields = [(1, 'o', string("/org/freedesktop/systemd1")), (2, 's', manager), (3, 's', string("JobRemoved"))];
    let fields: Vec<_> = fields.iter().map(|(code, kind, value)| (*code, *kind, value.as_slice())).collect();
    message(4, &fields, "uoss", &body)
}

/// A message in little-endian order (D-Bus Specification, "Message Format").
fn message(kind: u8, fields: &[(u8, char, &[u8])], signature: &str, body: &[u8]) -> Vec<u8> {
    let mut array = Vec::new();
    for (code, kind, value) in fields {
        array.resize(array.len().next_multiple_of(8), 0);
        array.extend([*code, 1, *kind as u8, 0]);
        array.extend(*value);
    }
    if !signature.is_empty() {
        array.resize(array.len().next_multiple_of(8), 0);
        array.extend([8, 1, b'g', 0, signature.len() as u8]);
        array.extend(signature.bytes().chain([0]));
    }
    let mut bytes = vec![b'l', kind, 0, 1];
    for word in [body.len(), 1, array.len()] {
        bytes.extend((word as u32).to_le_bytes());
    }
    bytes.extend(array);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes(), &[0]].concat()
}

fn number(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().unwrap()) as usize)
}

fn text(bytes: &[u8], at: usize) -> Option<String> {
    let length = number(bytes, at);
    String::from_utf8(bytes.get(at + 4..at + 4 + length)?.to_vec()).ok()
}

/// The place behind a mark.
fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark).map(|at| at + mark.len())
}

/// The text behind a mark.
fn after(bytes: &[u8], mark: &[u8]) -> Option<String> {
    text(bytes, find(bytes, mark)?.next_multiple_of(4))
}

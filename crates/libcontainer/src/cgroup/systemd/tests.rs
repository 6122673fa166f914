//! The driver against a systemd that is played: a server on a socket which records what it is asked and answers by a script.
//!
//! The real one is in the machine of integration/machine.

use super::address::{Address, Socket};
use super::bus::Bus;
use super::manager::Manager;
use super::message::{Kind, Message};
use super::properties::Property;
use super::value::Value;
use super::{Unit, below_scope};
use crate::error;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

const SCOPE: &str = "t-1.scope";

/// What is said back to a call: messages, of which the first reply is the call's.
type Script = fn(&Message, usize) -> Vec<Message>;

/// The server, and the calls it has had so far.
struct Fake {
    _directory: tempfile::TempDir,
    address: Address,
    calls: Receiver<Message>,
}

impl Fake {
    /// Serves one connection.
    fn new(bus: bool, script: Script) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let listener = UnixListener::bind(&path).unwrap();
        let (send, calls) = channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = greet(&mut stream);
            let mut count = 0;
            while let Some(call) = next(&mut stream, &mut read) {
                count += 1;
                let answers = script(&call, count);
                let serial = call.serial;
                let _ = send.send(call); // the test may be over
                for answer in answers {
                    let reply_to = if answer.kind == Kind::Signal { 0 } else { serial };
                    let _ = stream.write_all(&Message { serial: 1, reply_to, ..answer }.to_bytes());
                }
            }
        });
        Fake { _directory: directory, address: Address { socket: Socket::Path(path), bus }, calls }
    }

    fn manager(&self) -> Manager {
        Manager::at(std::slice::from_ref(&self.address)).unwrap()
    }

    /// The methods called since the last look.
    fn called(&self) -> Vec<String> {
        self.calls.try_iter().map(|call| call.member).collect()
    }
}

fn greet(stream: &mut UnixStream) -> Vec<u8> {
    let mut read = Vec::new();
    let end = b"BEGIN\r\n";
    while !read.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    assert_eq!(read, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
    stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
    Vec::new()
}

fn next(stream: &mut UnixStream, read: &mut Vec<u8>) -> Option<Message> {
    loop {
        if let Some(Some(length)) = Message::length(read).filter(|length| length.is_some_and(|l| l <= read.len())) {
            return Message::parse(&read.drain(..length).collect::<Vec<_>>());
        }
        let mut buffer = [0; 512];
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => read.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

fn reply(body: Vec<Value>) -> Message {
    Message { body, ..Message::new(Kind::Reply) }
}

fn refusal(name: &str, text: &str) -> Message {
    refusal_by("systemd1", name, text)
}

fn refusal_by(whom: &str, name: &str, text: &str) -> Message {
    let error = format!("org.freedesktop.{whom}.{name}");
    Message { error, body: vec![Value::text(text)], ..Message::new(Kind::Error) }
}

fn job_removed(job: u32, result: &str) -> Message {
    let body = vec![Value::Uint32(job), Value::Path(format!("/job/{job}")), Value::text(SCOPE), Value::text(result)];
    Message {
        member: "JobRemoved".into(),
        path: "/x".into(),
        interface: "x.y".into(),
        body,
        ..Message::new(Kind::Signal)
    }
}

/// systemd has come back to the bus.
fn returned() -> Message {
    let body = ["org.freedesktop.systemd1", "", ":1.99"].map(Value::text).to_vec();
    Message { member: "NameOwnerChanged".into(), body, ..job_removed(0, "") }
}

fn job(job: u32) -> Message {
    reply(vec![Value::Path(format!("/job/{job}"))])
}

/// Everything works: the job's end is told before or after the call's answer, with others' in between.
fn obliging(call: &Message, count: usize) -> Vec<Message> {
    match call.member.as_str() {
        "StartTransientUnit" if count.is_multiple_of(2) => vec![job_removed(7, "done"), job(7)],
        "StartTransientUnit" | "StopUnit" => {
            vec![job_removed(6, "failed"), job(7), job_removed(8, "x"), job_removed(7, "done")]
        }
        "Get" => vec![reply(vec![Value::text("257.7-1").variant()])],
        _ => vec![reply(Vec::new())],
    }
}

#[test]
fn a_scope_comes_and_goes() {
    for bus in [true, false] {
        let fake = Fake::new(bus, obliging);
        let mut manager = fake.manager();
        manager.start(SCOPE, &[Property::new("Delegate", Value::Bool(true))], 9).unwrap();
        let calls: Vec<Message> = fake.calls.try_iter().collect();
        let names: Vec<_> = calls.iter().map(|call| call.member.as_str()).collect();
        let greeting: &[&str] = if bus { &["Hello", "AddMatch", "AddMatch"] } else { &[] };
        assert_eq!(names, [greeting, &["StartTransientUnit"]].concat());
        let call = calls.last().unwrap();
        assert_eq!(
            (call.destination.as_str(), call.path.as_str()),
            ("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
        );
        let pair = Value::Struct(vec![Value::text("Delegate"), Value::Bool(true).variant()]);
        let body = [
            Value::text(SCOPE),
            Value::text("replace"),
            Value::Array("(sv)".into(), vec![pair]),
            Value::Array("(sa(sv))".into(), Vec::new()),
        ];
        assert_eq!(call.body, body);
        manager.set(SCOPE, &[]).unwrap();
        manager.attach(SCOPE, "", 9).unwrap();
        assert_eq!(manager.version().unwrap(), 257);
        manager.stop(SCOPE, false).unwrap();
        let calls = ["SetUnitProperties", "Ping", "AttachProcessesToUnit", "Get", "StopUnit"];
        assert_eq!(fake.called(), calls, "one listens for jobs once");
        manager.stop(SCOPE, true).unwrap();
        assert_eq!(fake.called(), ["StopUnit", "ResetFailedUnit"], "systemd keeps it after a failure");
    }
}

#[test]
fn a_failed_unit_makes_way() {
    let fake = Fake::new(false, |call, count| match (call.member.as_str(), count) {
        ("StartTransientUnit", 1) => vec![refusal("UnitExists", "Unit t-1.scope was already loaded.")],
        _ => obliging(call, count),
    });
    fake.manager().start(SCOPE, &[], 9).unwrap();
    assert_eq!(fake.called(), ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]);
}

#[test]
fn a_unit_in_use_does_not() {
    let fake = Fake::new(false, |call, count| match call.member.as_str() {
        "StartTransientUnit" => vec![refusal("UnitExists", "Unit t-1.scope was already loaded.")],
        _ => obliging(call, count),
    });
    let error = fake.manager().start(SCOPE, &[], 9).unwrap_err();
    assert_eq!((error.kind(), error.config_field()), (error::Kind::WrongState, Some("linux.cgroupsPath")));
    assert!(error.to_string().contains("already loaded"), "{error}");
}

#[test]
fn a_job_that_fails() {
    let fake = Fake::new(false, |call, count| match call.member.as_str() {
        "StartTransientUnit" => vec![job(3), job_removed(3, "dependency")],
        _ => obliging(call, count),
    });
    let error = fake.manager().start(SCOPE, &[], 9).unwrap_err();
    assert!(error.to_string().contains("dependency"), "{error}");
    assert_eq!(fake.called(), ["StartTransientUnit", "ResetFailedUnit"], "its name is free again");
}

#[test]
fn what_is_gone_already_is_stopped() {
    let fake = Fake::new(false, |_, _| vec![refusal("NoSuchUnit", "Unit t-1.scope not loaded.")]);
    fake.manager().stop(SCOPE, true).unwrap();
    assert_eq!(fake.called(), ["StopUnit"]);
}

#[test]
fn systemd_says_no() {
    let fake = Fake::new(true, |call, count| match call.member.as_str() {
        "SetUnitProperties" => vec![refusal("PropertyReadOnly", "Cannot set property PIDs, or unknown property.")],
        _ => obliging(call, count),
    });
    let error = fake.manager().set(SCOPE, &[]).unwrap_err();
    let text = "set properties of the unit \"t-1.scope\": Cannot set property PIDs, or unknown property";
    assert_eq!(error.to_string(), text);
}

#[test]
fn the_bus_says_no() {
    for refused in ["Hello", "AddMatch"] {
        let script: Script = match refused {
            "Hello" => |call, count| match call.member.as_str() {
                "Hello" => vec![refusal("LimitsExceeded", "no more connections")],
                _ => obliging(call, count),
            },
            _ => |call, count| match call.member.as_str() {
                "AddMatch" => vec![refusal("LimitsExceeded", "no more matches")],
                _ => obliging(call, count),
            },
        };
        let error = Fake::new(true, script).manager().start(SCOPE, &[], 9).unwrap_err();
        assert!(error.to_string().contains(&format!("call {refused} of the bus: no more")), "{error}");
    }
}

#[test]
fn systemd_hangs_up() {
    let fake = Fake::new(false, |_, _| vec![Message { body: vec![Value::Byte(1)], ..Message::new(Kind::Reply) }]);
    let error = fake.manager().start(SCOPE, &[], 9).unwrap_err();
    assert!(error.to_string().contains("without a job"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    for (name, said) in
        [("closes", &b""[..]), ("refuses", b"REJECTED EXTERNAL\r\n"), ("babbles", b"HTTP/1.1 400 x\r\n")]
    {
        let path = directory.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(said));
        let address = Address { socket: Socket::Path(path.clone()), bus: true };
        let error = Bus::connect(&[address]).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{name}: {error}");
    }
}

const VANISHED: &str = "Message recipient disconnected from message bus without replying";

#[test]
fn an_answer_is_lost_when_systemd_executes_itself_anew() {
    let fake = Fake::new(true, |call, count| match (call.member.as_str(), count) {
        ("SetUnitProperties", ..4) => vec![refusal_by("DBus.Error", "NoReply", VANISHED)],
        ("GetNameOwner", _) => vec![refusal_by("DBus.Error", "NameHasNoOwner", "no such name"), returned()],
        _ => obliging(call, count),
    });
    fake.manager().set(SCOPE, &[]).unwrap();
    let calls = ["Hello", "SetUnitProperties", "AddMatch", "GetNameOwner", "SetUnitProperties", "Ping"];
    assert_eq!(fake.called(), calls);
}

#[test]
fn a_scope_whose_making_was_not_answered_is_ours_if_it_has_our_process() {
    for ours in [true, false] {
        let script: Script = match ours {
            true => |call, count| match call.member.as_str() {
                "GetUnit" | "GetUnitByPID" => vec![job(1)],
                _ => unanswered(call, count),
            },
            false => |call, count| match call.member.as_str() {
                "GetUnit" => vec![job(1)],
                "GetUnitByPID" => vec![job(2)],
                _ => unanswered(call, count),
            },
        };
        let fake = Fake::new(true, script);
        let started = fake.manager().start(SCOPE, &[], 9);
        assert_eq!(started.map_err(|error| error.kind()), if ours { Ok(()) } else { Err(error::Kind::WrongState) });
        let made = ["Hello", "AddMatch", "AddMatch", "StartTransientUnit", "GetNameOwner", "StartTransientUnit"];
        let rest: &[&str] = if ours { &["StartUnit"] } else { &["ResetFailedUnit", "StartTransientUnit"] };
        assert_eq!(fake.called(), [&made, &["GetUnit", "GetUnitByPID"][..], rest].concat());
    }
}

/// The first call makes the unit, and nobody tells.
fn unanswered(call: &Message, count: usize) -> Vec<Message> {
    match (call.member.as_str(), count) {
        ("StartTransientUnit", 4) => vec![refusal_by("DBus.Error", "NoReply", VANISHED)],
        ("StartTransientUnit", _) => vec![refusal("UnitExists", "Unit t-1.scope was already loaded.")],
        ("StartUnit", _) => vec![job(5), job_removed(5, "done")],
        _ => obliging(call, count),
    }
}

#[test]
fn the_end_of_a_job_is_not_told_when_systemd_executes_itself_anew() {
    let fake = Fake::new(true, |call, count| match call.member.as_str() {
        "StartTransientUnit" => vec![job(3), returned()],
        "StartUnit" => vec![job(4), job_removed(3, "x"), job_removed(4, "done")],
        "StopUnit" if count == 6 => vec![returned(), job(5)],
        "StopUnit" => vec![refusal("NoSuchUnit", "Unit t-1.scope not loaded.")],
        _ => obliging(call, count),
    });
    let mut manager = fake.manager();
    manager.start(SCOPE, &[], 9).unwrap();
    assert_eq!(fake.called()[3..], ["StartTransientUnit", "StartUnit"]);
    manager.stop(SCOPE, false).unwrap();
    assert_eq!(fake.called(), ["StopUnit", "StopUnit"]);
}

#[test]
fn nobody_is_there() {
    let address = |path: &str| Address { socket: Socket::Path(Path::new(path).into()), bus: true };
    let error = Manager::at(&[address("/nowhere/bus"), address("/nowhere/private")]).unwrap_err();
    assert_eq!((error.kind(), error.failed_object()), (error::Kind::Unsupported, Some("/nowhere/bus")));
    let text = "cannot reach systemd: connect to \"/nowhere/bus\": no such file or directory";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_cgroup_below_the_scope_begins_with_a_slash() {
    let unit = Unit::new(Some("a-b.slice:p:n"), "id", true).unwrap();
    let below = |path: &str| below_scope(&unit, Path::new(path));
    assert_eq!(below("/sys/fs/cgroup/u/a.slice/a-b.slice/p-n.scope"), "");
    assert_eq!(below("/sys/fs/cgroup/u/a.slice/a-b.slice/p-n.scope/x/y"), "/x/y");
}

//! A conversation over D-Bus, one call at a time: connect, authenticate, call, hear signals.
//!
//! The crates for D-Bus bring an async runtime or threads; hull may have neither in a program that embeds it. What systemd's
//! interface needs of the protocol is this file, [`super::message`] and [`super::value`]. Descriptors are never passed.

use super::address::{Address, Socket};
use super::message::{Kind, Message};
use super::value::Value;
use crate::cgroup::freezer::until;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::sys::socket;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long systemd may take to answer or to finish a job: as long as runc gives it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The other side refused, by a name of D-Bus (`org.freedesktop.systemd1.UnitExists`), in its words.
    Refused { name: String, text: String },
    /// There is nobody to talk to any more.
    Lost(Error),
}

impl Failure {
    /// Whether this is the refusal of that name, without what all of systemd's begin with.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Failure::Refused { name, .. } if name.strip_prefix("org.freedesktop.systemd1.") == Some(wanted))
    }

    /// Whether the other side has left the bus before it answered.
    pub fn is_vanished(&self) -> bool {
        matches!(self, Failure::Refused { name, .. } if name == "org.freedesktop.DBus.Error.NoReply")
    }

    /// Whether the bus knows nobody of a name.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Failure::Refused { name, .. } if name == "org.freedesktop.DBus.Error.NameHasNoOwner")
    }

    /// The error of what was being done.
    pub fn into_error(self, what: impl std::fmt::Display) -> Error {
        match self {
            Failure::Refused { name, text } => {
                let why = if text.is_empty() { name } else { text };
                Error::new(ErrorKind::System, format!("{what}: {}", why.trim_end_matches('.')))
            }
            Failure::Lost(error) => error.context(what),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Bus {
    socket: OwnedFd,
    address: Address,
    /// What was read and not yet looked at.
    read: Vec<u8>,
    signals: VecDeque<Message>,
    serial: u32,
    /// The calls that nobody waits for the answers to, and their methods.
    told: Vec<(u32, &'static str)>,
}

impl Bus {
    /// Connects to the first of `addresses` that somebody listens at.
    ///
    /// # Errors
    /// `Unsupported`, naming the sockets, if nobody does; `System` if whoever does is no bus or refuses us.
    pub fn connect(addresses: &[Address]) -> Result<Bus> {
        let mut refused: Option<Error> = None;
        for address in addresses {
            let connected = match &address.socket {
                Socket::Path(path) => socket::connect(path, rustix::net::SocketType::STREAM),
                Socket::Abstract(name) => socket::connect_abstract(name, rustix::net::SocketType::STREAM),
            };
            match connected {
                Ok(socket) => {
                    let (read, signals) = (Vec::new(), VecDeque::new());
                    let mut bus = Bus { socket, address: address.clone(), read, signals, serial: 0, told: Vec::new() };
                    bus.greet()?;
                    return Ok(bus);
                }
                Err(errno) => {
                    let what = format!("cannot reach systemd: connect to \"{address}\"");
                    refused.get_or_insert(Error::sys(what, errno).object(address.to_string()));
                }
            }
        }
        let nowhere = || Error::new(ErrorKind::System, "cannot reach systemd: no socket of it is known");
        Err(refused.unwrap_or_else(nowhere).with_kind(ErrorKind::Unsupported))
    }

    /// Says who we are. An empty identity is the one that the kernel tells (`SO_PEERCRED`): in a user namespace our own
    /// number is not the bus's.
    fn greet(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", deadline)?;
        for wanted in ["DATA", "OK"] {
            let line = loop {
                match self.read.windows(2).position(|end| end == b"\r\n") {
                    Some(end) => break self.read.drain(..end + 2).collect::<Vec<u8>>(),
                    None if self.read.len() > 4096 => return Err(self.broken("its greeting does not end")),
                    None => self.receive(deadline)?,
                }
            };
            if !line.starts_with(wanted.as_bytes()) {
                let said = String::from_utf8_lossy(&line).trim_end().to_owned();
                return Err(self.broken(&format!("it refuses us: {said}")));
            }
        }
        if self.address.bus { self.tell("Hello", Vec::new()) } else { Ok(()) }
    }

    /// Asks the bus to pass signals on. Without a bus in between they come by themselves.
    pub fn listen(&mut self, rule: &str) -> std::result::Result<(), Failure> {
        match self.address.bus {
            true => self.tell("AddMatch", vec![Value::text(rule)]).map_err(Failure::Lost),
            false => Ok(()),
        }
    }

    /// Calls a method of the bus, which does all in its order: the next call need not wait for the answer. It is looked at when it
    /// comes.
    fn tell(&mut self, method: &'static str, body: Vec<Value>) -> Result<()> {
        let serial = self.send_call(&DBUS, method, body, Instant::now() + PATIENCE)?;
        self.told.push((serial, method));
        Ok(())
    }

    /// Calls a method and waits for what it returns.
    pub fn call(
        &mut self,
        object: &Object<'_>,
        method: &str,
        body: Vec<Value>,
    ) -> std::result::Result<Vec<Value>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let serial = self.send_call(object, method, body, deadline).map_err(Failure::Lost)?;
        loop {
            let message = self.message(deadline).map_err(Failure::Lost)?;
            match message.kind {
                Kind::Reply if message.reply_to == serial => return Ok(message.body),
                Kind::Error if message.reply_to == serial => return Err(refusal(message)),
                Kind::Signal => self.signals.push_back(message),
                Kind::Error => self.hear_of_told(message)?,
                _ => {}
            }
        }
    }

    /// What was called without waiting has been refused.
    fn hear_of_told(&self, message: Message) -> std::result::Result<(), Failure> {
        match self.told.iter().find(|(serial, _)| *serial == message.reply_to) {
            Some((_, method)) => Err(Failure::Lost(refusal(message).into_error(format!("call {method} of the bus")))),
            None => Ok(()),
        }
    }

    /// Sends a call and tells its number.
    fn send_call(&mut self, object: &Object<'_>, method: &str, body: Vec<Value>, deadline: Instant) -> Result<u32> {
        self.serial += 1;
        let call = Message {
            serial: self.serial,
            destination: object.destination.to_owned(),
            path: object.path.to_owned(),
            interface: object.interface.to_owned(),
            member: method.to_owned(),
            body,
            ..Message::new(Kind::Call)
        };
        self.send(&call.to_bytes(), deadline).map(|()| self.serial)
    }

    /// Waits for a signal that `wanted` makes something of, those that came during calls first.
    pub fn signal<T>(&mut self, wanted: impl Fn(&Message) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = match self.signals.pop_front() {
                Some(message) => message,
                None => self.message(deadline)?,
            };
            if let Some(found) = Some(&message).filter(|message| message.kind == Kind::Signal).and_then(&wanted) {
                return Ok(found);
            }
        }
    }

    fn message(&mut self, deadline: Instant) -> Result<Message> {
        loop {
            match Message::length(&self.read) {
                Some(Some(length)) if length <= self.read.len() => {
                    let bytes: Vec<u8> = self.read.drain(..length).collect();
                    return Message::parse(&bytes).ok_or_else(|| self.broken("it sent what is no message"));
                }
                Some(_) => self.receive(deadline)?,
                None => return Err(self.broken("it sent what is no message")),
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.failed("speak to", errno)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, deadline: Instant) -> Result<()> {
        let mut buffer = [0u8; 4096];
        self.wait(PollFlags::IN, deadline)?;
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.socket, &mut buffer)) {
            Ok(0) => Err(self.broken("it has hung up")),
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(errno) => Err(self.failed("hear", errno)),
        }
    }

    fn wait(&self, what: PollFlags, deadline: Instant) -> Result<()> {
        let mut fds = [PollFd::new(&self.socket, what)];
        match rustix::io::retry_on_intr(|| poll(&mut fds, Some(&until(deadline)))) {
            Ok(0) => Err(self.failed("hear", Errno::TIMEDOUT)),
            Ok(_) => Ok(()),
            Err(errno) => Err(self.failed("wait for", errno)),
        }
    }

    fn failed(&self, act: &str, errno: Errno) -> Error {
        Error::sys(format!("{act} systemd at \"{}\"", self.address), errno).object(self.address.to_string())
    }

    fn broken(&self, why: &str) -> Error {
        let what = format!("cannot talk to systemd at \"{}\": {why}", self.address);
        Error::new(ErrorKind::System, what).object(self.address.to_string())
    }
}

/// What an error message says.
fn refusal(message: Message) -> Failure {
    let text = message.body.first().and_then(Value::as_text).unwrap_or_default().to_owned();
    Failure::Refused { name: message.error, text }
}

/// Whom a call is for.
pub(crate) struct Object<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
}

/// The bus itself.
pub(super) const DBUS: Object<'_> =
    Object { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };

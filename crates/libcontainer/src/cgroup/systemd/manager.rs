//! systemd as the manager of units: org.freedesktop.systemd1(5), as much of it as a container needs.
//!
//! systemd may execute itself anew at any time: an upgrade of its package has it do that. It keeps units and jobs, but who waits for
//! an answer gets none, and the end of a job can pass untold. All that is asked here is therefore asked once more then.

use super::address::{Address, of_system, of_user, own_uid};
use super::bus::{Bus, DBUS, Failure, Object};
use super::message::Message;
use super::properties::Property;
use super::value::Value;
use crate::error::{Error, Kind, Result};
use std::time::Instant;

const FIELD: &str = "linux.cgroupsPath";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: Object<'_> =
    Object { destination: SYSTEMD, path: "/org/freedesktop/systemd1", interface: "org.freedesktop.systemd1.Manager" };
const PROPERTIES: Object<'_> = Object { interface: "org.freedesktop.DBus.Properties", ..MANAGER };
const PEER: Object<'_> = Object { interface: "org.freedesktop.DBus.Peer", ..MANAGER };
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
                           member='JobRemoved',path='/org/freedesktop/systemd1'";
const OWNER_CHANGED: &str = "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
                             member='NameOwnerChanged',arg0='org.freedesktop.systemd1'";

/// A connection to an instance of systemd.
#[derive(Debug)]
pub(crate) struct Manager {
    bus: Bus,
    hears_jobs: bool,
    hears_owner: bool,
    /// It has executed itself anew while it was spoken to.
    anew: bool,
}

/// What comes of the wait for a job.
enum Heard {
    Ended(String),
    Anew,
}

impl Manager {
    /// Connects to the system's instance, or to the caller's own.
    ///
    /// # Errors
    /// `Unsupported` if it cannot be reached, with the socket.
    pub fn connect(user: bool) -> Result<Manager> {
        let variable = |name: &str| std::env::var_os(name);
        let addresses = if user { of_user(variable, own_uid()) } else { of_system(variable) };
        let hint = match user {
            true => "the user's own instance of systemd is needed: log in, or have root call `loginctl enable-linger`",
            false => "is systemd running here? Without --systemd-cgroup hull makes cgroups itself",
        };
        Manager::at(&addresses).map_err(|error| error.field(FIELD).hint(hint))
    }

    pub fn at(addresses: &[Address]) -> Result<Manager> {
        Ok(Manager { bus: Bus::connect(addresses)?, hears_jobs: false, hears_owner: false, anew: false })
    }

    /// Starts a transient unit around the process `pid`, which `properties` name, and waits until it is there. A failed unit of the
    /// same name makes way, once.
    ///
    /// # Errors
    /// `WrongState` if there is such a unit; `System` with systemd's words for whatever else it refuses.
    pub fn start(&mut self, unit: &str, properties: &[Property], pid: u32) -> Result<()> {
        let what = || format!("start the systemd unit {unit:?}");
        self.hear_jobs().map_err(|failure| failure.into_error(what()))?;
        let pairs =
            |properties: &[Property]| Value::Array("(sv)".into(), properties.iter().map(Property::pair).collect());
        let none = Value::Array("(sa(sv))".into(), Vec::new());
        let body = vec![Value::text(unit), Value::text("replace"), pairs(properties), none];
        let again = vec![Value::text(unit), Value::text("replace")];
        let mut started = self.ask(&MANAGER, "StartTransientUnit", body.clone());
        if started.as_ref().is_err_and(|failure| failure.is("UnitExists")) {
            if self.anew && self.has(unit, pid) {
                started = self.ask(&MANAGER, "StartUnit", again.clone()); // the call whose answer was lost has made it
            } else {
                let _ = self.reset_failed(unit); // if it was no failed one, the second attempt says so
                started = self.ask(&MANAGER, "StartTransientUnit", body);
            }
        }
        let job = started.map_err(|failure| match failure.is("UnitExists") {
            true => failure.into_error(what()).with_kind(Kind::WrongState).field(FIELD).object(unit),
            false => failure.into_error(what()).object(unit),
        })?;
        let result =
            self.follow(job, "StartUnit", &again).map_err(|failure| failure.into_error(what()).object(unit))?;
        if result != "done" {
            let _ = self.reset_failed(unit); // so that the name is free again
            return Err(Error::new(Kind::System, format!("{}: its job ended as {result:?}", what())).object(unit));
        }
        Ok(())
    }

    /// Stops a unit and waits until it is gone. One that systemd has `kept` after a failure is forgotten. That there is none is fine.
    ///
    /// # Errors
    /// `System` with systemd's words.
    pub fn stop(&mut self, unit: &str, kept: bool) -> Result<()> {
        let what = || format!("stop the systemd unit {unit:?}");
        self.hear_jobs().map_err(|failure| failure.into_error(what()))?;
        let body = vec![Value::text(unit), Value::text("replace")];
        let stopped = self.ask(&MANAGER, "StopUnit", body.clone());
        // What the job has come to matters to nobody: the processes are gone already.
        match stopped.and_then(|job| self.follow(job, "StopUnit", &body)) {
            Ok(_) => {}
            Err(failure) if failure.is("NoSuchUnit") => return Ok(()),
            Err(failure) => return Err(failure.into_error(what()).object(unit)),
        }
        if !kept {
            return Ok(());
        }
        match self.reset_failed(unit) {
            Err(failure) if !failure.is("NoSuchUnit") => Err(failure.into_error(what()).object(unit)),
            _ => Ok(()),
        }
    }

    /// Changes properties of a unit until the next boot, and returns when its cgroup has them.
    ///
    /// # Errors
    /// `System` with systemd's words.
    pub fn set(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let pairs = Value::Array("(sv)".into(), properties.iter().map(Property::pair).collect());
        let body = vec![Value::text(unit), Value::Bool(true), pairs];
        let set = self.ask(&MANAGER, "SetUnitProperties", body);
        // systemd answers first and writes to the cgroup before it takes the next call. Whoever writes there himself has to
        // come after that.
        let set = set.and_then(|_| self.ask(&PEER, "Ping", Vec::new()));
        set.map(drop).map_err(|failure| failure.into_error(format!("set properties of the unit {unit:?}")).object(unit))
    }

    /// Moves a process into the cgroup of a unit, or into that at `below` in it. systemd may where a user may not.
    ///
    /// # Errors
    /// `System` with systemd's words.
    pub fn attach(&mut self, unit: &str, below: &str, pid: u32) -> Result<()> {
        let pids = Value::Array("u".into(), vec![Value::Uint32(pid)]);
        let body = vec![Value::text(unit), Value::text(below), pids];
        let attached = self.ask(&MANAGER, "AttachProcessesToUnit", body);
        attached.map(drop).map_err(|failure| {
            failure.into_error(format!("attach process {pid} to the systemd unit {unit:?}")).object(unit)
        })
    }

    /// The cgroup that this instance of systemd manages: `/` is the system's own.
    ///
    /// # Errors
    /// `System` with systemd's words.
    pub fn control_group(&mut self) -> Result<String> {
        self.property("ControlGroup")
    }

    /// The number of the release.
    ///
    /// # Errors
    /// `System` with systemd's words.
    pub fn version(&mut self) -> Result<u32> {
        Ok(version_of(&self.property("Version")?))
    }

    fn property(&mut self, name: &str) -> Result<String> {
        let body = vec![Value::text(MANAGER.interface), Value::text(name)];
        let what = || format!("ask systemd for its {name}");
        let answer = self.ask(&PROPERTIES, "Get", body).map_err(|failure| failure.into_error(what()))?;
        let text = answer.first().map(Value::inner).and_then(Value::as_text);
        text.map(str::to_owned).ok_or_else(|| Error::new(Kind::System, format!("{}: it answers without one", what())))
    }

    fn reset_failed(&mut self, unit: &str) -> std::result::Result<(), Failure> {
        self.ask(&MANAGER, "ResetFailedUnit", vec![Value::text(unit)]).map(drop)
    }

    /// Whether the process is in the unit.
    fn has(&mut self, unit: &str, pid: u32) -> bool {
        let path = |answer: Vec<Value>| answer.first().and_then(Value::as_text).map(str::to_owned);
        let by_name = self.ask(&MANAGER, "GetUnit", vec![Value::text(unit)]).ok().and_then(path);
        let by_pid = self.ask(&MANAGER, "GetUnitByPID", vec![Value::Uint32(pid)]).ok().and_then(path);
        by_name.is_some() && by_name == by_pid
    }

    /// Calls a method, once more if systemd executes itself anew before it answers.
    fn ask(&mut self, object: &Object<'_>, method: &str, body: Vec<Value>) -> std::result::Result<Vec<Value>, Failure> {
        let deadline = Instant::now() + super::bus::PATIENCE;
        loop {
            match self.bus.call(object, method, body.clone()) {
                Err(failure) if failure.is_vanished() && Instant::now() < deadline => self.wait_for_return()?,
                other => return other,
            }
        }
    }

    /// Waits until systemd is on the bus again, if it is not.
    fn wait_for_return(&mut self) -> std::result::Result<(), Failure> {
        self.anew = true;
        self.hear_owner()?;
        match self.bus.call(&DBUS, "GetNameOwner", vec![Value::text(SYSTEMD)]) {
            Err(failure) if failure.is_nobody() => {
                self.bus.signal(|signal| has_returned(signal).then_some(())).map_err(Failure::Lost)
            }
            other => other.map(drop),
        }
    }

    fn hear_jobs(&mut self) -> std::result::Result<(), Failure> {
        if !self.hears_jobs {
            self.bus.listen(JOB_REMOVED)?;
            self.hears_jobs = true;
        }
        self.hear_owner()
    }

    fn hear_owner(&mut self) -> std::result::Result<(), Failure> {
        if !self.hears_owner {
            self.bus.listen(OWNER_CHANGED)?;
            self.hears_owner = true;
        }
        Ok(())
    }

    /// Waits for the end of the job that a call returned. A systemd that has executed itself anew is asked `method` for another one.
    fn follow(&mut self, mut job: Vec<Value>, method: &str, body: &[Value]) -> std::result::Result<String, Failure> {
        loop {
            let path = job.first().and_then(Value::as_text).map(str::to_owned);
            let nothing = || Failure::Lost(Error::new(Kind::System, "systemd answers without a job"));
            let path = path.ok_or_else(nothing)?;
            match self.bus.signal(|signal| heard(signal, &path)).map_err(Failure::Lost)? {
                Heard::Ended(result) => return Ok(result),
                Heard::Anew => job = self.ask(&MANAGER, method, body.to_vec())?,
            }
        }
    }
}

fn heard(signal: &Message, job: &str) -> Option<Heard> {
    if has_returned(signal) { Some(Heard::Anew) } else { result_of(signal, job).map(Heard::Ended) }
}

/// `NameOwnerChanged(s name, s old, s new)`, of systemd's name alone.
fn has_returned(signal: &Message) -> bool {
    let new = signal.body.get(2).and_then(Value::as_text);
    signal.member == "NameOwnerChanged" && new.is_some_and(|new| !new.is_empty())
}

/// `JobRemoved(u id, o job, s unit, s result)`.
fn result_of(signal: &Message, job: &str) -> Option<String> {
    match signal.body.as_slice() {
        [_, removed, _, result] if signal.member == "JobRemoved" && removed.as_text() == Some(job) => {
            result.as_text().map(str::to_owned)
        }
        _ => None,
    }
}

/// `257.7-1`, `v249`: distributions write it in many ways. An unreadable one is as old as can be.
fn version_of(text: &str) -> u32 {
    let digits: String = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| c.is_ascii_digit()).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let known = [("257.7-1", 257), ("v249", 249), ("\"v245.4-1.fc32\"", 245), ("259~rc2", 259), ("git", 0)];
        for (text, version) in known {
            assert_eq!(version_of(text), version, "{text}");
        }
    }
}

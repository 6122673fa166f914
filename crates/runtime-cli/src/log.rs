//! Where errors and warnings go, in the two forms that engines parse.
//!
//! An engine gives a file and asks for JSON: each line is an object `{level, msg, time}`, and an error carries hull's own
//! keys beside them. podman reads such a file as one single object, so that in JSON nothing but the one error is written
//! unless more was asked for. A person gets the same line as text on standard error.

use crate::failure::Failure;
use libcontainer::state::timestamp;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is written: everything up to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The error that ends the call.
    Error,
    /// What the config asks for and hull does without.
    Warning,
    /// What hull does.
    Debug,
}

impl Level {
    /// The level by its name.
    pub fn named(name: &str) -> Option<Level> {
        match name {
            "error" => Some(Level::Error),
            "warn" | "warning" => Some(Level::Warning),
            "debug" => Some(Level::Debug),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Debug => "debug",
        }
    }
}

/// The log of this call.
#[derive(Debug)]
pub struct Log {
    /// The file of `--log`; standard error without one.
    pub file: Option<File>,
    /// Objects instead of text.
    pub json: bool,
    /// What is written.
    pub level: Level,
}

#[derive(Serialize)]
struct Entry<'a> {
    level: &'a str,
    msg: &'a str,
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Log {
    /// Writes the error of the call. With a file, the bare message goes to standard error too.
    pub fn failure(&self, failure: &Failure) {
        let cause = failure.cause.as_ref();
        let now = now();
        let line = self.line(&Entry {
            level: Level::Error.name(),
            msg: &failure.text,
            time: &now,
            field: cause.and_then(|error| error.config_field()),
            step: cause.and_then(|error| error.plan_step()),
            object: cause.and_then(|error| error.failed_object()),
            errno: cause.and_then(|error| error.raw_os_error()),
            hint: cause.and_then(|error| error.advice()),
        });
        self.write(&line);
        if self.file.is_some() {
            to_stderr(&format!("{}\n", escaped(&failure.text, false)));
        }
    }

    /// Writes a warning.
    pub fn warning(&self, text: &str) {
        self.entry(Level::Warning, text);
    }

    /// Writes what hull does.
    pub fn debug(&self, text: &str) {
        self.entry(Level::Debug, text);
    }

    fn entry(&self, level: Level, msg: &str) {
        if level <= self.level {
            let entry = Entry {
                level: level.name(),
                msg,
                time: &now(),
                field: None,
                step: None,
                object: None,
                errno: None,
                hint: None,
            };
            self.write(&self.line(&entry));
        }
    }

    fn line(&self, entry: &Entry) -> String {
        if self.json {
            // Only maps with odd keys and failing writers make this fail.
            serde_json::to_string(entry).unwrap_or_default() + "\n"
        } else {
            format!("time={} level={} msg={}\n", quoted(entry.time), entry.level, quoted(entry.msg))
        }
    }

    fn write(&self, line: &str) {
        // A log that cannot be written has nowhere to say so; the exit code stays.
        match &self.file {
            Some(file) => drop((&*file).write_all(line.as_bytes())),
            None => to_stderr(line),
        }
    }
}

fn to_stderr(line: &str) {
    drop(std::io::stderr().write_all(line.as_bytes()));
}

/// RFC 3339 in UTC to the second, as runc's log has it.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    timestamp(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A value of the text form: plain if it is one harmless word, else quoted as Go's `%q` quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if text.chars().all(plain) && !text.is_empty() { text.to_owned() } else { format!("\"{}\"", escaped(text, true)) }
}

/// `text` with everything escaped that is not shown as itself, so that it stays one line and moves no cursor.
fn escaped(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' if quotes => out.extend(['\\', c]),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\0'..='\x1f' | '\x7f' => out += &format!("\\x{:02x}", u32::from(c)),
            // Controls of the upper half, and characters that reorder or hide what is beside them.
            '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use libcontainer::Kind;
    use std::io::{Read, Seek};

    fn written(json: bool, level: Level, act: impl FnOnce(&Log)) -> String {
        let mut file = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC).map(File::from).unwrap();
        act(&Log { file: Some(file.try_clone().unwrap()), json, level });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn json_is_one_object_with_the_parts_of_the_error() {
        let error = libcontainer::Error::new(Kind::System, "mount \"/x\"").field("mounts[3]").step("mount").errno(2);
        let failure = Failure::from(error.object("/x").hint("make it")).context("hull create failed");
        let text = written(true, Level::Error, |log| {
            log.warning("not shown");
            log.failure(&failure);
        });
        assert!(text.ends_with("}\n"), "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["level"], "error");
        assert_eq!(object["msg"], "hull create failed: mount \"/x\": no such file or directory (mounts[3]); make it");
        let time = object["time"].as_str().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
        assert_eq!((&object["field"], &object["step"]), (&"mounts[3]".into(), &"mount".into()));
        assert_eq!(
            (&object["object"], &object["errno"], &object["hint"]),
            (&"/x".into(), &2.into(), &"make it".into())
        );
    }

    #[test]
    fn a_failure_without_a_cause_has_the_three_keys_only() {
        let text = written(true, Level::Error, |log| log.failure(&Failure::new("container does not exist")));
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["level", "msg", "time"]);
    }

    #[test]
    fn text_is_logrus_like() {
        let text = written(false, Level::Warning, |log| {
            log.failure(&Failure::new("no \"such\"\n\u{1b}[31m\u{e9}\u{202e}"));
            log.warning("careful");
            log.debug("not shown");
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("time=\"20"), "{text}");
        assert!(lines[0].ends_with(" level=error msg=\"no \\\"such\\\"\\n\\x1b[31mé\\u202e\""), "{text}");
        assert!(lines[1].ends_with(" level=warning msg=careful"), "{text}");
    }

    #[test]
    fn levels() {
        assert_eq!(Level::named("warning"), Some(Level::Warning));
        assert_eq!(Level::named("loud"), None);
        assert!(Level::Error < Level::Debug);
    }
}

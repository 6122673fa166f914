//! The engine that reads a command line against tables of options, with the rules of runc's own parser.
//!
//! One dash or two before any name; `--name value` and `--name=value`; a switch takes a value only after `=`; `--` ends
//! the options. Most verbs take options after their operands too; `exec` and `ps` do not, because what follows their
//! first operand is somebody else's command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What follows an option's name; the text is how help calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: a switch, on when named, or as `=true` and `=false` say.
    Nothing,
    /// A path: any bytes.
    Path(&'static str),
    /// Text: UTF-8.
    Text(&'static str),
    /// A whole number, which may be negative.
    Number(&'static str),
    /// A span of time as [`crate::duration`] reads it.
    Duration(&'static str),
}

/// One option. Without `about` it is accepted and not shown.
#[derive(Debug)]
pub struct Opt {
    /// The name it is looked up by, then its other names, without dashes.
    pub names: &'static [&'static str],
    /// What it takes.
    pub takes: Takes,
    /// One line for help.
    pub about: &'static str,
}

/// Where options may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Anywhere before `--`.
    Mixed,
    /// Before the first operand only.
    OptionsFirst,
}

/// What was given. Every name in it is the first name of its option.
#[derive(Debug, Default)]
pub struct Given {
    options: Vec<(&'static str, OsString)>,
    /// What is not an option.
    pub operands: Vec<OsString>,
}

impl Given {
    /// Reads `args` against `tables`. The error is the one line to print.
    pub fn read(
        args: impl IntoIterator<Item = OsString>,
        tables: &'static [&'static [Opt]],
        order: Order,
    ) -> Result<Given, String> {
        let mut given = Given::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let Some((name, attached)) = option(&arg)? else {
                if arg == "--" {
                    given.operands.extend(args);
                    break;
                }
                given.operands.push(arg);
                if order == Order::OptionsFirst {
                    given.operands.extend(args);
                    break;
                }
                continue;
            };
            let find = |opt: &&Opt| opt.names.iter().any(|known| known.as_bytes() == name.as_bytes());
            let Some(opt) = tables.iter().flat_map(|table| table.iter()).find(find) else {
                return Err(format!("flag provided but not defined: -{}", name.display()));
            };
            let value = match (attached, opt.takes) {
                (Some(value), _) => value.to_owned(),
                (None, Takes::Nothing) => OsString::from("true"),
                (None, _) => args.next().ok_or_else(|| format!("flag needs an argument: -{}", name.display()))?,
            };
            given.options.push((opt.names[0], checked(opt.takes, name, value)?));
        }
        Ok(given)
    }

    /// Whether the option was named at all, be it with `=false`.
    pub fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// Whether a switch is on.
    pub fn is(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| boolean(value) == Some(true))
    }

    /// The last value of an option that takes a path; an empty one is none.
    pub fn path(&self, name: &str) -> Option<&Path> {
        self.last(name).filter(|value| !value.is_empty()).map(Path::new)
    }

    /// The last value of an option that takes text; an empty one is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.last(name).and_then(OsStr::to_str).filter(|value| !value.is_empty())
    }

    /// All values of an option that takes text, in their order.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(known, _)| *known == name).filter_map(|(_, value)| value.to_str())
    }

    /// The last value of an option that takes a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|value| value.parse().ok())
    }

    fn last(&self, name: &str) -> Option<&OsStr> {
        self.options.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }
}

/// The name and the attached value, if `arg` is an option.
fn option(arg: &OsStr) -> Result<Option<(&OsStr, Option<&OsStr>)>, String> {
    let bytes = arg.as_bytes();
    let body = match bytes {
        b"-" | b"--" => return Ok(None),
        [b'-', b'-', body @ ..] | [b'-', body @ ..] => body,
        _ => return Ok(None),
    };
    if matches!(body[0], b'-' | b'=') {
        return Err(format!("bad flag syntax: {}", arg.display()));
    }
    let mut parts = body.splitn(2, |byte| *byte == b'=');
    let name = OsStr::from_bytes(parts.next().unwrap_or_default());
    Ok(Some((name, parts.next().map(OsStr::from_bytes))))
}

/// The value, if it is of the kind that the option takes.
fn checked(takes: Takes, name: &OsStr, value: OsString) -> Result<OsString, String> {
    let (good, kind) = match takes {
        Takes::Path(_) => (true, ""),
        Takes::Text(_) => (value.to_str().is_some(), "not UTF-8"),
        Takes::Number(_) => (value.to_str().is_some_and(|text| text.parse::<i64>().is_ok()), "parse error"),
        Takes::Duration(_) => (value.to_str().and_then(crate::duration::nanoseconds).is_some(), "parse error"),
        Takes::Nothing if boolean(&value).is_none() => {
            return Err(format!("invalid boolean value {:?} for -{}: parse error", value.display(), name.display()));
        }
        Takes::Nothing => (true, ""),
    };
    if good {
        Ok(value)
    } else {
        let shown = value.to_string_lossy();
        Err(format!("invalid value {shown:?} for flag -{}: {kind}", name.display()))
    }
}

/// A truth value as Go's `strconv.ParseBool` reads it.
pub fn boolean(value: &OsStr) -> Option<bool> {
    match value.to_str()? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[&[Opt]] = &[
        &[
            Opt { names: &["detach", "d"], takes: Takes::Nothing, about: "" },
            Opt { names: &["bundle", "b"], takes: Takes::Path("PATH"), about: "" },
        ],
        &[
            Opt { names: &["env", "e"], takes: Takes::Text("ENV"), about: "" },
            Opt { names: &["preserve-fds"], takes: Takes::Number("N"), about: "" },
            Opt { names: &["interval"], takes: Takes::Duration("TIME"), about: "" },
        ],
    ];

    fn read(line: &str, order: Order) -> Result<Given, String> {
        Given::read(line.split_whitespace().map(OsString::from), TABLE, order)
    }

    fn operands(given: &Given) -> Vec<&str> {
        given.operands.iter().map(|operand| operand.to_str().unwrap()).collect()
    }

    #[test]
    fn every_way_to_write_an_option() {
        for line in ["--bundle /b -d c", "-bundle=/b --detach c", "-b /b -detach=true c", "-d --b=/b -- c"] {
            let given = read(line, Order::Mixed).unwrap();
            assert_eq!((given.path("bundle"), given.is("detach")), (Some(Path::new("/b")), true), "{line}");
            assert_eq!(operands(&given), ["c"], "{line}");
        }
    }

    #[test]
    fn options_after_operands_belong_to_the_verb_or_to_the_command() {
        let given = read("c -d --bundle /b", Order::Mixed).unwrap();
        assert_eq!((given.is("detach"), operands(&given)), (true, vec!["c"]));
        let given = read("-e A=1 c ls -d --bundle /b", Order::OptionsFirst).unwrap();
        assert_eq!((given.is("detach"), operands(&given)), (false, vec!["c", "ls", "-d", "--bundle", "/b"]));
        let given = read("-- c ls -d", Order::OptionsFirst).unwrap();
        assert_eq!(operands(&given), ["c", "ls", "-d"]);
        let given = read("c -- -d", Order::Mixed).unwrap();
        assert_eq!((given.is("detach"), operands(&given)), (false, vec!["c", "-d"]));
    }

    #[test]
    fn a_single_dash_is_an_operand() {
        assert_eq!(operands(&read("-", Order::Mixed).unwrap()), ["-"]);
        assert_eq!(read("-b -", Order::Mixed).unwrap().path("bundle"), Some(Path::new("-")));
    }

    #[test]
    fn the_last_value_counts_and_lists_keep_all() {
        let given = read("-e A=1 --env B=2,3 -d -d=false", Order::Mixed).unwrap();
        assert_eq!(given.texts("env").collect::<Vec<_>>(), ["A=1", "B=2,3"]);
        assert_eq!((given.is("detach"), given.has("detach")), (false, true));
        assert_eq!((given.text("env"), given.number("preserve-fds")), (Some("B=2,3"), None));
    }

    #[test]
    fn faults_are_worded_as_runc_words_them() {
        for (line, fault) in [
            ("--bogus c", "flag provided but not defined: -bogus"),
            ("-it c", "flag provided but not defined: -it"),
            ("c --bundle", "flag needs an argument: -bundle"),
            ("--preserve-fds=x", "invalid value \"x\" for flag -preserve-fds: parse error"),
            ("--interval x", "invalid value \"x\" for flag -interval: parse error"),
            ("-d=zzz", "invalid boolean value \"zzz\" for -d: parse error"),
            ("---d", "bad flag syntax: ---d"),
            ("--=d", "bad flag syntax: --=d"),
        ] {
            assert_eq!(read(line, Order::Mixed).unwrap_err(), fault, "{line}");
        }
    }

    #[test]
    fn paths_are_bytes_and_text_is_not() {
        let odd = OsString::from(OsStr::from_bytes(b"/\xff"));
        let given = Given::read(["-b".into(), odd.clone()], TABLE, Order::Mixed).unwrap();
        assert_eq!(given.path("bundle"), Some(Path::new(&odd)));
        assert!(Given::read(["-e".into(), odd], TABLE, Order::Mixed).unwrap_err().contains("not UTF-8"));
    }
}

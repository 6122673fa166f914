//! Reading JSON such that every fault is one line, with the place in the file or the field that is wrong.

use crate::error::{Error, Kind, Result};
use serde::de::DeserializeOwned;

/// Parses `text`. `file` names it in errors; `prefix` stands before the field's path (`process.`).
///
/// The first attempt is made without path tracking, which costs time; a second one finds the path once it has failed.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8], file: &str, prefix: &str) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| fault::<T>(text, file, prefix, &error))
}

fn fault<T: DeserializeOwned>(text: &[u8], file: &str, prefix: &str, error: &serde_json::Error) -> Error {
    if !error.is_data() {
        return Error::new(Kind::InvalidSpec, format!("{file} is not JSON: {error}"));
    }
    let traced = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(text)).err();
    let path = traced.map(|traced| traced.path().to_string()).filter(|path| path != ".");
    let error = Error::new(Kind::InvalidSpec, format!("{file}: {error}"));
    match path {
        Some(path) => error.field(format!("{prefix}{path}")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn fault(text: &str) -> Error {
        parse::<Config>(text.as_bytes(), "config.json", "").unwrap_err()
    }

    #[test]
    fn bad_json_is_told_with_line_and_column() {
        for (text, what) in [
            ("", "config.json is not JSON: EOF while parsing a value at line 1 column 0"),
            ("{\"root\": {\n", "config.json is not JSON: EOF while parsing an object at line 2 column 0"),
            ("{\"root\":\n  nil}", "config.json is not JSON: expected ident at line 2 column 4"),
            ("{} x", "config.json is not JSON: trailing characters at line 1 column 4"),
        ] {
            let error = fault(text);
            assert_eq!((error.to_string().as_str(), error.kind()), (what, Kind::InvalidSpec), "{text}");
        }
    }

    #[test]
    fn a_wrong_type_is_told_with_its_field() {
        for (text, field, what) in [
            (
                r#"{"mounts": [{}, {"options": "ro"}]}"#,
                "mounts[1].options",
                "invalid type: string \"ro\", expected a sequence",
            ),
            (r#"{"process": {"user": {"uid": -1}}}"#, "process.user.uid", "invalid value: integer `-1`, expected u32"),
            (r#"{"process": {"args": ["sh", 7]}}"#, "process.args[1]", "invalid type: integer `7`, expected a string"),
            (
                r#"{"linux": {"resources": {"memory": {"limit": "1G"}}}}"#,
                "linux.resources.memory.limit",
                "expected i64",
            ),
            (
                r#"{"linux": {"sysctl": {"net.a": 1}}}"#,
                "linux.sysctl.net.a",
                "invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"linux": {"seccomp": {"syscalls": [{"args": [{"index": 1.5}]}]}}}"#,
                "linux.seccomp.syscalls[0].args[0].index",
                "1.5",
            ),
            (r#"{"process": {"rlimits": [{"soft": 1}]}}"#, "process.rlimits[0]", "missing field `hard`"),
        ] {
            let error = fault(text);
            assert_eq!(error.config_field(), Some(field), "{text}");
            assert!(error.what().starts_with("config.json: ") && error.what().contains(what), "{error}");
            assert!(error.what().contains("at line 1 column "), "{error}");
        }
    }

    #[test]
    fn a_config_that_is_no_object_has_no_field() {
        let error = fault("7");
        assert_eq!(
            error.to_string(),
            "config.json: invalid type: integer `7`, expected struct Config at line 1 column 1"
        );
    }

    #[test]
    fn null_is_what_go_writes_for_nothing() {
        assert_eq!(
            parse::<Config>(br#"{"mounts": null, "hooks": null, "linux": {"sysctl": null}}"#, "", "").ok(),
            Some(Config::default())
        );
    }
}

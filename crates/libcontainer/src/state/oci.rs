//! The container's state as runtime.md#state has it: what hooks, seccomp agents and the `state` command read.

use crate::config::Map;
use serde::Serialize;
use std::path::Path;

/// The version of the runtime specification that hull implements.
pub const VERSION: &str = "1.3.0";
/// The oldest one whose configs hull takes.
pub const OLDEST_VERSION: &str = "1.0.0";

/// One container at one instant.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// The container's id.
    pub id: &'a str,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: &'a str,
    /// The pid of its first process; none where it has ended or is not there yet.
    pub pid: Option<i32>,
    /// The bundle's directory.
    pub bundle: &'a Path,
    /// The config's annotations.
    pub annotations: &'a Map<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    oci_version: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    status: &'a str,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "Map::is_empty")]
    annotations: &'a Map<String>,
}

impl State<'_> {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let State { id, status, pid, bundle, annotations } = *self;
        let json = Json { oci_version: VERSION, id, pid, status, bundle, annotations };
        // Only a map with keys that are no strings, or a path that is no text, could fail; the bundle was read by its text.
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// The same in two halves, for a writer that alone knows the pid and puts its digits between them.
    pub fn around_pid(&self) -> (String, String) {
        let whole = State { pid: Some(0), ..*self }.to_json();
        let (before, after) = whole.split_once("\"pid\":0").unwrap_or((&whole, ""));
        (format!("{before}\"pid\":"), after.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_and_a_pid_are_the_whole() {
        let annotations = Map::from([("a.b".to_owned(), "\"pid\":0".to_owned())]);
        let state =
            State { id: "c", status: "creating", pid: Some(42), bundle: Path::new("/b"), annotations: &annotations };
        let (before, after) = state.around_pid();
        assert_eq!(format!("{before}42{after}"), state.to_json());
        let json: serde_json::Value = serde_json::from_str(&state.to_json()).unwrap();
        assert_eq!((&json["ociVersion"], &json["pid"], &json["bundle"]), (&"1.3.0".into(), &42.into(), &"/b".into()));
    }
}

//! `state`: what is known of a container, as the runtime specification and runc word it.

use super::{Count, HELP, Verb};
use crate::args::{Given, Order};
use crate::failure::{Failure, Outcome};
use crate::globals::Globals;
use crate::{output, version};
use libcontainer::config::Map;
use libcontainer::{Container, Status};
use serde::Serialize;
use std::borrow::Cow;

pub const VERB: Verb = Verb {
    name: "state",
    about: "show the state of a container",
    operands: "CONTAINER",
    detail: "",
    options: &[HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run,
};

/// The state of a container, with runc's keys in runc's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State<'c> {
    oci_version: &'static str,
    /// The container's id.
    pub id: &'c str,
    /// Its first process; 0 when it has ended.
    pub pid: i32,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: &'static str,
    /// The bundle's directory.
    pub bundle: Cow<'c, str>,
    rootfs: Cow<'c, str>,
    /// When it was made.
    pub created: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'c Map<String>>,
    /// Who made it; `state` leaves it empty, as runc does.
    pub owner: String,
}

impl<'c> State<'c> {
    /// The state of `container` now.
    pub fn of(container: &'c Container, owner: String) -> Result<State<'c>, Failure> {
        let status = container.status()?;
        Ok(State {
            oci_version: version::SPEC,
            id: container.id(),
            pid: if status == Status::Stopped { 0 } else { container.pid() },
            status: status.as_str(),
            bundle: container.bundle().to_string_lossy(),
            rootfs: container.rootfs().to_string_lossy(),
            created: container.created(),
            annotations: Some(&container.config().annotations).filter(|all| !all.is_empty()),
            owner,
        })
    }
}

fn run(globals: &Globals, given: &Given) -> Outcome {
    let container = globals.container(given)?;
    let state = State::of(&container, String::new())?;
    let text = serde_json::to_string_pretty(&state).map_err(|error| Failure::new(error.to_string()))?;
    output::print(&text)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(annotations: Option<&Map<String>>) -> State<'_> {
        State {
            oci_version: "1.3.0",
            id: "c",
            pid: 7,
            status: "running",
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-11-24T02:54:04.992154871Z",
            annotations,
            owner: String::new(),
        }
    }

    #[test]
    fn keys_in_runcs_order_indented_by_two() {
        let annotations = Map::from([("a.b".to_owned(), "c".to_owned())]);
        let expected = r#"{
  "ociVersion": "1.3.0",
  "id": "c",
  "pid": 7,
  "status": "running",
  "bundle": "/b",
  "rootfs": "/b/rootfs",
  "created": "2026-11-24T02:54:04.992154871Z",
  "annotations": {
    "a.b": "c"
  },
  "owner": ""
}"#;
        assert_eq!(serde_json::to_string_pretty(&state(Some(&annotations))).unwrap(), expected);
    }

    #[test]
    fn no_annotations_no_key() {
        assert!(!serde_json::to_string(&state(None)).unwrap().contains("annotations"));
    }
}

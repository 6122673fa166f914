//! The annotations `org.systemd.property.NAME`: properties of the unit that the config asks for by name (runc's docs/systemd.md).

use super::gvariant;
use super::properties::Property;
use super::value::Value;
use crate::config::Map;
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// Properties that are the runtime's to set, and those by which a container's end would act on the machine or on other
/// units: a config is about one container.
const REFUSED: &[(&str, &str)] = &[
    ("PIDs", "the runtime sets it"),
    ("PIDFDs", "the runtime sets it"),
    ("Slice", "linux.cgroupsPath sets it"),
    ("Delegate", "the runtime sets it"),
    ("DelegateSubgroup", "the runtime sets it"),
    ("Controller", "the runtime sets it"),
    ("OnSuccess", "it acts on other units"),
    ("OnFailure", "it acts on other units"),
    ("Conflicts", "it acts on other units"),
    ("PropagatesStopTo", "it acts on other units"),
    ("Upholds", "it acts on other units"),
    ("RebootArgument", "it acts on the machine"),
];

/// The properties that `annotations` ask for.
///
/// # Errors
/// `InvalidSpec` with the annotation whose name or value is none, or may not be set.
pub(super) fn properties(annotations: &Map<String>) -> Result<Vec<Property>> {
    let ours = annotations.iter().filter_map(|(key, value)| Some((key, key.strip_prefix(PREFIX)?, value)));
    ours.map(|(key, name, value)| {
        property(name, value).map_err(|why| Error::spec(format!("annotations[{key:?}]"), why))
    })
    .collect()
}

/// Whether `annotations` have a say in what becomes of the unit after a failure.
pub(super) fn set_collect_mode(annotations: &Map<String>) -> bool {
    annotations.keys().any(|key| key.strip_prefix(PREFIX) == Some("CollectMode"))
}

fn property(name: &str, text: &str) -> std::result::Result<Property, String> {
    if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(format!("{name:?} is no name of a property: three letters or more"));
    }
    let action = name.ends_with("Action").then_some("it acts on the machine");
    let refused = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why);
    if let Some(why) = refused.or(action) {
        return Err(format!("the property {name} cannot be set by an annotation: {why}"));
    }
    let value = gvariant::parse(text).map_err(|why| format!("{text:?} is no value in GVariant's text form: {why}"))?;
    // Unit files have times in seconds by names in Sec, D-Bus has them in microseconds by names in USec.
    match name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase())) {
        Some(stem) => match microseconds(&value) {
            Some(value) => Ok(Property::new(format!("{stem}USec"), Value::Uint64(value))),
            None => Err(format!("{text:?} is no number of seconds")),
        },
        None => Ok(Property::new(name, value)),
    }
}

fn microseconds(value: &Value) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    let seconds: u64 = match *value {
        Value::Double(seconds) => {
            let whole = seconds * SECOND as f64;
            return (0.0..u64::MAX as f64).contains(&whole).then_some(whole as u64);
        }
        Value::Byte(n) => n.into(),
        Value::Int16(n) => n.try_into().ok()?,
        Value::Uint16(n) => n.into(),
        Value::Int32(n) => n.try_into().ok()?,
        Value::Uint32(n) => n.into(),
        Value::Int64(n) => n.try_into().ok()?,
        Value::Uint64(n) => n,
        _ => return None,
    };
    seconds.checked_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> std::result::Result<Property, String> {
        property(name, value)
    }

    #[test]
    fn names_and_values() {
        assert_eq!(of("TimeoutStopUSec", "uint64 5"), Ok(Property::new("TimeoutStopUSec", Value::Uint64(5))));
        assert_eq!(of("CollectMode", "'inactive'"), Ok(Property::new("CollectMode", Value::text("inactive"))));
        for name in ["", "ab", "Mem0ry", "A B C", "Ä", "a.b"] {
            assert!(of(name, "1").is_err(), "{name}");
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        let time = |value| Ok(Property::new("RuntimeMaxUSec", Value::Uint64(value)));
        assert_eq!(of("RuntimeMaxSec", "2"), time(2_000_000));
        assert_eq!(of("RuntimeMaxSec", "1.5"), time(1_500_000));
        assert_eq!(of("RuntimeMaxSec", "uint64 3"), time(3_000_000));
        assert_eq!(of("XSec", "1"), Ok(Property::new("XSec", Value::Int32(1))), "not a name in Sec");
        for value in ["-1", "'2'", "true", "uint64 18446744073709551615", "-0.5"] {
            assert!(of("RuntimeMaxSec", value).is_err(), "{value}");
        }
    }

    #[test]
    fn what_would_reach_beyond_the_container() {
        for name in ["PIDs", "Slice", "FailureAction", "JobTimeoutAction", "OnFailure", "RebootArgument"] {
            assert!(of(name, "'x'").unwrap_err().contains("cannot be set"), "{name}");
        }
    }

    #[test]
    fn faults_name_their_annotation() {
        let annotations = serde_json::from_str(r#"{"other":"(","org.systemd.property.TasksMax":"("}"#).unwrap();
        let error = properties(&annotations).unwrap_err();
        assert_eq!(error.config_field(), Some("annotations[\"org.systemd.property.TasksMax\"]"));
    }
}

//! The lines of a `schemata` file: the one meaning of `l3CacheSchema`, `memBwSchema` and `schemata`, for `create` and `update`.

use crate::config::IntelRdt;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// One write to a `schemata` file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The field that asks for it.
    pub field: &'static str,
    /// Whole lines, each with its end: the kernel refuses others.
    pub text: String,
}

/// A field that is not empty. Go writes an absent string as `""`.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

/// Whether the config says anything about what the class may use.
pub(super) fn is_asked(rdt: &IntelRdt) -> bool {
    given(&rdt.l3_cache_schema).is_some() || given(&rdt.mem_bw_schema).is_some() || !rdt.schemata.is_empty()
}

/// The writes that make a class what the config asks for, in order. `schemata` comes in a write of its own, so that it has
/// the last word: within one write the kernel refuses a second value for the same cache.
pub(super) fn writes(rdt: &IntelRdt) -> Vec<Write> {
    // Bandwidth is what memBwSchema says, and nothing else.
    let cache = given(&rdt.l3_cache_schema).unwrap_or_default().lines().filter(|line| !line.starts_with("MB:"));
    let (cache, bandwidth) = (text(cache), text(given(&rdt.mem_bw_schema)));
    let field = match (cache.is_empty(), bandwidth.is_empty()) {
        (false, true) => "linux.intelRdt.l3CacheSchema",
        (true, false) => "linux.intelRdt.memBwSchema",
        _ => "linux.intelRdt",
    };
    let all = text(rdt.schemata.iter().map(String::as_str));
    let writes = [Write { field, text: cache + &bandwidth }, Write { field: "linux.intelRdt.schemata", text: all }];
    writes.into_iter().filter(|write| !write.text.is_empty()).collect()
}

fn text<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().filter(|line| !line.trim().is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// Sees that a class which exists already is what the writes would make of it. What they do not mention is free.
///
/// # Errors
/// `InvalidSpec` with the field whose value differs.
pub(super) fn check(class: &str, schemata: &str, writes: &[Write]) -> Result<()> {
    let existing = values(schemata).ok_or_else(|| unreadable("linux.intelRdt.closID", schemata))?;
    let mut wanted = BTreeMap::new();
    for write in writes {
        let values = values(&write.text).ok_or_else(|| unreadable(write.field, &write.text))?;
        wanted.extend(values.into_iter().map(|(place, value)| (place, (value, write.field))));
    }
    for ((resource, domain), (value, field)) in wanted {
        let have = existing.get(&(resource, domain)).copied();
        if have.map(|have| number(resource, have)) != Some(number(resource, value)) {
            let have = have.map_or("nothing".to_owned(), |have| format!("{resource}:{domain}={have}"));
            let what = format!("the class of service {class:?} exists and has {have}, not {resource}:{domain}={value}");
            return Err(Error::spec(field, what));
        }
    }
    Ok(())
}

fn unreadable(field: &str, text: &str) -> Error {
    Error::spec(field, format!("{:?} is not a schema such as L3:0=f;1=f", text.trim_end()))
}

/// What lines such as `L3:0=f;1=f` say, by resource and domain; a later line overrides an earlier one.
fn values(text: &str) -> Option<BTreeMap<(&str, u32), &str>> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (resource, domains) = line.split_once(':')?;
        for domain in domains.split(';').filter(|domain| !domain.trim().is_empty()) {
            let (id, value) = domain.split_once('=')?;
            found.insert((resource.trim(), id.trim().parse().ok()?), value.trim());
        }
    }
    Some(found)
}

/// A value as a number: caches have bit masks in base 16, bandwidth is in base 10. The kernel pads what it prints.
fn number(resource: &str, value: &str) -> Option<u64> {
    match resource {
        "MB" | "SMBA" => value.parse().ok(),
        _ => u64::from_str_radix(value.trim_start_matches("0x"), 16).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rdt(json: &str) -> IntelRdt {
        serde_json::from_str(json).unwrap()
    }

    fn texts(json: &str) -> Vec<(&'static str, String)> {
        writes(&rdt(json)).into_iter().map(|write| (write.field, write.text)).collect()
    }

    #[test]
    fn cache_and_bandwidth_are_one_write_and_schemata_the_last() {
        assert_eq!(texts("{}"), []);
        assert_eq!(
            texts(r#"{"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L3:0=ff", "L2:0=1"]}"#),
            [
                ("linux.intelRdt", "L3:0=f\nMB:0=20\n".to_owned()),
                ("linux.intelRdt.schemata", "L3:0=ff\nL2:0=1\n".to_owned())
            ]
        );
        assert_eq!(texts(r#"{"l3CacheSchema": "L3:0=f"}"#), [("linux.intelRdt.l3CacheSchema", "L3:0=f\n".to_owned())]);
        assert_eq!(texts(r#"{"memBwSchema": "MB:0=20"}"#), [("linux.intelRdt.memBwSchema", "MB:0=20\n".to_owned())]);
    }

    #[test]
    fn bandwidth_in_the_cache_schema_gives_way() {
        let json = r#"{"l3CacheSchema": "L3:0=f\nMB:0=90\nL3CODE:0=1", "memBwSchema": "MB:0=20"}"#;
        assert_eq!(texts(json), [("linux.intelRdt", "L3:0=f\nL3CODE:0=1\nMB:0=20\n".to_owned())]);
        assert_eq!(texts(r#"{"l3CacheSchema": "MB:0=90"}"#), []);
        assert!(is_asked(&rdt(r#"{"l3CacheSchema": "MB:0=90"}"#)));
        assert!(!is_asked(&rdt(
            r#"{"closID": "a", "l3CacheSchema": "", "memBwSchema": "", "enableMonitoring": true}"#
        )));
    }

    const EXISTING: &str = "    L3:0=000f;1=00ff\n    MB:0= 20;1=100\n";

    fn fault(json: &str) -> String {
        check("gold", EXISTING, &writes(&rdt(json))).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn an_existing_class_matches_by_value_not_by_text() {
        assert_eq!(fault(r#"{"l3CacheSchema": "L3:1=FF;0=f;", "memBwSchema": "MB:0=20"}"#), "");
        assert_eq!(fault(r#"{"l3CacheSchema": "L3:0=1", "schemata": ["L3:0=f"]}"#), "", "schemata has the last word");
    }

    #[test]
    fn a_difference_names_field_and_values() {
        for (json, text) in [
            (
                r#"{"l3CacheSchema": "L3:0=ff"}"#,
                r#"the class of service "gold" exists and has L3:0=000f, not L3:0=ff (linux.intelRdt.l3CacheSchema)"#,
            ),
            (
                r#"{"memBwSchema": "MB:1=010"}"#,
                r#"the class of service "gold" exists and has MB:1=100, not MB:1=010 (linux.intelRdt.memBwSchema)"#,
            ),
            (
                r#"{"schemata": ["L2:0=f"]}"#,
                r#"the class of service "gold" exists and has nothing, not L2:0=f (linux.intelRdt.schemata)"#,
            ),
            (r#"{"schemata": ["L3:0"]}"#, r#""L3:0" is not a schema such as L3:0=f;1=f (linux.intelRdt.schemata)"#),
        ] {
            assert_eq!(fault(json), text);
        }
    }
}

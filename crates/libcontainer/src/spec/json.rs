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

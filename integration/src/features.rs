//! What the runtime says of itself, to be held against what it does.

use crate::{Bundle, Runtime, Value};

/// The features document.
pub struct Features(Value);

impl Features {
    /// What `features` prints.
    pub fn of(rt: &Runtime) -> Self {
        Self(rt.call(["features"]).go().json())
    }

    /// The whole.
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// What is at a JSON pointer.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", self.0))
    }

    /// A list that has names in it.
    #[track_caller]
    pub fn names(&self, pointer: &str) -> Vec<&str> {
        let names: Vec<_> = self.at(pointer).as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(!names.is_empty(), "{pointer}");
        names
    }

    /// True or false.
    #[track_caller]
    pub fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap()
    }
}

/// What `validate` says of a bundle.
pub fn faults(rt: &Runtime, bundle: &Bundle) -> String {
    bundle.write();
    rt.call(["validate"]).arg(bundle.dir()).go().stdout
}

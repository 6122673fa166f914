//! A container in the making: what exists of it so far, and how an error undoes that.

use crate::cgroup::Cgroup;
use crate::container::NotifySocket;
use crate::error::{Error, Kind, Result};
use crate::resctrl::Group;
use crate::state::{Entry, Record};

/// What exists of a container while it is made, so that an error can undo it.
#[derive(Default)]
pub(super) struct Making {
    pub entry: Option<Entry>,
    pub cgroup: Option<Cgroup>,
    pub class: Option<Group>,
    pub notify: Option<NotifySocket>,
}

impl Making {
    pub fn write(&self, record: &Record) -> Result<()> {
        match &self.entry {
            Some(entry) => entry.write(record),
            None => Ok(()),
        }
    }

    pub fn entry(&self) -> Result<&Entry> {
        self.entry.as_ref().ok_or_else(|| Error::new(Kind::NotFound, "container does not exist"))
    }

    pub fn keep(self) -> Option<Entry> {
        self.entry
    }

    /// The child is gone already. What cannot be removed is to be said beside the error that led here.
    pub fn undo(mut self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(Err(cgroup)) = self.cgroup.take().map(|cgroup| cgroup.remove()) {
            left.push(cgroup.to_string());
        }
        if let Some(Err(class)) = self.class.take().map(|class| class.remove()) {
            left.push(class.to_string());
        }
        if let Some(Err(entry)) = self.entry.take().map(Entry::remove) {
            left.push(entry.to_string());
        }
        left
    }
}

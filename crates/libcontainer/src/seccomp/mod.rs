//! STUB until the seccomp room is merged.
/// stub
#[derive(Clone, Debug)]
pub struct Filter { /** p */ pub program: Vec<u8>, /** f */ pub flags: u32, /** n */ pub notify: bool }

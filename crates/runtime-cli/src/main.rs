//! hull.
fn main() {}

//! `hull --version`: engines read the first three lines, in this order.

/// The version of the runtime specification that hull implements.
pub const SPEC: &str = libcontainer::state::oci::VERSION;
/// The commit this program was built from, or `unknown`.
pub const COMMIT: &str = env!("HULL_COMMIT");
/// hull's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The whole text.
pub fn text() -> String {
    let (rust, libseccomp) = (env!("HULL_RUST"), libseccomp());
    format!("hull version {VERSION}\ncommit: {COMMIT}\nspec: {SPEC}\nrust: {rust}\nlibseccomp: {libseccomp}\n")
}

/// The libseccomp that filters are compiled with.
pub fn libseccomp() -> String {
    let (major, minor, patch) = libcontainer::seccomp::version();
    format!("{major}.{minor}.{patch}")
}

//! Tells dependents where the sources of hull-init are (`DEP_HULL_INIT_SOURCE`).
fn main() {
    println!("cargo::metadata=source={}/src", std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}

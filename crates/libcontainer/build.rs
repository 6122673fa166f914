//! What has to be done before the library can be compiled and linked.

#[path = "build/seccomp.rs"]
mod seccomp;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    seccomp::link();
}

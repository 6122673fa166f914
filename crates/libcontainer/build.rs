//! What has to be done before the library can be compiled and linked.

#[path = "build/init.rs"]
mod init;
#[path = "build/seccomp.rs"]
mod seccomp;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    seccomp::link();
    if let Err(reason) = init::build() {
        println!(
            "cargo::error=hull-init, the program that libcontainer starts containers with, cannot be built: {reason}"
        );
        std::process::exit(1);
    }
}

//! Finds libseccomp, and links it in the way the program is linked: static into a static one.
//!
//! The `libseccomp-sys` crate is not used: it always asks for the shared library, which a static program links without
//! a word and then crashes on; and its environment variables for a static one have to be set by every dependent.

use std::env;
use std::process::Command;

/// Tells cargo where libseccomp is and how to link it. `LIBSECCOMP_LIB_PATH` names its directory, `LIBSECCOMP_LINK_TYPE`
/// (`static`, `dylib`) overrides the choice; else pkg-config is asked, else the linker looks where it always does.
pub fn link() {
    for variable in ["LIBSECCOMP_LIB_PATH", "LIBSECCOMP_LINK_TYPE", "PKG_CONFIG", "PKG_CONFIG_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=build/seccomp.rs");

    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let chosen = env::var("LIBSECCOMP_LINK_TYPE").ok();
    let fixed = match chosen.as_deref() {
        Some("static") => true,
        Some(_) => false,
        None => features.split(',').any(|feature| feature == "crt-static"),
    };
    // Not bundled, the archive is looked for by the linker, which knows the system's directories as rustc does not.
    println!("cargo::rustc-link-lib={}=seccomp", if fixed { "static:-bundle" } else { "dylib" });

    if let Ok(path) = env::var("LIBSECCOMP_LIB_PATH") {
        println!("cargo::rustc-link-search=native={path}");
    } else if env::var("HOST") == env::var("TARGET") || env::var_os("PKG_CONFIG").is_some() {
        let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
        let found = Command::new(program).args(["--libs-only-L", "libseccomp"]).output();
        let text = found.map(|found| String::from_utf8_lossy(&found.stdout).into_owned()).unwrap_or_default();
        for path in text.split_whitespace().filter_map(|flag| flag.strip_prefix("-L")) {
            println!("cargo::rustc-link-search=native={path}");
        }
    }
}

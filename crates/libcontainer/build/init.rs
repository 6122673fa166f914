//! Compiles the program hull-init from the sources of the crate of that name, for libcontainer to carry.
//!
//! Plain rustc, because cargo cannot give one crate a static program of another one that no libc is linked to. It works
//! wherever libcontainer is a dependency: the sources are found by the `links` metadata of hull-init.

use std::env::{self, VarError};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the program into `$OUT_DIR/hull-init`.
///
/// # Errors
/// Why it cannot be built, for people.
pub fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build/init.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let sources = PathBuf::from(variable("DEP_HULL_INIT_SOURCE")?);
    println!("cargo::rerun-if-changed={}", sources.display());
    let target = variable("TARGET")?;
    let output = Path::new(&variable("OUT_DIR")?).join("hull-init");
    let architecture = variable("CARGO_CFG_TARGET_ARCH")?;
    if !["x86_64", "aarch64", "riscv64"].contains(&architecture.as_str()) {
        return Err(format!("no system calls are known for {target}; there are x86_64, aarch64 and riscv64"));
    }

    let mut rustc = Command::new(variable("RUSTC")?);
    // The program is the same wherever its sources lie.
    rustc.current_dir(&sources).arg("program.rs").arg("--remap-path-prefix").arg(prefix(&sources));
    rustc.args(["--crate-name", "hull_init", "--crate-type", "bin", "--edition", "2024", "--cap-lints", "allow"]);
    rustc.arg("--target").arg(&target).arg("-o").arg(&output);
    for option in [
        "panic=abort",
        "opt-level=s",
        "codegen-units=1",
        "lto=fat",
        "embed-bitcode=yes",
        "debuginfo=0",
        "strip=symbols",
        "force-unwind-tables=no",
        "relocation-model=static",
        "target-feature=+crt-static",
    ] {
        rustc.args(["-C", option]);
    }
    if variable("CARGO_CFG_TARGET_ENV")? == "musl" {
        // Otherwise musl's start code comes with it.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    let linker = Linker::configured()?;
    rustc.args(linker.options());
    // A compiler driver as linker would add what a program with libc needs.
    if !linker.is_bare() {
        rustc.args(["-nostartfiles", "-nostdlib", "-static"].map(|option| format!("-Clink-arg={option}")));
    }
    // Nothing in the file but what is run, in as few pages as possible, of the largest size that a kernel of the architecture has.
    let page = if architecture == "aarch64" { "-zmax-page-size=65536" } else { "-zmax-page-size=4096" };
    for option in ["--build-id=none", "--no-eh-frame-hdr", page, "-znoseparate-code", "-znorelro"] {
        rustc.arg(if linker.is_bare() { format!("-Clink-arg={option}") } else { format!("-Clink-arg=-Wl,{option}") });
    }

    let built = rustc.output().map_err(|error| format!("{rustc:?}: {error}"))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        said.lines().for_each(|line| println!("cargo::warning={line}"));
        return Err(format!("{rustc:?}: {}", built.status));
    }
    Ok(())
}

/// The linker that cargo is configured with for this target, which knows more of a cross build than rustc's default.
struct Linker {
    path: Option<OsString>,
    /// `-C linker-flavor` of the rustflags.
    flavor: Option<String>,
}

impl Linker {
    fn configured() -> Result<Linker, String> {
        let flags = match env::var("CARGO_ENCODED_RUSTFLAGS") {
            Err(VarError::NotPresent) => String::new(),
            flags => flags.map_err(|error| format!("CARGO_ENCODED_RUSTFLAGS: {error}"))?,
        };
        let mut linker = Linker { path: env::var_os("RUSTC_LINKER"), flavor: None };
        let mut flags = flags.split('\x1f');
        while let Some(flag) = flags.next() {
            let option = if matches!(flag, "-C" | "--codegen") { flags.next() } else { flag.strip_prefix("-C") };
            match option.and_then(|option| option.split_once('=')) {
                Some(("linker", path)) => linker.path = Some(path.into()),
                Some(("linker-flavor", flavor)) => linker.flavor = Some(flavor.to_owned()),
                _ => {}
            }
        }
        Ok(linker)
    }

    fn options(&self) -> impl Iterator<Item = OsString> {
        let option = |name: &str, value: &OsStr| {
            let mut option = OsString::from(format!("-C{name}="));
            option.push(value);
            option
        };
        let path = self.path.as_ref().map(|path| option("linker", path));
        let flavor = self.flavor.as_ref().map(|flavor| option("linker-flavor", flavor.as_ref()));
        path.into_iter().chain(flavor)
    }

    /// Whether it is a linker itself, not a compiler that calls one.
    fn is_bare(&self) -> bool {
        let named = self.path.as_ref().and_then(|path| Path::new(path).file_stem()?.to_str());
        match (&self.flavor, named) {
            (Some(flavor), _) => flavor.starts_with("ld") || flavor == "gnu-lld" || flavor == "gnu",
            (None, Some(name)) => name == "ld" || name.ends_with("-ld") || name.contains("lld") || name.contains("ld."),
            (None, None) => false,
        }
    }
}

fn prefix(sources: &Path) -> OsString {
    let mut mapping = sources.as_os_str().to_owned();
    mapping.push("=hull-init");
    mapping
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

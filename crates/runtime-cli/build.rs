//! Finds what `hull --version` tells of the build: the commit and the compiler. Works without git.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=HULL_COMMIT={}", commit().unwrap_or_else(|| "unknown".into()));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = output(&rustc, &["--version"]).unwrap_or_default();
    println!("cargo::rustc-env=HULL_RUST={}", version.split_whitespace().nth(1).unwrap_or("unknown"));
}

/// The commit, if these sources are tracked by git: a copy inside somebody else's repository is not.
fn commit() -> Option<String> {
    // A commit moves the reflog of HEAD, in a worktree too.
    let log = output("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    if std::path::Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    output("git", &["ls-files", "--error-unmatch", "build.rs"])?;
    output("git", &["rev-parse", "--short=12", "HEAD"])
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

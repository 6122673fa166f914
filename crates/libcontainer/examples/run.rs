//! Runs the container of a bundle and exits as its program does: `cargo run --example run -- BUNDLE`.

use libcontainer::{Bundle, Launch, Result, Runtime};

fn main() -> Result<()> {
    let bundle = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let runtime = Runtime::at("/run/hull-example");
    let bundle = Bundle::load(bundle.as_ref())?;
    let id = format!("example-{}", std::process::id());

    let (mut container, program) = runtime.run(&id, &bundle, Launch::default())?;
    println!("{id} runs as process {}", program.pid());
    let status = program.wait()?;
    container.delete(false)?;
    std::process::exit(status.code())
}

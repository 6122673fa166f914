//! Four threads, each with a container and a second process in it: `cargo run --example embedded -- BUNDLE`.

use libcontainer::{Bundle, Exec, Kind, Launch, Result, Runtime, spec::parse_process};

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let bundle = Bundle::load(dir.as_ref())?;
    let runtime = Runtime::at("/run/hull-example");
    std::thread::scope(|scope| {
        let live = |n: u32| live(&runtime, &bundle, &format!("embedded-{}-{n}", std::process::id()));
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || live(n))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn live(runtime: &Runtime, bundle: &Bundle, id: &str) -> Result<()> {
    let mut container = runtime.create(id, bundle, Launch::default())?;
    container.start()?;
    let process = parse_process(br#"{"cwd": "/", "args": ["/bin/hostname"]}"#, "the process")?;
    match container.exec(&process, Exec::default()) {
        Ok(child) => println!("{id}: hostname ended with {}", child.wait()?.code()),
        Err(error) if error.kind() == Kind::WrongState => println!("{id}: its program has ended already"),
        Err(error) => eprintln!("{id}: {error}, because of {:?}", error.config_field()),
    }
    container.delete(true)?;
    Ok(())
}

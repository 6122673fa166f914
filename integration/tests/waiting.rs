//! The process that waits for start: what it costs, and that it is not the runtime's program.

use integration::{Runtime, proc};

fn kilobytes(pid: i32, key: &str) -> u64 {
    proc::field(pid, key).unwrap_or_else(|| panic!("{key} of {pid}")).split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn it_is_small() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let pid = container.pid();
    let resident = kilobytes(pid, "VmRSS");
    assert!(resident <= 256, "{resident} kB resident while it waits for start");
    let program = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap().len();
    assert!(program <= 64 << 10, "{program} bytes of program");
    assert_eq!(proc::field(pid, "Threads").unwrap(), "1");
}

#[test]
fn a_hundred_of_them_are_small_too() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]).unset("/linux/cgroupsPath").write();
    let mut resident = 0;
    for number in 0..100 {
        let id = rt.id(&number.to_string());
        bundle.set("/linux/cgroupsPath", format!("/{id}").into()).write();
        rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(&id).go().ok();
        let state = rt.call(["state", &id]).go().json();
        let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
        resident += kilobytes(pid, "VmRSS");
    }
    assert!(resident <= 100 * 256, "{resident} kB resident, all together");
    let list: integration::Value = rt.call(["list", "--format", "json"]).go().json();
    assert_eq!(list.as_array().unwrap().len(), 100);
}

#[test]
fn its_program_cannot_be_written() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let exe = format!("/proc/{}/exe", container.pid());
    let error = std::fs::OpenOptions::new().write(true).open(&exe).expect_err("a sealed program is not to be written");
    assert!(matches!(error.raw_os_error(), Some(libc::ETXTBSY | libc::EPERM | libc::EROFS)), "{error}");
    // Nor when it no longer runs: the descriptor to it stays sealed.
    let held = std::fs::File::open(&exe).unwrap();
    container.start();
    let again = std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held)));
    let written = again.and_then(|mut file| std::io::Write::write_all(&mut file, b"owned"));
    assert!(written.is_err(), "the program could be written once it had ended");
}

#[test]
fn it_ends_when_it_is_killed_and_start_says_so() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = rt.create(&bundle);
    let pid = container.pid();
    proc::kill(pid);
    assert!(proc::ended(pid));
    container.verb(&["start"]).exits(1).says("cannot start a container that has stopped").one_line();
}

#[test]
fn start_by_another_process_than_create() {
    // Nothing of create is left when start comes: not its environment, directory or file descriptors.
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    let said = bundle.fifo("/said");
    bundle.script("echo $FROM_CREATE$FROM_START > /said");
    bundle.write();
    rt.call(["create", "--bundle"]).arg(bundle.dir()).arg(rt.id("")).env("FROM_CREATE", "1").go().ok();
    rt.call(["start", rt.tag()]).env("FROM_START", "1").cwd(std::path::Path::new("/")).go().ok();
    assert_eq!(said.line(), "");
}

#[test]
fn its_streams_are_the_creators() {
    let rt = Runtime::new();
    let mut bundle = rt.bundle();
    bundle.args(&["echo", "to the creator"]);
    let container = rt.create(&bundle);
    let pid = container.pid();
    let output = rt.call(["start", &container.id]).go();
    assert!(proc::ended(pid));
    assert_eq!(output.ok(), "");
    assert_eq!(container.stdout(), "to the creator\n");
}

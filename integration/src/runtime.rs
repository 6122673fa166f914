//! The runtime under test, with a state directory of its own, and the containers a test makes with it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bundle::copy_program;
use crate::{Bundle, Call, Output, Value, apart, binary, place, proc, residue, view};

/// One test's runtime. Dropping it deletes its containers and fails the test when anything is left behind.
pub struct Runtime {
    dir: tempfile::TempDir,
    tag: String,
    wrapper: Vec<String>,
    program: PathBuf,
    ids: RefCell<Vec<String>>,
    bundles: RefCell<Vec<PathBuf>>,
    files: Cell<u32>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime {
    /// A runtime called plainly, by root.
    pub fn new() -> Self {
        Self::wrapped(Vec::new())
    }

    /// A runtime which sees a pure cgroup v2 machine.
    pub fn pure_v2() -> Self {
        Self::wrapped(view::pure_v2())
    }

    /// A runtime whose every call goes through a wrapper (see [`view`]).
    pub fn wrapped(wrapper: Vec<String>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static UMASK: Once = Once::new();
        // Whatever the tests are started with: containers of other users must reach their root.
        UMASK.call_once(|| _ = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022)));
        let tag = format!("{}n{}x", apart::tag(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix(&format!("hull-{tag}-")).tempdir_in(place::for_tests()).unwrap();
        // The directory's owner alone may enter a TempDir.
        rustix::fs::chmod(dir.path(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let mut program = binary::path().to_owned();
        if !wrapper.is_empty() && !place::is_open(&program) {
            // The wrapper may become a user who cannot get to where it is.
            program = dir.path().join("hull");
            copy_program(binary::path(), &program);
        }
        Self { dir, tag, wrapper, program, ids: RefCell::default(), bundles: RefCell::default(), files: Cell::new(0) }
    }

    /// The wrapper of the calls.
    pub fn wrapper(&self) -> &[String] {
        &self.wrapper
    }

    /// Changes the wrapper of the calls to come.
    pub fn wrap(&mut self, wrapper: Vec<String>) {
        self.wrapper = wrapper;
    }

    /// The tag, unique to this test; also the id of its first container.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The test's directory: `root`, the bundles, and files of the test's own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path for a file of the test's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory of the host to be mounted, with a file and an empty directory `sub`.
    pub fn host_dir(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        std::fs::write(dir.join("file"), "from the host").unwrap();
        dir
    }

    /// A path nobody has had before.
    pub fn fresh(&self, stem: &str) -> PathBuf {
        self.files.set(self.files.get() + 1);
        self.path(&format!("{stem}{}", self.files.get()))
    }

    /// The state directory.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// A bundle with the default config; its cgroup is `/TAG`.
    pub fn bundle(&self) -> Bundle {
        self.bundle_at("bundle", &self.tag)
    }

    /// A second bundle, for a container [`id`](Self::id)`(name)`; its cgroup is `/TAG-name`.
    pub fn bundle_named(&self, name: &str) -> Bundle {
        let mut bundle = self.bundle_at(&format!("bundle-{name}"), &self.tag);
        bundle.set("/linux/cgroupsPath", format!("/{}-{name}", self.tag).into());
        bundle
    }

    fn bundle_at(&self, name: &str, tag: &str) -> Bundle {
        let dir = self.path(name);
        self.bundles.borrow_mut().push(dir.clone());
        Bundle::new(&dir, tag)
    }

    /// An id of this test's, deleted at its end.
    pub fn id(&self, name: &str) -> String {
        let id = if name.is_empty() { self.tag.clone() } else { format!("{}-{name}", self.tag) };
        self.ids.borrow_mut().push(id.clone());
        id
    }

    /// A call of the runtime with `--root` and these arguments.
    pub fn call<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(&self, args: I) -> Call {
        self.bare().arg("--root").arg(self.root()).args(args)
    }

    /// A call of the runtime without any argument yet.
    pub fn bare(&self) -> Call {
        let call = match self.wrapper.split_first() {
            Some((head, rest)) => Call::new(head).args(rest).arg(&self.program),
            None => Call::new(&self.program),
        };
        call.env(residue::TAG, &self.tag)
    }

    /// `run` in the foreground, to its end.
    pub fn run(&self, bundle: &Bundle) -> Output {
        self.run_with(bundle, &[])
    }

    /// `run` in the foreground with more flags.
    pub fn run_with(&self, bundle: &Bundle, flags: &[&str]) -> Output {
        self.run_call(bundle, flags).go()
    }

    /// `run`, not yet called.
    pub fn run_call(&self, bundle: &Bundle, flags: &[&str]) -> Call {
        bundle.write();
        self.call(["run"]).args(flags).arg("--bundle").arg(bundle.dir()).arg(self.id(""))
    }

    /// `run` of a shell script in the foreground.
    pub fn sh(&self, bundle: &mut Bundle, script: &str) -> Output {
        bundle.script(script);
        self.run(bundle)
    }

    /// `create`, which must work.
    #[track_caller]
    pub fn create(&self, bundle: &Bundle) -> Container<'_> {
        self.make(bundle, "", &["create"])
    }

    /// `run --detach`, which must work.
    #[track_caller]
    pub fn detach(&self, bundle: &Bundle) -> Container<'_> {
        self.make(bundle, "", &["run", "--detach"])
    }

    /// `run --detach` of the bundle made by [`bundle_named`](Self::bundle_named), which must work.
    #[track_caller]
    pub fn detach_named(&self, bundle: &Bundle, name: &str) -> Container<'_> {
        self.make(bundle, name, &["run", "--detach"])
    }

    /// `run --detach` of `sleep`, which must work.
    #[track_caller]
    pub fn sleeper(&self, bundle: &mut Bundle) -> Container<'_> {
        bundle.args(&["sleep", "1000"]);
        self.detach(bundle)
    }

    /// A verb that makes a container, and must work.
    #[track_caller]
    pub fn make(&self, bundle: &Bundle, name: &str, verb: &[&str]) -> Container<'_> {
        bundle.write();
        let id = self.id(name);
        let output = self.call(verb).arg("--bundle").arg(bundle.dir()).arg(&id).go();
        assert_eq!(output.code, 0, "{output}");
        Container { rt: self, id, output: RefCell::new(output) }
    }

    /// The first container, whoever made it.
    pub fn container(&self) -> Container<'_> {
        let output = RefCell::new(Call::new("true").go());
        Container { rt: self, id: self.tag.clone(), output }
    }

    /// Deletes all containers of the test by force.
    fn delete_all(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let ids = std::mem::take(&mut *self.ids.borrow_mut());
        for id in ids.into_iter().collect::<std::collections::BTreeSet<_>>() {
            if self.root().join(&id).exists() {
                let output = self.call(["delete", "--force", &id]).go();
                if output.code != 0 {
                    wrong.push(output.to_string());
                }
            }
        }
        wrong
    }

    /// Deletes the test's containers and asserts that nothing of the test is left.
    #[track_caller]
    pub fn assert_clean(&self) {
        let mut wrong = self.delete_all();
        wrong.extend(residue::left(&self.tag, &self.root(), &self.bundles.borrow()));
        if !wrong.is_empty() {
            residue::sweep(&self.tag);
            panic!("left behind:\n {}", wrong.join("\n "));
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.delete_all();
            residue::sweep(&self.tag);
        } else {
            self.assert_clean();
        }
    }
}

/// A container of a test.
pub struct Container<'rt> {
    rt: &'rt Runtime,
    /// Its id.
    pub id: String,
    output: RefCell<Output>,
}

impl Container<'_> {
    /// A verb on this container: `runtime VERB FLAGS ID`.
    pub fn verb(&self, args: &[&str]) -> Output {
        self.rt.call(args).arg(&self.id).go()
    }

    /// The output of `state`, parsed.
    #[track_caller]
    pub fn state(&self) -> Value {
        self.verb(&["state"]).json()
    }

    /// The status of `state`.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// The process id of the container's init, seen from the host.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let pid = self.state()["pid"].as_i64().unwrap();
        assert!(pid > 1, "no init: pid {pid}");
        i32::try_from(pid).unwrap()
    }

    /// `start`, which must work.
    #[track_caller]
    pub fn start(&self) -> &Self {
        self.verb(&["start"]).ok();
        self
    }

    /// `exec` of a program, in the foreground.
    pub fn exec(&self, args: &[&str]) -> Output {
        self.exec_call(&[], args).go()
    }

    /// `exec` of a shell script.
    pub fn sh(&self, script: &str) -> Output {
        self.exec(&["sh", "-c", script])
    }

    /// `exec` with flags, not yet called.
    pub fn exec_call(&self, flags: &[&str], args: &[&str]) -> Call {
        self.rt.call(["exec"]).args(flags).arg(&self.id).args(args)
    }

    /// `kill` with a signal, which must work.
    #[track_caller]
    pub fn kill(&self, signal: &str) -> &Self {
        self.rt.call(["kill", &self.id, signal]).go().ok();
        self
    }

    /// Kills the init and waits for its end.
    #[track_caller]
    pub fn stop(&self) -> &Self {
        let pid = self.pid();
        self.kill("KILL");
        assert!(proc::ended(pid), "init {pid} did not end on SIGKILL");
        self
    }

    /// What the container and its runtime printed so far.
    pub fn stdout(&self) -> String {
        self.output.borrow_mut().stdout_now()
    }
}

//! The interpreter: performs the steps of a plan in their order, and says where it fails.
//!
//! Temporary descriptors are closed only from number `SPARE` on: they are few and close-on-exec, and each close would be
//! a system call for nothing.

mod console;
mod conversation;
mod hook;
mod identity;
mod mount;
mod node;
mod paths;
mod plan;
mod program;

pub use plan::Plan;

use crate::op::{Addr, Op, Slot};
use crate::sys::{self, Errno, Fd, Result, Text, fs, process};
use crate::wire::TEXT;
use conversation::Conversation;
use core::ops::Range;

/// Up to this number a descriptor that is no longer needed is left to the exec.
const SPARE: Fd = 128;

fn release(fd: Fd) {
    if fd >= SPARE {
        fs::close(fd);
    }
}

/// What the process knows between two steps.
struct Run {
    plan: Plan,
    conversation: Conversation,
    /// The umask that was, for [`Op::RestoreUmask`].
    umask: u32,
    /// An [`Op::Chdir`] has succeeded.
    entered: bool,
    /// What [`Op::Find`] has found.
    program: Option<Text<'static>>,
    /// The places of masks which are attached already: the next use needs a clone.
    attached: [Slot; 2],
    /// The object of a failure where the step's own fields do not name it.
    object: &'static [u8],
    /// [`crate::wire::Message::extra`] of a failure.
    extra: i32,
    /// What the kernel said of a file system it refused, and how much of it: the object of that failure.
    log: [u8; TEXT],
    logged: usize,
}

/// Performs the steps. The process ends by [`Op::Exec`], by a failure (exit code 1), or after the last step (exit code 0).
pub fn run(plan: Plan) -> ! {
    let conversation = Conversation::new(plan.fd(Slot::SYNC).unwrap_or(-1));
    let attached = [Slot::NONE; 2];
    let (object, log): (&[u8], _) = (b"", [0; TEXT]);
    let mut run = Run {
        plan,
        conversation,
        umask: 0o22,
        entered: false,
        program: None,
        attached,
        object,
        extra: 0,
        log,
        logged: 0,
    };
    for at in 0..run.plan.count() {
        let Some(step) = run.plan.step(at) else {
            run.conversation.at(at, 0);
            run.conversation.fail(Errno::NOSYS, 0, b"");
        };
        run.conversation.at(at, step.op.code());
        (run.object, run.extra, run.logged) = (b"", 0, 0);
        match run.perform(&step.op) {
            Ok(fd) => run.plan.set(step.out, fd),
            Err(errno) if errno.0 != 0 && step.skip.contains(&errno.0) => {
                run.plan.set(step.out, -1);
            }
            Err(errno) => run.conversation.fail(errno, run.extra, run.object_of(&step.op)),
        }
    }
    process::exit(0)
}

/// The result of an operation that has none.
const NOTHING: Fd = -1;

impl Run {
    /// One operation. The result is its descriptor, or -1.
    fn perform(&mut self, op: &Op) -> Result<Fd> {
        match *op {
            Op::Call { call, a, b, c, d, e, f } => return self.call(call, [a, b, c, d, e, f]),
            Op::Fork { namespaces } => self.fork(namespaces)?,
            Op::Meet { point } => self.conversation.meet(point, 0),
            Op::Open { root, path, flags } => {
                let (root, path) = (self.plan.fd(root)?, self.plan.text(path)?);
                return fs::openat2(root, path, flags, paths::IN_ROOT);
            }
            Op::MakeDirs { root, path, mode } => {
                let (root, path) = (self.plan.fd(root)?, self.plan.text(path)?);
                return paths::reach(root, path, paths::Leaf::Directory(mode), paths::FOLLOW);
            }
            Op::Attach { tree, root, path, flags } => self.attach(tree, root, path, flags)?,
            Op::Filesystem { kind, params, attrs } => return self.filesystem(kind, params, attrs),
            Op::Node { dir, name, mode, device, uid, gid } => self.node(dir, name, mode, device, (uid, gid))?,
            Op::Symlink { target, dir, name, other } => self.symlink(target, dir, name, other)?,
            Op::Enter { root, pivot, shared } => self.enter(root, pivot, shared)?,
            Op::Mask { root, path, null, dir, own } => self.mask(root, path, null, dir, own)?,
            Op::Readonly { root, path, own } => self.readonly(root, path, own)?,
            Op::Write { dir, path, data } => {
                let (dir, path) = (self.plan.fd(dir)?, self.plan.text(path)?);
                write_beneath(dir, path, self.plan.bytes(data)?)?;
            }
            Op::Console { root, socket, size, mount, control, uid } => {
                self.console(root, socket, size, mount, control, uid)?;
            }
            Op::OwnStdio { uid, gid } => identity::own_stdio(uid, gid)?,
            Op::DropBounding { keep, last } => identity::drop_bounding(keep, last)?,
            Op::Ambient { set, last } => identity::raise_ambient(set, last)?,
            Op::Seccomp { program, flags, notify } => self.seccomp(program, flags, notify)?,
            Op::Hook { spec } => self.hook(spec)?,
            Op::Barrier { listener, keep, stdout, stderr } => self.barrier(listener, keep, [stdout, stderr])?,
            Op::Find { candidates } => self.find(candidates)?,
            Op::Exec { candidates, argv, envp } => self.exec(candidates, argv, envp)?,
            Op::Chdir { path } => {
                if !self.entered {
                    identity::chdir(self.plan.text(path)?)?;
                    self.entered = true;
                }
            }
            Op::ClearUmask {} => self.umask = fs::umask(0),
            Op::RestoreUmask {} => _ = fs::umask(self.umask),
            Op::Join { namespace, kinds } => {
                if let Ok(fd) = self.plan.fd(namespace) {
                    process::setns(fd, kinds)?;
                    self.plan.set(namespace, -1);
                }
            }
            Op::TimeNamespace { proc, offsets } => {
                identity::time_namespace(self.plan.fd(proc)?, self.plan.bytes(offsets)?)?;
            }
            Op::CloneTree { dir, path, flags } => {
                return sys::mount::clone_tree(self.plan.fd(dir)?, self.plan.text(path)?, flags);
            }
            Op::Strip { keep } => self.strip(keep)?,
            Op::SetAttr { tree, attr, recursive } => {
                let flags = if recursive { sys::mount::AT_RECURSIVE } else { 0 };
                sys::mount::set_attributes(self.plan.fd(tree)?, self.plan.value(attr)?, flags)?;
            }
        }
        Ok(NOTHING)
    }

    /// The number of the call, with a bit 32+i for each argument that is a place in the table.
    fn call(&self, call: u64, mut args: [u64; 6]) -> Result<Fd> {
        for (i, arg) in args.iter_mut().enumerate() {
            if call & 1 << (32 + i) != 0 {
                let slot = Slot(*arg as u16);
                *arg = if slot == Slot::NONE { u64::MAX } else { i64::from(self.plan.fd(slot)?) as u64 };
            }
        }
        // SAFETY: the plan's author answers for the call; nothing of hull-init's own memory is known to a plan.
        unsafe { sys::raw((call & 0xffff_ffff) as usize, args.map(|arg| arg as usize)) }.map(|result| result as Fd)
    }

    /// The copy itself says so, ahead of everything else it says: the process that was can leave at once.
    fn fork(&mut self, namespaces: u64) -> Result<()> {
        // SAFETY: hull-init has one thread and no locks.
        if unsafe { process::clone_sibling(namespaces) }? != 0 {
            process::exit(0);
        }
        self.conversation.say(crate::wire::FORKED, 0, 0);
        Ok(())
    }

    fn strip(&mut self, keep: u32) -> Result<()> {
        let (sync, place) = (self.plan.fd(Slot::SYNC)?, keep as Fd);
        if sync == place {
            fs::close_on_exec(sync)?;
        } else {
            fs::duplicate(sync, place)?;
        }
        if sync < place {
            fs::close(sync);
        }
        fs::close_range(keep + 1, u32::MAX, 0)?;
        self.plan.forget(|fd| fd >= place);
        self.plan.set(Slot::SYNC, place);
        self.conversation.move_to(place);
        Ok(())
    }

    fn barrier(&mut self, listener: Slot, keep: u32, outputs: [Slot; 2]) -> Result<()> {
        let listener = self.plan.fd(listener)?;
        // A container that is created and never started can be ended as any program can.
        for signal in [process::SIGHUP, process::SIGINT, process::SIGQUIT, process::SIGTERM] {
            process::end_at(signal);
        }
        let [stdout, stderr] = outputs.map(|slot| self.plan.fd(slot).unwrap_or(-1));
        let sync = self.plan.fd(Slot::SYNC)?;
        let mut kept = [listener, stdout, stderr, sync];
        kept.sort_unstable();
        // Before the runtime hears of it: whoever looks at a container that is created finds nothing else open.
        let mut first = keep;
        for number in kept.into_iter().filter_map(|fd| u32::try_from(fd).ok()) {
            if number > first {
                fs::close_range(first, number - 1, 0)?;
            }
            first = first.max(number + 1);
        }
        fs::close_range(first, u32::MAX, 0)?;
        self.plan.forget(|fd| fd as u32 >= keep && !kept.contains(&fd));
        self.conversation.say(crate::wire::CREATED, 0, 0);
        self.conversation.wait();
        fs::close(sync);
        let start = fs::accept(listener)?;
        self.plan.set(Slot::SYNC, start);
        self.conversation = Conversation::new(start);
        Ok(())
    }

    /// The object a failure names: a path of the step, or what else it is about.
    #[cold]
    fn object_of(&self, op: &Op) -> &[u8] {
        if self.logged > 0 {
            return &self.log[..self.logged];
        }
        if !self.object.is_empty() {
            return self.object;
        }
        let at = match *op {
            Op::Open { path, .. }
            | Op::MakeDirs { path, .. }
            | Op::Attach { path, .. }
            | Op::Mask { path, .. }
            | Op::Readonly { path, .. }
            | Op::Write { path, .. }
            | Op::Chdir { path }
            | Op::CloneTree { path, .. } => path,
            Op::Filesystem { kind, .. } => kind,
            Op::Node { name, .. } | Op::Symlink { name, .. } => name,
            Op::Hook { spec } => self.plan.value::<crate::op::HookSpec>(spec).map_or(Addr(0), |spec| spec.name),
            Op::Find { candidates } | Op::Exec { candidates, .. } => {
                self.plan.value(candidates).map_or(Addr(0), |first| Addr(*first))
            }
            _ => return b"",
        };
        self.plan.text(at).map_or(b"", Text::bytes)
    }
}

/// One write into an existing file below `dir`, on the same mount.
fn write_beneath(dir: Fd, path: Text, data: &[u8]) -> Result<()> {
    const SAME_MOUNT: u64 = fs::RESOLVE_BENEATH | fs::RESOLVE_NO_MAGICLINKS | fs::RESOLVE_NO_XDEV;
    let file = fs::openat2(dir, path, fs::O_WRONLY | fs::O_NOCTTY, SAME_MOUNT)?;
    let written = fs::write(file, data);
    release(file);
    if written? == data.len() { Ok(()) } else { Err(Errno::IO) }
}

/// The process's start: sets what must not be inherited from the caller, maps the plan, which is at `place` of the file behind
/// `plan`, and performs it. Only what fails before the plan is there ends with exit code 125.
pub fn start(plan: Fd, place: Range<u64>, table: &'static mut [Fd]) -> ! {
    // Neither memory nor descriptors of this process are for a container that it may share a pid namespace with.
    let _ = process::prctl(process::PR_SET_DUMPABLE, 0, 0);
    // A Rust program ignores SIGPIPE, nohup(1) SIGHUP, a shell in the background SIGINT and SIGQUIT, a daemon may ignore
    // SIGCHLD (and has no hook's end to wait for then), and any caller may have blocked signals; all that would go
    // on into the container.
    for signal in [process::SIGHUP, process::SIGINT, process::SIGQUIT, process::SIGPIPE, process::SIGCHLD] {
        process::default_action(signal);
    }
    process::unblock_all();
    match Plan::map(plan, place, table) {
        Ok(plan) => run(plan),
        Err(_) => process::exit(125),
    }
}

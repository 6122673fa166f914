//! The operations: every step that turns a fresh process into the container's process, as small values.

/// A descriptor by its place in the plan's table, not by its number: the parent fills some places before the clone,
/// operations fill others with their result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u16);

impl Slot {
    /// No descriptor: a result that is not kept, an optional argument that is absent.
    pub const NONE: Slot = Slot(0xffff);
    /// The working directory (`AT_FDCWD`).
    pub const CWD: Slot = Slot(0xfffe);
    /// The conversation with the parent (a `SOCK_SEQPACKET` socket). Always the first place of the table.
    pub const SYNC: Slot = Slot(0);
    /// How many places a plan may have.
    pub const MAX: u16 = 4096;
}

/// The address of something in the plan's mapping ([`crate::wire::BASE`]); 0 is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addr(pub u64);

/// Bytes in the plan's mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Where they begin.
    pub at: Addr,
    /// How many.
    pub len: u32,
}

/// A value that travels as one machine word.
pub trait Word: Copy {
    /// The word.
    fn to_word(self) -> u64;
    /// Its inverse.
    fn from_word(word: u64) -> Self;
}

macro_rules! words {
    ($($type:ty: $value:ident => $to:expr, $word:ident => $from:expr;)*) => {$(
        impl Word for $type {
            fn to_word(self) -> u64 { let $value = self; $to }
            fn from_word($word: u64) -> Self { $from }
        }
    )*};
}

words! {
    u64: v => v, w => w;
    u32: v => u64::from(v), w => w as u32;
    bool: v => u64::from(v), w => w != 0;
    Slot: v => u64::from(v.0), w => Slot(w as u16);
    Addr: v => v.0, w => Addr(w);
    // Offsets fit in 32 bits: a plan is far smaller than 4 GiB, and its base is fixed.
    Bytes: v => ((v.at.0 - crate::wire::BASE) << 32) | u64::from(v.len),
           w => Bytes { at: Addr(crate::wire::BASE + (w >> 32)), len: w as u32 };
}

macro_rules! operations {
    ($($(#[$doc:meta])* $code:literal $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        /// One operation. Strings are NUL-terminated at their address.
        #[allow(missing_docs)] // the fields are explained with their operation
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op { $($(#[$doc])* $name { $($(#[$fdoc])* $field: $type,)* },)* }

        impl Op {
            /// The operation's number on the wire, which failures also carry.
            pub fn code(&self) -> u16 {
                match self { $(Op::$name { .. } => $code,)* }
            }

            /// The operation's fields, one word each.
            #[allow(unused_assignments, unused_mut, unused_variables)]
            pub fn words(&self) -> [u64; 7] {
                let mut words = [0; 7];
                let mut at = 0;
                match *self { $(Op::$name { $($field,)* } => { $(words[at] = $field.to_word(); at += 1;)* })* }
                words
            }

            /// The operation that `code` and `words` stand for; `None` if there is none.
            #[allow(unused_assignments, unused_mut, unused_variables)]
            pub fn read(code: u16, words: &[u64; 7]) -> Option<Op> {
                let mut at = 0;
                match code {
                    $($code => Some(Op::$name { $($field: { at += 1; Word::from_word(words[at - 1]) },)* }),)*
                    _ => None,
                }
            }

            /// The operation's name, for people.
            pub fn name(code: u16) -> &'static str {
                match code { $($code => stringify!($name),)* _ => "unknown operation" }
            }
        }
    };
}

operations! {
    /// Any system call. `call` is its number, with a bit 32+i for each argument i that is a [`Slot`] and stands for
    /// the descriptor in it. The result goes to the step's `out`, if it has one.
    1 Call { call: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, }

    /// Goes on as a new child of the parent (`clone` with `CLONE_PARENT`) in new `namespaces` (CLONE_NEW*), says
    /// [`crate::wire::FORKED`], and leaves the process that was. Only children are in a
    /// joined pid namespace; and a process that has made its user namespace after its exec has all capabilities there.
    2 Fork { namespaces: u64, }

    /// Says [`crate::wire::REACHED`] and waits until the parent has performed the acts of `point` (one byte back; end of
    /// file means that the parent is gone: exit).
    3 Meet { point: u32, }

    /// Opens `path` below `root` with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`, `flags` with `O_CLOEXEC`.
    /// EAGAIN (a rename elsewhere during the walk) is tried again.
    4 Open { root: Slot, path: Addr, flags: u64, }

    /// Makes the directory `path` below `root` with all that lead to it, symlinks resolved in `root` (a dangling one is
    /// followed to where it points, and that is made), each new one with mode `mode` (the umask is 0). The result is an
    /// `O_PATH` descriptor.
    5 MakeDirs { root: Slot, path: Addr, mode: u32, }

    /// Attaches the detached mount `tree` to `path` below `root` (`move_mount` with both ends by descriptor). A missing
    /// target is made: a directory if the root of `tree` is one, else an empty regular file. Flags: [`ATTACH_NO_SYMLINK`]
    /// refuses symlinks anywhere in the path; [`ATTACH_NO_FOLLOW`] mounts over a symlink at its end; [`ATTACH_FRESH`]
    /// promises that the parent directory is `root` itself, made by this plan, and that `path` is one new name in it.
    6 Attach { tree: Slot, root: Slot, path: Addr, flags: u32, }

    /// A new file system: `fsopen(kind)`, `fsconfig` for each of `params`, create, `fsmount(attrs)`. `params` is a sequence of
    /// entries: a byte ([`PARAM_FLAG`] or [`PARAM_STRING`]), the key and NUL, and for a string the value and NUL.
    /// The result is a detached mount. What the kernel writes to the context's log goes into the failure's text.
    7 Filesystem { kind: Addr, params: Bytes, attrs: u64, }

    /// Makes a device or other node `name` in directory `dir` with `mode` (type and permissions; the umask is 0), `device`
    /// (major and minor as `makedev`), and owner, if not 0:0. One that is there with the same type and number is kept and gets mode and owner;
    /// anything else that is there is an error (EEXIST).
    8 Node { dir: Slot, name: Addr, mode: u32, device: u64, uid: u32, gid: u32, }

    /// Makes the symlink `name` in directory `dir`, pointing to `target`. One that points there already is kept. What becomes of
    /// anything else of that name says `other`: [`LINK_KEEP`], [`LINK_REPLACE`] or [`LINK_REFUSE`].
    9 Symlink { target: Addr, dir: Slot, name: Addr, other: u32, }

    /// Makes the attached mount `root` the process's root: `pivot_root` and the old root detached, or with `pivot` false
    /// (initramfs) `chroot`. The working directory is the new root. With `shared` the old root's mounts have peers on the
    /// host, and are made slaves first: their unmounting must not reach the host.
    10 Enter { root: Slot, pivot: bool, shared: bool, }

    /// Hides `path` below `root`: a directory under `dir` (an empty read-only tmpfs, detached), anything else under
    /// `null` (the host's /dev/null as a detached mount). The first use attaches the mount itself, later ones a
    /// clone of it. A path that is not there is nothing to hide. The final component is not followed if it is a symlink (error
    /// ELOOP). With `own`, `root` is a procfs or sysfs of this plan, with nothing else mounted on the way: names there
    /// are the kernel's, and need no search that distrusts them.
    11 Mask { root: Slot, path: Addr, null: Slot, dir: Slot, own: bool, }

    /// Makes `path` below `root`, and all mounts under it, read-only: a clone of the tree at the path, made
    /// read-only with `mount_setattr(AT_RECURSIVE)`, attached over it. A path that is not there is left. `own` as in [`Op::Mask`].
    12 Readonly { root: Slot, path: Addr, own: bool, }

    /// Writes `data` in one write to the existing file `path` strictly beneath `dir`, crossing no mount and no magic link.
    13 Write { dir: Slot, path: Addr, data: Bytes, }

    /// Makes a terminal from the devpts at `dev/pts` below `root` (verified to be one), of `size` (rows << 16 | columns; 0
    /// leaves it), sends its master with SCM_RIGHTS and the message `/dev/pts/ptmx`-like name over `socket`, makes
    /// the peer (TIOCGPTPEER) standard input, output and error (owned by `uid`), with `control` the controlling terminal, and
    /// with `mount` attaches it over `dev/console` (made if missing, never through a symlink).
    14 Console { root: Slot, socket: Slot, size: u32, mount: bool, control: bool, uid: u32, }

    /// Gives standard input, output and error to `uid`:`gid`, except /dev/null; EINVAL, EPERM and EROFS are no errors.
    15 OwnStdio { uid: u32, gid: u32, }

    /// Drops from the bounding set each capability from 0 to `last` that is not in `keep`.
    16 DropBounding { keep: u64, last: u32, }

    /// Raises each capability of `set` in the ambient set.
    17 Ambient { set: u64, last: u32, }

    /// Loads a filter: `program` is an array of `struct sock_filter`. With `notify` the listener is made, said with
    /// `REACHED(SECCOMP_LISTENER)` carrying its number as value, and closed after the parent's go.
    18 Seccomp { program: Bytes, flags: u32, notify: bool, }

    /// Runs a program and waits for it, with the container's state on its standard input; a non-zero exit or the timeout (the
    /// program is then killed) is a failure. `spec` is the address of a [`HookSpec`].
    19 Hook { spec: Addr, }

    /// Says [`crate::wire::CREATED`], waits for the parent's go, closes the conversation and everything else but `listener`,
    /// the first `keep` descriptors and the outputs of hooks that are to come (or [`Slot::NONE`]), then accepts one connection on `listener` (a `SOCK_SEQPACKET` socket), which is the conversation from then on.
    20 Barrier { listener: Slot, keep: u32, stdout: Slot, stderr: Slot, }

    /// Looks for the program: `candidates` is a null-terminated array of paths. The first that may be executed and is a
    /// regular file is remembered for [`Op::Exec`]. Fails with EACCES if one was found that may not, else ENOENT.
    21 Find { candidates: Addr, }

    /// `execve` of the remembered candidate, or without [`Op::Find`] of each in turn, with argv and envp laid out as the kernel wants them.
    22 Exec { candidates: Addr, argv: Addr, envp: Addr, }

    /// `chdir`, and then refuses to be outside the root (`getcwd` must begin with `/`): CVE-2024-21626. After one that
    /// succeeded, another does nothing: root tries first, then the user.
    23 Chdir { path: Addr, }

    /// The umask becomes 0 and the one that was is remembered; at the end [`Op::RestoreUmask`] puts it back.
    24 ClearUmask { }

    /// The remembered umask again.
    25 RestoreUmask { }

    /// Joins the namespace behind a descriptor: `setns(namespace, kinds)`. With a pidfd, `kinds` may be many. Once joined
    /// the place is empty, and joining an empty place does nothing: what was refused (a skipped EPERM) can be tried
    /// again after the user namespace was joined, and the rest is left alone.
    26 Join { namespace: Slot, kinds: u64, }

    /// Moves the process into the time namespace that it has made for its children, with `offsets` (the text for timens_offsets)
    /// if they are not set yet, through the procfs at `proc`: write `self/timens_offsets`, then `setns(self/ns/time_for_children)`.
    27 TimeNamespace { proc: Slot, offsets: Bytes, }

    /// A clone of what is mounted at a path of the host, seen from this process's mount namespace: `open_tree(OPEN_TREE_CLONE)`
    /// with `flags` (AT_RECURSIVE, AT_SYMLINK_NOFOLLOW). The result is a detached mount.
    28 CloneTree { dir: Slot, path: Addr, flags: u64, }

    /// `mount_setattr` on the root of `tree` (with `recursive` on all below); `attr` is the address of a `struct mount_attr` (32 bytes).
    29 SetAttr { tree: Slot, attr: Addr, recursive: bool, }

    /// Closes every descriptor from `keep` on but the conversation, which moves to that number and ends with the exec.
    30 Strip { keep: u32, }
}

/// [`Op::Attach`]: refuse symlinks anywhere in the path (proc and sysfs must be mounted on ordinary directories).
pub const ATTACH_NO_SYMLINK: u32 = 1;
/// [`Op::Attach`]: do not follow a symlink in the last component: mount over it.
pub const ATTACH_NO_FOLLOW: u32 = 2;
/// [`Op::Attach`]: the name is new in a directory that this plan has just made: make first, ask later.
pub const ATTACH_FRESH: u32 = 4;
/// [`Op::Attach`]: the target must be made as a directory, without a look at the tree (file systems are directories).
pub const ATTACH_DIRECTORY: u32 = 8;

/// [`Op::Attach`]: the root of the mount gets the permissions of the directory it is mounted over, if there is one.
pub const ATTACH_KEEP_MODE: u32 = 16;
/// [`Op::Attach`]: `root` is a procfs or sysfs of this plan, with nothing else mounted on the way, as in [`Op::Mask`].
pub const ATTACH_OWN: u32 = 64;
/// [`Op::Attach`]: refuse a mount that is no procfs.
pub const ATTACH_PROCFS: u32 = 32;

/// [`Op::Symlink`]: it is left as it is.
pub const LINK_KEEP: u32 = 0;
/// [`Op::Symlink`]: it is replaced, unless it is a directory (EISDIR).
pub const LINK_REPLACE: u32 = 1;
/// [`Op::Symlink`]: it is an error (EEXIST).
pub const LINK_REFUSE: u32 = 2;

/// [`Op::Filesystem`]: a parameter without a value.
pub const PARAM_FLAG: u8 = 0;
/// [`Op::Filesystem`]: a parameter with a value.
pub const PARAM_STRING: u8 = 1;

/// What [`Op::Hook`] runs, laid out in the plan.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HookSpec {
    /// What a failure calls it: its field in the config, a space, its path.
    pub name: Addr,
    /// The program's path.
    pub path: Addr,
    /// Null-terminated array of arguments.
    pub argv: Addr,
    /// Null-terminated array of variables.
    pub envp: Addr,
    /// Milliseconds; 0 waits for ever.
    pub timeout: u64,
    /// The [`Slot`] of what becomes standard output, [`Slot::NONE`] for the process's own.
    pub stdout: u64,
    /// The same for standard error.
    pub stderr: u64,
    /// The state as JSON up to the pid.
    pub before_pid: Bytes,
    /// The state from after the pid on.
    pub after_pid: Bytes,
}

/// One step of a plan: the operation, where its result goes, and which refusals of the kernel are not failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// Where a resulting descriptor goes.
    pub out: Slot,
    /// Positive error numbers after which the plan goes on; 0 is none.
    pub skip: [u16; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_survives_the_wire() {
        let bytes = Bytes { at: Addr(crate::wire::BASE + 4096), len: 77 };
        for op in [
            Op::Call { call: 5 | 1 << 33, a: 1, b: 2, c: 3, d: 4, e: 5, f: u64::MAX },
            Op::Fork { namespaces: 1 << 30 },
            Op::Filesystem { kind: Addr(crate::wire::BASE), params: bytes, attrs: 0xf },
            Op::Seccomp { program: bytes, flags: 4, notify: true },
        ] {
            assert_eq!(Op::read(op.code(), &op.words()), Some(op));
        }
        assert_eq!(Op::read(9999, &[0; 7]), None);
    }
}

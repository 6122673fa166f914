//! The config's mounts, in their order: a detached mount for each, then attached below the root.

use super::builder::{Builder, Origin, inside, is_below, origin};
use super::options::{self, MountOptions};
use super::{IdmappedMount, MountAttr, OpenWhat, Tree, long_options, lsm};
use crate::config::{IdMapping, Mount};
use crate::error::{Error, Kind, Result};
use crate::spec::annotations;
use hull_init::op::{
    ATTACH_DIRECTORY, ATTACH_FRESH, ATTACH_KEEP_MODE, ATTACH_NO_FOLLOW, ATTACH_NO_SYMLINK, ATTACH_OWN, ATTACH_PROCFS,
    Bytes, LINK_REFUSE, Op, PARAM_FLAG, PARAM_STRING, Slot,
};
use std::path::{Path, PathBuf};

/// Where a mount goes, and what its options say.
pub(super) struct Target<'m> {
    /// `mounts[3]`.
    pub field: String,
    /// As the config has it.
    pub destination: &'m str,
    /// Its file system type, for people.
    kind: &'m str,
    /// Options, parsed.
    pub options: MountOptions,
    flags: u32,
}

impl Target<'_> {
    /// Why the steps of this mount are there.
    pub fn origin(&self) -> Origin {
        origin(self.field.clone(), format!("mount {:?} on {:?}", self.kind, self.destination))
    }

    /// Attaches the detached mount here, and gives it the propagation that the options ask for.
    pub fn attach(&self, b: &mut Builder<'_>, tree: Slot) {
        for &(propagation, recursive) in &self.options.propagation {
            b.set_attr(self.origin(), tree, MountAttr { propagation, ..MountAttr::default() }, recursive);
        }
        let path = inside(self.destination);
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (root, place, flags) = match b.fresh.get(parent) {
            Some(dir) => (*dir, name, self.flags | ATTACH_FRESH),
            None => match b.own_kernel_file_system(&path) {
                Some((dir, rest)) if self.flags == ATTACH_DIRECTORY => (dir, rest, self.flags | ATTACH_OWN),
                _ => (b.root, path.as_str(), self.flags),
            },
        };
        let place = b.string(place);
        b.step(self.origin(), Op::Attach { tree, root, path: place, flags });
        // What is mounted over hides what was made there before.
        b.fresh.retain(|made, _| !is_below(made, &path));
        b.kernel_file_systems.retain(|(made, _)| !is_below(made, &path));
        b.mounted.push(path);
    }
}

/// All mounts of the config.
pub(super) fn all(b: &mut Builder<'_>) -> Result<()> {
    let config = b.input.config;
    // A label that cannot be is an error even where no file system would get it.
    lsm::mount_label(b)?;
    for (i, mount) in config.mounts.iter().enumerate() {
        let field = format!("mounts[{i}]");
        let options = options::parse_mount(mount, &field)?;
        let kind = mount.kind.as_deref().unwrap_or("");
        let bind = options.bind;
        if bind && !options.data.is_empty() {
            // mount(2) ignores them, and so does whoever knows the names from mount(8).
            let names = options.data.join(",");
            b.warn(format!(
                "{names}: a bind mount has the file system of its source, with its options ({field}.options)"
            ));
        }
        let mut flags = if options.dest_nofollow { ATTACH_NO_FOLLOW } else { 0 };
        if !bind {
            flags |= ATTACH_DIRECTORY;
        }
        if matches!(kind, "proc" | "sysfs") && !bind {
            flags |= ATTACH_NO_SYMLINK;
        }
        let kind = if bind { "bind" } else { kind };
        if kind == "tmpfs" && !options.data.iter().any(|option| option.starts_with("mode=")) {
            flags |= ATTACH_KEEP_MODE;
        }
        let target = Target { field, destination: &mount.destination, kind, options, flags };
        if inside(target.destination).is_empty() && !target.options.remount {
            let what = format!("{:?} is the root itself, which root.path says what it is", target.destination);
            return Err(Error::spec(format!("{}.destination", target.field), what));
        }
        let target = procfs_is_the_kernels(target)?;
        if let Some((_, link)) = b.input.launch.links.iter().find(|(mount, _)| *mount == i) {
            copy_symlink(b, &target, link);
        } else if target.options.remount && !bind_remount_of_source(mount, &target.options) {
            remount(b, &target)?;
        } else if bind {
            self::bind(b, mount, &target)?;
        } else if matches!(kind, "cgroup" | "cgroup2") {
            super::cgroups::mount(b, &target)?;
        } else {
            file_system(b, mount, &target)?;
        }
    }
    Ok(())
}

/// A symlink that points where the source of a bind mount does, instead of the mount. Another one of that name may not be there.
fn copy_symlink(b: &mut Builder<'_>, target: &Target<'_>, link: &Path) {
    let why = || origin(target.field.clone(), format!("make the symlink {:?} to {link:?}", target.destination));
    let path = inside(target.destination);
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", &path));
    // Where the symlink leads is to be seen from the root.
    b.fresh.remove(parent);
    let (root, parent) = (b.root, b.string(parent));
    let dir = b.step_to_slot(why(), Op::MakeDirs { root, path: parent, mode: 0o755 });
    let (link, name) = (b.string(link), b.string(name));
    b.step(why(), Op::Symlink { target: link, dir, name, other: LINK_REFUSE });
}

/// What of a procfs may be replaced: statistics that lxcfs and its like fake, and nothing that a process writes to.
const REPLACEABLE: [&str; 10] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo",
    "proc/sys/kernel/ns_last_pid",
    "proc/sys/crypto/fips_enabled",
];

/// Nothing else may be mounted into /proc, and in its place only a procfs: a file there that is not the kernel's could
/// take a label or a value that is meant for the kernel (CVE-2019-16884).
fn procfs_is_the_kernels(mut target: Target<'_>) -> Result<Target<'_>> {
    let path = inside(target.destination);
    let refused = |why| {
        let what = format!("{:?} cannot be mounted because it is {why}", target.destination);
        Err(Error::spec(format!("{}.destination", target.field), what))
    };
    match target.kind {
        "proc" => {}
        // Of which type it is, its descriptor tells.
        "bind" if path == "proc" => target.flags |= ATTACH_PROCFS,
        _ if path == "proc" && !target.options.remount => return refused("not of type proc"),
        _ if path != "proc" && is_below(&path, "proc") && !REPLACEABLE.contains(&path.as_str()) => {
            return refused("inside /proc");
        }
        _ => {}
    }
    Ok(target)
}

/// `bind,remount` with a source is the two steps of mount(8) in one line: a bind.
fn bind_remount_of_source(mount: &Mount, options: &MountOptions) -> bool {
    options.bind && mount.source.as_deref().is_some_and(|s| !s.is_empty() && s != "none")
}

/// Changes the attributes of what is mounted at the destination already.
fn remount(b: &mut Builder<'_>, target: &Target<'_>) -> Result<()> {
    if !target.options.data.is_empty() {
        return Err(Error::spec(
            format!("{}.options", target.field),
            format!("a remount changes attributes only, not {:?}", target.options.data.join(",")),
        ));
    }
    let path = b.string(match inside(target.destination) {
        root if root.is_empty() => ".".to_owned(),
        path => path,
    });
    let root = b.root;
    let tree = b.step_to_slot(target.origin(), Op::Open { root, path, flags: libc::O_PATH as u64 });
    attributes(b, target, tree);
    for &(propagation, recursive) in &target.options.propagation {
        b.set_attr(target.origin(), tree, MountAttr { propagation, ..MountAttr::default() }, recursive);
    }
    Ok(())
}

/// The steps that give a mount the attributes of its options.
fn attributes(b: &mut Builder<'_>, target: &Target<'_>, tree: Slot) {
    for (attr, recursive) in attrs_of(&target.options) {
        b.set_attr(target.origin(), tree, attr, recursive);
    }
}

fn attrs_of(options: &MountOptions) -> Vec<(MountAttr, bool)> {
    let plain = MountAttr { set: options.attr_set, clear: options.attr_clr, propagation: 0 };
    let recursive = MountAttr { set: options.rec_attr_set, clear: options.rec_attr_clr, propagation: 0 };
    [(recursive, true), (plain, false)].into_iter().filter(|(attr, _)| !attr.is_nothing()).collect()
}

/// A bind mount. The parent clones the tree where the container's root may not be able to reach the source, or where
/// ids are mapped; the clone first gets the propagation of the container's tree, as if it had been made inside.
fn bind(b: &mut Builder<'_>, mount: &Mount, target: &Target<'_>) -> Result<()> {
    let source = mount.source.as_deref().unwrap_or("");
    if source.is_empty() {
        return Err(Error::spec(format!("{}.source", target.field), "a bind mount needs a source"));
    }
    let path = match source.strip_prefix('/') {
        Some(_) => PathBuf::from(source),
        None => b.input.bundle.join(source),
    };
    let options = &target.options;
    let recursive = options.recursive_bind;
    let idmap = idmap(b, mount, target)?;
    let why = origin(format!("{}.source", target.field), format!("open the source {source:?} of a bind mount"));
    if b.parent_mounts() || (idmap.is_some() && b.parent_may_mount()) {
        let mut attrs: Vec<_> =
            super::rootfs::base_propagation(b.input.config).map(|attr| (attr, true)).into_iter().collect();
        for (attr, all) in attrs_of(options) {
            match attrs.last_mut() {
                // One call for what one call can say; without mounts below, recursive or not is the same.
                Some((base, true)) if (all || !recursive) && base.set | base.clear == 0 => {
                    *base = MountAttr { propagation: base.propagation, ..attr };
                }
                _ => attrs.push((attr, all)),
            }
        }
        let tree = Tree { path, recursive, no_follow: options.src_nofollow, attrs, idmap };
        let tree = b.open(OpenWhat::Tree(tree), why);
        target.attach(b, tree);
        return Ok(());
    }
    if idmap.is_some() {
        return Err(Error::new(Kind::Unsupported, "id-mapped mounts need CAP_SYS_ADMIN on the host")
            .field(target.field.clone()));
    }
    let mut flags = if recursive { u64::from(libc::AT_RECURSIVE as u32) } else { 0 };
    if options.src_nofollow {
        flags |= libc::AT_SYMLINK_NOFOLLOW as u64;
    }
    let path = b.string(path);
    let tree = b.step_to_slot(why, Op::CloneTree { dir: Slot::CWD, path, flags });
    attributes(b, target, tree);
    target.attach(b, tree);
    Ok(())
}

/// The id maps of a mount: its own, or with the bare option the container's.
fn idmap(b: &Builder<'_>, mount: &Mount, target: &Target<'_>) -> Result<Option<IdmappedMount>> {
    let wanted = target.options.idmap.as_ref();
    let recursive = wanted.is_some_and(|idmap| idmap.recursive);
    let of = |uids: &[IdMapping], gids: &[IdMapping]| IdmappedMount {
        uids: uids.to_vec(),
        gids: gids.to_vec(),
        namespace: None,
        recursive,
    };
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        return Ok(Some(of(&mount.uid_mappings, &mount.gid_mappings)));
    }
    let Some(wanted) = wanted else { return Ok(None) };
    if !wanted.uids.is_empty() || !wanted.gids.is_empty() {
        let linux = &b.input.config.linux;
        let absolute = |ranges: &[options::IdmapRange], mappings: &[IdMapping]| {
            let one = |range: &options::IdmapRange| range.absolute(mappings);
            ranges.iter().map(one).collect::<std::result::Result<Vec<_>, _>>()
        };
        let both = absolute(&wanted.uids, &linux.uid_mappings)
            .and_then(|uids| Ok(of(&uids, &absolute(&wanted.gids, &linux.gid_mappings)?)));
        return both.map(Some).map_err(|what| Error::spec(format!("{}.options", target.field), what));
    }
    let linux = &b.input.config.linux;
    let joined = linux.namespaces.iter().find(|n| n.kind == "user").and_then(|n| n.path.as_deref());
    if let Some(path) = joined.filter(|path| !path.is_empty()) {
        return Ok(Some(IdmappedMount { namespace: Some(path.into()), ..of(&[], &[]) }));
    }
    if linux.uid_mappings.is_empty() || linux.gid_mappings.is_empty() {
        let what = "option \"idmap\" needs uidMappings and gidMappings, of the mount or of a user namespace";
        return Err(Error::spec(format!("{}.options", target.field), what));
    }
    Ok(Some(of(&linux.uid_mappings, &linux.gid_mappings)))
}

/// A file system made for the container, in its own namespaces.
fn file_system(b: &mut Builder<'_>, mount: &Mount, target: &Target<'_>) -> Result<()> {
    let kind = mount.kind.as_deref().unwrap_or("");
    if kind.is_empty() || kind == "none" {
        return Err(Error::spec(format!("{}.type", target.field), "a mount that is no bind mount needs a type"));
    }
    if !mount.uid_mappings.is_empty() || target.options.idmap.is_some() {
        let what = "only bind mounts can have ids of their own";
        return Err(Error::new(Kind::Unsupported, what).field(target.field.clone()));
    }
    let params = params_of(b, mount, kind, target)?;
    let mut why = target.origin();
    if let Some((_, label)) = label(b, kind)? {
        why.what = format!("{} with the label {label:?} of linux.mountLabel", why.what).into();
    }
    let is_dev = inside(&mount.destination) == "dev";
    let readonly_later =
        is_dev && (target.options.attr_set | target.options.rec_attr_set) & libc::MOUNT_ATTR_RDONLY != 0;
    let attrs = (target.options.attr_set | target.options.rec_attr_set)
        & if readonly_later { !libc::MOUNT_ATTR_RDONLY } else { !0 };
    if target.options.tmpcopyup && kind == "tmpfs" {
        if !b.parent_may_mount() {
            let what = "the option \"tmpcopyup\" needs CAP_SYS_ADMIN";
            return Err(Error::new(Kind::Unsupported, what).field(format!("{}.options", target.field)));
        }
        let from = inside(&mount.destination);
        let tree = b.open(OpenWhat::CopiedTmpfs { from, params, attrs }, why);
        target.attach(b, tree);
        return Ok(());
    }
    let (is_tmpfs, is_kernels) = (kind == "tmpfs", matches!(kind, "proc" | "sysfs"));
    let tree = if long_options::among(&params) {
        long_options::file_system(b, mount, kind, attrs, target)?
    } else {
        let (kind, params) = (b.string(kind), encode(&params));
        let params = b.bytes(&params);
        b.step_to_slot(why, Op::Filesystem { kind, params, attrs })
    };
    if kind == "mqueue" {
        lsm::label_root(b, tree, || target.origin())?;
    }
    target.attach(b, tree);
    if is_tmpfs {
        b.fresh.insert(inside(&mount.destination), tree);
    } else if is_kernels {
        b.kernel_file_systems.push((inside(&mount.destination), tree));
    }
    if readonly_later {
        b.readonly_dev = Some(tree);
    }
    Ok(())
}

fn params_of(b: &Builder<'_>, mount: &Mount, kind: &str, target: &Target<'_>) -> Result<Vec<(String, Option<String>)>> {
    let mut params = Vec::new();
    if let Some(source) = mount.source.as_deref().filter(|source| !source.is_empty()) {
        params.push(("source".to_owned(), Some(source.to_owned())));
    }
    // Read-only is the mount: the file system may be shared with others, or still have to be filled.
    params.extend(target.options.super_parameters().filter(|name| *name != "ro").map(|name| (name.to_owned(), None)));
    // Every devpts is an instance of its own since Linux 4.7.
    let needed = |option: &&String| kind != "devpts" || option.as_str() != "newinstance";
    for option in target.options.data.iter().filter(needed) {
        let (key, value) = options::parameter(option);
        params.push((key.to_owned(), value.map(str::to_owned)));
    }
    if let Some((key, label)) = label(b, kind)? {
        params.push((key.to_owned(), Some(label.to_owned())));
    }
    Ok(params)
}

/// The label of a new file system of this kind, and the option that sets it: proc and sysfs have labels of their own, and an
/// mqueue of a user namespace does not take the option ([`lsm::label_root`]).
pub(super) fn label<'a>(b: &Builder<'a>, kind: &str) -> Result<Option<(&'a str, &'a str)>> {
    let option = || annotations::asked(b.input.config, annotations::MOUNT_CONTEXT_TYPE);
    let label = lsm::mount_label(b)?.filter(|_| !matches!(kind, "proc" | "sysfs" | "mqueue"));
    Ok(label.map(|label| (option().unwrap_or(annotations::MOUNT_CONTEXT_TYPES[0]), label)))
}

/// The parameters of a tmpfs that no mount of the config is: one option, and the label.
pub(super) fn own_tmpfs(b: &mut Builder<'_>, key: &str, value: &str) -> Result<Bytes> {
    let label = label(b, "tmpfs")?;
    let params: Vec<_> =
        [(key, value)].into_iter().chain(label).map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).collect();
    Ok(b.bytes(&encode(&params)))
}

fn encode(params: &[(String, Option<String>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in params {
        bytes.push(if value.is_some() { PARAM_STRING } else { PARAM_FLAG });
        for part in [Some(key), value.as_ref()].into_iter().flatten() {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

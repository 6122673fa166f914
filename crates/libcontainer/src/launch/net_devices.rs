//! Network devices on their way: from the host's network namespace into the container's, and back where no container comes of it.
//!
//! The parent has one socket in each namespace. As long as it has the container's, that namespace lives, and so do devices in it that would die
//! with it; a creation that fails can give all of them back. Once the container is there its network is nobody's but its own:
//! at its end the kernel moves physical devices to the first network namespace and destroys virtual ones. So it does where this process
//! is killed on the way.

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::plan::{NET_DEVICES, NetDevice};
use crate::spec::names;
use crate::sys::netlink::{Netlink, Refusal};
use crate::sys::rtnetlink::{Address, Link, Move};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// An address that somebody configured and no lease limits: linux/if_addr.h.
const IFA_F_PERMANENT: u32 = 0x80;

/// The devices that have moved.
#[derive(Debug)]
pub(super) struct Moved {
    container: Netlink,
    devices: Vec<Device>,
}

/// A device as it was on the host.
#[derive(Debug)]
struct Device {
    was: Link,
    /// Its permanent addresses there.
    addresses: Vec<Address>,
    /// Its number in the container.
    index: i32,
}

/// A device that can move, as far as can be known before.
struct Ready<'a> {
    device: &'a NetDevice,
    link: Link,
    /// Its number to be: known before, it is found again whatever name the kernel makes up.
    index: i32,
}

/// Moves `devices` into the network namespace of the process. On an error none of them is there.
///
/// All are looked at before the first one moves: what the kernel drops of a device that leaves, routes above all, does not come back.
pub(super) fn bring(devices: &[NetDevice], caller: &Host, pid: i32, pidfd: BorrowedFd<'_>) -> Result<Moved> {
    if !caller.has_cap(names::CAP_NET_ADMIN) {
        let what = "moving network devices of the host needs CAP_NET_ADMIN, which a rootless caller does not have";
        return Err(Error::new(Kind::Unsupported, what).field(NET_DEVICES));
    }
    let failed = |errno| Error::sys("open a netlink socket", errno).field(NET_DEVICES);
    let (mut host, mut container) = (Netlink::here().map_err(failed)?, Netlink::of_process(pidfd).map_err(failed)?);
    if host.namespace().map_err(failed)? == container.namespace().map_err(failed)? {
        return Err(Error::spec(NET_DEVICES, "the container's network namespace is the runtime's own"));
    }
    let ready = look(devices, &mut host, &mut container)?;
    let mut moved = Moved { container, devices: Vec::new() };
    for ready in ready {
        if let Err(error) = moved.bring(&mut host, &ready, pid) {
            return Err(moved.give_back(error.field(ready.device.field())));
        }
    }
    Ok(moved)
}

fn look<'a>(devices: &'a [NetDevice], host: &mut Netlink, container: &mut Netlink) -> Result<Vec<Ready<'a>>> {
    let there = container
        .links()
        .map_err(|refusal| failed("look at the container's network devices".into(), refusal).field(NET_DEVICES))?;
    let mut all: Vec<Ready<'_>> = Vec::new();
    for device in devices {
        let link = host.link_named(&device.host_name).map_err(|refusal| {
            let what = format!("find the network device {:?} of the host", device.host_name);
            failed(what, refusal).object(&device.host_name).field(device.field())
        })?;
        if let Some(same) = all.iter().find(|earlier| earlier.link.index == link.index) {
            let what = format!("{:?} and {:?} are one network device", same.device.host_name, device.host_name);
            return Err(Error::spec(device.field(), what));
        }
        let name = device.name.as_ref().map_or(link.name.as_slice(), String::as_bytes);
        let is_there = |other: &Link| other.name == name || other.other_names.iter().any(|other| other == name);
        if !device.is_template() && there.iter().any(is_there) {
            return Err(Error::sys(what(device, &link), Errno::EXIST).object(&device.host_name).field(device.field()));
        }
        let taken = || there.iter().map(|link| link.index).chain(all.iter().map(|ready| ready.index));
        let index = match taken().any(|index| index == link.index) {
            false => link.index,
            true => taken().max().unwrap_or(0).saturating_add(1),
        };
        all.push(Ready { device, link, index });
    }
    Ok(all)
}

/// The words for the whole move.
fn what(device: &NetDevice, link: &Link) -> String {
    let name = device.name.clone().unwrap_or_else(|| String::from_utf8_lossy(&link.name).into_owned());
    format!("move the network device {:?} into the container as {name:?}", device.host_name)
}

fn failed(what: String, refusal: Refusal) -> Error {
    let what = if refusal.words.is_empty() { what } else { format!("{what}: {}", refusal.words) };
    Error::sys(what, refusal.errno)
}

/// Gives every device back to the host, with its name, its addresses and up if it was: no container has come of it, for the reason of
/// `error`.
pub(super) fn give_back(moved: &mut Option<Moved>, error: Error) -> Error {
    match moved.take() {
        Some(moved) => moved.give_back(error),
        None => error,
    }
}

impl Moved {
    fn bring(&mut self, host: &mut Netlink, ready: &Ready<'_>, pid: i32) -> Result<()> {
        let Ready { device, link, index } = ready;
        let step = |doing: &str, refusal| {
            failed(format!("{}: {doing}", what(device, link)), refusal).object(&device.host_name)
        };
        let mut addresses = host.addresses(link.index).map_err(|refusal| step("read its addresses", refusal))?;
        addresses.retain(|address| address.flags & IFA_F_PERMANENT != 0);
        let name = device.name.as_deref().map(str::as_bytes);
        let result = host.move_link(link.index, &Move { to: pid, name, index: *index });
        // The kernel moves first and names then: a name that was taken in between leaves the device where it has got to.
        let gone =
            |answer: std::result::Result<Link, Refusal>| answer.is_err_and(|refusal| refusal.errno == Errno::NODEV);
        if result.is_ok() || gone(host.link_at(link.index)) {
            self.devices.push(Device { was: link.clone(), addresses: addresses.clone(), index: *index });
        }
        result.map_err(|refusal| failed(what(device, link), refusal).object(&device.host_name))?;
        let now = self.container.link_at(*index).map_err(|refusal| step("find it there", refusal))?;
        for address in addresses.iter().filter(|address| address.scope == libc::RT_SCOPE_UNIVERSE) {
            let address = address.relabelled(&link.name, &now.name);
            self.container.add_address(*index, &address).map_err(|refusal| step("add its address", refusal))?;
        }
        self.container.set_up(*index).map_err(|refusal| step("bring it up", refusal))
    }

    fn give_back(mut self, error: Error) -> Error {
        // The last one first: its old name may be the present one of another.
        self.devices.iter().rev().fold(error, |error, device| match device.give_back(&mut self.container) {
            Ok(()) => error,
            Err(refusal) => {
                let name = String::from_utf8_lossy(&device.was.name).into_owned();
                error.hint(failed(format!("the network device {name:?} could not be given back"), refusal).to_string())
            }
        })
    }
}

impl Device {
    fn give_back(&self, container: &mut Netlink) -> std::result::Result<(), Refusal> {
        let (mut host, was) = (Netlink::here()?, &self.was);
        let here = rustix::thread::gettid().as_raw_nonzero().get();
        container.move_link(self.index, &Move { to: here, name: Some(&was.name), index: was.index })?;
        for address in &self.addresses {
            match host.add_address(was.index, address) {
                Err(refusal) if refusal.errno != Errno::EXIST => return Err(refusal),
                _ => {}
            }
        }
        if was.flags & libc::IFF_UP as u32 != 0 { host.set_up(was.index) } else { Ok(()) }
    }
}

//! rtnetlink(7): the links and addresses of one network namespace.

use super::netlink::{Netlink, Refusal, Request, attributes, word};
use rustix::io::Errno;

/// linux/if_addr.h: flags that somebody asked for. The others tell of an address's state.
const ASKED_FLAGS: u32 = 0x02 | 0x10 | 0x100 | 0x200 | 0x400; // NODAD HOMEADDRESS MANAGETEMPADDR NOPREFIXROUTE MCAUTOJOIN

/// linux/if_addr.h; the attributes that make an address, but for its label and flags.
const IFA_ASKED: [u16; 6] = [1, 2, 4, 6, 9, 11]; // ADDRESS LOCAL BROADCAST CACHEINFO RT_PRIORITY PROTO
const IFA_LABEL: u16 = 3;
const IFA_FLAGS: u16 = 8;

/// The size of an interface's name, with its NUL.
const IFNAMSIZ: usize = 16;

/// A network interface.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its number in its namespace.
    pub index: i32,
    /// IFF_*.
    pub flags: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// The other names it is found by.
    pub other_names: Vec<Vec<u8>>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// AF_*.
    pub family: u8,
    prefix: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// IFA_F_*.
    pub flags: u32,
    label: Option<Vec<u8>>,
    attributes: Vec<(u16, Vec<u8>)>,
}

/// Where a link goes.
pub struct Move<'a> {
    /// A process or thread of the namespace it goes to.
    pub to: i32,
    /// Its name there, which may be a template with `%d`; `None` for the one it has.
    pub name: Option<&'a [u8]>,
    /// Its number there.
    pub index: i32,
}

impl Netlink {
    /// The link of this name, be it its first or another.
    ///
    /// # Errors
    /// ENODEV where there is none.
    pub fn link_named(&mut self, name: &str) -> Result<Link, Refusal> {
        self.one_link(
            &Request::new(libc::RTM_GETLINK, 0, &link(0, 0)).with(libc::IFLA_IFNAME, &terminated(name.as_bytes())),
        )
    }

    /// The link of this number.
    ///
    /// # Errors
    /// ENODEV where there is none.
    pub fn link_at(&mut self, index: i32) -> Result<Link, Refusal> {
        self.one_link(&Request::new(libc::RTM_GETLINK, 0, &link(index, 0)))
    }

    fn one_link(&mut self, request: &Request) -> Result<Link, Refusal> {
        let answer = self.ask(request)?;
        answer.iter().find_map(|body| read_link(body)).ok_or(Errno::BADMSG.into())
    }

    /// All links.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn links(&mut self) -> Result<Vec<Link>, Refusal> {
        let answer = self.ask(&Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link(0, 0)))?;
        Ok(answer.iter().filter_map(|body| read_link(body)).collect())
    }

    /// The addresses of a link, of every family, in the order in which they were added.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn addresses(&mut self, index: i32) -> Result<Vec<Address>, Refusal> {
        let answer = self.ask(&Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; 8]))?;
        let of_link = answer.iter().filter(|body| word(body, 4) == Some(index as u32));
        Ok(of_link.filter_map(|body| read_address(body)).collect())
    }

    /// Moves a link to another namespace. It is down there, has no address, and keeps what is its own (MTU, hardware address, queues).
    ///
    /// # Errors
    /// What the kernel refuses; where the name is (EEXIST), the link may have gone nevertheless.
    pub fn move_link(&mut self, index: i32, to: &Move<'_>) -> Result<(), Refusal> {
        let mut request = Request::new(libc::RTM_NEWLINK, 0, &link(index, 0))
            .with(libc::IFLA_NET_NS_PID, &to.to.to_ne_bytes())
            .with(libc::IFLA_NEW_IFINDEX, &to.index.to_ne_bytes());
        if let Some(name) = to.name {
            request = request.with(libc::IFLA_IFNAME, &terminated(name));
        }
        self.ask(&request).map(|_| ())
    }

    /// Brings a link up.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn set_up(&mut self, index: i32) -> Result<(), Refusal> {
        self.ask(&Request::new(libc::RTM_NEWLINK, 0, &link(index, libc::IFF_UP as u32))).map(|_| ())
    }

    /// Gives a link an address.
    ///
    /// # Errors
    /// What the kernel refuses: EEXIST where the link has it.
    pub fn add_address(&mut self, index: i32, address: &Address) -> Result<(), Refusal> {
        let flags = address.flags & ASKED_FLAGS;
        let mut body = vec![address.family, address.prefix, flags as u8, address.scope];
        body.extend_from_slice(&index.to_ne_bytes());
        let flags = flags.to_ne_bytes();
        let label = address.label.iter().map(|label| (IFA_LABEL, label.as_slice()));
        let others = address.attributes.iter().map(|(kind, value)| (*kind, value.as_slice()));
        let request = Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body);
        let all = others.chain(label).chain([(IFA_FLAGS, flags.as_slice())]);
        self.ask(&all.fold(request, |request, (kind, value)| request.with(kind, value))).map(|_| ())
    }
}

impl Address {
    /// The address as it is labelled once its link has another name: the label begins with the name (`eth0:1`), as the kernel has it where
    /// a link is renamed.
    pub fn relabelled(&self, from: &[u8], to: &[u8]) -> Address {
        let renamed = |label: &Vec<u8>| match label.strip_prefix(from) {
            Some(rest) if rest.starts_with(b":") => [to, rest].concat(),
            Some(b"\0" | b"") => terminated(to),
            _ => label.clone(),
        };
        let label = self.label.as_ref().map(renamed).filter(|label| label.len() <= IFNAMSIZ);
        Address { label, ..self.clone() }
    }
}

/// `struct ifinfomsg`, with flags to set.
fn link(index: i32, set: u32) -> Vec<u8> {
    let mut bytes = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
    bytes.extend_from_slice(&index.to_ne_bytes());
    bytes.extend_from_slice(&set.to_ne_bytes());
    bytes.extend_from_slice(&set.to_ne_bytes());
    bytes
}

fn read_link(body: &[u8]) -> Option<Link> {
    let (index, flags) = (word(body, 4)? as i32, word(body, 8)?);
    let (mut name, mut other_names) = (None, Vec::new());
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            libc::IFLA_IFNAME => name = Some(bare(value)),
            libc::IFLA_PROP_LIST => {
                let others = attributes(value).filter(|(kind, _)| *kind == libc::IFLA_ALT_IFNAME);
                other_names.extend(others.map(|(_, name)| bare(name)));
            }
            _ => {}
        }
    }
    Some(Link { index, flags, name: name?, other_names })
}

fn read_address(body: &[u8]) -> Option<Address> {
    let &[family, prefix, short_flags, scope] = body.first_chunk()?;
    let mut address = Address { family, prefix, scope, flags: short_flags.into(), label: None, attributes: Vec::new() };
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            IFA_LABEL => address.label = Some(value.to_vec()),
            IFA_FLAGS => address.flags = word(value, 0)?,
            kind if IFA_ASKED.contains(&kind) => address.attributes.push((kind, value.to_vec())),
            _ => {}
        }
    }
    Some(address)
}

fn terminated(name: &[u8]) -> Vec<u8> {
    [name, b"\0"].concat()
}

fn bare(name: &[u8]) -> Vec<u8> {
    name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(label: &[u8]) -> Address {
        let label = Some(label.to_vec());
        Address { family: 2, prefix: 24, scope: 0, flags: 0x80, label, attributes: Vec::new() }
    }

    #[test]
    fn a_label_follows_the_name() {
        let renamed = |label: &[u8]| labelled(label).relabelled(b"eth0", b"web0").label;
        assert_eq!(renamed(b"eth0\0").as_deref(), Some(&b"web0\0"[..]));
        assert_eq!(renamed(b"eth0:one\0").as_deref(), Some(&b"web0:one\0"[..]));
        assert_eq!(renamed(b"eth01\0").as_deref(), Some(&b"eth01\0"[..]), "another name");
        let long = labelled(b"eth0:one\0").relabelled(b"eth0", b"a-longer-name");
        assert_eq!(long.label, None, "the kernel gives it the name itself");
    }

    #[test]
    fn the_loopback_is_a_link_with_an_address_or_none() {
        let mut here = Netlink::here().unwrap();
        let lo = here.link_named("lo").unwrap();
        assert_eq!((lo.index, lo.name.as_slice()), (1, &b"lo"[..]));
        assert_eq!(here.link_at(1).unwrap().name, b"lo");
        assert!(here.links().unwrap().iter().any(|link| link.name == b"lo"));
        if lo.flags & libc::IFF_UP as u32 != 0 {
            assert!(here.addresses(1).unwrap().iter().all(|address| address.flags & 0x80 != 0));
        }
    }
}

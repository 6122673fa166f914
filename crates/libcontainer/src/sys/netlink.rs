//! netlink(7): requests to the kernel's routing subsystem in one network namespace, and what it answers.

use super::mount::last_errno;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// The most that a part of an answer takes (netlink(7), `NLMSG_GOODSIZE` and the cap of dumps).
const PART: usize = 32 << 10;
/// linux/netlink.h; libc has it only where it is newer.
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// What the kernel refused: the errno, and its own words for it, where it has some (`NETLINK_EXT_ACK`).
#[derive(Debug)]
pub struct Refusal {
    /// The reason.
    pub errno: Errno,
    /// More than the errno says, or nothing.
    pub words: String,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal { errno, words: String::new() }
    }
}

/// A request: its kind and the fixed part of its kind, then attributes.
#[derive(Clone)]
pub struct Request(Vec<u8>);

impl Request {
    /// A request of `kind` (RTM_*) with NLM_F_* `flags` beside those that every request has.
    pub fn new(kind: u16, flags: i32, body: &[u8]) -> Request {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        bytes[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
        bytes.extend_from_slice(body);
        Request(bytes)
    }

    /// The request with one more attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Request {
        self.0.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// The attributes in `bytes`: kind and value of each.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(half(rest, 0)?);
        let value = rest.get(4..length)?;
        let kind = half(rest, 2)? & libc::NLA_TYPE_MASK as u16;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A socket for rtnetlink(7), which speaks for the network namespace it was made in.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// In the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn here() -> Result<Netlink, Errno> {
        // NETLINK_ROUTE is protocol 0.
        Netlink::over(rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?)
    }

    /// In the network namespace of a process.
    ///
    /// # Errors
    /// Those of setns(2) and socket(2).
    pub fn of_process(pidfd: BorrowedFd<'_>) -> Result<Netlink, Errno> {
        Netlink::over(super::silent::route_socket_of(pidfd)?)
    }

    fn over(socket: OwnedFd) -> Result<Netlink, Errno> {
        // Connected to the kernel it hears nobody else: a privileged process of the namespace could send, too.
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            switch_on(&socket, option)?;
        }
        Ok(Netlink { socket, sequence: 0 })
    }

    /// A number that stands for the socket's network namespace as long as the machine runs (`SO_NETNS_COOKIE`).
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn namespace(&self) -> Result<u64, Errno> {
        let (mut cookie, mut size) = (0u64, size_of::<u64>() as libc::socklen_t);
        // SAFETY: eight bytes for an answer of eight bytes, and its size.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NETNS_COOKIE,
                (&raw mut cookie).cast(),
                &mut size,
            )
        };
        if result < 0 { Err(last_errno()) } else { Ok(cookie) }
    }

    /// Sends a request and takes its whole answer: of each part what follows the header, the fixed bytes and then attributes. A list that
    /// changed while it was read is asked for again.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn ask(&mut self, request: &Request) -> Result<Vec<Vec<u8>>, Refusal> {
        loop {
            let (answer, complete) = self.ask_once(request)?;
            if complete {
                return Ok(answer);
            }
        }
    }

    fn ask_once(&mut self, request: &Request) -> Result<(Vec<Vec<u8>>, bool), Refusal> {
        self.sequence += 1;
        let mut bytes = request.0.clone();
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, &bytes, SendFlags::empty()))?;
        let (mut answer, mut complete, mut part) = (Vec::new(), true, vec![0; PART]);
        loop {
            let (_, length) =
                rustix::io::retry_on_intr(|| rustix::net::recv(&self.socket, part.as_mut_slice(), RecvFlags::TRUNC))?;
            let mut rest = part.get(..length).ok_or(Errno::MSGSIZE)?;
            while let Some((header, body)) = next(&mut rest) {
                if header.sequence != self.sequence {
                    continue;
                }
                complete &= header.flags & NLM_F_DUMP_INTR == 0;
                match i32::from(header.kind) {
                    libc::NLMSG_DONE => return Ok((answer, complete)),
                    libc::NLMSG_ERROR => return result(header.flags, body).map(|()| (answer, complete)),
                    _ => answer.push(body.to_vec()),
                }
            }
        }
    }
}

fn switch_on(socket: &OwnedFd, option: i32) -> Result<(), Errno> {
    let on: i32 = 1;
    // SAFETY: a number of the size that is named.
    let result = unsafe {
        let size = size_of::<i32>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), size)
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
}

/// Cuts the first message off.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(Header, &'a [u8])> {
    let length = word(rest, 0)? as usize;
    let body = rest.get(HEADER..length)?;
    let header = Header { kind: half(rest, 4)?, flags: half(rest, 6)?, sequence: word(rest, 8)? };
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((header, body))
}

/// The end of an answer: a negative errno or 0, the header of the request (`NETLINK_CAP_ACK`), attributes.
fn result(flags: u16, body: &[u8]) -> Result<(), Refusal> {
    let errno = word(body, 0).map_or(libc::EBADMSG, |word| -(word as i32));
    if errno == 0 {
        return Ok(());
    }
    let tail = if flags & NLM_F_ACK_TLVS != 0 { body.get(4 + HEADER..) } else { None };
    let words = attributes(tail.unwrap_or_default()).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG);
    let words = words.map(|(_, text)| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
    Err(Refusal { errno: Errno::from_raw_os_error(errno), words: words.unwrap_or_default() })
}

/// The 32 bits at an offset.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_the_wire() {
        let request = Request::new(libc::RTM_GETLINK, 0, &[0; 16]).with(3, b"lo\0").with(5, &[]).with(7, &[9; 4]);
        let found: Vec<_> = attributes(&request.0[HEADER + 16..]).collect();
        assert_eq!(found, [(3, &b"lo\0"[..]), (5, b""), (7, &[9; 4])]);
    }

    #[test]
    fn what_is_cut_short_is_no_attribute() {
        assert_eq!(attributes(&[8, 0, 3, 0, 1]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[1]).count(), 0);
    }

    #[test]
    fn the_kernel_answers_and_refuses_with_words() {
        let mut here = Netlink::here().unwrap();
        let body = [0; 16];
        let named = |name: &[u8]| Request::new(libc::RTM_GETLINK, 0, &body).with(libc::IFLA_IFNAME, name);
        assert_eq!(here.ask(&named(b"lo\0")).unwrap().len(), 1);
        assert_eq!(here.ask(&named(b"no-such-dev\0")).unwrap_err().errno, Errno::NODEV);
        let neither = Request::new(libc::RTM_GETLINK, 0, &body);
        assert_eq!(here.ask(&neither).unwrap_err().errno, Errno::INVAL);
        assert!(!here.ask(&Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &body)).unwrap().is_empty());
        assert_eq!(here.namespace().unwrap(), Netlink::here().unwrap().namespace().unwrap());
    }
}

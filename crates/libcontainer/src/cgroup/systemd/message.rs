//! Messages of D-Bus: a header of fixed form, and values behind it (D-Bus Specification, "Message Format").

use super::value::{Reader, Value, Writer};

/// The longest message that is read. systemd's answers have a few hundred bytes; the protocol would allow 128 MiB.
const LONGEST: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call = 1,
    Reply = 2,
    Error = 3,
    Signal = 4,
}

/// One message. A field that its kind does not have is empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub kind: Kind,
    pub serial: u32,
    pub reply_to: u32,
    pub destination: String,
    pub path: String,
    pub interface: String,
    /// The method, the signal.
    pub member: String,
    pub error: String,
    pub body: Vec<Value>,
}

impl Message {
    pub fn new(kind: Kind) -> Message {
        let [destination, path, interface, member, error] = [const { String::new() }; 5];
        Message { kind, serial: 0, reply_to: 0, destination, path, interface, member, error, body: Vec::new() }
    }

    /// The bytes of the message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Writer::default();
        self.body.iter().for_each(|value| body.put(value));
        let signature: String = self.body.iter().map(Value::signature).collect();
        let text = |text: &String| (!text.is_empty()).then(|| Value::text(text));
        let fields = [
            (1, (!self.path.is_empty()).then(|| Value::Path(self.path.clone()))),
            (2, text(&self.interface)),
            (3, text(&self.member)),
            (4, text(&self.error)),
            (5, (self.reply_to != 0).then_some(Value::Uint32(self.reply_to))),
            (6, text(&self.destination)),
            (8, (!signature.is_empty()).then_some(Value::Signature(signature))),
        ];
        let field = |(code, value): (u8, Option<Value>)| Some(Value::Struct(vec![Value::Byte(code), value?.variant()]));
        let mut message = Writer::default();
        message.0.extend([if cfg!(target_endian = "big") { b'B' } else { b'l' }, self.kind as u8, 0, 1]);
        message.put(&Value::Uint32(body.0.len() as u32));
        message.put(&Value::Uint32(self.serial));
        message.put(&Value::Array("(yv)".to_owned(), fields.into_iter().filter_map(field).collect()));
        message.align(8);
        message.0.append(&mut body.0);
        message.0
    }

    /// How long the message is that begins like this; `None` for what is no message, `Some(None)` if more has to be read first.
    #[allow(clippy::option_option)] // both questions are asked at once
    pub fn length(start: &[u8]) -> Option<Option<usize>> {
        let Some(head) = start.get(..16) else { return Some(None) };
        let mut numbers = Reader::new(head, is_big(head)?);
        let [_, body, _, fields] = [(); 4].map(|()| numbers.u32().unwrap_or(u32::MAX) as usize);
        let length = (16usize.checked_add(fields)?).next_multiple_of(8).checked_add(body)?;
        (length <= LONGEST).then_some(Some(length))
    }

    /// Reads one whole message; `None` for what is none. A message of a kind to come is a signal without a name.
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let kind = match bytes.get(1)? {
            1 => Kind::Call,
            2 => Kind::Reply,
            3 => Kind::Error,
            _ => Kind::Signal,
        };
        let mut reader = Reader::new(bytes, is_big(bytes)?);
        let head = reader.all("yyyyuua(yv)")?;
        reader.align(8)?;
        let mut message = Message::new(kind);
        let [.., Value::Uint32(serial), Value::Array(_, fields)] = head.as_slice() else { return None };
        message.serial = *serial;
        let mut signature = "";
        for field in fields {
            let Value::Struct(pair) = field else { return None };
            let [Value::Byte(code), value] = pair.as_slice() else { return None };
            match (code, value.inner()) {
                (1, Value::Path(path)) => message.path.clone_from(path),
                (2, Value::Text(text)) => message.interface.clone_from(text),
                (3, Value::Text(text)) => message.member.clone_from(text),
                (4, Value::Text(text)) => message.error.clone_from(text),
                (5, Value::Uint32(serial)) => message.reply_to = *serial,
                (6, Value::Text(text)) => message.destination.clone_from(text),
                (8, Value::Signature(text)) => signature = text,
                _ => {}
            }
        }
        message.body = reader.all(signature)?;
        Some(message)
    }
}

/// The byte order that the first byte tells.
fn is_big(bytes: &[u8]) -> Option<bool> {
    match bytes.first()? {
        b'l' => Some(false),
        b'B' => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Message {
        Message {
            serial: 1,
            destination: "org.freedesktop.DBus".into(),
            path: "/org/freedesktop/DBus".into(),
            interface: "org.freedesktop.DBus".into(),
            member: "Hello".into(),
            ..Message::new(Kind::Call)
        }
    }

    /// What dbus-send(1) puts on the wire for the same call, but for the order of the fields.
    #[test]
    #[cfg(target_endian = "little")]
    fn known_bytes() {
        let known: &[u8] = b"l\x01\0\x01\0\0\0\0\x01\0\0\0n\0\0\0\
            \x01\x01o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0\
            \x02\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
            \x03\x01s\0\x05\0\0\0Hello\0\0\0\
            \x06\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0";
        // The last field is not padded by the array, but by the header.
        let mut known = known.to_vec();
        known[12] = 109;
        assert_eq!(hello().to_bytes(), known);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut message = hello();
        message.body = vec![Value::Uint32(3), Value::Path("/j/1".into()), Value::texts(["a"])];
        let bytes = message.to_bytes();
        assert_eq!(Message::length(&bytes), Some(Some(bytes.len())));
        assert_eq!(Message::length(&bytes[..15]), Some(None));
        assert_eq!(Message::parse(&bytes), Some(message));
        for length in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn what_is_no_message() {
        assert_eq!(Message::length(b"HTTP/1.1 200 OK\r\n"), None);
        let endless = b"l\x02\0\x01\xff\xff\xff\xff\x01\0\0\0\x10\0\0\0";
        assert_eq!(Message::length(endless), None);
    }
}

//! Values of D-Bus's type system, to bytes and back: the part of it that systemd's interface uses.
//!
//! D-Bus Specification, "Type System" and "Marshaling". Dictionaries can be read, as arrays of pairs, and not written.

/// One value, which knows its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    Text(String),
    Path(String),
    Signature(String),
    /// The type of its elements stands for itself where there are none.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub fn variant(self) -> Value {
        Value::Variant(Box::new(self))
    }

    /// An array of texts.
    #[cfg(test)]
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Value {
        Value::Array("s".to_owned(), texts.into_iter().map(Value::text).collect())
    }

    /// The type in D-Bus's notation.
    pub fn signature(&self) -> String {
        let basic = match self {
            Value::Byte(_) => "y",
            Value::Bool(_) => "b",
            Value::Int16(_) => "n",
            Value::Uint16(_) => "q",
            Value::Int32(_) => "i",
            Value::Uint32(_) => "u",
            Value::Int64(_) => "x",
            Value::Uint64(_) => "t",
            Value::Double(_) => "d",
            Value::Text(_) => "s",
            Value::Path(_) => "o",
            Value::Signature(_) => "g",
            Value::Variant(_) => "v",
            Value::Array(element, _) => return format!("a{element}"),
            Value::Struct(fields) => return format!("({})", fields.iter().map(Value::signature).collect::<String>()),
        };
        basic.to_owned()
    }

    /// The text of a text or an object path.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Path(text) => Some(text),
            _ => None,
        }
    }

    /// What is in a variant, or the value itself.
    pub fn inner(&self) -> &Value {
        match self {
            Value::Variant(value) => value.inner(),
            value => value,
        }
    }
}

/// Bytes under construction, in this machine's byte order. Values are aligned from where the bytes begin.
#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub fn put(&mut self, value: &Value) {
        match value {
            Value::Byte(value) => self.0.push(*value),
            Value::Bool(value) => self.number(&u32::from(*value).to_ne_bytes()),
            Value::Int16(value) => self.number(&value.to_ne_bytes()),
            Value::Uint16(value) => self.number(&value.to_ne_bytes()),
            Value::Int32(value) => self.number(&value.to_ne_bytes()),
            Value::Uint32(value) => self.number(&value.to_ne_bytes()),
            Value::Int64(value) => self.number(&value.to_ne_bytes()),
            Value::Uint64(value) => self.number(&value.to_ne_bytes()),
            Value::Double(value) => self.number(&value.to_ne_bytes()),
            Value::Text(text) | Value::Path(text) => {
                self.number(&(text.len() as u32).to_ne_bytes());
                self.ended(text);
            }
            Value::Signature(text) => self.signature(text),
            Value::Variant(value) => {
                self.signature(&value.signature());
                self.put(value);
            }
            Value::Array(element, values) => {
                self.align(4);
                let length_at = self.0.len();
                self.0.extend_from_slice(&[0; 4]);
                // The length is that of the elements, without what aligns the first.
                self.align(alignment(element.bytes().next()));
                let start = self.0.len();
                values.iter().for_each(|value| self.put(value));
                let length = ((self.0.len() - start) as u32).to_ne_bytes();
                self.0[length_at..length_at + 4].copy_from_slice(&length);
            }
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|field| self.put(field));
            }
        }
    }

    fn number(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.ended(text);
    }

    fn ended(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }
}

/// How deep values may nest: the specification's limit for arrays and structs together.
const DEEPEST: u32 = 64;

/// Bytes being read. Every answer is `None` where the bytes are not what they should be.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], big_endian: bool) -> Reader<'a> {
        Reader { bytes, at: 0, big_endian }
    }

    /// The values of a signature, one after the other.
    pub fn all(&mut self, signature: &str) -> Option<Vec<Value>> {
        let mut rest = signature;
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (one, after) = first_type(rest)?;
            values.push(self.value(one, 0)?);
            rest = after;
        }
        Some(values)
    }

    fn value(&mut self, signature: &str, depth: u32) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        Some(match signature.as_bytes().first()? {
            b'y' => Value::Byte(*self.take(1)?.first()?),
            b'b' => Value::Bool(self.u32()? != 0),
            b'n' => Value::Int16(self.u16()? as i16),
            b'q' => Value::Uint16(self.u16()?),
            b'i' => Value::Int32(self.u32()? as i32),
            // A descriptor is its index among those that came along.
            b'u' | b'h' => Value::Uint32(self.u32()?),
            b'x' => Value::Int64(self.u64()? as i64),
            b't' => Value::Uint64(self.u64()?),
            b'd' => Value::Double(f64::from_bits(self.u64()?)),
            b's' => Value::Text(self.long_text()?),
            b'o' => Value::Path(self.long_text()?),
            b'g' => Value::Signature(self.signature()?),
            b'v' => {
                let inner = self.signature()?;
                self.value(&inner, depth + 1)?.variant()
            }
            b'a' => {
                let element = &signature[1..];
                let length = self.u32()? as usize;
                self.align(alignment(element.bytes().next()))?;
                let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
                let mut values = Vec::new();
                while self.at < end {
                    values.push(self.value(element, depth + 1)?);
                }
                if self.at != end {
                    return None;
                }
                Value::Array(element.to_owned(), values)
            }
            b'(' | b'{' => {
                self.align(8)?;
                let mut rest = signature.get(1..signature.len() - 1)?;
                let mut fields = Vec::new();
                while !rest.is_empty() {
                    let (one, after) = first_type(rest)?;
                    fields.push(self.value(one, depth + 1)?);
                    rest = after;
                }
                Value::Struct(fields)
            }
            _ => return None,
        })
    }

    pub fn align(&mut self, to: usize) -> Option<()> {
        self.at = self.at.next_multiple_of(to);
        (self.at <= self.bytes.len()).then_some(())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.align(N)?;
        let mut bytes: [u8; N] = self.take(N)?.try_into().ok()?;
        if self.big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.number().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.number().map(u64::from_le_bytes)
    }

    fn long_text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.ended(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = *self.take(1)?.first()?;
        self.ended(length.into())
    }

    fn ended(&mut self, length: usize) -> Option<String> {
        let text = self.take(length)?.to_vec();
        self.take(1).filter(|end| *end == [0])?;
        String::from_utf8(text).ok()
    }
}

fn alignment(kind: Option<u8>) -> usize {
    match kind {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 4,
    }
}

/// The first complete type of a signature, and what comes after it.
pub(super) fn first_type(signature: &str) -> Option<(&str, &str)> {
    let mut open = 0u32;
    for (at, kind) in signature.bytes().enumerate() {
        match kind {
            b'a' => continue,
            b'(' | b'{' => open += 1,
            b')' | b'}' => open = open.checked_sub(1)?,
            _ => {}
        }
        if open == 0 {
            return signature.split_at_checked(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.put(value);
        writer.0
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn known_bytes() {
        assert_eq!(bytes(&Value::text("foo")), *b"\x03\0\0\0foo\0");
        assert_eq!(bytes(&Value::Signature("a(sv)".into())), *b"\x05a(sv)\0");
        assert_eq!(bytes(&Value::Bool(true).variant()), *b"\x01b\0\0\x01\0\0\0");
        // The example of the specification: an array of one 64-bit number.
        assert_eq!(bytes(&Value::Array("x".into(), vec![Value::Int64(5)])), *b"\x08\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0");
        assert_eq!(bytes(&Value::Array("t".into(), Vec::new())), [0; 8], "an empty array is aligned, too");
        let pids = Value::Struct(vec![Value::text("PIDs"), Value::Array("u".into(), vec![Value::Uint32(7)]).variant()]);
        assert_eq!(bytes(&pids), *b"\x04\0\0\0PIDs\0\x02au\0\0\0\0\x04\0\0\0\x07\0\0\0");
    }

    #[test]
    fn what_is_written_is_read() {
        let all = Value::Struct(vec![
            Value::Byte(1),
            Value::Int16(-2),
            Value::Uint16(3),
            Value::Int32(-4),
            Value::Uint32(5),
            Value::Int64(-6),
            Value::Uint64(u64::MAX),
            Value::Double(0.5),
            Value::Path("/a".into()),
            Value::Signature("as".into()),
            Value::texts(["x", ""]),
            Value::Array("(st)".into(), vec![Value::Struct(vec![Value::text("/dev/x"), Value::Uint64(9)])]),
            Value::texts(["y"]).variant().variant(),
            Value::Bool(false),
        ]);
        assert_eq!(all.signature(), "(ynqiuxtdogasa(st)vb)");
        let written = bytes(&all);
        let big = cfg!(target_endian = "big");
        assert_eq!(Reader::new(&written, big).all(&all.signature()), Some(vec![all.clone()]));
        for length in 0..written.len() {
            assert_eq!(Reader::new(&written[..length], big).all(&all.signature()), None, "cut at {length}");
        }
    }

    #[test]
    fn the_other_byte_order_and_dictionaries() {
        let big = b"\0\0\0\x0e\0\0\0\0\0\0\0\x01a\0\x01u\0\0\0\0\0\0\0\x07";
        let entry = Value::Struct(vec![Value::text("a"), Value::Uint32(7).variant()]);
        let read = Reader::new(big, true).all("a{sv}");
        assert_eq!(read, None, "a length that ends inside of a value");
        let big = b"\0\0\0\x10\0\0\0\0\0\0\0\x01a\0\x01u\0\0\0\0\0\0\0\x07";
        assert_eq!(Reader::new(big, true).all("a{sv}"), Some(vec![Value::Array("{sv}".into(), vec![entry])]));
    }

    #[test]
    fn signatures_that_are_none() {
        for signature in ["(", "a", "(u", ")", "z", "a(", "{"] {
            assert_eq!(Reader::new(&[0; 64], false).all(signature), None, "{signature}");
        }
        let deep = "a".repeat(80) + "u";
        let nested: Vec<u8> = (0..100).flat_map(|_| 4u32.to_le_bytes()).collect();
        assert_eq!(Reader::new(&nested, false).all(&deep), None);
    }
}

//! Values as people write them: GVariant's text format, without dictionaries, which no property of a unit is.

use super::value::Value;

/// Reads one value; the error says what is wrong and where.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(None)?;
    match parser.next_word() {
        None => Ok(value),
        Some(_) => Err(parser.wrong("the end")),
    }
}

/// The names of types that may stand before a value.
const KEYWORDS: &[(&str, &str)] = &[
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// A value, of the type that is asked for if one is.
    fn value(&mut self, wanted: Option<&str>) -> Result<Value, String> {
        // What nests deeper than D-Bus allows would only be refused later.
        if self.text[..self.at].bytes().filter(|b| b"[(<".contains(b)).count() > 64 {
            return Err("it nests too deeply".to_owned());
        }
        let Some(next) = self.next_word() else { return Err(self.wrong("a value")) };
        match next {
            "@" => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
                self.at += end;
                let kind = rest[..end].to_owned();
                self.value(Some(&kind))
            }
            "[" => self.array(wanted),
            "(" => self.tuple(wanted),
            "<" => {
                let inner = self.value(None)?;
                self.expect(">")?;
                of_kind(wanted, inner.variant())
            }
            "'" | "\"" => {
                let text = self.quoted(next)?;
                match wanted {
                    None | Some("s") => Ok(Value::Text(text)),
                    Some("o") => Ok(Value::Path(text)),
                    Some("g") => Ok(Value::Signature(text)),
                    Some(other) => Err(format!("{text:?} is not of the type {other:?}")),
                }
            }
            "true" | "false" => of_kind(wanted, Value::Bool(next == "true")),
            word => match KEYWORDS.iter().find(|(name, _)| *name == word) {
                Some((_, kind)) => {
                    let value = self.value(Some(kind))?;
                    of_kind(wanted, value)
                }
                None => number(word, wanted),
            },
        }
    }

    fn array(&mut self, wanted: Option<&str>) -> Result<Value, String> {
        let mut element = match wanted {
            None => None,
            Some(kind) => {
                Some(kind.strip_prefix('a').ok_or_else(|| format!("an array is not of the type {kind:?}"))?.to_owned())
            }
        };
        let mut values = Vec::new();
        while !self.ends_with("]") {
            if !values.is_empty() {
                self.expect(",")?;
            }
            let value = self.value(element.as_deref())?;
            element.get_or_insert_with(|| value.signature());
            values.push(value);
        }
        match element {
            Some(element) => Ok(Value::Array(element, values)),
            None => Err("an empty array needs its type before it, as in \"@as []\"".to_owned()),
        }
    }

    fn tuple(&mut self, wanted: Option<&str>) -> Result<Value, String> {
        let mut kinds = wanted.map(|kind| kind.trim_start_matches('('));
        let mut fields = Vec::new();
        while !self.ends_with(")") {
            if !fields.is_empty() {
                self.expect(",")?;
                // A tuple of one has a comma at its end.
                if self.ends_with(")") {
                    break;
                }
            }
            let kind = kinds.and_then(super::value::first_type);
            fields.push(self.value(kind.map(|(kind, _)| kind))?);
            kinds = kind.map(|(_, rest)| rest);
        }
        of_kind(wanted, Value::Struct(fields))
    }

    /// The rest of a text after its quote.
    fn quoted(&mut self, quote: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut characters = self.text[self.at..].char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c @ ('\\' | '\'' | '"'))) => text.push(c),
                    other => return Err(format!("\"\\{}\" is not understood", other.map_or(' ', |(_, c)| c))),
                },
                c if quote.starts_with(c) => {
                    self.at += at + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err("a quote is not closed".to_owned())
    }

    /// The next mark, or the next word of letters, digits and signs.
    fn next_word(&mut self) -> Option<&'a str> {
        let rest = self.text[self.at..].trim_start();
        let start = self.text.len() - rest.len();
        let length = match rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-._".contains(c)) {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(length) => length,
            None => rest.len(),
        };
        self.at = start + length;
        rest.get(..length).filter(|word| !word.is_empty())
    }

    /// Takes the closing mark if it comes next.
    fn ends_with(&mut self, mark: &str) -> bool {
        let before = self.at;
        let ends = self.next_word() == Some(mark);
        if !ends {
            self.at = before;
        }
        ends
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.ends_with(mark) { Ok(()) } else { Err(self.wrong(&format!("{mark:?}"))) }
    }

    fn wrong(&self, wanted: &str) -> String {
        format!("{wanted} is missing after {:?}", &self.text[..self.at])
    }
}

fn of_kind(wanted: Option<&str>, value: Value) -> Result<Value, String> {
    match wanted {
        Some(kind) if kind != value.signature() => {
            Err(format!("a value of the type {:?} stands where {kind:?} is wanted", value.signature()))
        }
        _ => Ok(value),
    }
}

/// A number: without a type it is an int32, or a double if it has a point.
fn number(word: &str, wanted: Option<&str>) -> Result<Value, String> {
    let hexadecimal = word.strip_prefix("0x");
    let whole = match hexadecimal {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => word.parse::<i128>().ok(),
    };
    let starts_well = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let fraction = word.parse::<f64>().ok().filter(|value| starts_well && value.is_finite());
    let kind = wanted.unwrap_or(if whole.is_some() { "i" } else { "d" });
    let value = match (kind, whole) {
        ("y", Some(n)) => n.try_into().ok().map(Value::Byte),
        ("n", Some(n)) => n.try_into().ok().map(Value::Int16),
        ("q", Some(n)) => n.try_into().ok().map(Value::Uint16),
        ("i", Some(n)) => n.try_into().ok().map(Value::Int32),
        ("u", Some(n)) => n.try_into().ok().map(Value::Uint32),
        ("x", Some(n)) => n.try_into().ok().map(Value::Int64),
        ("t", Some(n)) => n.try_into().ok().map(Value::Uint64),
        ("d", _) => fraction.map(Value::Double),
        _ => None,
    };
    value.ok_or_else(|| format!("{word:?} is no value of the type {kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let text = |text: &str| Value::text(text);
        let cases = [
            ("5", Value::Int32(5)),
            (" -5 ", Value::Int32(-5)),
            ("1.5", Value::Double(1.5)),
            ("uint64 123456789", Value::Uint64(123_456_789)),
            ("uint64 0xff", Value::Uint64(255)),
            ("@t 18446744073709551615", Value::Uint64(u64::MAX)),
            ("byte 255", Value::Byte(255)),
            ("double 2", Value::Double(2.0)),
            ("true", Value::Bool(true)),
            ("'inactive-or-failed'", text("inactive-or-failed")),
            (r#""it's \"so\"""#, text("it's \"so\"")),
            (r"'a\'b\\'", text("a'b\\")),
            ("objectpath '/a'", Value::Path("/a".into())),
            ("['a', 'b']", Value::texts(["a", "b"])),
            ("@as []", Value::texts([] as [&str; 0])),
            ("[uint32 1, 2]", Value::Array("u".into(), vec![Value::Uint32(1), Value::Uint32(2)])),
            ("@ay [0x03]", Value::Array("y".into(), vec![Value::Byte(3)])),
            ("<'x'>", text("x").variant()),
            ("('/dev/x', uint64 5)", Value::Struct(vec![text("/dev/x"), Value::Uint64(5)])),
            ("(1,)", Value::Struct(vec![Value::Int32(1)])),
            (
                "@a(st) [('/dev/x', 5)]",
                Value::Array("(st)".into(), vec![Value::Struct(vec![text("/dev/x"), Value::Uint64(5)])]),
            ),
        ];
        for (written, value) in cases {
            assert_eq!(parse(written), Ok(value), "{written}");
        }
    }

    #[test]
    fn what_is_none() {
        let wrong = [
            "",
            "x",
            "'x",
            "5 5",
            "[1, 'x']",
            "[]",
            "uint32 -1",
            "byte 256",
            "int32 1.5",
            "@as [1]",
            "(1",
            "[1,,2]",
            "<1",
            "{'a': 1}",
            "true false",
            "nan",
            "'\\x'",
            "@",
            "uint64",
            "string 5",
            "@(ss) ('a',)",
            "2147483648",
            "é",
        ];
        for written in wrong {
            assert!(parse(written).is_err(), "{written:?}: {:?}", parse(written));
        }
        assert!(parse(&"[".repeat(100_000)).is_err(), "and not by the end of the stack");
    }
}

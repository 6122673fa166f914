//! JSON for people to read and edit: indented, the keys in a sensible order.

use serde_json::Value;

/// `value` as text, with a newline at its end. Of an object's keys those in `first` come first, in that order; the
/// others follow by name.
pub fn pretty(value: &Value, indent: &str, first: &[&str]) -> String {
    let mut layout = Layout { indent, first, text: String::new() };
    layout.value(value, 0);
    layout.text + "\n"
}

struct Layout<'l> {
    indent: &'l str,
    first: &'l [&'l str],
    text: String,
}

impl Layout<'_> {
    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(object) if !object.is_empty() => {
                let mut keys: Vec<_> = object.iter().collect();
                keys.sort_by_key(|(key, _)| self.first.iter().position(|first| first == key).unwrap_or(usize::MAX));
                self.items('{', keys.into_iter().map(|(key, value)| (Some(key), value)), '}', depth);
            }
            Value::Array(array) if !array.is_empty() => {
                self.items('[', array.iter().map(|value| (None, value)), ']', depth);
            }
            plain => self.text += &plain.to_string(),
        }
    }

    fn items<'v>(
        &mut self,
        open: char,
        items: impl Iterator<Item = (Option<&'v String>, &'v Value)>,
        close: char,
        depth: usize,
    ) {
        self.text.push(open);
        for (at, (key, value)) in items.enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            self.line(depth + 1);
            if let Some(key) = key {
                self.text += &format!("{}: ", Value::from(key.as_str()));
            }
            self.value(value, depth + 1);
        }
        self.line(depth);
        self.text.push(close);
    }

    fn line(&mut self, depth: usize) {
        self.text.push('\n');
        self.text += &self.indent.repeat(depth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_json() {
        let value =
            serde_json::json!({"b": {}, "a\"b": [], "process": {"cwd": "/", "args": ["sh", 1.5, null]}, "a": true});
        let text = pretty(&value, "\t", &["process", "cwd"]);
        let expected = "{\n\t\"process\": {\n\t\t\"cwd\": \"/\",\n\t\t\"args\": [\n\t\t\t\"sh\",\n\t\t\t1.5,\n\t\t\tnull\n\t\t]\n\t},\n\
                        \t\"a\": true,\n\t\"a\\\"b\": [],\n\t\"b\": {}\n}\n";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}

//! The check of `spec/COVERAGE.md`: every field and every requirement of runtime-spec has a row, every row a handler and a test.
//!
//! What there is to cover stands in two lists taken from the specification's own text, and once more in hull's model of
//! config.json; what covers it is looked for in the sources. A row is `| section | what | level | in short | handled by | observed by |`.

use std::collections::{BTreeMap, BTreeSet};

/// Where handlers named without their crate are.
pub const LIBRARY: &str = "crates/libcontainer/src/";

/// Where tests named without their crate are.
pub const TESTS: &str = "integration/tests/";

/// How often each word of RFC 2119 obliges somebody, by section (`config.md#configRoot`).
pub type Sections = BTreeMap<String, BTreeMap<String, usize>>;

/// One row of the table.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// Its line in the file.
    pub line: usize,
    /// `config.md#configRoot`.
    pub section: String,
    /// A field by its path, or a requirement by a name of ours.
    pub what: String,
    /// Whether `what` is a field of config.json.
    pub field: bool,
    /// Which words of the section it stands for, and how many of each.
    pub levels: BTreeMap<String, usize>,
    /// Source files.
    pub handlers: Vec<String>,
    /// `file::test_name`.
    pub tests: Vec<String>,
}

/// The words that oblige; `OPTIONAL` and `MAY` allow, and are not counted.
const OBLIGING: [&str; 7] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY NOT", "REQUIRED", "NOT RECOMMENDED"];

/// Everything the check compares.
pub struct Coverage<'a> {
    /// `spec/COVERAGE.md`.
    pub table: &'a str,
    /// `spec/sections.txt`.
    pub sections: &'a str,
    /// `spec/fields.txt`.
    pub fields: &'a str,
    /// hull's model of config.json, as Rust.
    pub model: &'a str,
    /// A file of the repository by its path.
    pub source: &'a dyn Fn(&str) -> Option<String>,
}

impl Coverage<'_> {
    /// All that is wrong; nothing when every field and requirement is covered.
    pub fn faults(&self) -> Vec<String> {
        let (rows, mut faults) = rows(self.table);
        faults.extend(uncovered(&rows, &sections(self.sections)));
        let listed: BTreeSet<String> = entries(self.fields).map(str::to_owned).collect();
        let known: BTreeSet<&str> = rows.iter().filter(|row| row.field).map(|row| row.what.as_str()).collect();
        faults.extend(
            listed.iter().filter(|field| !known.contains(field.as_str())).map(|f| format!("no row for the field {f}")),
        );
        for field in model_fields(self.model).iter().filter(|field| !known.contains(field.as_str())) {
            faults.push(format!("no row for the field {field}, which hull reads"));
        }
        faults.extend(
            known
                .iter()
                .filter(|field| !listed.contains(**field))
                .map(|f| format!("{f} is no field of the specification")),
        );
        let mut seen = BTreeSet::new();
        faults.extend(
            rows.iter()
                .filter(|row| !seen.insert(&row.what))
                .map(|row| format!("line {}: {} twice", row.line, row.what)),
        );
        faults.extend(rows.iter().flat_map(|row| self.unbacked(row)));
        faults
    }

    /// What a row names and the sources do not have.
    fn unbacked(&self, row: &Row) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("line {}: {}: {what}", row.line, row.what));
        if row.handlers.is_empty() {
            fault("no handler".to_owned());
        }
        if row.tests.is_empty() {
            fault("no test".to_owned());
        }
        for handler in &row.handlers {
            if (self.source)(&placed(handler, LIBRARY)).is_none() {
                fault(format!("there is no file {handler}"));
            }
        }
        for test in &row.tests {
            let Some((file, name)) = test.split_once("::") else {
                fault(format!("{test} is not file::test_name"));
                continue;
            };
            match (self.source)(&placed(file, TESTS)).map(|source| tests(&source)) {
                None => fault(format!("there is no file {file}")),
                Some(tests) => match tests.get(name) {
                    None => fault(format!("{file} has no test {name}")),
                    Some(true) => fault(format!("the test {test} is ignored")),
                    Some(false) => {}
                },
            }
        }
        faults
    }
}

fn placed(path: &str, home: &str) -> String {
    if path.starts_with("crates/") || path.starts_with("integration/") {
        path.to_owned()
    } else {
        format!("{home}{path}")
    }
}

/// The lines of a list that are no comment.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// Reads `sections.txt`: `config.md#configRoot MUST=1 MUST_NOT=2`.
pub fn sections(text: &str) -> Sections {
    let mut sections = Sections::new();
    for line in entries(text) {
        let mut words = line.split_whitespace();
        let counts = sections.entry(words.next().unwrap_or_default().to_owned()).or_default();
        for (word, count) in words.filter_map(|word| word.split_once('=')) {
            counts.insert(word.replace('_', " "), count.parse().unwrap_or(0));
        }
    }
    sections
}

/// Reads the tables of `COVERAGE.md`, and tells which rows cannot be read. A heading `## config.md` names the document.
pub fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut faults, mut document) = (Vec::new(), Vec::new(), "");
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            document = heading.trim();
        }
        let Some(line) = line.strip_prefix("| #") else { continue };
        let cells: Vec<&str> = line.trim_end().trim_end_matches('|').split(" | ").map(str::trim).collect();
        let [section, what, level, _short, handlers, tests] = cells[..] else {
            faults.push(format!("line {}: {} cells, not 6", number + 1, cells.len()));
            continue;
        };
        let list = |cell: &str| cell.split_whitespace().map(|word| word.trim_matches(['`', ',']).to_owned()).collect();
        match levels(level) {
            Err(fault) => faults.push(format!("line {}: {fault}", number + 1)),
            Ok(levels) => rows.push(Row {
                line: number + 1,
                section: format!("{document}#{section}"),
                field: what.starts_with('`'),
                what: what.trim_matches('`').to_owned(),
                levels,
                handlers: list(handlers),
                tests: list(tests),
            }),
        }
    }
    (rows, faults)
}

/// `MUST ×3, SHOULD` as counts.
fn levels(cell: &str) -> Result<BTreeMap<String, usize>, String> {
    let mut levels = BTreeMap::new();
    for part in cell.split(", ") {
        let (word, count) = part.split_once(" ×").unwrap_or((part, "1"));
        let count = count.parse().map_err(|_| format!("{part} is no level"))?;
        if OBLIGING.contains(&word) {
            levels.insert(word.to_owned(), count);
        } else if !["OPTIONAL", "MAY", "LIKEWISE"].contains(&word) {
            return Err(format!("{part} is no level"));
        }
    }
    Ok(levels)
}

/// Sections whose words are not as many in the table as in the specification.
fn uncovered(rows: &[Row], sections: &Sections) -> Vec<String> {
    let mut covered = Sections::new();
    for row in rows {
        let counts = covered.entry(row.section.clone()).or_default();
        for (word, count) in &row.levels {
            *counts.entry(word.clone()).or_default() += count;
        }
    }
    let mut faults = Vec::new();
    for section in sections.keys().chain(covered.keys()).collect::<BTreeSet<_>>() {
        for word in OBLIGING {
            let count = |all: &Sections| all.get(section).and_then(|counts| counts.get(word)).copied().unwrap_or(0);
            let (there, here) = (count(sections), count(&covered));
            if there != here {
                faults.push(format!("{section} has {there} × {word}, the table {here}"));
            }
        }
    }
    faults
}

/// The paths of all fields of a model in the form of `config.rs`, from its struct `Config` on: `mounts[].source`, `linux.sysctl`.
pub fn model_fields(source: &str) -> BTreeSet<String> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let declared = code.split_once("objects! {").map_or("", |(_, rest)| rest);
    let mut structs = BTreeMap::new();
    for part in declared.split('}') {
        if let Some((name, body)) = part.split_once('{') {
            structs.insert(name.trim(), members(body));
        }
    }
    let mut fields = BTreeSet::new();
    collect(&structs, "Config", "", &mut fields);
    fields
}

type Structs<'a> = BTreeMap<&'a str, Vec<(String, &'a str)>>;

/// The name in JSON and the type of each member of a struct's body.
fn members(body: &str) -> Vec<(String, &str)> {
    let declarations = body.split(',').filter_map(|declaration| declaration.rsplit_once(": "));
    let named = declarations.map(|(name, kind)| {
        let json = match name.split_once("rename = \"") {
            Some((_, rest)) => rest.split('"').next().unwrap_or_default().to_owned(),
            None => camel_case(name.trim().trim_start_matches(';').trim()),
        };
        (json, kind.trim())
    });
    named.collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.extend([&first.to_uppercase(), rest]);
    }
    camel
}

fn collect(structs: &Structs<'_>, name: &str, prefix: &str, fields: &mut BTreeSet<String>) {
    for (member, kind) in structs.get(name).into_iter().flatten() {
        let path = format!("{prefix}{member}");
        let (mut inner, mut step) = (*kind, String::new());
        while let Some((outer, rest)) = inner.split_once('<') {
            match outer {
                "Vec" => step.push_str("[]"),
                "Map" => step.push_str(".*"),
                _ => {}
            }
            inner = rest.trim_end_matches('>');
        }
        collect(structs, inner, &format!("{path}{step}."), fields);
        fields.insert(path);
    }
}

/// The tests of a source file, each with whether it is ignored.
pub fn tests(source: &str) -> BTreeMap<String, bool> {
    let mut tests = BTreeMap::new();
    let mut attributes: Vec<&str> = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| attributes.contains(&"#[test]")) {
            let name = rest.split('(').next().unwrap_or_default();
            tests.insert(name.to_owned(), attributes.iter().any(|attribute| attribute.starts_with("#[ignore")));
            attributes.clear();
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    tests
}

//! spec/COVERAGE.md covers runtime-spec 1.3, and the check of it sees what is missing.

use integration::coverage::{Coverage, model_fields, rows, tests};
use std::fs;

fn file(path: &str) -> Option<String> {
    fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).ok()
}

#[test]
fn every_field_and_requirement_has_a_handler_and_a_test() {
    let faults = Coverage {
        table: include_str!("../spec/COVERAGE.md"),
        sections: include_str!("../spec/sections.txt"),
        fields: include_str!("../spec/fields.txt"),
        model: &file("crates/libcontainer/src/config.rs").unwrap(),
        source: &file,
    }
    .faults();
    assert!(faults.is_empty(), "integration/spec/COVERAGE.md:\n{}", faults.join("\n"));
}

const MODEL: &str = "objects! {\n Config { root: Option<Root>, // the `{`\n #[serde(rename = \"runIt\")] start: Map<Root>,\n }\n Root { path_of: String, }\n}";
const TABLE: &str = "## config.md\n| #root | `root` | OPTIONAL | the root | plan/rootfs.rs | rootfs.rs::it_is_there |\n\
    | #root | `root.pathOf` | REQUIRED | its path | plan/rootfs.rs | rootfs.rs::it_is_there |\n\
    | #root | root-exists | MUST ×2, SHOULD NOT | it exists | crates/init/src/op.rs | rootfs.rs::it_is_there, crates/x.rs::else_where |\n\
    | #root | `runIt` | OPTIONAL | runs | plan/rootfs.rs | rootfs.rs::it_is_there |\n\
    | #root | `runIt.*.pathOf` | MAY | path | plan/rootfs.rs | rootfs.rs::it_is_there |\n";
const SECTIONS: &str = "# a comment\nconfig.md#root MUST=2 SHOULD_NOT=1 REQUIRED=1\n";
const FIELDS: &str = "root\nroot.pathOf\nrunIt\nrunIt.*.pathOf\n";
const SOURCE: &str =
    "#[test]\nfn it_is_there() {\n}\n#[test]\n#[ignore = \"slow\"]\nfn it_is_slow() {}\nfn no_test() {}";

fn source(path: &str) -> Option<String> {
    let there = ["crates/libcontainer/src/plan/rootfs.rs", "crates/init/src/op.rs"];
    match path {
        "integration/tests/rootfs.rs" => Some(SOURCE.to_owned()),
        "crates/x.rs" => Some("mod tests {\n    #[test]\n    // why\n    fn else_where() {}\n}".to_owned()),
        path => there.contains(&path).then(String::new),
    }
}

fn faults(table: &str, sections: &str, fields: &str, model: &str) -> Vec<String> {
    Coverage { table, sections, fields, model, source: &source }.faults()
}

#[test]
fn a_whole_table_has_no_fault() {
    assert_eq!(faults(TABLE, SECTIONS, FIELDS, MODEL), [""; 0]);
}

#[test]
fn each_gap_is_a_fault() {
    let without = |line: &str| TABLE.lines().filter(|have| !have.contains(line)).collect::<Vec<_>>().join("\n");
    let table = |from: &str, to: &str| faults(&TABLE.replacen(from, to, 1), SECTIONS, FIELDS, MODEL);
    assert_eq!(
        faults(&without("`root.pathOf`"), SECTIONS, FIELDS, MODEL),
        [
            "config.md#root has 1 × REQUIRED, the table 0",
            "no row for the field root.pathOf",
            "no row for the field root.pathOf, which hull reads"
        ]
    );
    assert_eq!(
        faults(&without("root-exists"), SECTIONS, FIELDS, MODEL),
        ["config.md#root has 2 × MUST, the table 0", "config.md#root has 1 × SHOULD NOT, the table 0"]
    );
    let more = SECTIONS.replace("MUST=2", "MUST=3");
    assert_eq!(faults(TABLE, &more, FIELDS, MODEL), ["config.md#root has 3 × MUST, the table 2"]);
    let model = MODEL.replace("path_of: String,", "path_of: String, new_one: bool,");
    assert_eq!(
        faults(TABLE, SECTIONS, FIELDS, &model),
        ["no row for the field root.newOne, which hull reads", "no row for the field runIt.*.newOne, which hull reads"]
    );
    assert_eq!(
        faults(TABLE, SECTIONS, "root\nroot.pathOf\nrunIt\n", MODEL),
        ["runIt.*.pathOf is no field of the specification"]
    );
    assert_eq!(table("plan/rootfs.rs", ""), ["line 2: root: no handler"]);
    assert_eq!(table("plan/rootfs.rs", "plan/gone.rs"), ["line 2: root: there is no file plan/gone.rs"]);
    assert_eq!(table("rootfs.rs::it_is_there", ""), ["line 2: root: no test"]);
    assert_eq!(table("rootfs.rs::it_is_there", "pending"), ["line 2: root: pending is not file::test_name"]);
    assert_eq!(table("rootfs.rs::it_is_there", "rootfs.rs::gone"), ["line 2: root: rootfs.rs has no test gone"]);
    assert_eq!(table("rootfs.rs::it_is_there", "rootfs.rs::no_test"), ["line 2: root: rootfs.rs has no test no_test"]);
    assert_eq!(table("rootfs.rs::it_is_there", "gone.rs::x"), ["line 2: root: there is no file gone.rs"]);
    assert_eq!(table("::it_is_there", "::it_is_slow"), ["line 2: root: the test rootfs.rs::it_is_slow is ignored"]);
    assert_eq!(table("MUST ×2", "MUST ×two")[0], "line 4: MUST ×two is no level");
    assert_eq!(table(" the root | ", " ")[0], "line 2: 5 cells, not 6");
    assert_eq!(table("root-exists", "`root`")[0], "line 4: root twice");
}

#[test]
fn sources_are_read_as_they_are_written() {
    let fields: Vec<String> = model_fields(MODEL).into_iter().collect();
    assert_eq!(fields, ["root", "root.pathOf", "runIt", "runIt.*.pathOf"]);
    assert_eq!(
        tests(SOURCE).into_iter().collect::<Vec<_>>(),
        [("it_is_slow".into(), true), ("it_is_there".into(), false)]
    );
    let (rows, faults) = rows(TABLE);
    assert_eq!((rows.len(), faults.len()), (5, 0));
    assert_eq!((rows[2].section.as_str(), rows[2].field, rows[2].tests.len()), ("config.md#root", false, 2));
}

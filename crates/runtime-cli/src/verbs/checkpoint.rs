//! `checkpoint` and `restore`: known by name, so that a caller is told plainly.

use super::{Count, HELP, Verb};
use crate::args::{Opt, Order, Takes};
use crate::failure::{Failure, Outcome};

pub const CHECKPOINT: Verb = Verb {
    name: "checkpoint",
    about: "save the state of a running container (not supported yet)",
    operands: "CONTAINER",
    detail: "",
    options: &[BOTH, ONLY_CHECKPOINT, HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: |_, _| not_yet("checkpoint"),
};

pub const RESTORE: Verb = Verb {
    name: "restore",
    about: "run a container from its saved state (not supported yet)",
    operands: "CONTAINER",
    detail: "",
    options: &[BOTH, ONLY_RESTORE, HELP],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: |_, _| not_yet("restore"),
};

fn not_yet(verb: &str) -> Outcome {
    Err(Failure::new(format!("{verb} is not supported yet")))
}

/// An option that is read, so that the answer is not about it.
const fn switch(names: &'static [&'static str]) -> Opt {
    Opt { names, takes: Takes::Nothing, about: "" }
}
const fn value(names: &'static [&'static str]) -> Opt {
    Opt { names, takes: Takes::Path("VALUE"), about: "" }
}

const BOTH: &[Opt] = &[
    value(&["image-path"]),
    value(&["work-path"]),
    switch(&["tcp-established"]),
    switch(&["tcp-skip-in-flight"]),
    switch(&["link-remap"]),
    switch(&["ext-unix-sk"]),
    switch(&["shell-job"]),
    switch(&["lazy-pages"]),
    switch(&["file-locks"]),
    value(&["manage-cgroups-mode"]),
    value(&["empty-ns"]),
    switch(&["auto-dedup"]),
];

const ONLY_CHECKPOINT: &[Opt] = &[
    value(&["parent-path"]),
    switch(&["leave-running"]),
    value(&["status-fd"]),
    value(&["page-server"]),
    switch(&["pre-dump"]),
];

const ONLY_RESTORE: &[Opt] = &[
    value(&["console-socket"]),
    value(&["bundle", "b"]),
    switch(&["detach", "d"]),
    value(&["pid-file"]),
    switch(&["no-subreaper"]),
    switch(&["no-pivot"]),
    value(&["lsm-profile"]),
    value(&["lsm-mount-context"]),
];

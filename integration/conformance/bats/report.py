#!/usr/bin/env python3
"""What runc's suite says of runc and of hull: a table by file, and every test that only runc passes with its reason.

report.py CACHE REASONS [--only FILE...] [--write RESULTS]

Exit 1 where a test that only runc passes has no reason, or a reason has no such test.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

VIEWS = {"hybrid": "hybrid", "v2": "cgroup v2 alone"}
START, END = "<!-- bats -->", "<!-- end -->"
LINE = re.compile(r"(?P<not>not )?ok \d+ (?P<name>.*?)(?: in \d+ms)?(?: # skip ?(?P<why>.*))?$")


def read(path):
    """A file of results: the name of each test to `pass`, `fail`, or why it was skipped."""
    results = {}
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        if match := LINE.match(line):
            skipped = match["why"]
            results[match["name"].strip()] = (
                ("skip", skipped) if skipped is not None else ("fail" if match["not"] else "pass", "")
            )
    return results


def gather(cache, files):
    """(view, file) to the results of runc and of hull."""
    found = {}
    for view in VIEWS:
        for path in sorted((cache / "results" / view / "reference").glob("*.tap")):
            if not files or path.stem in files:
                found[view, path.stem] = (read(path), read(cache / "results" / view / "hull" / path.name))
    return found


def kind(results, name):
    return results.get(name, ("missing", ""))[0]


def missing(results):
    """What the skipped tests lack."""
    whys = {re.sub(r"^test requires |^requires ", "", why) for state, why in results.values() if state == "skip"}
    return ", ".join(sorted(whys))


def table(found, view):
    rows = [f"| file | tests | runc passes | hull passes | skipped | for want of |", "|---|--:|--:|--:|--:|---|"]
    total = [0] * 4
    for (at, name), (runc, hull) in found.items():
        if at != view:
            continue
        count = lambda results, state: sum(1 for test in runc if kind(results, test) == state)
        numbers = [len(runc), count(runc, "pass"), count(hull, "pass"), count(runc, "skip")]
        total = [a + b for a, b in zip(total, numbers)]
        rows.append(f"| {name} | " + " | ".join(map(str, numbers)) + f" | {missing(runc)} |")
    rows.append("| **all** | " + " | ".join(f"**{number}**" for number in total) + " | |")
    return rows


def only_runc(found):
    """(file, test) to the views in which runc passes and hull does not."""
    lost = {}
    for (view, file), (runc, hull) in found.items():
        for name in runc:
            if kind(runc, name) == "pass" and kind(hull, name) != "pass":
                lost.setdefault((file, name), []).append(view)
    return lost


def beyond(found):
    """(file, test) that hull passes and runc does not, in some view."""
    return sorted(
        {
            (file, name)
            for (_, file), (runc, hull) in found.items()
            for name in runc
            if kind(runc, name) == "fail" and kind(hull, name) == "pass"
        }
    )


def neither(found):
    return sorted(
        {
            (file, name)
            for (_, file), (runc, hull) in found.items()
            for name in runc
            if kind(runc, name) == "fail" and kind(hull, name) != "pass"
        }
    )


def section(cache, found, lost, reasons):
    first = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    kernel = ".".join(first("uname", "-r").split(".")[:2])
    version = (cache / "version").read_text().strip()
    hull = first(cache / "hull" / "runc", "--version")
    lines = [
        "## runc's behaviour suite",
        "",
        f"`tests/integration` of runc {version.split('+')[0]} (Debian's source {version}), written by `make conformance-runc`. Each file runs with the runc it",
        f"belongs to and with {hull}, installed under the name of runc; Linux {kernel}, as root.",
    ]
    for view, title in VIEWS.items():
        lines += ["", f"### Cgroups: {title}", "", *table(found, view)]
    lines += ["", "### What runc passes and hull does not", ""]
    for (file, name), views in sorted(lost.items()):
        where = "" if len(views) == len(VIEWS) else f" ({', '.join(views)})"
        lines.append(f"- {file}: {name}{where}. {reasons.get(file, {}).get(name, '**no reason given**')}")
    for title, tests in (
        ("What hull passes and runc does not", beyond(found)),
        ("What neither passes on this machine", neither(found)),
    ):
        if tests:
            lines += ["", f"### {title}", "", *(f"- {file}: {name}" for file, name in tests)]
    return lines


def put(path, lines):
    """Replaces this suite's section, or adds it."""
    text = path.read_text() if path.exists() else "# Conformance\n"
    block = "\n".join([START, *lines, END])
    if START in text:
        head, rest = text.split(START, 1)
        text = head + block + rest.split(END, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    path.write_text(text)


def main(cache, reasons, *rest):
    cache = pathlib.Path(cache)
    reasons = tomllib.loads(pathlib.Path(reasons).read_text())
    files = rest[1:] if rest[:1] == ("--only",) else []
    found = gather(cache, files)
    lost = only_runc(found)
    if rest[:1] == ("--write",):
        put(pathlib.Path(rest[1]), section(cache, found, lost, reasons))
    faults = [f"{file}: {name}: runc passes it, hull does not, and there is no reason" for file, name in lost
              if name not in reasons.get(file, {})]
    faults += [f"{file}: {name}: there is a reason, but no such failure" for file, tests in reasons.items()
               if not files or file in files for name in tests if (file, name) not in lost]
    both = sum(1 for runc, hull in found.values() for name in runc if kind(runc, name) == kind(hull, name) == "pass")
    print(*faults, f"{both} passed with both, {len(lost)} with runc alone, {len(faults)} without a reason or a failure", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Turns the samples of measure.py into the text of RESULTS.md; decides nothing about what is measured."""

import os
import platform
import time
from statistics import median, quantiles

TITLES = {
    "run": "`run` of /bin/true",
    "cycle": "`create`, `start`, `delete` of /bin/true",
    "exec": "`exec` of /bin/true in a running container",
}
KINDS = {"plain": "without seccomp", "seccomp": "with Docker's default seccomp profile"}
HOW_TO_READ = """\
Every number comes from one run in which all contenders took turns, each once a round, in an order shuffled each round;
{rounds} rounds after {warm_up} to warm up. All of them ran in a pure cgroup v2 view (`benches/v2-view`), in bundles of
`runc spec`'s defaults (terminal off) around Debian's static busybox on a tmpfs.

- **floor** is `benches/floor.c`: the system calls that the bundle needs, made by a program that knows them beforehand.
  What stands above it is what a runtime adds. Beside create+start+delete stands the floor's `run`; with seccomp it
  loads a finished filter.
- **cpu** is user and system time of the runtime and all its descendants, the orphaned included (`wait4` as their
  subreaper), the container's program too; **wall** is from the first command's start to the last one's end. Columns
  show the median and, in brackets, the 10th to the 90th percentile.
- **÷ floor**, **÷ crun**, **÷ runc** are medians of the ratio within each round: below 1 is less than that one.
- **calls** are system calls over all processes, as `strace -f -c` counts them, in a run of their own.
- **peak** is the largest resident size any one process had in any round. Below about 1.3 MiB it is the measuring
  program's own, which a child's count starts from.
- **hull** keeps compiled seccomp filters below its state directory and finds this one there; **hull, cold** gets a new
  state directory each time and compiles it, as the peers do each time.
- Ratios carry over to other machines, milliseconds do not.
"""


def spread(values, digits=2):
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    tenths = quantiles(values, n=10, method="inclusive")
    return f"{median(values):.{digits}f} ({tenths[0]:.{digits}f}–{tenths[-1]:.{digits}f})"


def ratio(table, name, other, key):
    """Median over the rounds of `name`'s number over `other`'s, or None where one of them was not measured."""
    if name in table["failures"] or other in table["failures"]:
        return None
    ours, theirs = table["samples"][name], table["samples"][other]
    return median([getattr(a, key) / getattr(b, key) for a, b in zip(ours, theirs, strict=True)])


def shown(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def kib(value):
    return f"{value:,} KiB" if value < 10_000 else f"{value / 1024:,.1f} MiB"


def time_table(table):
    lines = [
        "| | cpu ms | ÷ floor | ÷ crun | ÷ runc | wall ms | ÷ floor | ÷ crun | ÷ runc | calls | peak |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for contender in table["contenders"]:
        name = contender.name
        if name in table["failures"]:
            lines.append(f"| {name} | {failure_text(table['failures'][name])} " + "| " * 9 + "|")
            continue
        samples = table["samples"][name]
        cells = []
        for key in ("cpu_ms", "wall_ms"):
            cells.append(spread([getattr(s, key) for s in samples]))
            for other in ("floor", "crun", "runc"):
                cells.append("1" if name == other else shown(ratio(table, name, other, key)))
        peak = kib(max(s.peak_kib for s in samples))
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {table['calls'][name]:,} | {peak} |")
    return lines


def failure_text(reason):
    if reason in ("not built", "not installed"):
        return f"**{reason}**"
    return f"**failed:** `{reason.replace('|', '/').replace('`', '')}`"


def memory_table(contenders, memory):
    lines = [
        "| | program | what the init executes | waiting init: RSS | PSS | private | largest process of `create` "
        "| 100 inits: PSS | 100 inits: shmem | 100 creates: height | `run` beside 100, cpu ÷ alone (floor) |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for contender in contenders:
        name, row = contender.name, memory["rows"].get(contender.name)
        if contender.name == "floor":
            continue
        if row is None or "rss" not in row:
            lines.append(f"| {name} | {failure_text(memory['failures'][name])} " + "| " * 9 + "|")
            continue
        linkage = f" + {kib(row['libraries'] // 1024)} of libraries" if row["libraries"] else ", static"
        cells = [kib(row["binary"] // 1024) + linkage, kib(row["image"] // 1024), kib(row["rss"]), kib(row["pss"])]
        cells += [kib(row["private"]), kib(row["create_peak"])]
        crowd = row.get("crowd")
        if crowd:
            cells += [kib(crowd[key]) for key in ("pss", "shmem", "height")]
            cells.append(f"{crowd['beside'][name]:.2f} ({crowd['beside']['floor']:.2f})")
        else:
            cells += [failure_text(memory["failures"][name]), "", "", ""]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def aims(tables, memory):
    """The numbers issue 2 asks for, each beside what was measured."""
    plain = tables["run", "plain"]
    row = memory["rows"].get("hull", {})
    processor, calls = ratio(plain, "hull", "floor", "cpu_ms"), plain["calls"].get("hull")
    crowd = row.get("crowd")
    rows = [
        ("`run`: processor time over the floor's", "at most 1.5", processor, shown(processor), 1.5),
        ("`run`: system calls over all processes", "at most 250", calls, str(calls), 250),
        (
            "`run`: opens of mountinfo and what else grows with the host",
            f"none (crun: {plain['growing'].get('crun', '–')}, runc: {plain['growing'].get('runc', '–')})",
            plain["growing"].get("hull"),
            str(plain["growing"].get("hull")),
            0,
        ),
        ("resident memory of the waiting init", "below 256 KiB", row.get("rss"), kib(row.get("rss", 0)), 255),
        (
            "100 concurrent creates: PSS and shmem of the inits",
            "at most 25 MiB (100 × 256 KiB)",
            crowd and crowd["pss"] + max(crowd["shmem"], 0),
            crowd and kib(crowd["pss"] + max(crowd["shmem"], 0)),
            100 * 256,
        ),
    ]
    lines = ["| aim | asked | measured | |", "|---|---|--:|---|"]
    for what, asked, value, text, limit in rows:
        verdict = "" if value is None else "met" if value <= limit else "**not met**"
        lines.append(f"| {what} | {asked} | {'not measured' if value is None else text} | {verdict} |")
    return lines


def value_after(path, key, separator):
    """The value of the first line that begins with `key` in a file of `key separator value` lines, or "?"."""
    with open(path) as file:
        values = (line.split(separator, 1)[1] for line in file if line.startswith(key) and separator in line)
        return next(values, "?").strip().strip('"')


def machine(load):
    model, system = value_after("/proc/cpuinfo", "model name", ":"), value_after("/etc/os-release", "PRETTY_NAME", "=")
    total = int(value_after("/proc/meminfo", "MemTotal", ":").split()[0])
    kernel = f"Linux {platform.release()} ({platform.machine()}), {system}"
    before, after = load[0][0], load[1][0]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        f"- {os.cpu_count()} cores of {model}, {total / 2**20:.0f} GiB; {kernel}",
        f"- {today}; load before {before:.2f}, after {after:.2f} (the benchmark itself makes about 1)",
    ]
    if before > 0.5:
        lines.append("- **The machine was busy with other work when this began: trust the ratios only, with care.**")
    return lines


def accounted(tables):
    """How much of the processor time that the cgroup saw came to the measuring program by wait4, over everything."""
    samples = [s for table in tables.values() for several in table["samples"].values() for s in several]
    return sum(s.cpu_ms for s in samples) / sum(s.cgroup_ms for s in samples)


def write(contenders, tables, memory, rounds, seconds, load):
    """The whole of RESULTS.md."""
    from measure import WARM_UP

    lines = ["# Measured: hull beside crun, runc and the floor", "", "Written by `benches/run`; do not edit.", ""]
    lines += machine(load)
    for contender in contenders[1:]:
        lines.append(f"- {contender.name}: {contender.version or contender.absent}")
    lines += [f"- {note}" for contender in contenders for note in contender.notes]
    lines += ["", "## How to read it", "", HOW_TO_READ.format(rounds=rounds, warm_up=WARM_UP)]
    share = f"Of the processor time in the cgroup's cpu.stat `wait4` brought in {accounted(tables):.1%}."
    lines += [f"The whole took {seconds:.0f} s. {share}", "", "## Aims", "", *aims(tables, memory)]
    for (verb, kind), table in tables.items():
        lines += ["", f"## {TITLES[verb]}, {KINDS[kind]}", "", *time_table(table)]
    lines += ["", "## Memory", "", *memory_table(contenders, memory), ""]
    lines += [
        "The init is the container's first process, waiting for `start`. *shmem* is what the kernel's count of shared",
        "memory grew by, where sealed copies of programs and plans live. *height* is the greatest sum of PSS of all",
        "processes and that growth, sampled while a hundred `create`s ran at once.",
    ]
    return "\n".join(lines) + "\n"

"""Reads what `strace -f -ttt -T -o LOG` wrote: which process made which calls, and what each took."""

import re
from dataclasses import dataclass, field

OPTIONS = ["-f", "-qq", "-ttt", "-T", "-s", "64"]
LINE = re.compile(r"^(\d+)\s+(\d+\.\d+) (.*)$")
CALL = re.compile(r"^([a-z_0-9]+)\(")
RESUMED = re.compile(r"^<\.\.\. ([a-z_0-9]+) resumed>(.*)$")
TOOK = re.compile(r" <(\d+\.\d+)>$")
RESULT = re.compile(r" = (-?\d+|0x[0-9a-f]+|\?)")
# They never return, and `strace -c`, with whose totals these are compared, counts returns.
ENDINGS = {"exit", "exit_group"}


@dataclass
class Call:
    """One system call: when it began (s, wall clock), the whole line, its result in digits, the seconds it took."""

    at: float
    name: str
    text: str
    result: str = "?"
    seconds: float = 0.0

    @property
    def failed(self):
        return self.result.startswith("-")


@dataclass
class Process:
    """One thread of the log with its calls in order; `programs` are the files it executed."""

    pid: int
    calls: list = field(default_factory=list)

    @property
    def programs(self):
        done = [c.text for c in self.calls if c.name in ("execve", "execveat") and c.result == "0"]
        found = [re.search(r'"([^"]*)"(?:, \["([^"]*)")?', text) for text in done]
        return [m.group(1) or m.group(2) or "(a descriptor)" for m in found if m]


def read(path):
    """The processes of the log in the order in which they made their first call."""
    processes = {}
    for line in open(path, errors="replace"):
        match = LINE.match(line.rstrip("\n"))
        if not match:
            continue
        pid, at, text = int(match[1]), float(match[2]), match[3]
        process = processes.setdefault(pid, Process(pid))
        resumed = RESUMED.match(text)
        call = CALL.match(text)
        if resumed and process.calls:
            process.calls[-1].text = process.calls[-1].text.replace(" <unfinished ...>", "") + resumed[2]
        elif call and call[1] not in ENDINGS:
            process.calls.append(Call(at, call[1], text))
        else:
            continue
        last = process.calls[-1]
        took, results = TOOK.search(last.text), RESULT.findall(last.text)
        last.seconds = float(took[1]) if took else 0.0
        last.result = results[-1] if results else "?"
    return list(processes.values())


def without_launcher(processes):
    """Drops the first process of the log, and its children's calls up to the program they were made for."""
    launcher, *others = processes
    children = {c.result for c in launcher.calls if c.name in ("clone", "clone3", "vfork", "fork")}
    for process in others:
        if str(process.pid) in children:
            first = next((i for i, c in enumerate(process.calls) if c.name == "execve" and c.result == "0"), 0)
            process.calls = process.calls[first:]
    return others


def total(processes):
    """The number of calls over all processes."""
    return sum(len(process.calls) for process in processes)

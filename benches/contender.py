"""A contender of the benchmark, the floor or a runtime: how it is called, and why it failed where it did."""

import os
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

BENCH = Path("/run/bench")
TIMEOUT_S = 60


class Failed(Exception):
    """A runtime did not do what was to be measured; the text is its own reason."""


@dataclass
class Sample:
    """What one round of one runtime cost; `cgroup_ms` is the check on `cpu_ms`, see account.c."""

    wall_ms: float
    cpu_ms: float
    cgroup_ms: float
    peak_kib: int


@dataclass
class Contender:
    """The floor or a runtime. `absent` tells why it cannot be measured at all; `words` starts its command lines.

    A `cold` one gets a new state directory with each container, and so finds no filter that it compiled before.
    """

    name: str
    path: str | None = None
    version: str = ""
    absent: str = ""
    environment: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    cold: bool = False

    def words(self, *rest):
        root = BENCH / "state" / (f"cold-{rest[-1]}" if self.cold else self.name)
        return [*self.environment, self.path, "--root", str(root), *rest]

    def call(self, *rest):
        """Runs the runtime outside any measure; Failed with its last line if it does not succeed."""
        return self.spawn(*rest).finish()

    def spawn(self, *rest):
        return Call(self.words(*rest))


def cold(contender):
    return replace(contender, name=f"{contender.name}, cold", cold=True)


class Call:
    """A running command whose output goes to files, since a pipe would stay open in the container it leaves."""

    def __init__(self, words):
        variables = [word for word in words if "=" in word.split("/")[0]]
        self.errors = BENCH / f"stderr-{time.monotonic_ns()}"
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                words[len(variables):],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **dict(v.split("=", 1) for v in variables)},
            )

    def finish(self):
        try:
            status = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = f"killed after {TIMEOUT_S} s"
        reason = last_line(self.errors)
        self.errors.unlink()
        if status:
            raise Failed(f"status {status}: {reason}")


def last_line(path):
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()] if path.exists() else []
    return lines[-1].strip() if lines else "no message"

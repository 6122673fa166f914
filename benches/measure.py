"""Measures hull beside its peers and the floor, interleaved, and hands the samples to report.py. `run` calls it.

It runs inside `v2-view`: /sys/fs/cgroup is a cgroup of its own, /run an empty tmpfs, and both go when it ends. In each
round each runtime does the same once, in an order shuffled anew, so that what one leaves the kernel to clean up
(namespaces are torn down in the background) falls on each of the others equally often.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True

import bundle  # noqa: E402
import memory_of  # noqa: E402
import report  # noqa: E402
import strace_log  # noqa: E402
from contender import BENCH, TIMEOUT_S, Contender, Failed, Sample, cold, last_line  # noqa: E402

CGROUPS = Path("/sys/fs/cgroup")
ERRORS = BENCH / "stderr"
FILTERS = ("plain", "seccomp")
VERBS = ("run", "cycle", "exec")
CONCURRENT = 100
BESIDE_ROUNDS = 20
WARM_UP = 3
GROWING = ("/mountinfo", "/mounts", "/mountstats")


class Bench:
    def __init__(self, options):
        self.options = options
        self.tools = Path(options.tools)
        self.number = 0
        self.bundles = {}
        self.containers = {}
        self.random = random.Random(2)

    def prepare(self):
        (BENCH / "state").mkdir(parents=True)
        busybox = shutil.which("busybox")
        config = bundle.default_config(shutil.which("runc"))
        profile = bundle.docker_filter()
        self.filter = bundle.compile_filter(self.tools / "filter", profile, BENCH / "filter")
        for kind in FILTERS:
            seccomp = profile if kind == "seccomp" else None
            for name, args in (("true", ["/bin/true"]), ("sleep", ["/bin/sleep", "1000000"])):
                directory = BENCH / "bundles" / f"{name}-{kind}"
                self.bundles[name, kind] = bundle.make_bundle(directory, config, busybox, args, seccomp)

    def contenders(self):
        floor = Contender("floor", str(self.tools / "floor"))
        found = [floor]
        for name in ("hull", "crun", "runc"):
            path = self.options.hull if name == "hull" else shutil.which(name)
            if not path:
                reason = "not built" if name == "hull" else "not installed"
                found.append(Contender(name, absent=reason))
                continue
            asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            version = asked.stdout.splitlines()[0] if asked.stdout else "(tells no version)"
            found.append(Contender(name, os.path.realpath(path), version))
        for contender in found[1:]:
            if not contender.absent:
                self.lift_memlock(contender)
        return found

    def lift_memlock(self, contender):
        """Answers the one call that a machine without CAP_SYS_RESOURCE refuses, where that is what stops a peer."""
        identity = self.next_id()
        try:
            contender.call("run", "--bundle", str(self.bundles["true", "plain"]), identity)
        except Failed as failure:
            self.discard(contender, identity)
            if "MEMLOCK" not in str(failure):
                return
            preload = [f"LD_PRELOAD={self.tools / 'memlock.so'}"]
            bare, loaded = ([*extra, contender.path, "--version"] for extra in ([], preload))
            pairs = [(self.account([bare]), self.account([loaded])) for _ in range(30)]
            cost = report.median([b.cpu_ms - a.cpu_ms for a, b in pairs])
            calls = self.trace([loaded])[0] - self.trace([bare])[0]
            contender.environment = preload
            contender.notes.append(
                f"{contender.name} by itself ends here with `{str(failure).split(': ', 1)[1]}`: this machine withholds "
                f"CAP_SYS_RESOURCE. It is measured with that one call answered by a preloaded library (memlock.c), "
                f"which costs it about {cost:.2f} ms and {calls} calls at each start, included in its numbers."
            )

    def next_id(self):
        self.number += 1
        return f"b{self.number}"

    def discard(self, contender, identity):
        try:
            contender.call("delete", "--force", identity)
        except Failed:
            pass

    def account(self, steps):
        """Runs the steps under account.c; a step is a command line or ["@reap"]."""
        ERRORS.unlink(missing_ok=True)
        words = [word for step in steps for word in [*step, ";"]][:-1]
        command = [self.tools / "account", CGROUPS / "cpu.stat", ERRORS, *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end after {TIMEOUT_S} s: {last_line(ERRORS)}") from None
        if done.returncode:
            raise Failed(done.stderr.strip())
        wall, cpu, cgroup, peak, succeeded, status = map(int, done.stdout.split())
        if succeeded != len(steps):
            verb = next(word for word in steps[succeeded] if word in ("run", "exec", "create", "start", "delete"))
            raise Failed(f"{verb}, status {status}: {last_line(ERRORS)}")
        return Sample(wall / 1e6, cpu / 1e3, cgroup / 1e3, peak)

    def steps(self, contender, verb, kind, identity):
        """The commands of one round. The floor has no life cycle: beside create+start+delete stands its `run`."""
        directory = self.bundles["true", kind]
        if contender.name == "floor":
            extra = [str(self.filter)] if kind == "seccomp" else []
            if verb != "exec":
                return [[contender.path, "run", str(directory / "rootfs"), "v2", *extra]]
            pid, cgroup = self.target(kind)
            return [[contender.path, "exec", pid, cgroup, *extra]]
        if verb == "run":
            return [contender.words("run", "--bundle", str(directory), identity)]
        if verb == "exec":
            return [contender.words("exec", self.containers[contender.name, kind], "/bin/true")]
        return [
            contender.words("create", "--bundle", str(directory), identity),
            contender.words("start", identity),
            ["@reap"],
            contender.words("delete", identity),
        ]

    def target(self, kind):
        """Process id and cgroup of some container that runs with the filter `kind`, for the floor's exec."""
        for (name, its_kind), identity in self.containers.items():
            if its_kind == kind:
                pid = (BENCH / f"pid-{name}-{kind}").read_text().strip()
                cgroup = Path(f"/proc/{pid}/cgroup").read_text().split("0::", 1)[1].split("\n")[0]
                return pid, str(CGROUPS) + cgroup
        raise Failed("no runtime has a container to enter")

    def start_sleepers(self, contenders, kind, failures):
        for contender in contenders:
            if contender.name == "floor" or contender.absent:
                continue
            identity = f"sleeper-{contender.name}-{kind}"
            pid_file = BENCH / f"pid-{contender.name}-{kind}"
            words = ["--bundle", str(self.bundles["sleep", kind]), "--pid-file", str(pid_file), identity]
            try:
                contender.call("run", "--detach", *words)
                self.containers[contender.name, kind] = identity
            except Failed as failure:
                failures[contender.name] = f"no container to enter: {failure}"
                self.discard(contender, identity)

    def stop_sleepers(self, contenders):
        for contender in contenders:
            for kind in FILTERS:
                identity = self.containers.pop((contender.name, kind), None)
                if identity:
                    self.discard(contender, identity)

    def measure(self, contenders, verb, kind):
        """All rounds of one table: samples by name, and by name the reason of those who failed once."""
        if verb == "run" and kind == "seccomp":
            contenders = [c for one in contenders for c in ([one] if one.name != "hull" else [one, cold(one)])]
        failures = {c.name: c.absent for c in contenders if c.absent}
        samples = {c.name: [] for c in contenders}
        if verb == "exec":
            self.start_sleepers(contenders, kind, failures)
        for number in range(-WARM_UP, self.options.rounds):
            order = [c for c in contenders if c.name not in failures]
            self.random.shuffle(order)
            for contender in order:
                identity = self.next_id()
                try:
                    sample = self.account(self.steps(contender, verb, kind, identity))
                except Failed as failure:
                    failures[contender.name] = str(failure)
                    if verb != "exec" and contender.name != "floor":
                        self.discard(contender, identity)
                    continue
                if number >= 0:
                    samples[contender.name].append(sample)
        calls, growing = {}, {}
        for contender in contenders:
            name = contender.name
            if name not in failures:
                try:
                    calls[name], growing[name] = self.trace(self.steps(contender, verb, kind, self.next_id()))
                except Failed as failure:
                    failures[name] = f"under strace: {failure}"
        self.stop_sleepers(contenders)
        return {"contenders": contenders, "samples": samples, "failures": failures, "calls": calls, "growing": growing}

    def trace(self, steps):
        """System calls over all processes of the steps, as `strace -f -c` would count them, account.c's left out.

        Also how many of them open what grows with the number of containers on the host.
        """
        log = BENCH / "strace"
        ERRORS.unlink(missing_ok=True)
        words = [word for step in steps for word in [*step, ";"]][:-1]
        tracer = ["strace", *strace_log.OPTIONS, "-o", log]
        command = [*tracer, self.tools / "account", CGROUPS / "cpu.stat", ERRORS, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode or int(done.stdout.split()[4]) != len(steps):
            raise Failed(last_line(ERRORS))
        processes = strace_log.without_launcher(strace_log.read(log))
        log.unlink()
        opened = [c.text for p in processes for c in p.calls if c.name.startswith("open")]
        return strace_log.total(processes), sum(any(name in text for name in GROWING) for text in opened)

    def waiting(self, contender):
        """Size and memory of one container's first process while it waits for `start`."""
        identity, pid_file = self.next_id(), BENCH / "pid-waiting"
        pid_file.unlink(missing_ok=True)
        create = contender.words(
            "create", "--bundle", str(self.bundles["true", "plain"]), "--pid-file", str(pid_file), identity
        )
        try:
            peak = self.account([create, ["@leave"]]).peak_kib
            pid = pid_file.read_text().strip()
            memory = memory_of.smaps(pid)
            memory["image"] = os.stat(f"/proc/{pid}/exe").st_size
        finally:
            self.discard(contender, identity)
        return memory | {"create_peak": peak}

    def alone_or_beside(self, several):
        """Processor time of a `run` by each of the contenders as it is now, ms by name."""
        samples = {contender.name: [] for contender in several}
        for _ in range(BESIDE_ROUNDS):
            for contender in several:
                sample = self.account(self.steps(contender, "run", "plain", self.next_id()))
                samples[contender.name].append(sample.cpu_ms)
        return {name: report.median(values) for name, values in samples.items()}

    def crowd(self, contender, floor):
        """A hundred creates at once: memory of the waiting inits, and of everything at its height meanwhile.

        Then how much more a `run` costs beside those hundred than alone, and how much of that is the kernel's.
        """
        alone = self.alone_or_beside([floor, contender])
        directory = str(self.bundles["true", "plain"])
        names = [f"crowd{number}" for number in range(CONCURRENT)]
        pid_files = {name: BENCH / f"pid-{name}" for name in names}
        shared_before, height = memory_of.shmem_kib(), 0
        calls = [
            contender.spawn("create", "--bundle", directory, "--pid-file", str(pid_files[name]), name) for name in names
        ]
        while any(call.process.poll() is None for call in calls):
            everyone = sum(memory_of.smaps(pid)["pss"] for pid in memory_of.pids_of_the_view())
            height = max(height, everyone + memory_of.shmem_kib() - shared_before)
        try:
            for call in calls:
                call.finish()
            memory = [memory_of.smaps(pid_files[name].read_text().strip()) for name in names]
            shared = memory_of.shmem_kib() - shared_before
            beside = self.alone_or_beside([floor, contender])
        finally:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda name: self.discard(contender, name), names))
            for pid_file in pid_files.values():
                pid_file.unlink(missing_ok=True)
        total = {key: sum(one[key] for one in memory) for key in ("pss", "rss", "private")}
        ratios = {name: beside[name] / alone[name] for name in alone}
        return {**total, "shmem": shared, "height": max(height, total["pss"] + shared), "beside": ratios}

    def memory(self, contenders):
        rows, failures = {}, {c.name: c.absent for c in contenders if c.absent}
        for contender in contenders:
            if contender.name == "floor" or contender.absent:
                continue
            row = {"binary": os.stat(contender.path).st_size, "libraries": memory_of.libraries(contender.path)}
            try:
                row |= self.waiting(contender)
                row["crowd"] = self.crowd(contender, contenders[0])
            except (Failed, OSError) as failure:
                failures[contender.name] = str(failure)
            rows[contender.name] = row
        return {"rows": rows, "failures": failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, help="directory with floor, account, filter and memlock.so")
    parser.add_argument("--hull", default="", help="the program, or nothing if it is not built")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    begin, load = time.monotonic(), os.getloadavg()
    bench = Bench(options)
    bench.prepare()
    contenders = bench.contenders()
    tables = {}
    for verb in VERBS:
        for kind in FILTERS:
            print(f"bench: {verb}, {kind} ({time.monotonic() - begin:.0f} s)", file=sys.stderr, flush=True)
            tables[verb, kind] = bench.measure(contenders, verb, kind)
    print(f"bench: memory ({time.monotonic() - begin:.0f} s)", file=sys.stderr, flush=True)
    memory = bench.memory(contenders)
    seconds = time.monotonic() - begin
    text = report.write(contenders, tables, memory, options.rounds, seconds, (load, os.getloadavg()))
    Path(options.output).write_text(text)
    print(text)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

"""So many streams held for minutes against one server, then more until it sheds, and after that.

    python -m bench.load [--seconds 300] [--streams 400]          (`make bench-load ARGS=...`)

The server is `bailee up` with all that belongs to it: each stream is a session of its own, is
recorded, and is sealed and filed meanwhile. Server and load have a core each. First the streams are
held, of 25 events a second each, while memory, processor and what waits to be sealed are read each
second. Then there are more of them at each step, for a tenth of that time; then all ask for small
answers as fast as they come, which is more than can be sealed; then the first number of streams
again, which says whether anything is left of it. What was seen lies in `results/load.json`, and in
pictures beside it. The closing table of a shorter run is kept only where none was.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bailee.training.plots import _SCRIPT
from bench import kept
from bench.gateway import _cpu
from bench.gateway_ends import free_port, running
from bench.load_clients import EVERY, Saw
from bench.result import Line

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).parent / "results"
SECONDS: Final = 300.0
STREAMS: Final = 400
_RISING: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_A_KEY: Final = 200  # streams; each key is of an account of its own
_Curves = dict[str, list[tuple[float, float]]]
_WAITING: Final = re.compile(r"^bailee_unsealed_exchanges (\d+)", re.M)


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at a moment, so many seconds on: memory in MB with its children's, seconds of the
    processor so far, exchanges that wait to be sealed.
    """

    at: float
    memory: float
    processor: float
    waiting: int


@dataclass(frozen=True, slots=True)
class Step:
    """So many clients for so many seconds, what they saw, and how the server was meanwhile."""

    clients: int
    paced: bool
    seconds: float
    saw: Saw
    samples: list[Sample]

    @property
    def share(self) -> float:
        """Of the events that a model would have sent, those that came."""
        return self.saw["events"] / (self.clients * self.seconds / EVERY)

    @property
    def refused(self) -> str:
        """How many of how many were not answered, by status."""
        answers = self.saw["answers"]
        others = {name: count for name, count in sorted(answers.items()) if name != "200"}
        said = ", ".join(f"{count:,} {name}" for name, count in others.items()) or "none"
        return f"{said} of {sum(answers.values()):,}"

    @property
    def processor(self) -> float:
        """Seconds of it in a second."""
        first, last = self.samples[0], self.samples[-1]
        return (last.processor - first.processor) / max(last.at - first.at, 0.1)

    def halves(self, of: str) -> tuple[float, float, float]:
        """The medians of the first and the second half of a figure, and the most."""
        every = [getattr(sample, of) for sample in self.samples]
        half = max(1, len(every) // 2)
        return median(every[:half]), median(every[half:] or every), max(every)


class Server:
    """The one that is measured, and who asks it."""

    def __init__(self, process: int, health: int, clients: subprocess.Popen[str]) -> None:
        self._process, self._health, self._clients = process, health, clients
        assert self._said() == "ready"

    def step(self, clients: int, seconds: float, *, paced: bool = True) -> Step:
        """Have so many ask for so long."""
        assert self._clients.stdin is not None
        self._clients.stdin.write(json.dumps([clients, seconds, paced]) + "\n")
        self._clients.stdin.flush()
        assert self._said() == "begun"
        began, samples = time.monotonic(), []
        while (since := time.monotonic() - began) < seconds:
            samples.append(self._sample(since))
            time.sleep(max(0.0, min(1.0, seconds - (time.monotonic() - began))))
        saw: Saw = json.loads(self._said())
        step = Step(clients, paced, seconds, saw, samples)
        what = f"streams, {step.share:.2f} of the events" if paced else "asking"
        print(
            f"{clients:,} {what}, late {saw['late']} ms, first {saw['first']} ms, not answered: "
            f"{step.refused}; {step.processor:.2f} of a core, {samples[-1].memory:.0f} MB, "
            f"{samples[-1].waiting:,} wait",
            flush=True,
        )
        return step

    def _said(self) -> str:
        assert self._clients.stdout is not None
        said = self._clients.stdout.readline().strip()
        assert said, "what asks has ended"
        return said

    def _sample(self, at: float) -> Sample:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/metrics", timeout=60) as said:
            waiting = _WAITING.search(said.read().decode())
        assert waiting is not None
        return Sample(at, _memory(self._process), _cpu(self._process), int(waiting[1]))


def _memory(process: int) -> float:
    """Resident, of a process and its children, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(_memory(int(one)) for one in children)


@contextlib.contextmanager
def serving(folder: Path, most: int) -> Iterator[Server]:
    """A server on core 0 and who asks it on core 1, with keys for so many streams."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    upstream, port, health = free_port(), free_port(), free_port()
    environment = {
        "HOME": str(folder),
        "BAILEE_HOME": str(folder / "home"),
        "BAILEE_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "BAILEE_GATEWAY_CONNECTIONS": "8192",
        "BAILEE_GATEWAY_CONNECTIONS_PER_ADDRESS": "8192",
    }
    program = [sys.executable, "-m", "bailee"]
    flags = ["--gateway", f"127.0.0.1:{port}", "--console", "127.0.0.1:0", "--ingest", "off"]
    up = [*program, "up", "--json", *flags, "--upstream", f"http://127.0.0.1:{upstream}"]
    with running(up, port, 0, 120.0, **environment) as process:
        keys = []
        for number in range(-(-most // _A_KEY)):
            made = [*program, "key", "create", "--plan", "pro", "--name", f"p{number}", "--json"]
            said = subprocess.run(
                made, env=os.environ | environment, capture_output=True, check=True
            )
            keys.append(json.loads(said.stdout)["key"])
        asking = [sys.executable, "-m", "bench.load_clients", str(upstream), str(port), *keys]
        with subprocess.Popen(
            ["taskset", "-c", "1", *asking],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as clients:
            try:
                yield Server(process, health, clients)
            finally:
                clients.kill()


def main(seconds: float = SECONDS, streams: int = STREAMS) -> list[Line]:
    """Measure and print, write down what was seen; the lines of the closing table."""
    counts = [max(1, round(streams * part)) for part in _RISING]
    with (
        tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder,
        serving(Path(folder), counts[-1]) as server,
    ):
        held = server.step(streams, seconds)
        rising = [server.step(count, seconds / 10) for count in counts]
        flood = server.step(streams, seconds / 5, paced=False)
        after = server.step(streams, seconds / 5)
    _write(held, rising, flood, after)
    return [*_lines(held, rising), *_end(flood, after)]


def _lines(held: Step, rising: list[Step]) -> Iterator[Line]:
    what = f"{held.clients:,} streams of {1 / EVERY:.0f} events/s, for {held.seconds:.0f} s"
    memory, waiting = held.halves("memory"), held.halves("waiting")
    each = held.processor * held.seconds / max(1, held.saw["events"]) * 1e6
    late = held.saw["late"]
    yield (
        f"{what}: events that came",
        f"{held.share:.3f} of all, late by {late[0]:.2f} ms, p99 {late[1]:.1f}",
        f"{each:.0f} µs of processor an event with its sealing; not answered: {held.refused}",
    )
    yield (
        f"{what}: memory",
        f"{memory[0]:.0f} MB in the first half, {memory[1]:.0f} in the second",
        f"{memory[2]:.0f} MB at most",
    )
    yield (
        f"{what}: waiting to be sealed",
        f"{waiting[0]:,.0f} in the first half, {waiting[1]:,.0f} in the second",
        f"{waiting[2]:,} at most",
    )
    for step in rising:
        first, late = step.saw["first"], step.saw["late"]
        yield (
            f"{step.clients:,} streams",
            f"{step.share:.2f} of the events, late by {late[0]:.1f} ms, p99 {late[1]:.0f}",
            f"first byte {first[0]:.1f} ms, p99 {first[1]:.0f}; not answered: {step.refused}",
        )


def _end(flood: Step, after: Step) -> Iterator[Line]:
    answered = flood.saw["answers"].get("200", 0) / flood.seconds
    yield (
        f"{flood.clients:,} asking as fast as they are answered",
        f"{answered:,.0f}/s, {flood.halves('waiting')[2]:,} waiting to be sealed at most",
        f"not answered: {flood.refused}",
    )
    yield (
        f"{after.clients:,} streams again after it",
        f"{after.share:.3f} of the events, late by {after.saw['late'][0]:.2f} ms",
        f"{after.samples[-1].waiting:,} waiting in the end; not answered: {after.refused}",
    )


# -- what is written down --------------------------------------------------------------------------


def _write(held: Step, rising: Sequence[Step], flood: Step, after: Step) -> None:
    RESULTS.mkdir(exist_ok=True)
    steps = {"held": held, "flood": flood, "after": after}
    said = {
        "machine": kept.machine(),
        "load": os.getloadavg()[0],
        "rising": [asdict(step) for step in rising],
        **{name: asdict(step) for name, step in steps.items()},
    }
    (RESULTS / "load.json").write_text(json.dumps(said, indent=1) + "\n")
    samples = held.samples
    over: _Curves = {
        "memory, MB": [(one.at, one.memory) for one in samples],
        "waiting to be sealed": [(one.at, one.waiting) for one in samples],
    }
    title = f"{held.clients:,} streams held"
    (RESULTS / "load-held.svg").write_text(_curves(title, "seconds", over))
    late: _Curves = {
        "half of the events, ms late": [(step.clients, step.saw["late"][0]) for step in rising],
        "99 of 100, ms late": [(step.clients, step.saw["late"][1]) for step in rising],
    }
    (RESULTS / "load-rising.svg").write_text(_curves("More streams", "streams", late))


def _curves(title: str, along: str, curves: _Curves) -> str:
    import pygal
    from pygal.style import CleanStyle

    chart = pygal.XY(
        title=title,
        x_title=along,
        style=CleanStyle(font_family="sans-serif"),
        js=[],
        no_prefix=True,
        disable_xml_declaration=True,
        dots_size=1.5,
        include_x_axis=True,
        legend_at_bottom=True,
    )
    for name, points in curves.items():
        chart.add(name, points)
    return _SCRIPT.sub("", str(chart.render(is_unicode=True)))


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Hold streams against one server.")
    asked.add_argument("--seconds", type=float, default=SECONDS)
    asked.add_argument("--streams", type=int, default=STREAMS)
    chosen = asked.parse_args()
    watch = kept.Watch.start()
    lines = main(chosen.seconds, chosen.streams)
    kept.keep({"load": watch.stop(lines)}, over=chosen.seconds >= SECONDS)

"""Rows of a GPU that are worth publishing, made by `make gpu`: 25 minutes at most a call, each part 10.

What is done is kept in a folder of its own, and the same command goes on from there. Nothing is committed; what is to
be committed lies in results/ at the end, and the last lines say how. `make gpu GPU="--help"` lists the options;
docs/gpu.md says more.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from gpu_python import ROOT, NoPythonError, carry, environment

REPORT = ROOT / ".ci" / "gpu_report.py"

#: Seconds of one part, and of all; seconds that a part has to stop in once it is asked to.
PART_SECONDS, ALL_SECONDS, STOP_SECONDS = 570, 1500, 25

#: What every part runs with: the otbench of this tree, whichever is installed, and lines as they are printed.
SETTINGS = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

#: The exit status of an otbench that was asked to stop, and kept what it had done.
STOPPED = 130


@dataclass(frozen=True)
class Part:
    """A part of the whole: its name, what it runs one after the other, and whether it may be stopped and go on later.

    A part that is not ``needed`` is told and does not stop the others. One that is done ``always`` is so each time.
    """

    name: str
    commands: Sequence[Sequence[str | Path]]
    resumable: bool = False
    needed: bool = True
    always: bool = False


def parts(python: Path, asked: argparse.Namespace, folder: Path) -> list[Part]:
    """What is done, in order."""
    device, experiment, quick = asked.device, asked.experiment, asked.quick
    otbench: list[str | Path] = [python, "-m", "otbench"]
    report: list[str | Path] = [python, REPORT]
    made, name = folder / "results", Path(experiment).stem
    runs = [folder / f"quick_{where}" for where in ("cpu", "device")]
    quicks = [run / Path(quick).stem for run in runs]
    time_it = [*otbench, "run", experiment, "--results", made, "--device"]
    cell = [*otbench, "run", quick, "--results"]
    tests = ["-m", "gpu"] if device != "cpu" else ["tests/methods/training/test_on_a_device.py"]
    beside = [] if device == "cpu" else [Part("core", [[*time_it, "cpu"]], resumable=True)]
    return [
        Part("facts", [[*report, "facts", device]]),
        Part("tests", [[python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]]),
        Part("timing", [[*time_it, device]], resumable=True),
        *beside,
        Part("quick on the CPU", [[*cell, runs[0], "--device", "cpu"]], resumable=True),
        Part("quick on the device", [[*cell, runs[1], "--device", device]], resumable=True),
        Part("agreement", [[*report, "agree", *quicks]]),
        Part("comparison", [[*otbench, "compare", *quicks]], needed=False),
        Part("profile", [[*report, "profile", device]], needed=False),
        Part("check", [[*otbench, "tables", name, "--results", made], [*otbench, "check", name, "--results", made],
                       [*otbench, "figures", name, "--results", made]]),
        Part("summary", [[*report, "summary", made / name, quicks[1]]], always=True),
    ]  # fmt: skip


class Log:
    """What has been done in a folder, so that the same command goes on from there; all that was printed is kept too."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.file, self.text, self.identity = folder / "done.json", folder / "log.txt", identity
        told = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.done: dict[str, float] = told.get("done", {}) if told.get("identity") == identity else {}

    def keep(self, name: str, seconds: float) -> None:
        """Note that a part is done, and what it took."""
        self.done[name] = seconds
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"identity": self.identity, "done": self.done}, indent=1))
        new.replace(self.file)

    def say(self, line: str) -> None:
        """Print a line, and keep it."""
        print(line, flush=True)
        with self.text.open("a") as file:
            file.write(line + "\n")


def run(part: Part, log: Log, end: float) -> int:
    """Do a part; its exit status, STOPPED where its time was up before it was done."""
    start = time.monotonic()
    for command in part.commands:
        status = spell(command, log, min(start + PART_SECONDS, end))
        if status:
            return status
    log.keep(part.name, round(time.monotonic() - start, 1))
    return 0


def spell(command: Sequence[str | Path], log: Log, end: float) -> int:
    """Run a command with its lines printed and kept; at ``end`` it is asked to stop, and soon after made to."""
    words = [str(word) for word in command]
    # a shell that runs this in the background has its children ignore what they are asked to stop by
    words = [sys.executable, "-c", HEARING, *words]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=os.environ | SETTINGS, start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    watcher = subprocess.Popen(  # reading lines blocks, so that another process has to look at the clock
        [sys.executable, "-c", WATCH, str(process.pid), str(max(0.0, end - time.monotonic())), str(STOP_SECONDS)]
    )
    try:
        for line in process.stdout:
            log.say(line.rstrip("\n"))
        return process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise
    finally:
        process.stdout.close()
        watcher.kill()
        watcher.wait()


#: Runs a command that can be asked to stop.
HEARING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""

#: Asks a group of processes to stop after some seconds, and ends it after some more.
WATCH = """
import os, signal, sys, time
group, seconds, more = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
for wait, what in ((seconds, signal.SIGINT), (more, signal.SIGKILL)):
    time.sleep(wait)
    try:
        os.killpg(group, what)
    except ProcessLookupError:
        break
"""


def all_parts(todo: Sequence[Part], log: Log) -> int:
    """Do what is not done yet; the exit status of the first needed part that fails, STOPPED where time was up."""
    end = time.monotonic() + ALL_SECONDS
    for part in todo:
        if part.name in log.done and not part.always:
            log.say(f"== {part.name}: done before, in {log.done[part.name]:.0f} s")
            continue
        log.say(f"== {part.name}")
        status = run(part, log, end)
        while status == STOPPED and part.resumable and time.monotonic() < end:
            log.say(f"== {part.name} goes on")
            status = run(part, log, end)
        if status == STOPPED or (status < 0 and time.monotonic() >= end):
            log.say("== the time is up; what was done is kept, the same command goes on from there")
            return STOPPED
        if status and part.needed:
            log.say(f"== {part.name} failed with exit status {status}, see above; once mended the same command goes on")
            return status
        if status:
            log.say(f"== {part.name}: exit status {status}, which stops nothing")
    return 0


def begin_with(made: Path, committed: Path) -> None:
    """Start from the rows that are committed, which other machines may have made: rows of times are added to them."""
    if committed.is_dir() and not made.exists():
        shutil.copytree(committed, made)


def leave(made: Path, there: Path) -> str:
    """Copy the rows, tables and figures that are to be committed to where they belong, and say how; nothing where rows
    of another machine would be lost."""
    known, new = machines(there), machines(made)
    if lost := known - new:
        return (f"{there} has rows of {len(lost)} other machines, so nothing was put there: "
                f"otbench merge {there} {made} -o FOLDER, and put FOLDER there")  # fmt: skip
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(made, there, ignore=shutil.ignore_patterns(".lock", ".exact"))
    return f"to be committed, and nothing else: git add {there} && git commit -m 'Critics timed on a GPU'"


def machines(results: Path) -> set[str]:
    """The machines that made the rows of a results folder."""
    meta = results / "meta.json"
    return set(json.loads(meta.read_text())["machines"]) if meta.is_file() else set()


def identity_of(python: Path, asked: argparse.Namespace) -> str:
    """What rows depend on: another device, torch or otbench begins anew."""
    code = ("import sys, torch; d = sys.argv[1]; "
            "print(torch.__version__, 'cpu' if d == 'cpu' else torch.cuda.get_device_name(d))")  # fmt: skip
    told = subprocess.run([python, "-c", code, asked.device], capture_output=True, text=True).stdout.strip()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return f"{told} {asked.experiment} {asked.quick} {head}"


def main() -> int:
    """Do all, or go on with it."""
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, or cuda:1")
    parser.add_argument("--experiment", default="timing_gpu", help="the timing experiment, a name or a file")
    parser.add_argument("--quick", default="quick", help="the experiment that both devices run")
    parser.add_argument("--folder", type=Path, default=ROOT / "gpu", help="where all of it lies")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels, where nothing can be downloaded")
    parser.add_argument("--fresh", action="store_true", help="begin anew; the environment is kept")
    parser.add_argument("--rehearse", action="store_true", help="all parts, small, on the CPU; results/ stays as it is")
    parser.add_argument("--carry", type=Path, metavar="FOLDER", help="gather the wheels, and do nothing else")
    parser.add_argument("--carry-for", default="3.12", metavar="VERSION", help="the Python that they are for")
    asked = parser.parse_args()
    if asked.rehearse:
        small = ROOT / ".ci" / "rehearsal"
        asked.device = "cpu"
        asked.experiment, asked.quick = str(small / "timing_small.toml"), str(small / "quick_small.toml")
    folder = asked.folder.resolve()
    try:
        if asked.carry:
            carry(asked.carry.resolve(), asked.carry_for)
            return 0
        folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        python = environment(folder / "env", asked.device, asked.wheels and asked.wheels.resolve())
    except NoPythonError as error:
        print(f"make gpu: {error}", file=sys.stderr)
        return 2
    if asked.fresh:
        for old in ("done.json", "results", "quick_cpu", "quick_device"):
            path = folder / old
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    log = Log(folder, identity_of(python, asked))
    log.say(f"== {python}, ready after {time.monotonic() - start:.0f} s")
    name = Path(asked.experiment).stem
    made, committed = folder / "results" / name, ROOT / "results" / name
    if not asked.rehearse and not asked.fresh:
        begin_with(made, committed)
    status = all_parts(parts(python, asked, folder), log)
    if status:
        return status
    log.say(f"\n== all is done, in {sum(log.done.values()) / 60:.1f} minutes; {log.text} has what was printed")
    if not asked.rehearse:
        log.say(leave(made, committed))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("make gpu: stopped; what was done is kept, the same command goes on from there", file=sys.stderr)
        sys.exit(STOPPED)

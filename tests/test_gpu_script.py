"""`make gpu` without a GPU: which Python and which wheels it takes, and that it stops, goes on and tells failures."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command_line import called
from small import change, lines, trained, write_lines

from otbench.results.store import Results

CI = Path(__file__).resolve().parent.parent / ".ci"


def script(name: str) -> ModuleType:
    """A script of .ci as a module."""
    spec = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


gpu_python, gpu, report = script("gpu_python"), script("gpu"), script("gpu_report")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4     |", (12, 4)),
        ("| NVIDIA-SMI 580.65.06   Driver Version: 580.65.06   CUDA Version: 13.0     |", (13, 0)),
        ("| NVIDIA-SMI 590.1  KMD Version: 590.1  CUDA UMD Version: 13.1 |", (13, 1)),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", None),
    ],
)
def test_the_cuda_version_of_a_driver_is_read(said: str, version: tuple[int, int] | None) -> None:
    assert gpu_python.cuda_in(said) == version


def test_indexes_of_wheels_are_tried_from_the_newest_that_the_driver_runs() -> None:
    assert gpu_python.fitting((13, 1))[:2] == ["cu130", "cu129"]
    assert gpu_python.fitting((12, 6)) == ["cu126", "cu124", "cu121", "cu118", "cu128", "cu129"]
    assert gpu_python.fitting((11, 8)) == ["cu118"]
    assert gpu_python.fitting((10, 2)) == []
    assert gpu_python.fitting(None) == list(gpu_python.INDEXES)


def test_of_interpreters_that_see_the_device_the_one_with_the_pinned_torch_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pinned = next(line for line in gpu_python.constraints().splitlines() if line.startswith("torch==")).split("==")[1]
    told: dict[str, Any] = {
        "old": {"version": [3, 10], "torch": pinned, "sees": True},
        "blind": {"version": [3, 12], "torch": pinned, "sees": False},
        "other": {"version": [3, 12], "torch": "2.11.0+cu130", "sees": True},
        "pinned": {"version": [3, 13], "torch": f"{pinned}+cu130", "sees": True},
        "broken": None,
    }
    monkeypatch.setattr(gpu_python, "probe", lambda path, device: told[path])
    assert gpu_python.lender(["broken", "old", "blind", "other", "pinned"], "cuda")[0] == "pinned"
    assert gpu_python.lender(["broken", "old", "blind", "other"], "cuda")[0] == "other"
    assert gpu_python.lender(["broken", "old", "blind"], "cuda") is None
    assert gpu_python.newest(["broken", "old", "blind"]) == "blind"
    with pytest.raises(gpu_python.NoPythonError, match=r"3\.11 or later is needed"):
        gpu_python.newest(["broken", "old"])


def test_without_a_driver_nothing_is_installed_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_python, "DRIVER", tmp_path / "nothing")
    for name, found in (("lender", None), ("driver_cuda", None)):
        monkeypatch.setattr(gpu_python, name, lambda *_, found=found: found)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--folder", str(tmp_path / "gpu")])
    assert gpu.main() == 2
    err = capsys.readouterr().err
    assert err.startswith("make gpu: no NVIDIA driver answers here")
    assert err.count("\n") == 1
    assert not (tmp_path / "gpu" / "env").exists()


def test_pins_are_kept_but_for_the_torch_that_is_there() -> None:
    pins = gpu_python.pins_beside("2.11.0+cu130").splitlines()
    kept = gpu_python.constraints().splitlines()
    assert "torch==2.11.0" in pins, "which 2.11.0+cu130 fits too, whatever its metadata call it"
    assert [line for line in kept if line not in pins] == [line for line in kept if line.startswith("torch==")]


@pytest.mark.slow
def test_an_interpreter_says_whether_its_torch_computes_on_the_device() -> None:
    told = gpu_python.probe(sys.executable, "cpu")
    assert told["sees"] is True
    assert told["version"] == list(sys.version_info[:2])
    assert (Path(told["site"]) / "torch").is_dir()
    assert gpu_python.probe("/no/such/python", "cpu") is None


def part(name: str, code: str, **more: bool) -> Any:
    return gpu.Part(name, [[sys.executable, "-c", code]], **more)


def logged(folder: Path) -> Any:
    return gpu.Log(folder, "this device")


def test_what_is_done_is_not_done_again_unless_the_device_is_another(tmp_path: Path) -> None:
    count = f"open({str(tmp_path / 'count')!r}, 'a').write('x')"
    todo = [part("one", count), part("two", count)]
    assert gpu.all_parts(todo, logged(tmp_path)) == 0
    assert gpu.all_parts(todo, logged(tmp_path)) == 0
    assert (tmp_path / "count").read_text() == "xx"
    assert gpu.all_parts(todo, gpu.Log(tmp_path, "another device")) == 0
    assert (tmp_path / "count").read_text() == "xxxx"


def test_a_failure_stops_what_comes_after_it_and_is_tried_again(tmp_path: Path) -> None:
    flag, after = tmp_path / "mended", tmp_path / "after"
    todo = [
        part("first", "print('begun')"),
        part("odd", "raise SystemExit(3)", needed=False),
        part("tests", f"import os; raise SystemExit(0 if os.path.exists({str(flag)!r}) else 7)"),
        part("rows", f"open({str(after)!r}, 'w')"),
    ]
    assert gpu.all_parts(todo, logged(tmp_path)) == 7
    assert not after.exists()
    text = (tmp_path / "log.txt").read_text()
    assert "begun\n" in text
    assert "tests failed with exit status 7" in text
    flag.touch()
    assert gpu.all_parts(todo, logged(tmp_path)) == 0
    assert after.exists()
    assert set(json.loads((tmp_path / "done.json").read_text())["done"]) == {"first", "tests", "rows"}


SLOW = """
import pathlib, sys, time
done = pathlib.Path({folder!r}) / "steps"
try:
    while len(done.read_text() if done.exists() else "") < {steps}:
        time.sleep(0.05)
        done.open("a").write("x")
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_part_whose_time_is_up_is_asked_to_stop_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "PART_SECONDS", 1.5)
    slow = part("timing", SLOW.format(folder=str(tmp_path), steps=45), resumable=True)
    assert gpu.all_parts([slow], logged(tmp_path)) == 0
    assert "timing goes on" in (tmp_path / "log.txt").read_text()


def test_when_all_time_is_up_what_was_done_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "ALL_SECONDS", 2.5)
    todo = [part("one", ""), part("timing", SLOW.format(folder=str(tmp_path), steps=10**6), resumable=True)]
    start = time.monotonic()
    assert gpu.all_parts(todo, logged(tmp_path)) == gpu.STOPPED
    assert time.monotonic() - start < 20
    assert "the same command goes on" in (tmp_path / "log.txt").read_text()
    assert set(logged(tmp_path).done) == {"one"}


def test_a_part_that_does_not_stop_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "PART_SECONDS", 0.3)
    monkeypatch.setattr(gpu, "STOP_SECONDS", 0.2)
    deaf = part("deaf", "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)")
    start = time.monotonic()
    assert gpu.all_parts([deaf], logged(tmp_path)) == -9
    assert time.monotonic() - start < 20


def test_the_parts_are_in_order_and_all_that_is_timed_may_be_stopped() -> None:
    asked: Any = type("Asked", (), {"device": "cuda", "experiment": "timing_gpu", "quick": "quick"})
    todo = gpu.parts(Path("python"), asked, Path("folder"))
    assert [each.name for each in todo] == [
        "facts", "tests", "timing", "core", "quick on the CPU", "quick on the device", "agreement", "comparison",
        "profile", "check", "summary",
    ]  # fmt: skip
    assert [each.name for each in todo if not each.needed] == ["comparison", "profile"]
    words = {each.name: " ".join(map(str, command)) for each in todo for command in each.commands}
    assert "pytest -q -p no:cacheprovider -m gpu" in words["tests"]
    assert words["timing"].endswith("--device cuda")
    assert words["core"].endswith("--device cpu")


def folder_of(path: Path, *machines: str) -> Path:
    path.mkdir(parents=True)
    (path / "meta.json").write_text(json.dumps({"machines": {name: {} for name in machines}}))
    (path / "measurements.jsonl").write_text(" ".join(machines))
    (path / ".lock").touch()
    return path


def test_rows_that_are_committed_are_added_to_and_those_of_other_machines_never_lost(tmp_path: Path) -> None:
    committed, made = folder_of(tmp_path / "results" / "rows", "a"), tmp_path / "gpu" / "rows"
    gpu.begin_with(made, committed)
    assert (made / "measurements.jsonl").read_text() == "a"
    gpu.begin_with(folder_of(tmp_path / "other", "b"), committed)
    assert (tmp_path / "other" / "measurements.jsonl").read_text() == "b", "what has begun goes on"
    assert "otbench merge" in gpu.leave(tmp_path / "other", committed)
    assert (committed / "measurements.jsonl").read_text() == "a"
    both = folder_of(tmp_path / "both", "a", "b")
    assert f"git add {committed}" in gpu.leave(both, committed)
    assert sorted(file.name for file in committed.iterdir()) == ["measurements.jsonl", "meta.json"]
    assert (committed / "measurements.jsonl").read_text() == "a b"
    assert f"git add {tmp_path / 'new'}" in gpu.leave(both, tmp_path / "new")


def test_two_runs_agree_within_the_stated_rounding_or_it_is_said(small_results: Path, copy: Results) -> None:
    *_, last = report.agree(str(small_results), str(copy.folder))
    assert last == "no number differs by more than rounding explains"
    change(copy, trained, c_transform=9.0)
    with pytest.raises(ValueError, match="numbers differ by more than rounding, 0 rows are in one alone"):
        list(report.agree(str(small_results), str(copy.folder)))
    write_lines(copy.rows_file, lines(small_results / "rows.jsonl")[1:])
    with pytest.raises(ValueError, match="0 numbers differ by more than rounding, 1 rows are in one alone"):
        list(report.agree(str(small_results), str(copy.folder)))


@pytest.mark.gpu
@pytest.mark.timeout(900)
def test_the_quick_experiment_on_a_gpu_is_the_cpus_within_the_stated_rounding(tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        done = called("run", "quick", "--device", device, "--results", tmp_path / device, cwd=CI.parent)
        assert done.code == 0, done.err
    *_, last = report.agree(str(tmp_path / "cpu" / "quick"), str(tmp_path / "cuda" / "quick"))
    assert last == "no number differs by more than rounding explains"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_part_does_its_work_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, CI / "gpu.py", "--rehearse", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "== all is done" in done.stdout
    for part in ("facts", "tests", "timing", "agreement", "profile", "check", "summary"):
        assert f"== {part}" in done.stdout
    assert (tmp_path / "results" / "timing_small" / "tables" / "roofline.csv").is_file()
    again = subprocess.run(command, capture_output=True, text=True)
    done_parts = json.loads((tmp_path / "done.json").read_text())["done"]
    assert again.stdout.count("done before") == len(done_parts) - 1, "the summary is told again"

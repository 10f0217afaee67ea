"""A Python for `make gpu`: an environment of its own whose torch sees the device, with whatever else otbench needs.

A torch that is there already is borrowed, whichever version it has; else torch is installed, from a folder of wheels or
from the index of PyTorch's wheels that the driver can run. Runs on Python 3.11 or later without any package.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: PyTorch's own indexes of wheels, newest first, by the CUDA version that their wheels bring along.
INDEX = "https://download.pytorch.org/whl"
INDEXES = {
    "cu130": (13, 0), "cu129": (12, 9), "cu128": (12, 8), "cu126": (12, 6), "cu124": (12, 4), "cu121": (12, 1),
    "cu118": (11, 8),
}  # fmt: skip

#: What an interpreter says of itself: its version, where its packages are, its torch, and whether that computes on the
#: device.
PROBE = """
import json, sys, sysconfig
told = {"version": list(sys.version_info[:2]), "base": sys._base_executable, "torch": None, "sees": False}
try:
    import torch, pathlib
    told["torch"], told["site"] = torch.__version__, str(pathlib.Path(torch.__file__).parent.parent)
    told["sees"] = torch.ones(2, device=sys.argv[1]).sum().item() == 2
except Exception as error:
    told["error"] = str(error).splitlines()[:1]
print(json.dumps(told))
"""

#: What Linux has where a driver is loaded.
DRIVER = Path("/proc/driver/nvidia/version")

#: The oldest Python that otbench runs on.
OLDEST = [3, 11]


class NoPythonError(Exception):
    """There is no Python that can do it; the message says what to do."""


def environment(folder: Path, device: str, wheels: Path | None) -> Path:
    """The interpreter of the environment ``folder``, made where it is not there or does not serve.

    Args:
        folder: where the environment is, or will be.
        device: what its torch must compute on, "cuda" or "cpu".
        wheels: a folder of wheels, otbench's own among them, from which alone is installed; None for the indexes.
    """
    python, ready = folder / "bin" / "python", folder / "ready"
    wanted = json.dumps([device, str(wheels), (ROOT / "pyproject.toml").read_text(), constraints()])
    if ready.is_file() and ready.read_text() == wanted and sees(python, device):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    found = lender(candidates(folder), device)
    if found is not None:
        interpreter, told = found
        print(f"torch {told['torch']} of {interpreter} is borrowed", flush=True)
        borrow(told, folder)
        pins = pins_beside(str(told["torch"]))
    else:
        if device != "cpu" and driver_cuda() is None and not DRIVER.exists():
            raise NoPythonError(
                "no NVIDIA driver answers here, so there is no GPU to time; GPU=--rehearse does all on the CPU, small"
            )
        interpreter = newest(candidates(folder))
        _run([interpreter, "-m", "venv", folder])
        install_torch(python, device, wheels)
        pins = pins_beside(str((probe(python, device) or {}).get("torch")))
    (folder / "pins.txt").write_text(pins)
    of = ["otbench[test,gpu]"] if wheels else ["-e", f"{ROOT}[test,gpu]"]
    _run([python, "-m", "pip", "install", "--quiet", *sources(wheels), "-c", folder / "pins.txt", *of])
    if not sees(python, device):
        raise NoPythonError(f"torch in {folder} computes on no {device} any more: something replaced it; see pins.txt")
    ready.write_text(wanted)
    return python


def constraints() -> str:
    """The pins of the committed results."""
    return (ROOT / "constraints.txt").read_text()


def pins_beside(torch: str) -> str:
    """The pins, with torch's own replaced by the version that is there, so that nothing replaces that.

    It is told without its local part, which its metadata may lack.
    """
    lines = [line for line in constraints().splitlines() if not re.match(r"(torch|triton)==", line)]
    return "\n".join([*lines, f"torch=={torch.split('+')[0]}", ""])


def sources(wheels: Path | None) -> list[str | Path]:
    """Where pip looks: the indexes it is set to, or a folder of wheels alone."""
    return ["--no-index", "--find-links", wheels] if wheels else []


def candidates(folder: Path) -> list[str]:
    """The interpreters that are looked at, the nearest first and each once, none in ``folder`` itself."""
    homes = [os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX")]
    paths = [sys.executable, *(f"{home}/bin/python" for home in homes if home), str(ROOT / ".venv/bin/python")]
    names = ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python")
    paths += [path for name in names if (path := shutil.which(name))]
    return [path for path in dict.fromkeys(paths) if Path(path).is_file() and folder not in Path(path).parents]


def probe(python: str | Path, device: str) -> dict[str, object] | None:
    """What an interpreter says of itself and of its torch; None where it does not run."""
    try:
        done = subprocess.run([python, "-c", PROBE, device], capture_output=True, text=True, timeout=180)
        return dict(json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None


def sees(python: str | Path, device: str) -> bool:
    """Whether an interpreter's torch computes on the device."""
    told = probe(python, device)
    return bool(told and told["sees"])


def lender(paths: Iterable[str], device: str) -> tuple[str, dict[str, object]] | None:
    """The first interpreter, new enough, whose torch sees the device, the pinned torch before others; None where none
    does."""
    found = [(path, told) for path in paths if (told := probe(path, device))]
    fit = [(path, told) for path, told in found if told["sees"] and told["version"] >= OLDEST]
    pinned = [(path, told) for path, told in fit if f"torch=={str(told['torch']).split('+')[0]}\n" in constraints()]
    return next(iter([*pinned, *fit]), None)


def newest(paths: Iterable[str]) -> str:
    """The first interpreter that is new enough."""
    for path in paths:
        told = probe(path, "cpu")
        if told and told["version"] >= OLDEST:
            return path
    raise NoPythonError(f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed, and none is there")


def borrow(told: dict[str, object], folder: Path) -> None:
    """An environment on the interpreter's base that finds the packages beside its torch too, behind its own."""
    base = [str(told["base"]), "-m", "venv", "--system-site-packages"]
    if subprocess.run([*base, str(folder)], capture_output=True).returncode:  # a Python without ensurepip
        _run([*base, "--clear", "--without-pip", folder])
    (own,) = folder.glob("lib/python3*/site-packages")
    (own / "borrowed.pth").write_text(f"{told['site']}\n")


def install_torch(python: Path, device: str, wheels: Path | None) -> None:
    """Install the pinned torch: from the folder of wheels, or from the first index whose build sees the device."""
    pin = next(line.split()[0] for line in constraints().splitlines() if line.startswith("torch=="))
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
    if wheels:
        _run([*pip, *sources(wheels), pin])
        return
    tried = ["cpu"] if device == "cpu" else fitting(driver_cuda())
    for index in tried:
        command = [*pip, "--retries", "1", "--force-reinstall", "--index-url", f"{INDEX}/{index}", pin]
        if subprocess.run(command).returncode == 0 and sees(python, device):
            print(f"{pin} of {index} is installed", flush=True)
            return
    raise NoPythonError(
        f"no build of {pin} from {INDEX} ({', '.join(tried) or 'none fits the driver'}) computes on {device}: install "
        "a torch that does into some Python, or carry wheels and name their folder, make gpu GPU='--wheels DIR'"
    )


def fitting(cuda: tuple[int, int] | None) -> list[str]:
    """The indexes whose wheels a driver of that CUDA version runs, in the order to try: up to its version, then newer
    minor ones, which it mostly runs too; all where it is unknown."""
    if cuda is None:
        return list(INDEXES)
    upto = [name for name, version in INDEXES.items() if version <= cuda]
    return upto + [name for name, version in reversed(INDEXES.items()) if version > cuda and version[0] == cuda[0]]


def driver_cuda() -> tuple[int, int] | None:
    """The CUDA version that the driver runs, as nvidia-smi tells it; None where it does not."""
    try:
        said = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return cuda_in(said)


def cuda_in(said: str) -> tuple[int, int] | None:
    """The CUDA version in the head of what nvidia-smi prints."""
    found = re.search(r"CUDA[\w ]* Version\s*:\s*(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def carry(folder: Path, version: str) -> None:
    """Put the wheels that a machine without a network needs into ``folder``, for that Python: every pin but torch and
    what torch brings, and otbench itself."""
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / "carried.txt"
    pins.write_text("\n".join(line for line in constraints().splitlines() if not re.match(r"(torch|triton)==|#", line)))
    pip = [sys.executable, "-m", "pip"]
    command = [*pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", version]
    command += ["-d", str(folder)]
    if subprocess.run([*command, "-r", str(pins)], stderr=subprocess.DEVNULL).returncode:
        # some pin has no wheel for that Python: it is left out, with a line
        for pin in [line for line in pins.read_text().split("\n") if line]:
            if subprocess.run([*command, pin], stderr=subprocess.DEVNULL).returncode:
                print(f"{pin} has no wheel for Python {version} and is not carried", file=sys.stderr)
    _run([*pip, "wheel", "--quiet", "--no-deps", "-w", folder, ROOT])
    print(f"carry {folder} along, and there: make gpu GPU='--wheels {folder.name}'")


def _run(command: Sequence[str | Path]) -> None:
    words = [str(word) for word in command]
    if subprocess.run(words).returncode:
        raise NoPythonError(f"this failed, see above: {' '.join(words)}")

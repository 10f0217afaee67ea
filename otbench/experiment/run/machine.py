"""The facts of a machine that rows and measurements are stored with: versions, processor, device, arithmetic."""

import hashlib
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path

import psutil
from threadpoolctl import threadpool_info

from otbench.errors import InputError

#: The packages whose version can change a number.
PACKAGES = ("otbench", "torch", "POT", "numpy", "scipy", "pandas", "scikit-learn", "pillow", "distributed")


def machine_facts(device: str) -> dict[str, str | int | None]:
    """The versions and the hardware of this machine, as they stand in meta.json; without names and paths."""
    facts: dict[str, str | int | None] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "device": device,
        **{name.lower(): metadata.version(name) for name in PACKAGES},
    }
    facts |= _arithmetic()
    if device != "cpu":
        import torch

        facts["device_name"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts


def _arithmetic() -> dict[str, str | int | None]:
    """What decides the last bits of a float32 critic and of its float64 reading.

    These are the instruction set of torch, its BLAS, the reproducibility mode of MKL, and the BLAS of numpy with the
    processor that it takes this one for.
    """
    import torch

    numpys = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "torch_blas": "MKL" if torch.backends.mkl.is_available() else "another",  # type: ignore[no-untyped-call]
        "mkl_mode": os.environ.get("MKL_CBWR"),
        "numpy_blas": numpys[0]["internal_api"] if numpys else None,
        "numpy_blas_kernels": numpys[0].get("architecture") if numpys else None,
    }


def check_device_is_shown(device: str) -> None:
    """InputError unless this machine shows a device of that name. Nothing is computed there, so that this process has
    no context on it, which would take half a gigabyte of its memory from those that work."""
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device {device!r} cannot be used: it is not cpu, cuda or cuda:N; use --device cpu")
    there, wanted = torch.cuda.device_count(), int(device.partition(":")[2] or 0)
    if device != "cpu" and wanted >= there:
        raise InputError(f"device {device!r} cannot be used: {there} CUDA devices are shown; use --device cpu")


def machine_id(facts: dict[str, str | int | None]) -> str:
    """Twelve hexadecimal digits that stand for a machine's facts in timing lines and records."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _processor() -> str:
    """The processor's model name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

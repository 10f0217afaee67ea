"""What a measurement needs to be believed: versions, processor, device, threads."""

import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path

import psutil

#: Packages whose version can change a number.
PACKAGES = ("otbench", "torch", "POT", "numpy", "scipy", "pandas", "scikit-learn", "distributed")


def machine_facts(device: str) -> dict[str, str | int | None]:
    """Versions and hardware of this machine, as stored once a results folder; no names, no paths."""
    facts: dict[str, str | int | None] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "device": device,
        **{name.lower(): metadata.version(name) for name in PACKAGES},
    }
    if device != "cpu":
        import torch

        facts["device_name"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts


def machine_id(facts: dict[str, str | int | None]) -> str:
    """Twelve hexadecimal digits that stand for the facts in timing rows."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _processor() -> str:
    """The processor's own name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

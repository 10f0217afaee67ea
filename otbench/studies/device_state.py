"""What state a GPU is in while it is timed: its driver, clocks, power cap, and what holds its clocks down."""

import importlib
import re
import statistics
from contextlib import suppress
from pathlib import Path
from typing import Any

from otbench.results.store import Row

#: Why clocks are held down, by NVML's bits (nvml.h, nvmlClocksEventReasons).
REASONS = {
    0x1: "idle",
    0x2: "application_clocks",
    0x4: "power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "software_thermal",
    0x40: "hardware_thermal",
    0x80: "power_brake",
    0x100: "display_clocks",
}

#: Where Linux says which driver is loaded.
DRIVER_FILE = Path("/proc/driver/nvidia/version")


class DeviceState:
    """The readings of a device, taken by ``look`` while it works; ``columns`` puts them into a row.

    NVML tells them, through nvidia-ml-py, where both are there; a column that cannot be read is None. A CPU has none of
    these columns.
    """

    def __init__(self, device: str) -> None:
        self.device, self._nvml, self._handle = device, None, None
        self._clocks: dict[str, list[int]] = {"sm": [], "memory": []}
        self._reasons = 0
        self._looked = False
        if device != "cpu":
            with suppress(ImportError):
                self._open(importlib.import_module("pynvml"))

    def _open(self, nvml: Any) -> None:
        """Find the device that torch calls by its number: the driver may number its devices in another order."""
        import torch

        with suppress(nvml.NVMLError, AttributeError):
            nvml.nvmlInit()
            self._nvml = nvml
            identity = str(torch.cuda.get_device_properties(self.device).uuid)
            self._handle = nvml.nvmlDeviceGetHandleByUUID(identity if "-" in identity[:4] else f"GPU-{identity}")

    def look(self) -> None:
        """Read the clocks, and what holds them down, as they are now."""
        nvml = self._nvml
        if nvml is None or self._handle is None:
            return
        with suppress(nvml.NVMLError):
            self._clocks["sm"].append(nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_SM))
            self._clocks["memory"].append(nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_MEM))
        with suppress(nvml.NVMLError):
            self._reasons |= int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle))
            self._looked = True

    def columns(self) -> Row:
        """The device's name and driver, the median clocks and the reasons of all looks, and the power cap now."""
        if self.device == "cpu":
            return {}
        import torch

        sm, memory = (int(statistics.median(seen)) if seen else None for seen in self._clocks.values())
        return {
            "device_name": torch.cuda.get_device_name(self.device),
            "driver": self._driver(),
            "sm_clock_mhz": sm,
            "memory_clock_mhz": memory,
            "power_cap_watts": self._power_cap(),
            "throttle_reasons": words_of(self._reasons) if self._looked else None,
        }

    def _driver(self) -> str | None:
        if self._nvml is not None:
            with suppress(self._nvml.NVMLError):
                return str(self._nvml.nvmlSystemGetDriverVersion())
        return loaded_driver(DRIVER_FILE)

    def _power_cap(self) -> float | None:
        if self._nvml is not None and self._handle is not None:
            with suppress(self._nvml.NVMLError):
                return int(self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)) / 1000  # from milliwatts
        return None


def words_of(bits: int) -> str:
    """Reasons by name, in the order of their bits; "none" where no bit is set, and bits unknown as a number."""
    words = [word for bit, word in REASONS.items() if bits & bit]
    rest = bits & ~sum(REASONS)
    return " ".join([*words, *([hex(rest)] if rest else [])]) or "none"


def loaded_driver(file: Path) -> str | None:
    """The version in the file by which Linux tells which NVIDIA driver is loaded; None where there is none."""
    try:
        found = re.search(r"Module\s+(?:for \S+\s+)?(\d+(?:\.\d+)+)", file.read_text())
    except OSError:
        return None
    return found[1] if found else None

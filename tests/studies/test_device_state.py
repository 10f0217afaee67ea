"""What a row tells of a GPU: names of what holds clocks down, the driver, and nothing where nothing can be read."""

from pathlib import Path

import pytest

from otbench.studies.device_state import REASONS, DeviceState, loaded_driver, words_of


def test_a_cpu_has_no_such_columns() -> None:
    state = DeviceState("cpu")
    state.look()
    assert state.columns() == {}


def test_reasons_are_told_by_name_and_unknown_ones_by_number() -> None:
    assert words_of(0) == "none"
    assert words_of(0x4 | 0x40) == "power_cap hardware_thermal"
    assert words_of(0x1 | 0x1000) == "idle 0x1000"


def test_reasons_have_the_bits_of_the_library() -> None:
    nvml = pytest.importorskip("pynvml")
    names = {
        "idle": "GpuIdle", "application_clocks": "ApplicationsClocksSetting", "power_cap": "SwPowerCap",
        "hardware_slowdown": "HwSlowdown", "sync_boost": "SyncBoost", "software_thermal": "SwThermalSlowdown",
        "hardware_thermal": "HwThermalSlowdown", "power_brake": "HwPowerBrakeSlowdown",
        "display_clocks": "DisplayClockSetting",
    }  # fmt: skip
    assert {word: bit for bit, word in REASONS.items()} == {
        word: next(getattr(nvml, f"{kind}{name}") for kind in ("nvmlClocksEventReason", "nvmlClocksThrottleReason")
                   if hasattr(nvml, f"{kind}{name}"))
        for word, name in names.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: gcc 12.3.0",
         "580.65.06"),
        ("nothing of the kind 1.2.3", None),
    ],
)  # fmt: skip
def test_the_loaded_driver_is_read_where_linux_tells_it(text: str, version: str | None, tmp_path: Path) -> None:
    (tmp_path / "version").write_text(text)
    assert loaded_driver(tmp_path / "version") == version
    assert loaded_driver(tmp_path / "nothing") is None


@pytest.mark.gpu
def test_a_gpu_tells_its_name_and_its_driver_and_what_it_tells_of_clocks_is_possible() -> None:
    state = DeviceState("cuda")
    state.look()
    told = state.columns()
    assert told["device_name"]
    assert told["driver"] is None or str(told["driver"])[0].isdigit()
    assert told["sm_clock_mhz"] is None or 100 < int(told["sm_clock_mhz"]) < 5000  # type: ignore[arg-type]


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="there is a driver")
def test_without_a_driver_nothing_is_read_and_nothing_fails() -> None:
    """Whether the library is there, which then finds no driver, or is not."""
    state = DeviceState("cuda")
    state.look()
    assert (state._driver(), state._power_cap(), state._looked) == (None, None, False)

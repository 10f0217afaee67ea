"""Whether the coordinator keeps up: 200 000 cells on two workers, a million to resume, 64 workers to keep busy.

pytest -m slow -s tests/torture/test_coordinator.py
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import SUPPORT, environment, figure

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


def measured(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, str(SUPPORT / "coordinating.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_overhead_of_a_cell_is_the_same_from_the_first_to_the_last(tmp_path: Path) -> None:
    found = measured("cells", 200_000, tmp_path)
    spent = found["coordinator_cpu_ms"]
    figure(f"200 000 cells of 1 ms on 2 workers: processor time of the coordinator in ms a cell {spent}, "
           f"memory {found['peak_mib']} MiB at most, {found['wall_seconds']:.0f} s")  # fmt: skip
    assert max(spent.values()) <= 1.0
    assert max(spent.values()) <= 2 * min(spent.values())
    assert found["peak_mib"] <= 600


def test_a_run_of_a_million_cells_is_resumed_within_a_minute(tmp_path: Path) -> None:
    found = measured("resume", 1_000_000, tmp_path)
    figure(f"a million cells resumed: {found['cpu_seconds']:.0f} s of processor time, {found['start_seconds']:.0f} s "
           f"in all, {found['peak_mib']} MiB")  # fmt: skip
    assert found["cpu_seconds"] <= 60


def test_64_workers_are_kept_busy(tmp_path: Path) -> None:
    """Tasks of 32 critics of a tenth of a second each, which are answered at once."""
    found = measured("threads", 64, 3.2, 8, tmp_path)
    busy = found["cells_per_second"] * found["task_seconds"] / (found["threads"] * found["cells_per_task"])
    figure(f"64 workers busy {busy:.0%}: {found['cells_per_second']:.0f} cells a second, "
           f"{found['coordinator_cpu_ms_per_cell']:.2f} ms of the coordinator's processor each")  # fmt: skip
    assert busy >= 0.9

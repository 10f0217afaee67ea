"""The results folders of this repository: all but that of the experiment which whoever tries otbench runs first."""

from pathlib import Path

RESULTS = Path(__file__).parents[2] / "results"


def committed() -> list[str]:
    """Their names."""
    return sorted(file.parent.name for file in RESULTS.glob("*/meta.json") if file.parent.name != "quick")

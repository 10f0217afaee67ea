"""The action and the workflows: what GitHub's own schemas say of them, and their steps run in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from small import write_block

ROOT = Path(__file__).parent.parent
ACTION, WORKFLOWS = ROOT / "action.yml", sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REUSED = ROOT / ".github" / "workflows" / "agreement.yml"
DOCUMENT = (ROOT / "docs" / "agreement.md").read_text()


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def faults(kind: str, file: Path) -> str:
    """What a schema of GitHub's files says of one."""
    from check_jsonschema import main  # loads no network: the schemas are in the package
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["--builtin-schema", f"vendor.github-{kind}", "--no-cache", str(file)])
    return "" if done.exit_code == 0 else done.output


def test_the_action_and_the_workflows_follow_githubs_schemas(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    assert faults("actions", ACTION) == ""
    for file in WORKFLOWS:
        assert faults("workflows", file) == ""
    (tmp_path / "shown.yml").write_text(DOCUMENT.partition("```yaml\n")[2].partition("```")[0])
    assert faults("workflows", tmp_path / "shown.yml") == ""
    (tmp_path / "action.yml").write_text(ACTION.read_text().replace("using: composite", "using: composit"))
    assert faults("actions", tmp_path / "action.yml") != ""


def test_every_input_is_used_and_none_is_pasted_into_a_script() -> None:
    for declared, steps, text in (
        (read(ACTION)["inputs"], read(ACTION)["runs"]["steps"], ACTION.read_text()),
        (read(REUSED)[True]["workflow_call"]["inputs"], read(REUSED)["jobs"]["agreement"]["steps"], REUSED.read_text()),
    ):  # YAML reads `on` as true
        used = set(re.findall(r"inputs\.([\w-]+)", text))
        assert used == set(declared)
        assert all("${{" not in step.get("run", "") for step in steps)


def scripts(steps: list[dict[str, Any]], inputs: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """The shell steps that call otbench, with their environment where the inputs are so."""
    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: inputs[m[1]], text)

    return [(step["run"], {name: filled(text) for name, text in step.get("env", {}).items()})
            for step in steps if "otbench " in step.get("run", "")]  # fmt: skip


@pytest.mark.parametrize("file", [ACTION, REUSED], ids=["action", "workflow"])
def test_every_script_is_one_that_bash_reads(file: Path) -> None:
    found = [step["run"] for step in _steps(file) if "run" in step]
    assert len(found) == 3
    for script in found:
        assert subprocess.run(["bash", "-n", "-c", script], capture_output=True).returncode == 0


def _steps(file: Path) -> list[dict[str, Any]]:
    whole = read(file)
    return whole["runs"]["steps"] if file == ACTION else whole["jobs"]["agreement"]["steps"]


def _inputs(file: Path) -> dict[str, str]:
    whole = read(file)
    declared = whole["inputs"] if file == ACTION else whole[True]["workflow_call"]["inputs"]
    return {name: str(about["default"]) for name, about in declared.items()}


@pytest.mark.slow
@pytest.mark.parametrize("file", [ACTION, REUSED], ids=["action", "workflow"])
def test_the_steps_run_an_experiment_and_fail_where_a_number_is_wrong(file: Path, tmp_path: Path) -> None:
    write_block(tmp_path, '{ name = "spheres", dim = 2 }', "{ n = 8 }", '{ name = "zero" }', name="two words")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "otbench"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m otbench "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    summary = tmp_path / "summary.md"

    def run(script: str, own: dict[str, str]) -> int:
        given = environment | own | {"GITHUB_STEP_SUMMARY": str(summary)}
        return subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=tmp_path,
                              env=given, capture_output=True).returncode  # fmt: skip

    steps = scripts(_steps(file), _inputs(file) | {"experiment": "two words.toml"})
    assert [run(*step) for step in steps] == [0, 0]
    assert (tmp_path / "otbench-check.xml").is_file()
    assert "two words" in summary.read_text()
    rows = tmp_path / "results" / "two words" / "rows.jsonl"
    rows.write_text(re.sub(r'"primal":[\d.]+', '"primal":9.5', rows.read_text()))
    assert run(*steps[1]) == 1

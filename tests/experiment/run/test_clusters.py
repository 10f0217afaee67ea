"""Where cells can run: names that are understood, devices that are shown, files that are refused; one real cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from command_line import Otbench, assert_one_line
from small import declare

from otbench.errors import InputError
from otbench.experiment.run.clusters import (
    check_engine,
    ended_in_time_or_not,
    open_client,
    read_engine_file,
    visible_devices,
)
from otbench.experiment.run.workers import slots


@pytest.mark.parametrize("engine", ["lokal", "tcp:/x", "slurm", "", "ray://host:1"])
def test_an_engine_that_is_none_is_one_line(engine: str, otbench: Otbench) -> None:
    declare(Path())
    done = otbench("run", "tiny.toml", "--engine", engine)
    assert_one_line(done, f"unknown engine {engine!r}: use inline, local, tcp://HOST:PORT, or a .toml file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('cluster = "slrum"', "cluster"),
        ('cluster = "slurm"\njobs = 0', "jobs"),
        ('cluster = "slurm"\njbos = 2', "did you mean 'jobs'?"),
        ('cluster = "slurm"', "options.interface must name the network the nodes share"),
        ("cluster = ", "is not TOML"),
    ],
)
def test_an_engine_file_that_is_not_understood_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(text)
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        check_engine(str(tmp_path / "jobs.toml"))


def test_the_slurm_file_of_the_documents_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent.parent.parent / "docs" / "running.md").read_text()
    (tmp_path / "slurm.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    asked = read_engine_file(tmp_path / "slurm.toml")
    assert (asked.cluster, asked.jobs, asked.options["interface"]) == ("slurm", 8, "ib0")


def test_without_dask_jobqueue_a_batch_system_names_what_to_install(otbench: Otbench) -> None:
    try:
        import dask_jobqueue  # noqa: F401
    except ImportError:
        declare(Path())
        Path("jobs.toml").write_text('cluster = "local"')
        done = otbench("run", "tiny.toml", "--engine", "jobs.toml")
        assert_one_line(done, "need dask-jobqueue, which is not installed: pip install 'otbench[cluster]'")
    else:
        pytest.skip("dask-jobqueue is installed")


def test_an_outer_choice_of_devices_is_respected() -> None:
    assert visible_devices(2, None) == ["0", "1"]
    assert visible_devices(2, "3,5,7") == ["3", "5"]
    with pytest.raises(InputError, match="--gpus 2, but CUDA_VISIBLE_DEVICES=4 shows 1: ask for as many"):
        visible_devices(2, "4")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--engine", "inline", "--workers", 2), "--workers and --gpus are for --engine local"),
        (("--gpus", 2, "--device", "cuda:1"), "leave --device cuda:1 out"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(arguments: tuple[object], said: str, otbench: Otbench) -> None:
    declare(Path())
    assert_one_line(otbench("run", "tiny.toml", *arguments), said)


def _shown() -> tuple[str | None, str | None]:
    return os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS")


@pytest.mark.slow
def test_every_worker_is_shown_one_device_of_the_outer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,4")
    with open_client("local", 1, gpus=2) as client:
        assert sorted(client.run(_shown).values()) == [("4", "1"), ("6", "1")]
        assert (slots(client), slots(client, {"GPU": 1}), slots(client, {"TPU": 1})) == (2, 2, 0)


@contextmanager
def slow_to_end() -> Iterator[str]:
    yield "opened"
    raise TimeoutError


def test_what_does_not_end_in_time_fails_no_run_whose_work_is_done() -> None:
    with ended_in_time_or_not(slow_to_end()) as it:
        assert it == "opened"


def test_work_that_is_not_done_in_time_is_still_told() -> None:
    with pytest.raises(TimeoutError, match="of the work"), ended_in_time_or_not(nullcontext()):
        raise TimeoutError("of the work")

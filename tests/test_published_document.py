"""What docs/published.md shows of the W1 benchmark: on files made here, and on a clone of it where one is named.

``OTBENCH_W1BENCHMARK=PATH pytest -m slow tests/test_published_document.py`` runs what needs the clone.
"""

import contextlib
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from public_benchmark import clone

from otbench.problems.funnel_files import digest, funnel_pairs
from otbench.results.tables.published_methods import PUBLISHED_METHODS
from otbench.results.tables.published_pairs import PUBLISHED_PAIRS
from otbench.results.tables.published_scores import read_scores

PAGE = (Path(__file__).parent.parent / "docs" / "published.md").read_text()

EXAMPLE, DIGESTS = re.findall(r"```python\n(.*?)```", PAGE, re.S)

(PRINTED,) = re.findall(r"```text\n(.*?)```", PAGE, re.S)

#: How critics of the plane are saved: by method, the prefix of a layer's tensors and the name of its weight.
SAVED = {"wgan": ("module.", "weight"), "sn-gan": ("module.", "weight_bar"), "wgan-gp": ("", "weight")}


def printed(source: str, folder: Path) -> str:
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        exec(source, {})  # the page's own text
    return out.getvalue()


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


def saved_critic(file: Path, method: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Write a critic of the plane as the benchmark's code saves it; its layers, of which each weight has norm 2.

    Of spectral norm what is saved is seven times the weight that its forward uses, and the two vectors.
    """
    rng, layers, state = np.random.default_rng(len(method)), [], {}
    prefix, name = SAVED[method]
    for k, (rows, columns) in zip((0, 2, 4), ((128, 2), (128, 128), (1, 128)), strict=True):
        weight, bias = rng.standard_normal((rows, columns)), rng.standard_normal(rows) / 9
        u, spectrum, v = np.linalg.svd(weight)
        weight *= (1 if name == "weight_bar" else 2) / spectrum[0]
        layers.append((weight, bias))
        parts = {"bias": bias, name: weight}
        if name == "weight_bar":
            parts |= {name: 7 * weight, "weight_u": u[:, 0], "weight_v": v[0]}
        state |= {f"net.{k}.{prefix}{part}": torch.tensor(value, dtype=torch.float32) for part, value in parts.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, file)
    return layers


def test_the_example_reads_a_critic_as_it_was_saved_and_prints_its_ladder(tmp_path: Path) -> None:
    top = clone(tmp_path) / "checkpoints" / "nd" / "dim_2" / "width_4"
    due = {method: saved_critic(top / f"method_{method}.pt", method) for method in SAVED}
    names: dict[str, object] = {}
    definition, _, rest = EXAMPLE.partition("\nclone = ")
    exec(definition, names)  # the function alone, without what it prints
    points = np.random.default_rng(1).uniform(-2.5, 2.5, (64, 2))
    for method, layers in due.items():
        values = points
        for k, (weight, bias) in enumerate(layers):
            values = (np.maximum(values, 0) if k else values) @ weight.T + bias
        read = names["critic"](top / f"method_{method}.pt")
        found = read(torch.tensor(points, dtype=torch.float32)).detach().numpy()
        np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-3 * np.abs(values).max())
    lines = printed(f"{definition}\nclone = {rest}".replace("sample(4096", "sample(64"), tmp_path).splitlines()
    assert [line.split(":")[0] for line in lines] == list(SAVED)
    assert len(lines) == len(PRINTED.splitlines())


def test_the_digests_printed_are_those_of_the_pairs(tmp_path: Path) -> None:
    top = clone(tmp_path)
    (place, pair), = funnel_pairs(top).items()
    assert printed(DIGESTS, tmp_path) == f'    {place}: "{digest(*pair)}",\n'


def test_every_published_method_is_in_the_page_s_table_beside_ours() -> None:
    lines = re.findall(r"^\| (`.*)$", PAGE, re.M)
    for known in PUBLISHED_METHODS:
        (line,) = [line for line in lines if f"`{known.name}`" in line.split("|")[0]]
        assert f"`{known.method}`" in line.split("|")[1]
        assert all(field in line for field, _ in known.recipe)


@pytest.fixture
def benchmark_clone(tmp_path: Path) -> Path:
    """A folder with a clone of the benchmark's repository in it."""
    if not (path := os.environ.get("OTBENCH_W1BENCHMARK")):
        pytest.skip("OTBENCH_W1BENCHMARK names no clone of github.com/justkolesov/Wasserstein1Benchmark")
    (tmp_path / "Wasserstein1Benchmark").symlink_to(Path(path).resolve())
    return tmp_path


@pytest.mark.slow
def test_the_benchmark_s_critics_read_as_the_page_shows(benchmark_clone: Path) -> None:
    found = printed(EXAMPLE, benchmark_clone)
    assert re.sub(r"[\d.]+", "", found) == re.sub(r"[\d.]+", "", PRINTED)
    assert numbers(found) == pytest.approx(numbers(PRINTED), rel=1e-3)


@pytest.mark.slow
def test_the_benchmark_s_pairs_have_the_digests_of_the_table_and_scores(benchmark_clone: Path) -> None:
    top = benchmark_clone / "Wasserstein1Benchmark"
    pairs = funnel_pairs(top)
    assert {place: digest(*pair) for place, pair in pairs.items()} == PUBLISHED_PAIRS
    assert printed(DIGESTS, benchmark_clone).count("\n") == len(PUBLISHED_PAIRS)
    scores = read_scores(top)
    assert set(zip(scores["dim"], scores["funnels"], strict=True)) == set(pairs)
    names = {"true", "dot", *(known.name for known in PUBLISHED_METHODS)}
    assert scores.groupby(["dim", "funnels"])["method"].agg(set).map(lambda found: found == names).all()
    committed = read_scores(Path(__file__).parent.parent / "results" / "published" / "published_scores.csv")
    both = committed.merge(scores)
    assert len(both) == len(committed) == 16 * len(names), "to the last digit"

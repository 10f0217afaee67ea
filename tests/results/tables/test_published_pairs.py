"""Which pairs are published ones, and under which name a critic was: told by every number and by every field."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from otbench.methods import METHODS
from otbench.problems.funnel_files import digest
from otbench.problems.funnels import Funnels
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.results.tables.published_methods import PUBLISHED_METHODS, published_names
from otbench.results.tables.published_pairs import PUBLISHED_PAIRS, is_published

CENTRES, BIASES = np.random.default_rng(0).uniform(-2, 2, (4, 2)), np.array([0.1, -0.1, 0.0, 0.05])

PUBLISHED = Path(__file__).parents[3] / "results" / "published"


def pair(folder: Path, centres: np.ndarray, biases: np.ndarray, **fields: float) -> Funnels:
    """A pair read from a file of its own."""
    funnels, dim = centres.shape
    np.savez(folder / "pair.npz", **{f"centers_{dim}_{funnels}": centres, f"bias_{dim}_{funnels}": biases})
    return Funnels.from_file(folder / "pair.npz", dim, funnels, **fields)


def told(problem: Funnels) -> bool:
    (found,) = is_published(pd.DataFrame([problem.columns("problem")]))
    return bool(found)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUBLISHED_PAIRS, (2, 4), digest(CENTRES, BIASES))


def test_the_table_has_a_digest_for_every_dimension_and_number_of_funnels() -> None:
    places = {(dim, funnels) for dim in (2, 4, 8, 16, 32, 64, 128) for funnels in (4, 16, 64, 256)}
    assert set(PUBLISHED_PAIRS) == places
    assert len(set(PUBLISHED_PAIRS.values())) == len(places)
    assert {(len(text), set(text) <= set("0123456789abcdef")) for text in PUBLISHED_PAIRS.values()} == {(64, True)}


def test_the_committed_rows_are_of_published_pairs_alone() -> None:
    rows = Stored(Results(PUBLISHED)).frame
    assert is_published(rows).all()
    assert len(rows.drop_duplicates(["problem.dim", "problem.funnels"])) == 16


def test_a_pair_is_known_by_its_numbers_and_one_of_them_changed_in_its_last_bit_is_another(
    made: None, tmp_path: Path
) -> None:
    assert told(pair(tmp_path, CENTRES, BIASES))
    assert told(pair(tmp_path, np.asfortranarray(CENTRES), BIASES))
    for k in range(CENTRES.size + BIASES.size):
        numbers = np.concatenate([CENTRES.ravel(), BIASES])
        numbers[k] = np.nextafter(numbers[k], 9)
        assert not told(pair(tmp_path, numbers[: CENTRES.size].reshape(CENTRES.shape), numbers[CENTRES.size :])), k


def test_the_same_numbers_in_another_shape_order_box_or_map_are_another_pair(made: None, tmp_path: Path) -> None:
    numbers = np.concatenate([CENTRES.ravel(), BIASES])
    swapped = pair(tmp_path, numbers[:10].reshape(2, 5), numbers[10:])  # 2 funnels of 5 dimensions: 12 numbers too
    assert swapped.sha256 == digest(CENTRES, BIASES)
    assert not told(swapped)
    assert not told(pair(tmp_path, CENTRES[::-1], BIASES[::-1]))
    assert not told(pair(tmp_path, CENTRES[:, ::-1], BIASES))
    assert not told(pair(tmp_path, CENTRES, BIASES, power=7.0))
    assert not told(pair(tmp_path, CENTRES, BIASES, half_width=2.4))
    assert not told(Funnels(dim=2, funnels=4)), "a pair of our own has no digest"
    assert not is_published(pd.DataFrame({"problem.name": ["spheres"], "problem.dim": [2]})).any()


def critics() -> pd.DataFrame:
    """A row per published method with its recipe, and the fields of others empty, as a frame of rows has them."""
    return pd.DataFrame([
        {"critic": known.method, **{f"method.{field}": value for field, value in known.recipe}}
        for known in PUBLISHED_METHODS
    ]).astype(object)


def test_every_published_method_is_known_by_its_recipe() -> None:
    rows = critics()
    assert list(published_names(rows)) == [known.name for known in PUBLISHED_METHODS]
    assert len(set(published_names(rows))) == 10
    for known in PUBLISHED_METHODS:
        for field, value in known.recipe:
            changed = {bool: lambda flag: not flag, float: lambda number: number * 1.01, str: lambda word: f"{word}x"}
            other = rows.assign(**{f"method.{field}": changed[type(value)](value)})
            assert known.name not in set(published_names(other))
            assert known.name not in set(published_names(rows.drop(columns=f"method.{field}")))


def test_other_critics_and_the_untrained_one_were_not_published() -> None:
    names = [*sorted(set(METHODS) - {known.method for known in PUBLISHED_METHODS}), "untrained"]
    rows = pd.DataFrame({"critic": names, "method.clip": 0.04, "method.one_sided": True})
    assert {"potential", "linear", "zero", "untrained"} <= set(names)
    assert set(published_names(rows)) == {""}


def test_every_method_there_is_has_the_fields_that_its_published_name_depends_on() -> None:
    """And takes the values of its recipe, so that a recipe is one that can be run."""
    there = [known for known in PUBLISHED_METHODS if known.method in METHODS]
    assert "weight_clip" in {known.method for known in there}
    for known in there:
        made = METHODS[known.method](name=known.method, **dict(known.recipe))
        assert {field: getattr(made, field) for field, _ in known.recipe} == dict(known.recipe)

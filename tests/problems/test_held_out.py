"""Points held out: of the problem's laws, independent of the sample and of each other; of data, the rows left over."""

from pathlib import Path

import numpy as np
import pytest
from families import ATOMS, SIGMAS, cases

from otbench.errors import InputError
from otbench.problems import problem


@cases(2)
def test_points_held_out_are_of_the_laws(name: str, dim: int, fields: dict) -> None:
    """Means of the coordinates and of the lengths agree with those of a sample, within the error of both."""
    law = problem(name, dim=dim, **fields)
    sample, fresh = law.sample(4000, seed=1), law.held_out(4000, 4000, seed=1)
    for ours, theirs, a, b in ((sample.x, fresh.x, sample.a, fresh.a), (sample.y, fresh.y, sample.b, fresh.b)):
        for read in (lambda z: z[:, 0], lambda z: z[:, -1], lambda z: np.linalg.norm(z, axis=1)):
            one, other = read(ours), read(theirs)
            spread = np.sqrt((a**2) @ (one - a @ one) ** 2 + (b**2) @ (other - b @ other) ** 2)
            assert abs(a @ one - b @ other) <= SIGMAS * spread + 1e-9


@cases(3, leave_out=ATOMS | {"segments"})
def test_no_point_is_of_the_sample_or_comes_again(name: str, dim: int, fields: dict) -> None:
    law = problem(name, dim=dim, **fields)
    sample = law.sample(50, seed=3)
    sides = [sample.x, sample.y]
    for count, seed in ((50, 3), (51, 3), (50, 4)):
        fresh = law.held_out(count, 50, seed=seed)
        sides += [fresh.x, fresh.y]
    points = np.concatenate(sides)
    assert len(np.unique(points, axis=0)) == len(points)


def test_the_same_arguments_give_the_same_points() -> None:
    law = problem("spheres", dim=3)
    one, again = law.held_out(9, 20, seed=1), law.held_out(9, 20, seed=1)
    assert np.array_equal(one.x, again.x)
    assert np.array_equal(one.y, again.y)


def test_rows_of_files_held_out_are_those_the_sample_leaves(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(20.0)[:, None])
    np.save(tmp_path / "y.npy", 100 + np.arange(30.0)[:, None])
    data = problem("arrays", folder=str(tmp_path), x="x.npy", y="y.npy")
    sample, fresh = data.sample(12, 22, seed=5), data.held_out(8, 12, 22, seed=5)
    assert sorted(np.concatenate([sample.x, fresh.x]).ravel()) == list(range(20))
    assert sorted(np.concatenate([sample.y, fresh.y]).ravel()) == list(range(100, 130))
    assert len(data.held_out(2, 18, 3).x) == len(data.held_out(2, 3, 28).y) == 2
    for n, m in ((19, 3), (3, 29)):  # the side with fewer rows left decides, whichever it is
        with pytest.raises(InputError, match="of which there are 1"):
            data.held_out(2, n, m)
    with pytest.raises(InputError, match=r"fresh = 9 rows are held out of those that the sample leaves over, .* 8"):
        data.held_out(9, 12, 22)
    with pytest.raises(InputError, match="of which there are 0"):
        data.held_out(2)


@pytest.mark.parametrize("count", [0, 1, -3, 2.5, None])
def test_at_least_two_points_are_held_out(count: object) -> None:
    with pytest.raises(InputError, match="fresh"):
        problem("spheres", dim=2).held_out(count, 10)  # type: ignore[arg-type]

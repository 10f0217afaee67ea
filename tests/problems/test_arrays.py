"""A user's own data: arrays from files."""

import io
import os
import pickle

import numpy as np
import pytest

from otbench.errors import InputError
from otbench.problems import problem

X = np.array([[0.5, 1.0], [2.0, -3.25], [1e-7, 4.0]])
Y = np.array([[1.5, 1.0], [0.1, 0.2]])


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    return tmp_path


def arrays(folder, **fields):
    return problem("arrays", folder=str(folder), **{"x": "x.npy", "y": "y.npy", **fields})


def refused(folder, message, **fields):
    with pytest.raises(InputError, match=message) as caught:
        arrays(folder, **fields).sample()
    assert "\n" not in str(caught.value)


def test_the_points_of_npy_files_are_taken_whole_and_in_their_order(folder):
    p = arrays(folder)
    pair = p.sample()
    assert (p.dim, p.sizes(None, None, "independent")) == (2, (3, 2))
    assert np.array_equal(pair.x, X)
    assert np.array_equal(pair.y, Y)
    assert p.population_w1 is p.population_overlap is pair.coupled_w1 is None


@pytest.mark.parametrize("header", ["", "first,second\n", "x 1,\n", "# a,b\n", "\ufeffa,b\n"])
def test_a_csv_file_gives_the_same_points_with_a_header_or_without(folder, header):
    rows = "".join(",".join(map(repr, row)) + "\n" for row in X.tolist())
    (folder / "x.csv").write_text(header + rows, encoding="utf-8")
    assert np.array_equal(arrays(folder, x="x.csv").sample().x, X)


def test_a_byte_order_mark_never_costs_the_first_row(folder):
    rows = "".join(",".join(map(repr, row)) + "\n" for row in X.tolist())
    (folder / "x.csv").write_text(rows, encoding="utf-8-sig")
    assert np.array_equal(arrays(folder, x="x.csv").sample().x, X)


def test_a_first_row_with_a_missing_number_is_refused_never_taken_for_a_header(folder):
    (folder / "x.csv").write_text("1,\n3,4\n5,6\n")
    refused(folder, "not a readable array of numbers", x="x.csv")


def test_weights_from_files_weigh_the_points(folder):
    np.save(folder / "a.npy", np.array([0.5, 0.25, 0.25]))
    (folder / "b.csv").write_text("weight\n0.125\n0.875\n")
    pair = arrays(folder, a="a.npy", b="b.csv").sample()
    assert pair.a.tolist() == [0.5, 0.25, 0.25]
    assert pair.b.tolist() == [0.125, 0.875]


def test_fewer_rows_are_drawn_without_replacement_and_the_same_each_time(folder):
    rows = np.arange(100.0).reshape(50, 2)
    np.save(folder / "x.npy", rows)
    one, same, other = (arrays(folder).sample(20, 1, seed=s).x for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len({tuple(row) for row in one} & {tuple(row) for row in rows}) == 20


def test_the_digest_changes_with_the_content_of_any_file_and_with_nothing_else(folder):
    np.save(folder / "a.npy", np.full(3, 1 / 3))
    before = arrays(folder, a="a.npy").sha256
    assert arrays(folder, a="a.npy").sha256 == before
    for name, value in (("x.npy", X + 1e-15), ("y.npy", Y * 2), ("a.npy", np.array([0.5, 0.25, 0.25]))):
        kept = (folder / name).read_bytes()
        np.save(folder / name, value)
        assert arrays(folder, a="a.npy").sha256 != before
        with pytest.raises(InputError, match=r"x.npy, y.npy, a.npy changed; their sha256 is [0-9a-f]{64}"):
            arrays(folder, a="a.npy", sha256=before)
        (folder / name).write_bytes(kept)
    assert arrays(folder, a="a.npy", sha256=before).sha256 == before


def test_points_never_come_from_another_content_than_the_digest_describes(folder):
    p = arrays(folder)
    np.save(folder / "x.npy", X + 1)
    try:
        x = p.sample().x
    except InputError:
        return
    assert np.array_equal(x, X)


class Touch:
    """A pickle of it makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickle_is_refused_without_running_it(folder, wrapped):
    trap = str(folder / "trapped")
    if wrapped:
        np.save(folder / "x.npy", np.array([[Touch(trap)]], dtype=object), allow_pickle=True)
    else:
        (folder / "x.npy").write_bytes(pickle.dumps(Touch(trap)))
    refused(folder, "x.npy is not a readable array of numbers: ")
    assert not os.path.exists(trap)


def an_archive():
    buffer = io.BytesIO()
    np.savez(buffer, x=X)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"1,2\n3\n", "x.csv is not a readable array of numbers: line 2 has 1 cells, line 1 has 2"),
        ("x.csv", b"1,2\n3,four\n", "x.csv is not a readable array of numbers: line 2 holds 'four'"),
        ("x.csv", b"1,2\n3,nan\n", "x.csv is not a readable array of numbers: line 2 lacks a number \\('nan'\\)"),
        ("x.csv", b"\xff\xfe\x00", "x.csv is not a readable array of numbers"),
        ("x.csv", b"", "x.csv"),
        ("x.csv", b"first,second\n", "x.csv"),
        ("x.npy", b"", "x.npy is not a readable array of numbers"),
        ("x.npy", b"1,2\n3,4\n", "x.npy is not a readable array of numbers"),
        ("x.npy", an_archive(), "x.npy"),
    ],
)
def test_a_file_that_is_no_array_of_finite_numbers_is_refused(folder, name, content, message):
    (folder / name).write_bytes(content)
    refused(folder, message, x=name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([[1.0, np.inf]]), "x.npy must be finite; row 0 holds"),
        (np.array([["a", "b"]]), "x.npy must be an array of real numbers"),
        (X * 1j, "x.npy must be an array of real numbers"),
        (np.ones(3), r"x.npy must have shape \(points, dimensions\); got \(3,\)"),
        (np.float64(3.0), r"x.npy must have shape \(points, dimensions\); got \(\)"),
        (np.ones((0, 2)), "x.npy must hold at least one point"),
        (np.ones((3, 5)), "x and y must have the same dimension; got 5 and 2"),
    ],
)
def test_an_array_that_is_no_list_of_points_is_refused(folder, value, message):
    np.save(folder / "x.npy", value)
    refused(folder, message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": "none.npy"}, "no such file: .*none.npy"),
        ({"y": "y.txt"}, "arrays are read from .npy, .csv, .csv.gz, .tsv, .* files; got y.txt"),
        ({"x": "x.npz"}, "arrays are read from .npy, .csv, .csv.gz, .tsv, .* files; got x.npz"),
        ({"a": "none.csv"}, "no such file: .*none.csv"),
        ({"a": "y.npy"}, r"weights y.npy must have shape \(3,\), one per point; got \(2, 2\)"),
        ({"dim": 3}, "dim is 3, but x.npy has 2 columns; leave dim out"),
        ({"sha256": "0" * 64}, "x.npy, y.npy changed; their sha256 is"),
    ],
)
def test_a_description_that_does_not_fit_its_files_is_refused(folder, fields, message):
    refused(folder, message, **fields)


@pytest.mark.parametrize(("n", "m", "message"), [
    (4, None, "n must be between 1 and the 3 rows there are; got 4"),
    (None, 3, "m must be between 1 and the 2 rows there are; got 3"),
    (0, None, "sample size n must be a whole number of at least 1; got 0"),
])  # fmt: skip
def test_more_rows_than_there_are_is_refused(folder, n, m, message):
    with pytest.raises(InputError, match=message):
        arrays(folder).sample(n, m)


def test_arrays_with_weights_are_used_whole(folder):
    np.save(folder / "a.npy", np.full(3, 1 / 3))
    with pytest.raises(InputError, match="weighted arrays are used whole; leave n and m out"):
        arrays(folder, a="a.npy").sample(2)


def test_real_data_know_no_coupling(folder):
    for p in (arrays(folder), problem("digits")):
        with pytest.raises(InputError, match='no known optimal coupling; use mode = "independent"'):
            p.sample(mode="coupled")

"""Stored exact solutions: solved once, re-proved when read, replaced when they prove nothing."""

import os

import numpy as np
import pytest

import otbench.transport.dense
import otbench.transport.exact_cache as exact_cache
from otbench.errors import UncertifiedError
from otbench.transport.exact import solve_exact
from otbench.transport.exact_cache import exact_solution
from otbench.types import SamplePair


def a_pair(n=3, m=4, seed=4):
    rng = np.random.default_rng(seed)
    return SamplePair(rng.standard_normal((n, 2)), rng.standard_normal((m, 2)))


@pytest.fixture
def folder(tmp_path):
    exact_solution(a_pair(), "key", tmp_path)
    return tmp_path


def place(folder, key="key"):
    return exact_cache.solution_file(folder, key)


def same(one, other):
    parts = [(s.u, s.v, s.plan.rows, s.plan.cols, s.plan.mass) for s in (one, other)]
    return one.w1 == other.w1 and all(map(np.array_equal, *parts))


def believes(folder, pair=None):
    """Whether the stored file was left as it is; the value must be right either way."""
    file, pair = place(folder), pair or a_pair()
    before = file.stat().st_mtime_ns, file.stat().st_ino
    assert same(exact_solution(pair, "key", folder), solve_exact(pair.x, pair.y, pair.a, pair.b))
    return before == (file.stat().st_mtime_ns, file.stat().st_ino)


@pytest.mark.filterwarnings("ignore:numItermax reached:UserWarning")
def test_a_stored_solution_is_proved_again_without_solving(tmp_path, monkeypatch):
    pair = a_pair(200, 200)
    first = exact_solution(pair, "key", tmp_path)
    monkeypatch.setattr(otbench.transport.dense, "MAX_ITERATIONS", 10)
    assert same(exact_solution(pair, "key", tmp_path), first)
    with pytest.raises(UncertifiedError):
        exact_solution(pair, "another key", tmp_path)
    assert [file.name for file in tmp_path.glob("*/*.npz")] == ["key.npz"]


def test_a_stored_solution_of_the_same_sample_is_left_as_it_is(folder):
    assert believes(folder)


def test_the_folder_of_a_first_solution_is_made(tmp_path):
    pair = a_pair()
    exact_solution(pair, "key", tmp_path / "of" / "solutions")
    assert place(tmp_path / "of" / "solutions").is_file()


@pytest.mark.parametrize("pair", [a_pair(seed=5), a_pair(4, 3), a_pair(5, 4)])
def test_a_solution_of_another_sample_is_solved_again_and_replaced(folder, pair):
    assert not believes(folder, pair)
    assert believes(folder, pair)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_solved_again_and_replaced(folder, kept):
    file = place(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    assert not believes(folder)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("content", [b"not an archive", b"PK\x03\x04 nor this", b"\x80\x04N."])
def test_a_file_of_another_kind_is_solved_again_and_replaced(folder, content):
    (place(folder)).write_bytes(content)
    assert not believes(folder)
    assert believes(folder)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_no_damaged_byte_breaks_the_store_or_changes_a_value(folder, mask):
    pair, file = a_pair(), place(folder)
    whole, expected = file.read_bytes(), solve_exact(pair.x, pair.y).w1
    raised = {}
    directory = whole.index(b"PK\x01\x02")  # most of what zip readers act on
    for k in [*range(0, directory, 17), *range(directory, len(whole))]:
        file.write_bytes(whole[:k] + bytes([whole[k] ^ mask]) + whole[k + 1 :])
        try:
            assert exact_solution(pair, "key", folder).w1 == pytest.approx(expected, rel=1e-12)
        except (RuntimeError, ValueError, TypeError) as error:
            raised.setdefault(f"{type(error).__name__}: {error}", k)
    assert raised == {}


def tamper(folder, **parts):
    with np.load(place(folder)) as stored:
        np.savez(place(folder), **{**stored, **parts})


@pytest.mark.parametrize(
    "parts",
    [
        {"w1": 0.0},
        {"w1": np.nan},
        {"w1": 1e6, "u": np.full(3, 1e6)},
        {"u": np.zeros(3), "v": np.zeros(4), "w1": 0.0},
        {"u": np.full(3, np.nan)},
        {"mass": np.zeros(6)},
        {"rows": np.full(6, 99)},
        {"rows": np.full(6, -1)},
        {"mass": np.ones(1)},
        {"u": np.zeros((3, 1))},
        {"u": np.float64(0.0)},
        {"u": np.array(["a", "b", "c"])},
        {"u": np.ones(3) * 1j},
        {"u": np.array([{}, {}, {}], dtype=object)},
    ],
    ids=str,
)
def test_a_tampered_solution_is_solved_again_and_replaced_never_returned(folder, parts):
    tamper(folder, **parts)
    assert not believes(folder)
    assert believes(folder)


def test_a_value_below_w1_is_never_returned_whatever_plan_is_stored_with_it(tmp_path):
    pair = SamplePair(np.array([[0.0], [10.0]]), np.array([[1.0], [9.0]]))
    exact_solution(pair, "key", tmp_path)
    mass = np.array([9.0, -1.0, -1.0, 9.0]) / 16  # right marginals, cost 0
    corners = {"rows": np.array([0, 0, 1, 1]), "cols": np.array([0, 1, 0, 1]), "mass": mass}
    tamper(tmp_path, w1=0.0, u=np.zeros(2), v=np.zeros(2), **corners)
    assert exact_solution(pair, "key", tmp_path).w1 == 1.0


def test_stored_solutions_take_a_bounded_room_and_the_oldest_go_first(tmp_path, monkeypatch):
    pairs = {f"key{k}": a_pair(20, 20, seed=k) for k in range(5)}
    for k, (key, pair) in enumerate(pairs.items()):
        exact_solution(pair, key, tmp_path)
        os.utime(place(tmp_path, key), (k, k))
    size = place(tmp_path, "key0").stat().st_size
    (tmp_path / "notes.txt").write_bytes(bytes(100 * size))  # what is none of ours neither counts nor goes
    monkeypatch.setattr(exact_cache, "MOST_BYTES", 3 * size + size // 2)
    exact_solution(a_pair(20, 20, seed=9), "another", tmp_path)
    assert sorted(file.name for file in tmp_path.glob("*/*")) == ["another.npz", "key3.npz", "key4.npz"]
    assert (tmp_path / "notes.txt").is_file()
    monkeypatch.setattr(exact_cache, "MOST_BYTES", size // 2)
    last = a_pair(20, 20, seed=8)
    assert exact_solution(last, "one more", tmp_path).w1 == pytest.approx(solve_exact(last.x, last.y).w1, rel=1e-14)
    assert [file.name for file in tmp_path.glob("*/*.npz")] == []


def test_a_solution_that_another_worker_removes_meanwhile_does_no_harm(tmp_path, monkeypatch):
    exact_solution(a_pair(), "key", tmp_path)
    real = os.scandir

    def gone(folder):
        found = list(real(folder))
        place(tmp_path).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(exact_cache.os, "scandir", gone)
    monkeypatch.setattr(exact_cache, "MOST_BYTES", 0)
    assert exact_solution(a_pair(seed=5), "other", tmp_path).is_exact


def test_a_solution_that_lies_where_all_lay_once_is_found_and_counts(tmp_path, monkeypatch):
    exact_solution(a_pair(), "key", tmp_path)
    old = tmp_path / "key.npz"
    place(tmp_path).rename(old)
    monkeypatch.setattr(exact_cache, "solve_pair", None)
    assert same(exact_solution(a_pair(), "key", tmp_path), solve_exact(a_pair().x, a_pair().y))
    assert [path for *_, path in exact_cache.solution_files(tmp_path)] == [str(old)]


def test_not_every_solution_looks_through_all_of_them(tmp_path, monkeypatch):
    looks = []
    real = os.scandir
    monkeypatch.setattr(exact_cache.os, "scandir", lambda folder: looks.append(folder) or real(folder))
    for k in range(6):
        exact_solution(a_pair(seed=k), f"{k}{k} key", tmp_path)
    assert len(looks) == 2, "the folder and the one below it, at the first solution alone"
    assert len(list(tmp_path.glob("??/*.npz"))) == 6


def test_the_folder_of_a_machines_own_is_the_one_asked_for_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("OTBENCH_CACHE", str(tmp_path))
    assert exact_cache.own_folder() == tmp_path
    monkeypatch.delenv("OTBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert exact_cache.own_folder() == tmp_path / "cache" / "otbench"


def test_an_interval_is_stored_and_everybody_is_told_the_same_one(tmp_path):
    pair = a_pair(60, 50)
    first, second = (exact_solution(pair, "key", tmp_path, 1e-9) for _ in range(2))
    assert not first.is_exact
    assert (first.lower, first.upper, first.longest_move) == (second.lower, second.upper, second.longest_move)
    assert np.array_equal(first.v, second.v)
    assert np.array_equal(first.plan.mass, second.plan.mass)
    whole = solve_exact(pair.x, pair.y)
    assert first.lower <= whole.w1 <= first.upper
    assert same(exact_solution(pair, "key", tmp_path), whole), "without a limit no interval will do"
    assert exact_solution(pair, "key", tmp_path, 1e-9).w1 == whole.w1


@pytest.mark.parametrize("parts", [{"u": np.full(60, np.nan)}, {"mass": np.full(3, -1.0)}, {"rows": np.full(2, 99)}])
def test_a_damaged_interval_is_solved_again(parts, tmp_path):
    pair = a_pair(60, 50)
    first = exact_solution(pair, "key", tmp_path, 1e-9)
    tamper(tmp_path, **parts)
    again = exact_solution(pair, "key", tmp_path, 1e-9)
    assert (first.lower, first.upper) == (again.lower, again.upper)
    assert same(again, exact_solution(pair, "key", tmp_path, 1e-9)) or np.isnan(again.w1)


def test_a_forged_interval_holds_w1_all_the_same(tmp_path):
    """What is stored may be false: what is returned is what it proves of these points."""
    pair = a_pair(60, 50)
    whole = solve_exact(pair.x, pair.y)
    exact_solution(pair, "key", tmp_path, 1e-9)
    rng = np.random.default_rng(1)
    for forged in ({"u": 9 + rng.standard_normal(60)}, {"v": 9 + rng.standard_normal(50)}, {"mass": np.zeros(3)}):
        tamper(tmp_path, **({"rows": np.zeros(3, int), "cols": np.zeros(3, int)} if "mass" in forged else {}), **forged)
        found = exact_solution(pair, "key", tmp_path, 1e-9)
        assert found.lower <= whole.w1 <= found.upper

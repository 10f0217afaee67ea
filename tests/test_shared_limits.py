"""The limits of what everybody shares, files, weights, whole numbers and time: just inside passes, just beyond not."""

import faulthandler
import gzip
import math
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otbench.deadline import TimeLimitError, check_deadline, limited
from otbench.errors import InputError, ResultsError
from otbench.experiment.cell import Sampling
from otbench.files import read_bounded, read_toml, unpacked
from otbench.inputs import as_points, as_weights
from otbench.methods import WeightClip, method
from otbench.problems import base, funnel_files, point_files, problem
from otbench.problems.funnel_files import funnel_pairs
from otbench.problems.point_files import fingerprint, read_points
from otbench.results import lines as result_lines
from otbench.results.store import Results
from otbench.transport.exact_cache import exact_solution
from otbench.types import SamplePair


def sparse(file: Path, size: int) -> Path:
    """A file of zeros that takes no room on the disk."""
    with file.open("wb") as handle:
        handle.truncate(size)
    return file


def test_a_file_is_read_to_its_last_allowed_byte(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for size, limit, taken in ((7, 7, True), (8, 7, False)):
        file.write_bytes(b"x" * size)
        if taken:
            assert read_bounded(file, limit) == b"x" * size
        else:
            with pytest.raises(InputError, match="at most 0 are read"):
                read_bounded(file, limit)


@pytest.mark.parametrize("members", [1, 3])
def test_packed_data_are_unpacked_to_the_last_allowed_byte(members: int) -> None:
    data = gzip.compress(b"x" * 1000) * members
    assert unpacked(data, 1000 * members) == b"x" * 1000 * members
    for limit in (1000 * members - 1, 1000 * members - 1000, 1):
        with pytest.raises(ValueError, match="it unpacks to more than"):
            unpacked(data, limit)


def test_of_what_unpacks_without_end_no_more_than_the_limit_is_held() -> None:
    bomb = gzip.compress(bytes(2**26))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="it unpacks to more than"):
            unpacked(bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_declaration_may_have_a_mebibyte(tmp_path: Path) -> None:
    file = tmp_path / "long.toml"
    text = b"a = 1\n#"
    file.write_bytes(text + b"x" * (2**20 - len(text)))
    assert read_toml(file) == {"a": 1}
    file.write_bytes(text + b"x" * (2**20 - len(text) + 1))
    with pytest.raises(InputError, match="at most 1 are read"):
        read_toml(file)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "timing.jsonl", "measurements.jsonl", "stale.jsonl"])
def test_results_beyond_a_gibibyte_are_not_read(name: str, tmp_path: Path) -> None:
    sparse(tmp_path / name, 2**30 + 1)
    results = Results(tmp_path)
    read: dict[str, Callable[[], Any]] = {
        "timing.jsonl": results.timings, "measurements.jsonl": results.measurements, "stale.jsonl": results.known_keys,
    }  # fmt: skip
    with pytest.raises(InputError, match="has 1024 MiB, at most 1024 are read"):
        read.get(name, results.rows)()


def test_what_is_packed_is_held_to_the_same_limits(
    small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = b"".join((small_results / "rows.jsonl").read_bytes().splitlines(keepends=True)[:5])
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(rows))
    numbers = b"1.5,2.5\n" * 500
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(numbers))
    for module, name, size, read in (
        (result_lines, "RESULTS_BYTES", len(rows), lambda: len(Results(tmp_path).rows()) == 5),
        (point_files, "POINTS_BYTES", len(numbers), lambda: np.shape(read_points(tmp_path / "x.csv.gz")) == (500, 2)),
    ):
        monkeypatch.setattr(module, name, size)
        assert read()
        monkeypatch.setattr(module, name, size - 1)
        with pytest.raises((InputError, ResultsError), match="it unpacks to more than"):
            read()


def test_a_file_of_funnel_pairs_is_read_to_its_last_allowed_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is what its pairs unpack to, their headers included: other members are not read."""
    file = tmp_path / "pairs.npz"
    pair = {"centers_2_3": np.arange(6.0).reshape(3, 2) / 3, "bias_2_3": np.zeros(3)}
    np.savez_compressed(file, **pair, other=np.zeros(10**5))
    with zipfile.ZipFile(file) as archive:
        size = sum(archive.getinfo(f"{name}.npy").file_size for name in pair)
    monkeypatch.setattr(funnel_files, "MAX_BYTES", size)
    assert funnel_pairs(file)
    monkeypatch.setattr(funnel_files, "MAX_BYTES", size - 1)
    with pytest.raises(InputError, match="a file of pairs may have 1 GiB"):
        funnel_pairs(file)


def test_points_beyond_four_gibibytes_are_not_read(tmp_path: Path) -> None:
    file = sparse(tmp_path / "x.npy", 2**32 + 1)
    for read in (read_points, lambda file: fingerprint([file])):
        with pytest.raises(InputError, match="has 4096 MiB, at most 4096 are read"):
            read(file)
    (tmp_path / "ke").mkdir()
    sparse(tmp_path / "ke" / "key.npz", 2**32 + 1)
    pair = SamplePair([[0.0], [1.0]], [[0.25], [1.25]])
    assert exact_solution(pair, "key", tmp_path).w1 == 0.25
    assert (tmp_path / "ke" / "key.npz").stat().st_size < 2**16, "what cannot be read is made anew"


#: Types of weights, how many there are, and how far from 1 their sum may be: 1e-9, or two units of rounding of the
#: type, or what adding that many one by one may wander off by.
SUMS = [
    (np.float64, 4, 1e-9),
    (np.float32, 2, 2 * 2.0**-23),
    (np.float32, 10_000, 100 * 2.0**-23),
    (np.float16, 2, 2 * 2.0**-10),
    (np.float16, 64, 2 * 2.0**-10),  # and no more, however many: 8 units would be a share that is seen
]


@pytest.mark.parametrize(("kind", "count", "room"), SUMS)
@pytest.mark.parametrize("sign", [1, -1])
def test_weights_may_sum_to_one_within_their_rounding(kind: type, count: int, room: float, sign: int) -> None:
    weights = np.full(count, 1.0 / count).astype(kind)
    eps = float(np.finfo(kind).eps)
    for share, taken in ((0.9, True), (1.1, False)) if kind is np.float64 else ((0.7, True), (1.6, False)):
        step = sign * share * room
        bent = weights.astype(np.float64)
        bent[: max(1, count // 2)] += step / max(1, count // 2)
        bent = bent.astype(kind)
        off = abs(float(bent.astype(np.float64).sum()) - 1)
        assert (off <= room) == taken, (off, room, eps)
        if taken:
            assert as_weights("a", bent, count).sum() == pytest.approx(1.0, abs=1e-15)
        else:
            with pytest.raises(InputError, match="must sum to 1"):
                as_weights("a", bent, count)


def test_a_weight_may_be_zero_and_not_a_bit_less() -> None:
    assert as_weights("a", [0.0, 1.0], 2)[0] == 0.0
    with pytest.raises(InputError, match="at least 0"):
        as_weights("a", [-5e-324, 1.0], 2)


@pytest.mark.parametrize("wrap", [lambda v: np.array(v), lambda v: v])
def test_whole_numbers_are_taken_where_float64_holds_them(wrap: Callable[[Any], Any]) -> None:
    for number, taken in ((2**53, True), (2**53 + 1, False), (2**53 + 2, True), (-(2**53) - 1, False)):
        if taken:
            assert as_points("x", wrap([[number]]))[0, 0] == number
        else:
            with pytest.raises(InputError, match="which cannot hold"):
                as_points("x", wrap([[number]]))


def test_time_is_up_after_the_limit_and_the_process_is_ended_two_seconds_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ends = [50.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **named: ends.append((seconds, named)))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: ends.append("cancelled"))
    with limited(5.0, tmp_path / "stacks" / "cell.txt"):
        for at, up in ((50.0, False), (55.0, False), (55.001, True), (1e9, True)):
            now[0] = at
            if up:
                with pytest.raises(TimeLimitError):
                    check_deadline()
            else:
                check_deadline()
    (seconds, named), cancelled = ends
    assert (seconds, named["exit"], cancelled) == (7.0, True, "cancelled")
    check_deadline()
    with limited(None, tmp_path / "stacks" / "none.txt"):
        now[0] = 1e12
        check_deadline()


def test_points_are_drawn_where_there_is_room_and_small_samples_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes four arrays of doubles; up to 64 MiB nobody asks what is free."""
    needed = 4 * 8 * 100 * (50_000 + 20_000)
    for free, taken in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(base, "free_memory", lambda free=free: free)
        if taken:
            base.check_room(50_000, 20_000, 100)
        else:
            with pytest.raises(InputError, match="use smaller samples"):
                base.check_room(50_000, 20_000, 100)
    monkeypatch.setattr(base, "free_memory", lambda: 0)
    base.check_room(2**16, 2**16, 2**4)
    with pytest.raises(InputError, match="use smaller samples"):
        base.check_room(2**16, 2**16 + 1, 2**4)


#: A family's field, its least and its largest value, and what it must be given with; None where another rule is closer.
TINY, HUGE = 1e-100, 1e100
FIELDS: list[tuple[str, str, float | None, float | None, dict[str, Any]]] = [
    ("translation", "shift", -HUGE, HUGE, {}),
    ("translation", "scale", TINY, HUGE, {}),
    *((family, "inner", TINY, None, {"outer": HUGE}) for family in ("spheres", "balls")),
    *((family, "outer", None, HUGE, {"inner": TINY}) for family in ("spheres", "balls")),
    ("scaling", "sigma", TINY, HUGE, {}),
    ("scaling", "factor", 1e-12, 1e12, {}),
    ("segments", "theta", -HUGE, HUGE, {}),
    ("shared_mass", "overlap", 0.0, 1.0, {}),
    ("shared_mass", "w1", TINY, HUGE, {}),
    ("lift", "location", -1e8, 1e8, {}),
    ("lift", "scale", 1e-8, 1e8, {}),
    ("digits", "shared", 0.0, 1.0, {}),
    ("digits", "digit", 0, 9, {}),
    ("digits", "other", 0, 9, {}),
    ("mnist", "dim", 784, 784, {}),
    ("patches", "brightness", -1.0, 1.0, {}),
    ("patches", "blur", 0.25, 16.0, {}),
    ("patches", "pixels", 0, 320, {}),
    ("patches", "noise", 5e-324, 1.0, {}),
    ("funnels", "half_width", TINY, None, {"bias_scale": 0.0}),
    ("funnels", "power", 1.0, 32.0, {}),
    ("funnels", "bias_scale", 0.0, None, {}),
    ("funnels", "funnels", 1, None, {}),
    ("funnels", "pair_seed", 0, 2**63 - 1, {}),
]


def beyond(value: float, up: bool) -> float:
    if isinstance(value, int):
        return value + 1 if up else value - 1
    return math.nextafter(value, math.inf if up else -math.inf)


@pytest.mark.parametrize(("family", "field", "least", "largest", "given"), FIELDS)
def test_a_field_of_a_family_is_taken_to_its_ends_and_no_further(
    family: str, field: str, least: float | None, largest: float | None, given: dict[str, Any]
) -> None:
    for value, up in ((least, False), (largest, True)):
        if value is None:
            continue
        other = {} if family in {"digits", "mnist", "patches", "segments"} else {"dim": 3}
        other |= {"digit": 3} if field == "other" else {"other": 4} if field == "digit" else {}
        assert getattr(problem(family, **{field: value} | given | other), field) == value
        with pytest.raises(InputError, match=field):
            problem(family, **{field: beyond(value, up)} | given | other)


@pytest.mark.parametrize(
    ("field", "least", "largest"),
    [("steps", 0, None), ("clip", 5e-324, None), ("lr", 5e-324, None), ("smoothing", 0.0, math.nextafter(1.0, 0.0)),
     ("eps", 5e-324, None), ("depth", 0, 1000), ("batch", 1, None), ("width_per_dim", 0, None)],
)  # fmt: skip
def test_a_field_of_the_clipped_critic_is_taken_to_its_ends(field: str, least: float, largest: float | None) -> None:
    def made(value: float) -> Any:
        return WeightClip(**{field: value} | ({"widths": (4,)} if field == "depth" else {}))  # type: ignore[arg-type]

    for value, up in ((least, False), (largest, True)):
        if value is not None:
            made(value)
            with pytest.raises(InputError):
                made(beyond(value, up))


def test_there_are_at_most_so_many_funnels() -> None:
    with pytest.raises(InputError, match="less than or equal to 4096"):
        problem("funnels", dim=3, funnels=4097)


def test_betas_widths_steps_and_sizes_have_their_ends_too() -> None:
    for betas, taken in (((0.0, math.nextafter(1.0, 0.0)), True), ((0.0, 1.0), False), ((-5e-324, 0.5), False)):
        if taken:
            WeightClip(betas=betas)
        else:
            with pytest.raises(InputError):
                WeightClip(betas=betas)
    for bad in ({"widths": (0,)}, {"steps": 0}, {"batch": 0}, {"lr": 0.0}):
        with pytest.raises(InputError):
            method("discriminator", **bad)
    method("discriminator", widths=(1,), steps=1, batch=1, lr=5e-324)
    for size, taken in ((1, True), (2**31 - 1, True), (0, False), (2**31, False)):
        if taken:
            assert Sampling(n=size).n == size
        else:
            with pytest.raises(InputError):
                Sampling(n=size)

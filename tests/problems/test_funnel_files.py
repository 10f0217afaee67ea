"""Funnel pairs from files: what is read is what was written, and every broken file is refused in one line."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from otbench.errors import InputError
from otbench.experiment.declaration import load_experiment
from otbench.problems import problem
from otbench.problems.funnel_files import funnel_pairs
from otbench.problems.funnels import Funnels

GOOD = {
    "centers_2_4": np.linspace(-2.5, 2.5, 8, dtype=np.float32).reshape(4, 2),
    "bias_2_4": np.array([0.0, 0.1, -0.1, 0.05], dtype=np.float32),
    "centers_3_1": np.array([[1.0, 2.0, 0.5]]),
    "bias_3_1": np.zeros(1),
}


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "pairs.npz", **GOOD)
    return tmp_path / "pairs.npz"


def write(path, **changes):
    np.savez(path, **{key: value for key, value in {**GOOD, **changes}.items() if value is not None})
    return path


def refusal(path, *, half_width=2.5):
    with pytest.raises(InputError) as caught:
        funnel_pairs(path, half_width)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pairs_are_read_as_they_were_written(file):
    pairs = funnel_pairs(file)
    assert list(pairs) == [(2, 4), (3, 1)]
    for (dim, funnels), (centres, biases) in pairs.items():
        assert (centres.dtype, biases.dtype) == (np.float64, np.float64)
        assert np.array_equal(centres, GOOD[f"centers_{dim}_{funnels}"])
        assert np.array_equal(biases, GOOD[f"bias_{dim}_{funnels}"])


def test_columns_first_compressed_integers_and_other_keys_are_read_too(tmp_path):
    whole = np.array([[1, -2, 0], [2, 1, -1]])
    np.savez_compressed(tmp_path / "a.npz", notes=np.zeros(3), centers_3_2=np.asfortranarray(whole), bias_3_2=[0, 1])
    centres, biases = funnel_pairs(tmp_path / "a.npz")[3, 2]
    assert np.array_equal(centres, whole)
    assert np.array_equal(biases, [0.0, 1.0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bias_2_4": None}, "lacks bias_2_4; it has centers_2_4"),
        ({"centers_3_1": None}, "lacks centers_3_1; it has bias_3_1"),
        ({"centers_2_4": np.zeros((2, 4))}, "centers_2_4 must have shape (4, 2); got (2, 4)"),
        ({"bias_2_4": np.zeros((4, 1))}, "bias_2_4 must have shape (4,); got (4, 1)"),
        ({"bias_2_4": np.float64(0.0)}, "bias_2_4 must have shape (4,); got ()"),
        ({"bias_2_4": np.array([0, None, 1, 2])}, "bias_2_4 is not a readable array: its header says object"),
        ({"bias_2_4": np.array(["a", "b", "c", "d"])}, "bias_2_4 must hold numbers; got <U1"),
        ({"bias_2_4": np.zeros(4, complex)}, "bias_2_4 must hold numbers; got complex128"),
        ({"bias_2_4": np.array([0, np.nan, 0, 0])}, "bias_2_4 must be finite; it holds NaN or infinity"),
        ({"centers_3_1": np.array([[0, np.inf, 0]])}, "centers_3_1 must be finite; it holds NaN or infinity"),
        ({"centers_3_1": np.array([[0, 2.51, 0]])}, "centers_3_1 has a centre outside the box [-2.5, 2.5]^3, row 0"),
        (dict.fromkeys(GOOD) | {"centres_2_4": np.zeros((4, 2))}, "has no funnel pairs: keys must be centers_DIM_FUNN"),
    ],
)
def test_a_file_whose_arrays_break_a_rule_is_refused_with_the_key_and_the_rule(tmp_path, changes, text):
    assert text in refusal(write(tmp_path / "pairs.npz", **changes))


def test_what_is_no_npz_file_is_refused(tmp_path, file):
    assert refusal(tmp_path / "absent.npz") == f"no such file: {tmp_path / 'absent.npz'}"
    for name, data in (("text", b"centres"), ("empty", b""), ("npy", b"\x93NUMPY\x01\x00"),
                       ("torn", file.read_bytes()[:-200]), ("pickle", pickle.dumps({"bias_2_4": [1.0]}))):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert "is not a readable .npz file" in refusal(tmp_path / name)


def test_a_file_damaged_anywhere_is_read_as_it_was_or_refused_in_one_line(tmp_path, file):
    sound, data = funnel_pairs(file), file.read_bytes()
    rng, refusals = np.random.default_rng(0), []
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            found = funnel_pairs(tmp_path / "damaged.npz")
        except InputError as error:
            refusals.append(str(error))
        else:
            assert all(np.array_equal(a, b) for pair in found for a, b in zip(found[pair], sound[pair], strict=True))
    assert len(refusals) > 100
    assert not any("\n" in text for text in refusals)


def member(file, key, data):
    """The archive with one member's bytes replaced."""
    with zipfile.ZipFile(file) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, part in parts.items():
            new.writestr(name, data(part) if name == f"{key}.npy" else part)
    return file


def test_a_header_that_promises_more_than_there_is_allocates_nothing(file):
    short = refusal(member(file, "bias_2_4", lambda b: b[:-4]))
    assert "bias_2_4 is not a readable array: its header says 4 of float32, 12 bytes follow" in short
    large = refusal(member(file, "bias_2_4", lambda b: b.replace(b"(4,), }          ", b"(4000000000000,),}")))
    assert "its header says 4000000000000 of float32" in large
    assert "bias_2_4 is not a readable array" in refusal(member(file, "bias_2_4", lambda b: b"\x80\x04K\x01."))


def test_a_file_that_unpacks_to_more_than_its_share_is_refused_before_it_is_read(file, monkeypatch):
    monkeypatch.setattr("otbench.problems.funnel_files.MAX_BYTES", 100)
    assert "a file of pairs may have 1 GiB" in refusal(file)


def test_a_pair_from_a_file_is_known_by_its_content_not_by_its_path(file, tmp_path):
    one = Funnels.from_file(file, 2, 4)
    write(tmp_path / "wide.npz", **{key: value.astype(np.float64) for key, value in GOOD.items()})
    other = problem("funnels", dim=2, funnels=4, pairs="wide.npz", folder=str(tmp_path))
    assert one.columns("problem") == other.columns("problem")
    assert str(tmp_path) not in str(one.columns("problem"))
    assert one.sample(9, seed=2).x.tobytes() == other.sample(9, seed=2).x.tobytes()
    moved = write(tmp_path / "moved.npz", bias_2_4=GOOD["bias_2_4"] + np.float32(0.01))
    assert Funnels.from_file(moved, 2, 4).sha256 != one.sha256
    np.testing.assert_allclose(one.potential(GOOD["centers_2_4"][:1].astype(float)), [-GOOD["bias_2_4"][0]])


def test_a_pickled_pair_from_a_file_needs_the_file_no_more(file):
    one = Funnels.from_file(file, 3, 1, power=2.0)
    file.unlink()
    other = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert other == one
    assert other.sample(5, mode="population").x.tobytes() == one.sample(5, mode="population").x.tobytes()


def test_a_file_that_lacks_the_pair_or_changed_and_fields_of_own_pairs_are_refused(file):
    for ask, text in (
        (lambda: Funnels.from_file(file, 2, 16), "has no pair of dim 2 with 16 funnels; it has 2/4, 3/1"),
        (lambda: Funnels.from_file(file, 2, 4, sha256="0" * 64), "changed; the sha256 of its pair is [0-9a-f]{64}"),
        (lambda: Funnels.from_file(file, 2, 4, pair_seed=3), "pair_seed and bias_scale make own pairs; leave them out"),
        (lambda: Funnels.from_file(file, 2, 4, half_width=1.0), r"outside the box \[-1, 1\]\^2, row 0"),
        (lambda: Funnels.from_file(file, 2, "4"), "funnels: .*valid integer; got '4'"),
        (lambda: problem("funnels", dim=2, pairs=3), 'needs pairs = "FILE.npz"'),
        (lambda: Funnels(dim=2, origin="file").sample(3), r"use Funnels.from_file\(path, dim, funnels\)"),
    ):
        with pytest.raises(InputError, match=text) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_an_experiment_names_a_file_beside_it(file):
    toml = file.parent / "pairs.toml"
    toml.write_text(
        'question = "?"\n[[block]]\nseeds = [0]\nmethod = { name = "zero" }\n'
        'problem = { name = "funnels", dim = [2], funnels = [4], power = [2.0, 8.0], pairs = "pairs.npz" }\n'
    )
    cells = load_experiment(str(toml)).cells
    assert [cell.problem.power for cell in cells] == [2.0, 8.0]
    assert {cell.problem.sha256 for cell in cells} == {Funnels.from_file(file, 2, 4).sha256}


@pytest.mark.parametrize(
    ("asked", "said"),
    [("dim = 4", "has no pair with dim 4"), ("funnels = 9", "has no pair with funnels 9"),
     ("dim = 2, funnels = 1", "has no pair with dim 2, funnels 1")],
)  # fmt: skip
def test_an_experiment_that_asks_for_a_pair_the_file_lacks_says_which(file: Path, asked: str, said: str) -> None:
    toml = file.parent / "lacks.toml"
    toml.write_text(
        'question = "?"\n[[block]]\nseeds = [0]\nsampling = { n = 8 }\nmethod = { name = "zero" }\n'
        f'problem = {{ name = "funnels", origin = "file", {asked} }}\n'
    )
    with pytest.raises(InputError, match=f"{said}$"):
        load_experiment(str(toml), file)

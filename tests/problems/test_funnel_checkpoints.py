"""Funnel pairs in the benchmark's own layout: what is read is what was saved, and nothing that a file holds is run."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from otbench.errors import InputError
from otbench.experiment.declaration import load_experiment
from otbench.problems import problem
from otbench.problems.funnel_files import digest, funnel_pairs
from otbench.problems.funnels import Funnels

PLACES = [(2, 4), (3, 2), (16, 4)]


def state(dim: int, funnels: int, **changes: object) -> dict[str, object]:
    """The state dict of a pair, by its dimension and number of funnels alone."""
    seeded = torch.Generator().manual_seed(1000 * dim + funnels)
    tensors = {"net.centers": 5 * torch.rand(funnels, dim, generator=seeded) - 2.5,
               "net.bias": 0.1 * torch.randn(funnels, generator=seeded)}  # fmt: skip
    return OrderedDict({name: value for name, value in {**tensors, **changes}.items() if value is not None})


def file_of(top: Path, dim: int, funnels: int) -> Path:
    return top / "benchmarks" / "nd" / f"dim_{dim}" / f"width_{funnels}" / "deg_8_seed_987.pt"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder as a clone of the benchmark's repository has it, other files included."""
    for dim, funnels in PLACES:
        file = file_of(tmp_path, dim, funnels)
        file.parent.mkdir(parents=True)
        torch.save(state(dim, funnels), file)
    for other in ("benchmarks/nd/dim_2/width_4/deg_4_seed_987.pt", "benchmarks/nd/dim_2/README.md",
                  "benchmarks/celeba/width_1/deg_10_seed_295.pt",
                  "benchmarks/nd/dim_2/width_x/deg_8_seed_987.pt"):  # fmt: skip
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(b"rubbish")
    return tmp_path


def refusal(path: Path, *, half_width: float = 2.5) -> str:
    with pytest.raises(InputError) as caught:
        funnel_pairs(path, half_width)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))
    return str(caught.value)


def test_a_clone_and_its_folders_hold_the_pairs_as_they_were_saved(clone: Path) -> None:
    for top in (clone, clone / "benchmarks", clone / "benchmarks" / "nd"):
        pairs = funnel_pairs(top)
        assert list(pairs) == PLACES, "by number, not by name"
        for place, (centres, biases) in pairs.items():
            assert (centres.dtype, biases.dtype) == (np.float64, np.float64)
            saved = state(*place)
            assert np.array_equal(centres, saved["net.centers"].double())
            assert np.array_equal(biases, saved["net.bias"].double())
    for place in PLACES:
        (alone,) = funnel_pairs(file_of(clone, *place)).items()
        assert alone[0] == place
        assert digest(*alone[1]) == digest(*pairs[place])


def test_a_file_anywhere_is_of_the_pair_it_holds(tmp_path: Path) -> None:
    torch.save(state(3, 2), tmp_path / "pair.pt")
    assert list(funnel_pairs(tmp_path / "pair.pt")) == [(3, 2)]
    torch.save(state(3, 2, **{"net.centers": torch.zeros(2)}), tmp_path / "flat.pt")
    assert "net.centers must have shape (funnels, dimensions); got (2,)" in refusal(tmp_path / "flat.pt")


def test_a_pair_is_the_same_problem_from_a_clone_and_from_an_archive(clone: Path, tmp_path: Path) -> None:
    """float32 numbers are the same as float64, so that the digest, the points and the key of a cell are."""
    arrays = {f"{name}_{dim}_{k}": tensor.numpy() for dim, k in PLACES
              for name, tensor in zip(("centers", "bias"), state(dim, k).values(), strict=True)}  # fmt: skip
    np.savez(tmp_path / "pairs.npz", **arrays)
    for place in PLACES:
        one, other = (Funnels.from_file(path, *place) for path in (clone, tmp_path / "pairs.npz"))
        assert one.columns("problem") == other.columns("problem")
        assert one.sample(9, seed=2).x.tobytes() == other.sample(9, seed=2).x.tobytes()
    assert problem("funnels", dim=2, funnels=4, pairs=clone.name, folder=str(clone.parent)).sha256


def test_an_experiment_takes_a_clone_as_it_takes_an_archive(clone: Path) -> None:
    toml = clone / "pairs.toml"
    toml.write_text(
        'question = "?"\n[[block]]\nseeds = [0]\nsampling = { n = 8 }\nmethod = { name = "zero" }\n'
        'problem = { name = "funnels", origin = "file", funnels = 4 }\n'
    )
    cells = load_experiment(str(toml), clone).cells
    assert [(cell.problem.dim, cell.problem.funnels) for cell in cells] == [(2, 4), (16, 4)]
    with pytest.raises(InputError, match=r"has no pair of dim 2 with 5 funnels; it has 2/4, 3/2, 16/4$"):
        Funnels.from_file(clone, 2, 5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"net.bias": None}, "must hold net.centers and net.bias alone; it holds net.centers"),
        ({"net.weight": torch.zeros(2)}, "alone; it holds net.bias, net.centers, net.weight"),
        ({"net.centers": torch.zeros(2, 4)}, "net.centers must have shape (4, 2), as its folders say; got (2, 4)"),
        ({"net.bias": torch.zeros(4, 1)}, "net.bias must have shape (4,), as its folders say; got (4, 1)"),
        ({"net.bias": torch.tensor([0, torch.nan, 0, 0])}, "net.bias must be finite; it holds NaN or infinity"),
        ({"net.centers": torch.full((4, 2), torch.inf)}, "net.centers must be finite; it holds NaN or infinity"),
        ({"net.centers": torch.full((4, 2), 2.51)}, "has a centre outside the box [-2.5, 2.5]^2, row 0"),
        ({"net.bias": torch.zeros(4, dtype=torch.complex64)}, "net.bias must be an array of real numbers"),
        ({"net.bias": torch.zeros(4).to_sparse()}, "net.bias must be a dense array"),
        ({"net.bias": [0.0, 0.0, 0.0, 0.0]}, "is no state dict of tensors: it is a OrderedDict of other things"),
        ({"net.centers": torch.zeros(1).expand(2**20, 2**20)}, "more than a file of pairs may have"),
    ],
)  # fmt: skip
def test_a_state_dict_that_breaks_a_rule_is_refused_with_the_file_and_the_rule(
    clone: Path, changes: dict[str, object], text: str
) -> None:
    file = file_of(clone, 2, 4)
    torch.save(state(2, 4, **changes), file)
    said = refusal(clone)
    assert text in said
    assert str(file) in said


class Runs:
    """What unpickling would run: it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_what_a_file_would_run_is_not_run(clone: Path) -> None:
    trace, file = clone / "ran", file_of(clone, 2, 4)
    evil = state(2, 4, **{"net.extra": Runs(trace)})
    with zipfile.ZipFile(file) as archive:
        parts = {member.filename: archive.read(member) for member in archive.infolist()}
    for name, write in {
        "saved": lambda: torch.save(evil, file),
        "bare": lambda: file.write_bytes(pickle.dumps(evil["net.extra"])),
        "old": lambda: torch.save(evil, file, _use_new_zipfile_serialization=False),
        "whole": lambda: torch.save(torch.nn.Linear(2, 4), file),
        "spliced": lambda: spliced(file, parts, pickle.dumps(evil["net.extra"])),
    }.items():
        write()
        said = refusal(clone)
        assert "is no state dict of tensors" in said or "is no file of torch.save" in said, name
        assert not trace.exists(), name
    pickle.loads(pickle.dumps(evil["net.extra"]))  # noqa: S301  that it would have been seen
    assert trace.exists()


def spliced(file: Path, parts: dict[str, bytes], pickled: bytes) -> None:
    """The archive with another pickle, its checksums in order."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else data)


def test_a_file_damaged_anywhere_is_read_as_it_was_or_refused_in_one_line(clone: Path) -> None:
    file = file_of(clone, 2, 4)
    data, due = file.read_bytes(), digest(*funnel_pairs(file)[2, 4])
    rng, refusals = np.random.default_rng(0), []
    for k in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged if k % 4 else data[: rng.integers(len(data))])
        try:
            assert digest(*funnel_pairs(file)[2, 4]) == due
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert not any("\n" in text for text in refusals)


def test_a_file_larger_than_its_share_is_refused_before_it_is_read(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(clone, 16, 4)
    spliced(file, {"archive/data.pkl": b"", "archive/data/0": bytes(2**21)}, b"")
    with zipfile.ZipFile(file.with_suffix(".small"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2**22))
    monkeypatch.setattr("otbench.problems.funnel_files.MAX_BYTES", 2**20)
    assert "has 2 MiB, at most 1 are read" in refusal(file)
    file.with_suffix(".small").replace(file)
    assert file.stat().st_size < 2**20
    assert "unpacks to more than 1 MiB" in refusal(file)


def test_folders_without_pairs_with_two_or_of_another_shape_say_so(clone: Path, tmp_path: Path) -> None:
    file = file_of(clone, 2, 4)
    second = file.with_name("deg_8_seed_5.pt")
    second.write_bytes(file.read_bytes())
    assert f"has two pairs, {second.name} and {file.name}; name the file itself" in refusal(clone)
    assert list(funnel_pairs(second)) == [(2, 4)]
    second.unlink()
    swapped = file_of(clone, 4, 2)
    swapped.parent.mkdir(parents=True)
    file.rename(swapped)
    assert "net.centers must have shape (2, 4), as its folders say; got (4, 2)" in refusal(clone)
    assert "as its folders say" in refusal(swapped)
    empty = tmp_path / "empty"
    empty.mkdir()
    layout = "benchmarks/nd/dim_DIM/width_FUNNELS/deg_8_seed_SEED.pt"
    assert refusal(empty) == f"{empty} has no funnel pairs: a folder has them as {layout}"

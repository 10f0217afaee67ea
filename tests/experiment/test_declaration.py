"""Experiments: lists are axes, cells have stable keys, and committed files load."""

import hashlib
import itertools
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from small import BLOCK, declare, python

import otbench.experiment.declaration
from otbench.errors import InputError
from otbench.experiment.cell import Cell
from otbench.experiment.declaration import Experiment, load_experiment
from otbench.experiment.locate import experiments
from otbench.experiment.promise import Promise
from otbench.methods import WeightClip, method
from otbench.problems.shared_mass import SharedMass
from otbench.spec import Spec

COMMITTED = sorted((Path(__file__).parent.parent.parent / "experiments").glob("*.toml"))

CLIPPED = '{ name = "weight_clip", steps = 0 }'


def load_text(folder: Path, text: str) -> Experiment:
    (folder / "text.toml").write_text(text)
    return load_experiment(str(folder / "text.toml"))


def cell_of(folder: Path, **tables: str) -> Cell:
    (cell,) = declare(folder, **tables).cells
    return cell


def test_axes_expand_to_their_product_in_the_declared_order(tmp_path: Path) -> None:
    declared = declare(
        tmp_path,
        problem='{ name = "shared_mass", dim = [3, 2], overlap = [0.0, 0.5] }',
        sampling='{ n = 16, mode = ["coupled", "independent"] }',
        method='[{ name = "zero" }, { name = "weight_clip", clip = [0.1, 0.01] }]',
        seeds="[1, 0]",
    )
    found = [
        (c.problem.dim, getattr(c.problem, "overlap", None), c.sampling.mode, c.seed, getattr(c.method, "clip", None))
        for c in declared.cells
    ]
    modes = ("coupled", "independent")
    assert found == list(itertools.product((3, 2), (0.0, 0.5), modes, (1, 0), (None, 0.1, 0.01)))


def test_blocks_are_a_union_and_duplicates_collapse(tmp_path: Path) -> None:
    one = BLOCK.format(
        seeds="[0, 1, 1]", problem='{ name = "spheres", dim = 2 }', sampling="{}",
        method='[{ name = "zero" }, { name = "zero" }]',
    )  # fmt: skip
    more = one.replace('question = "?"', "").replace("[0, 1, 1]", "[1, 2]")
    assert [cell.seed for cell in load_text(tmp_path, one).cells] == [0, 1]
    assert [cell.seed for cell in load_text(tmp_path, one + more).cells] == [0, 1, 2]


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ("[64, 64]", [(64, 64)]),
        ("[8]", [(8,)]),
        ("[]", [()]),
        ("[[8], [8, 8]]", [(8,), (8, 8)]),
        ("[[], [8]]", [(), (8,)]),
    ],
)
def test_a_list_of_widths_is_one_network_and_a_list_of_lists_an_axis(
    widths: str, expected: list[tuple[int, ...]], tmp_path: Path
) -> None:
    cells = declare(tmp_path, method=f'{{ name = "weight_clip", widths = {widths} }}').cells
    assert [cell.method.widths for cell in cells if isinstance(cell.method, WeightClip)] == expected


def test_one_width_is_repeated_along_an_axis_of_depths(tmp_path: Path) -> None:
    cells = declare(tmp_path, method='{ name = "weight_clip", widths = 8, depth = [0, 1, 3] }').cells
    widths = [cell.method.widths for cell in cells if isinstance(cell.method, WeightClip)]
    assert widths == [(), (8,), (8, 8, 8)]


def test_whole_numbers_and_written_out_defaults_give_the_same_cell(tmp_path: Path) -> None:
    bare = cell_of(tmp_path)
    written = cell_of(tmp_path, problem='{ name = "shared_mass", dim = 2, w1 = 1, overlap = 0.5 }')
    assert bare.key == written.key


def test_keys_do_not_depend_on_the_process_or_the_folder(tmp_path: Path) -> None:
    declared = declare(tmp_path, method=f"[{CLIPPED}, {{ name = 'zero' }}]")
    code = "import sys; from otbench.experiment.declaration import load_experiment as l\n"
    code += "print(*(f'{c.key} {c.sample_key}' for c in l(sys.argv[1]).cells))"
    for seed in "12":
        there = python(f"import os; os.environ['PYTHONHASHSEED'] = {seed!r}\n" + code, str(tmp_path / "tiny.toml"))
        assert there.stdout.split() == [k for c in declared.cells for k in (c.key, c.sample_key)], there.stderr


def test_a_key_is_the_hash_of_the_schema_and_the_cell(tmp_path: Path) -> None:
    found = cell_of(tmp_path, problem='{ name = "spheres", dim = 2 }').key
    columns = (
        '{"method.name":"zero","method.version":1,"problem.dim":2,"problem.inner":1.0,"problem.name":"spheres",'
        '"problem.outer":2.0,"problem.version":1,"sampling.fresh":null,"sampling.m":null,"sampling.mode":"independent",'
        '"sampling.n":16,"sampling.version":1,"seed":0,"training_seed":0}'
    )
    assert found == hashlib.sha256(f"[3,{columns}]".encode()).hexdigest()


@pytest.mark.parametrize(
    ("table", "text", "moves_points"),
    [
        ("problem", '{ name = "shared_mass", dim = 3 }', True),
        ("problem", '{ name = "shared_mass", dim = 2, overlap = 0.25 }', True),
        ("problem", '{ name = "shared_mass", dim = 2, w1 = 2.0 }', True),
        ("problem", '{ name = "shared_mass", dim = 2, weights = "mixture" }', True),
        ("problem", '{ name = "spheres", dim = 2 }', True),
        ("sampling", "{ n = 17 }", True),
        ("sampling", "{ n = 16, m = 15 }", True),
        ("sampling", '{ n = 16, mode = "coupled" }', True),
        ("seeds", "[1]", True),
        ("method", '{ name = "linear" }', False),
        *(
            ("method", f'{{ name = "weight_clip", {field} }}', False)
            for field in (
                "steps = 1", "clip = 0.02", "widths = [8, 8]", "depth = 1", "lr = 0.1", 'lr_unit = "clip"',
                "eps = 1e-7", "smoothing = 0.9", "betas = [0.5, 0.9]", "batch = 63", 'batch = "full"',
                'activation = "tanh"', 'optimiser = "adam"', 'init = "box"', 'dtype = "float64"',
                'clip_parameters = "weights"', 'clip_when = "before"',
            )
        ),
    ],
)  # fmt: skip
def test_every_field_moves_the_key_and_only_the_points_own_fields_move_the_sample(
    table: str, text: str, moves_points: bool, tmp_path: Path
) -> None:
    base = {"method": '{ name = "weight_clip" }'} if "weight_clip" in text else {}
    before, after = cell_of(tmp_path, **base), cell_of(tmp_path, **{**base, table: text})
    assert before.key != after.key
    assert (before.sample_key != after.sample_key) == moves_points


@pytest.mark.parametrize("described", [SharedMass, WeightClip])
def test_a_new_version_moves_the_key(described: type[Spec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cell_of(tmp_path, method=CLIPPED)
    key, sample = before.key, before.sample_key
    monkeypatch.setattr(described, "version", described.version + 1)
    after = cell_of(tmp_path, method=CLIPPED)
    assert after.key != key
    assert (after.sample_key != sample) == (described is SharedMass)


def test_samples_are_the_same_for_every_method(tmp_path: Path) -> None:
    declared = declare(tmp_path, method=f"[{CLIPPED}, {{ name = 'zero' }}, {{ name = 'potential' }}]")
    assert len({cell.sample_key for cell in declared.cells}) == 1
    assert len({cell.sample().x.tobytes() for cell in declared.cells}) == 1


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_every_committed_experiment_loads_and_can_be_drawn(file: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.npz"
    places = [(2, 4), (2, 16), (2, 64), (2, 256), (4, 4), (4, 16), (16, 4), (128, 4)]  # all that published.toml names
    centres = {f"centers_{dim}_{k}": np.linspace(-2, 2, k * dim).reshape(k, dim) for dim, k in places}
    np.savez(pairs, **centres, **{f"bias_{dim}_{k}": np.zeros(k) for dim, k in places})
    declared = load_experiment(str(file), pairs if file.stem == "published" else None)
    assert declared.name == file.stem
    assert declared.question.endswith((".", "?", ")"))
    assert len({cell.key for cell in declared.cells}) == len(declared.cells)
    assert bool(declared.cells) != bool(declared.plan)
    assert all(min(cell.sizes()) > 0 for cell in declared.cells)
    assert file.read_text().startswith("#"), "an experiment opens with its question and cost"


def test_a_committed_experiment_is_found_by_its_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {file.stem for file in COMMITTED} <= set(experiments())
    assert load_experiment("quick").name == "quick"


def test_the_working_directory_s_experiment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "experiments").mkdir()
    declare(tmp_path / "experiments", name="quick")
    monkeypatch.chdir(tmp_path)
    assert len(load_experiment("quick").cells) == 1


def test_promises_are_kept_with_their_columns(tmp_path: Path) -> None:
    promise = '\n[[agree]]\nratio = "slope_over_w1"\nat_least = 0.9\nwhere = { "problem.dim" = 2, critic = "zero" }\n'
    declare(tmp_path)
    declared = load_text(tmp_path, (tmp_path / "tiny.toml").read_text() + promise)
    assert declared.agree == (
        Promise(ratio="slope_over_w1", at_least=0.9, where={"problem.dim": 2, "critic": "zero"}),
    )


class TestArrays:
    """A user's own files: their place, content and columns."""

    block: ClassVar[str] = '{ name = "arrays", x = "data/x.npy", y = "data/y.csv" }'

    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        (tmp_path / "data").mkdir()
        np.save(tmp_path / "data" / "x.npy", np.eye(3))
        np.savetxt(tmp_path / "data" / "y.csv", np.ones((2, 3)), delimiter=",", header="a,b,c", comments="")
        return tmp_path

    def test_paths_start_at_the_experiment_s_folder(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/")
        cell = cell_of(here, problem=self.block, sampling="{}")
        pair = cell.sample()
        assert (cell.sizes(), pair.dim) == ((3, 2), 3)
        np.testing.assert_array_equal(pair.x, np.eye(3))

    def test_a_changed_file_is_a_new_cell_and_another_folder_is_not(self, here: Path) -> None:
        before = cell_of(here, problem=self.block, sampling="{}").key
        moved = here.rename(here.with_name("moved"))
        assert cell_of(moved, problem=self.block, sampling="{}").key == before
        np.save(moved / "data" / "x.npy", 2 * np.eye(3))
        assert cell_of(moved, problem=self.block, sampling="{}").key != before

    def test_a_pinned_digest_that_no_longer_fits_is_refused(self, here: Path) -> None:
        with pytest.raises(InputError, match=r"data/x.npy, data/y.csv changed; their sha256 is [0-9a-f]{64}"):
            declare(here, problem=self.block.replace(" }", ', sha256 = "00" }'))


def test_an_enormous_product_is_refused_before_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otbench.experiment.declaration, "MAX_CELLS", 20)
    with pytest.raises(InputError, match="an experiment of 22 cells is more than the 20 allowed; split it"):
        declare(tmp_path, seeds=str(list(range(22))))
    assert len(declare(tmp_path, seeds=str(list(range(20)))).cells) == 20


@pytest.mark.timeout(60)  # counted, it takes no time; written out, it takes all memory long after
@pytest.mark.parametrize("table", ["method", "problem"])
def test_an_enormous_product_inside_one_table_is_refused_at_once(table: str, tmp_path: Path) -> None:
    many = [k / 1000 for k in range(1, 400)]
    text = {
        "method": f'{{ name = "weight_clip", clip = {many}, lr = {many}, eps = {many} }}',
        "problem": f'{{ name = "shared_mass", dim = {list(range(1, 400))}, overlap = {many}, w1 = {many} }}',
    }
    with pytest.raises(InputError, match="is more than the 2000000 cells allowed"):
        declare(tmp_path, **{table: text[table]}, seeds="[0, 1]")


def test_a_field_that_was_added_later_is_a_column_only_where_it_is_not_at_its_default() -> None:
    before, named, other = (
        method("group_sort", **fields)
        for fields in ({}, {"orthonormalisation": "bjorck"}, {"orthonormalisation": "exponential"})
    )
    assert before == named
    assert "method.orthonormalisation" not in before.columns("method")
    assert other.columns("method") == before.columns("method") | {"method.orthonormalisation": "exponential"}

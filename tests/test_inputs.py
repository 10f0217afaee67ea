"""Whatever people hand in becomes the numbers they meant, or one line that says what to do."""

import fractions

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import otbench
from otbench.errors import InputError
from otbench.inputs import as_points, as_reals, as_values, as_weights, as_whole
from otbench.report.advice import advise
from otbench.types import SamplePair

X = np.array([[0.5, -1.0], [2.25, 3.0], [0.0, 4.0]])
READ_ONLY = X.copy()
READ_ONLY.setflags(write=False)
FRAME = pd.DataFrame(X, columns=["a", "b"])


@pytest.mark.parametrize(
    "given",
    [
        X.tolist(), tuple(map(tuple, X)), X.astype(np.float16), X.astype(np.float32), X.astype(np.longdouble),
        READ_ONLY, X.astype(">f8"), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], FRAME,
        FRAME.astype("Float64"), FRAME.astype({"a": "float32"}), FRAME.set_index(pd.Index([7, 8, 9])), torch.tensor(X),
        torch.tensor(X).bfloat16(), torch.tensor(X).half(), torch.tensor(X, requires_grad=True),
        torch.nn.Parameter(torch.tensor(X)) * 1.0,
        torch.tensor(X.T.copy()).T, list(torch.tensor(X, requires_grad=True)), torch.tensor(X)[:, :, None][..., 0],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_points_come_in_every_shape_people_have_them_in(given: object) -> None:
    points = as_points("x", given)
    assert np.array_equal(points, X)
    assert (points.dtype, points.flags.c_contiguous, points.flags.writeable) == (np.float64, True, True)


def test_whole_numbers_and_truth_values_are_points_too() -> None:
    for kind in ("i1", "u1", "<i4", ">i8", "u8", "?"):
        assert np.array_equal(as_points("x", np.array([[0, 1], [1, 0]]).astype(kind)), [[0, 1], [1, 0]])
    assert np.array_equal(as_points("x", pd.DataFrame({"a": pd.array([1, 2], dtype="Int64")})), [[1], [2]])
    assert np.array_equal(as_points("x", torch.tensor([[True], [False]])), [[1], [0]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((4, 3, 8, 8)), r"got \(4, 3, 8, 8\): flatten every point to a row, x.reshape\(len\(x\), -1\)"),
        (np.zeros(4), r"got \(4,\): for points on a line use an \(n, 1\) array, x.reshape\(-1, 1\)"),
        (torch.zeros(2, 1, 5), r"got \(2, 1, 5\): flatten"),
        (pd.Series([1.0, 2.0]), r"got \(2,\): for points on a line"),
        (FRAME.assign(label=["u", "v", "w"]), r"x's column 'label' must hold real numbers; it holds (str|object)"),
        (FRAME.assign(day=pd.Timestamp(0)), "x's column 'day' must hold real numbers; it holds datetime64"),
        (FRAME.assign(kind=pd.Categorical([1, 2, 1])), "x's column 'kind' must hold real numbers; it holds category"),
        (FRAME.assign(a=pd.array([1, None, 2], dtype="Int64")), "x must be finite; row 1 holds NaN"),
        (FRAME.assign(**{"Unnamed: 0": [0, 1, 2]}), "x has the column 'Unnamed: 0', an index read as data: read it"),
        (scipy.sparse.csr_array(X), r"x must be a dense array; got the sparse csr_array: pass its .toarray\(\)"),
        (torch.tensor(X).to_sparse(), r"x must be a dense array; got a sparse tensor: pass its .to_dense\(\)"),
        (torch.zeros(2, 2, device="meta"), "x must be an array of real numbers; got Tensor"),
        (torch.tensor(X) * 1j, r"x must be an array of real numbers; got Tensor \(complex128\)"),
        (np.ma.masked_less(X, 0), r"x must be .*; got MaskedArray \(masked\): drop or fill what is masked"),
        ([[1.0, 2.0], [3.0]], "x must be .*; got list with rows of different lengths"),
        ([["1", "2"]], r"x must be an array of real numbers; got list \(<U1\)"),
        ([[fractions.Fraction(1, 3)]], r"x must be an array of real numbers; got list \(object\)"),
        ([[10**400, 1.0]], "x must be an array of real numbers; got list"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), r"got ndarray \(datetime64\[D\]\)"),
        (object(), r"x must be an array of real numbers; got object \(object\)"),
        (None, r"x must be an array of real numbers; got NoneType"),
        (np.array([[2**53 + 1]]), "x must fit float64, which cannot hold 9007199254740993: round it, or subtract"),
        (np.array([[2**64 - 1]], dtype=np.uint64), "which cannot hold 18446744073709551615"),
        ([[2**53 + 1, 0.5]], "which cannot hold 9007199254740993"),
        (torch.tensor([[-(2**53) - 1]]), "which cannot hold -9007199254740993"),
        (pd.DataFrame({"a": [2**53 + 1], "b": [0.5]}), "x's column 'a' must fit float64, which cannot hold 900719"),
        (pd.DataFrame({"a": pd.array([2**53 + 1], dtype="Int64")}), "which cannot hold 9007199254740993"),
    ],
)  # fmt: skip
def test_what_is_no_plain_array_of_points_is_refused_with_the_remedy(given: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        otbench.solve_exact(given, np.zeros((2, 2)))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="long doubles are float64 here")
def test_a_long_double_that_is_no_float64_is_refused() -> None:
    with pytest.raises(InputError, match="x must fit float64, which cannot hold"):
        as_points("x", np.array([[np.longdouble(1) / 3]]))


def test_large_whole_numbers_that_float64_holds_are_kept() -> None:
    kept = [2**53, -(2**60), 3 * 2**61]
    assert [int(v) for v in as_values("fx", np.array(kept))] == kept
    assert [int(v) for v in as_values("fx", [*kept, 0.5])[:3]] == kept


@settings(max_examples=150)
@given(
    hnp.arrays(
        st.sampled_from(["f2", "f4", "f8", ">f8", "i1", "i8", "u8", "?", "c16", "U2", "M8[s]", "O"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.sampled_from([lambda a: a, lambda a: a.tolist(), np.asfortranarray, pd.Series, pd.DataFrame, torch.tensor]),
)
def test_an_accepted_array_has_the_numbers_that_python_reads(array: np.ndarray, wrap: object) -> None:
    try:
        given = wrap(array)  # type: ignore[operator]
    except (ValueError, TypeError, RuntimeError, OverflowError):
        return  # not ours: pandas and torch do not take it
    try:
        reals = as_reals("x", given)
    except InputError as error:
        return one_line(error)
    assert reals.dtype == np.float64
    for ours, theirs in zip(reals.ravel().tolist(), array.ravel().tolist(), strict=True):
        assert ours == theirs or (ours != ours and theirs != theirs)


@pytest.mark.parametrize("kind", [np.float16, np.float32, torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("count", [3, 500, 10_000])
def test_weights_divided_by_their_sum_in_their_own_type_are_taken(kind: object, count: int) -> None:
    drawn = np.random.default_rng(count).random(count)
    if isinstance(kind, torch.dtype):
        weights = torch.tensor(drawn).softmax(0).to(kind).requires_grad_()
        meant = weights.detach().double().numpy()
    else:
        weights = (drawn / drawn.sum()).astype(kind)
        meant = weights.astype(float)
    taken = as_weights("a", weights, count)
    np.testing.assert_allclose(taken, meant / meant.sum(), rtol=1e-12)
    assert abs(taken.sum() - 1) < 1e-12


def test_weights_summed_halved_in_float32_are_taken() -> None:
    w = np.random.default_rng(0).random(100_000).astype(np.float32)
    w /= np.add.accumulate(w)[-1]
    assert abs(w.sum(dtype=float) - 1) > 1e-9
    as_weights("a", w, len(w))


def test_a_million_weights_are_taken_and_the_sum_of_huge_ones_is_refused_in_one_line() -> None:
    w = np.random.default_rng(1).exponential(size=10**6)
    as_weights("a", w / sum(w.tolist()), 10**6)
    with pytest.raises(InputError, match="weights a must sum to 1; they sum to inf: divide"):
        as_weights("a", [1e308] * 5, 5)


@pytest.mark.parametrize("weights", [[0.5, 0.25], np.float32([0.5, 0.501]), torch.tensor([0.5, 0.25]).half()])
def test_the_remedy_for_weights_works(weights: object) -> None:
    with pytest.raises(InputError, match=r"must sum to 1; .*divide them by their sum") as caught:
        as_weights("a", weights, 2)
    assert ("convert them to float64 first" in str(caught.value)) == (not isinstance(weights, list))
    right = np.asarray(weights, dtype=np.float64)
    as_weights("a", right / right.sum(), 2)


def test_every_entry_takes_tensors_with_a_graph() -> None:
    torch.manual_seed(0)
    x, y, net = torch.randn(12, 3), torch.randn(9, 3), torch.nn.Linear(3, 1)
    made = net(x).expand(12, 3) + x, net(y).expand(9, 3) * 2
    cost = otbench.cost_matrix(*made)
    plain = [part.detach().double().numpy() for part in made]
    assert np.array_equal(cost, otbench.cost_matrix(*plain))
    exact = otbench.solve_exact(*made)
    assert exact.w1 == otbench.solve_exact(*plain).w1 == otbench.verify_exact(exact, *made).w1
    values = [net(part)[:, 0] for part in made]
    bounds = otbench.lower_bounds(*values, torch.tensor(cost, requires_grad=True))
    assert bounds == otbench.lower_bounds(*(v.detach().double().numpy() for v in values), cost)
    assert otbench.audit(lambda z: z[:, 0], *made) == otbench.audit(lambda z: z[:, 0], *plain)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.zeros((2, 2)), np.zeros((2, 3)), "x and y must have the same dimension; got 2 and 3"),
        (np.zeros(2), np.zeros((2, 2)), "x must have shape"),
        ([[np.nan]], [[1.0]], "x must be finite"),
        (np.zeros((2, 1, 4, 4)), np.zeros((2, 1, 4, 4)), "flatten every point"),
    ],
)
def test_a_cost_matrix_of_malformed_points_is_refused(x: object, y: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        otbench.cost_matrix(x, y)


@pytest.mark.parametrize("values", [torch.randn(3, 1), [["a"]], [1.0, np.nan], np.array([1j]), pd.Series(["a"])])
def test_values_that_are_no_vector_of_finite_numbers_are_refused(values: object) -> None:
    with pytest.raises(InputError, match="fx must"):
        otbench.lower_bounds(values, [1.0], [[1.0]])
    with pytest.raises(InputError, match="cost must"):
        otbench.lower_bounds([1.0], [1.0], [["far"]])


def test_a_sample_holds_arrays_that_torch_may_write_to() -> None:
    pair = SamplePair(READ_ONLY, np.broadcast_to(1.0, (4, 2)), np.broadcast_to(1 / 3, 3))
    assert all(part.flags.writeable for part in (pair.x, pair.y, pair.a, pair.b))


def one_line(error: Exception) -> None:
    assert "\n" not in str(error)


WHOLE = [np.int64(3), np.int8(3), np.uint64(3), np.array(3), torch.tensor(3)]


@pytest.mark.parametrize("three", WHOLE, ids=lambda value: type(value).__name__)
def test_a_whole_number_may_be_of_any_integer_type(three: object) -> None:
    assert type(as_whole("n", three)) is int
    p = otbench.problem("translation", dim=2)
    assert np.array_equal(p.sample(three, seed=three).x, p.sample(3, seed=3).x)
    assert np.array_equal(p.fresh(3, 3, three, three)[0], p.fresh(3, 3, 3, 3)[0])
    digits = otbench.problem("digits")
    assert np.array_equal(digits.sample(three, seed=three).x, digits.sample(3, seed=3).x)


@pytest.mark.parametrize("bad", [True, np.True_, np.array(True), torch.tensor(True), 3.0, np.float64(3), "3", [3]])
def test_what_is_no_whole_number_is_refused(bad: object) -> None:
    with pytest.raises(InputError, match="seed must be a whole number; got "):
        otbench.problem("translation", dim=2).sample(4, seed=bad)  # type: ignore[arg-type]


def test_descriptions_take_the_numbers_of_numpy() -> None:
    made = otbench.WeightClip(
        clip=np.float32(0.5), widths=np.array([8, 8]), steps=np.int64(10), biases=np.False_, betas=np.array([0.5, 0.9])
    )
    meant = otbench.WeightClip(clip=0.5, widths=(8, 8), steps=10, biases=False, betas=(0.5, 0.9))
    assert made == meant
    assert made.columns("method") == meant.columns("method")
    assert otbench.WeightClip(widths=(np.int64(8), np.int32(4))).widths == (8, 4)
    assert otbench.problem("translation", dim=np.int64(4)) == otbench.problem("translation", dim=4)
    assert otbench.problem("shared_mass", dim=np.uint8(4), overlap=np.float64(0.5)).overlap == 0.5
    for bad in (np.True_, np.float64(4.0), np.array([4])):
        with pytest.raises(InputError, match=r"dim: .*valid integer"):
            otbench.problem("translation", dim=bad)


def test_training_and_advice_take_the_numbers_of_numpy() -> None:
    pair, method = otbench.problem("translation", dim=2).sample(8), otbench.WeightClip(steps=4)
    points = pair.x
    theirs, ours = (otbench.train(pair, method, seed=seed).values(points) for seed in (np.int64(5), 5))
    assert np.array_equal(theirs, ours)
    assert advise(np.int64(8), np.array([64, 64])) == advise(8, [64, 64])
    for bad in (True, 1.5, -1):
        with pytest.raises(InputError, match="seed must be a whole number of at least 0; got "):
            otbench.train(pair, method, seed=bad)  # type: ignore[arg-type]

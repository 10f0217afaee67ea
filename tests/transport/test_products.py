"""Products of a look through all pairs: whoever multiplies, no pair is lost, and the certified answer is the same."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from small import declare

import otbench
from otbench.errors import InputError
from otbench.experiment.run.tasks import run_task
from otbench.transport import pricing, products, sparse, start
from otbench.transport.exact import check_options
from otbench.transport.pricing import PointCosts
from otbench.transport.products import DeviceProduct, HostProduct, Multiply, on_device, on_host, whole_float32
from otbench.transport.sparse import prove, solve_sparse

gpu = pytest.param("cuda", marks=pytest.mark.gpu)

#: torch on the device that every machine has, and on the one that it is for.
DEVICES = pytest.mark.parametrize("device", ["cpu", gpu])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels and blocks so small that small samples have several of them."""
    monkeypatch.setattr(start, "SMALL_PROBLEM", 100)
    monkeypatch.setattr(sparse, "SMALL_PROBLEM", 100)
    monkeypatch.setattr(pricing, "BLOCK_ROWS", 16)
    monkeypatch.setattr(products, "BLOCK_COLS", 32)
    monkeypatch.setattr(products, "DEVICE_COLS", 40)


def by(device: str) -> Multiply:
    return partial(on_device, device=device)


def sample(n: int, m: int, d: int, far: float = 0.0) -> tuple[Any, Any, np.random.Generator]:
    rng = np.random.default_rng([n, m, d])
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    x[0] += far
    size = np.abs(np.concatenate([x, y])).max()
    return x / size, y / size, rng


def lost(multiply: Multiply, n: int, m: int, d: int = 7, far: float = 0.0) -> int:
    """How many of the pairs within reach of potentials that many pairs are nearly tight for are not found."""
    x, y, _ = sample(n, m, d, far)
    p, q = x[:, 0], 1e-6 - y[:, 0]
    cost = cdist(x, y)
    middle = np.median(cost - p[:, None] - q)
    found = PointCosts(x, y, multiply).near(p + middle, q)
    there = np.zeros(cost.shape, bool)
    there[found.rows, found.cols] = True
    assert (cost <= p[:, None] + middle + q + 1e-15)[there].all(), "what is found is judged in float64"
    return int(np.count_nonzero((cost <= p[:, None] + middle + q - 1e-15) & ~there))


@DEVICES
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (15, 39, 2), (16, 40, 3), (17, 81, 16), (90, 7, 130)])
def test_no_pair_is_lost_and_none_too_many_is_kept(n: int, m: int, d: int, device: str) -> None:
    for far in (0.0, 1e6):
        assert lost(by(device), n, m, d, far) == lost(on_host, n, m, d, far) == 0


def test_products_of_rounded_factors_would_lose_pairs() -> None:
    """What TensorFloat-32 is: the factors rounded to ten bits."""

    class Rough(DeviceProduct):
        def _there(self, numbers: products.Factor) -> Any:
            bits = torch.from_numpy(np.array(numbers)).view(torch.int32)
            return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)

    @contextmanager
    def rough(left: products.Factor, right: products.Factor) -> Iterator[products.Product]:
        yield Rough(left, right, "cpu")

    assert lost(rough, 400, 400) > 0
    assert lost(by("cpu"), 400, 400) == 0


@DEVICES
def test_who_multiplies_changes_no_more_than_rounding_of_what_is_estimated(device: str) -> None:
    x, y, rng = sample(50, 130, 5)
    v = rng.standard_normal(130) / 9
    here, there = PointCosts(x, y), PointCosts(x, y, by(device))
    exact = (cdist(x, y) - v).min(axis=1)
    assert there.c_transform(v) == pytest.approx(exact, abs=1e-3)
    assert there.c_transform(v) == pytest.approx(here.c_transform(v), abs=1e-5)
    rooms = [costs.room(exact, v, 20, np.random.default_rng(0)) for costs in (here, there)]
    assert rooms[1] == pytest.approx(rooms[0], abs=1e-5)
    assert there.turned.c_transform(exact) == pytest.approx(here.turned.c_transform(exact), abs=1e-5)
    u, v = exact + rng.standard_normal(50), v + rng.standard_normal(130)
    assert there.excess(u, v)[0] == pytest.approx(here.excess(u, v)[0], rel=1e-14)


@DEVICES
@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 2), (400, 400, 16), (60, 500, 3)])
def test_the_certified_answer_is_the_same(n: int, m: int, d: int, device: str) -> None:
    x, y, _ = sample(n, m, d)
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    here, there = (solve_sparse(x, y, a, b, multiply=multiply) for multiply in (on_host, by(device)))
    assert here.done
    assert there.done
    assert there.above.cost == pytest.approx(here.above.cost, rel=1e-12)
    assert there.below.lower == pytest.approx(here.below.lower, rel=1e-12)
    assert there.below.lower <= here.above.upper
    again, above = prove(x, y, a, b, there.below.u, there.below.v, there.above.plan, by(device))
    assert above is not None
    assert (again.lower, above.upper) == (there.below.lower, there.above.upper)


@DEVICES
def test_a_device_multiplies_wherever_pairs_are_looked_through(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every level, in every round, for the certificate, and for potentials of a critic."""

    def never(*_: object) -> None:
        raise AssertionError("numpy multiplies")

    monkeypatch.setattr(HostProduct, "__init__", never)
    x, y, _ = sample(300, 200, 3)
    a, b = np.full(300, 1 / 300), np.full(200, 1 / 200)
    assert solve_sparse(x, y, a, b, multiply=by(device)).done
    with pytest.raises(AssertionError, match="numpy multiplies"):
        solve_sparse(x, y, a, b)


@pytest.mark.gpu
def test_a_gpu_solves_what_a_caller_and_a_run_hand_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otbench.transport.exact.DENSE_PAIRS", 100)
    x, y, _ = sample(300, 200, 3)
    here, there = (otbench.solve_exact(x, y, route="sparse", device=device) for device in ("cpu", "cuda"))
    assert there.w1 == pytest.approx(here.w1, rel=1e-12)
    critic = otbench.solve_exact(x, y, device="cuda", critic=lambda z: z[:, 0])
    assert critic.w1 == pytest.approx(here.w1, rel=1e-12)
    cells = declare(tmp_path, problem='{ name = "shared_mass", dim = 3 }', sampling="{ n = 200 }").cells
    found = [run_task([cells], tmp_path / device, device)[0][0]["primal"] for device in ("cpu", "cuda")]
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def states() -> dict[str, Callable[[], object]]:
    """Ways in which torch may be told to multiply roughly, by its older names and by its newer ones."""
    told: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "medium": lambda: torch.set_float32_matmul_precision("medium"),
        "allow_tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    }
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        told["tf32"] = lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32")
        told["bf16"] = lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16")
    return told


def settings() -> list[object]:
    found: list[object] = []
    for read in (
        torch.get_float32_matmul_precision, lambda: torch.backends.cuda.matmul.allow_tf32,
        lambda: getattr(torch.backends.cuda.matmul, "fp32_precision", ""),
        lambda: getattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision", ""),
    ):  # fmt: skip
        try:
            found.append(read())
        except RuntimeError:
            found.append("mixed")
    return found


@pytest.mark.parametrize("state", states())
def test_products_are_of_whole_float32_and_the_settings_are_left_as_they_were(state: str) -> None:
    fresh = settings()
    with whole_float32():
        assert settings()[:2] == ["highest", False]
    assert settings() == fresh
    try:
        states()[state]()
        before = settings()
        with suppress(ZeroDivisionError), whole_float32():
            within = settings()
            raise ZeroDivisionError
        assert within[:2] == ["highest", False]
        assert not {"tf32", "bf16"} & set(within[2:])
        assert settings() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_device_that_is_full_refuses_the_sample_in_one_line() -> None:
    @contextmanager
    def full(left: products.Factor, right: products.Factor) -> Iterator[products.Product]:
        with on_device(left, right, "cpu"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nGPU 0 has none")
        yield

    with pytest.raises(MemoryError, match=r"^cpu: CUDA out of memory\. Tried to allocate 2 GiB\.$"):
        solve_sparse(*sample(30, 30, 2)[:2], *[np.full(30, 1 / 30)] * 2, math.inf, None, full)


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", None])
def test_a_device_that_is_none_is_refused(device: object) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        otbench.solve_exact([[0.0]], [[1.0]], device=device)


def test_a_device_is_for_the_route_that_looks_through_pairs() -> None:
    check_options("dense", None, "cpu")
    check_options("sparse", None, "cuda:0")
    with pytest.raises(InputError, match="a device is for the sparse route"):
        check_options("dense", None, "cuda:0")

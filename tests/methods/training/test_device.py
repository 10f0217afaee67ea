"""What training asks of its device: memory that others leave, halves where that is too little, and a clock it keeps."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from otbench.deadline import TimeLimitError, limited
from otbench.methods import Discriminator, Job, WeightClip, method
from otbench.methods.fitted import Fitted
from otbench.methods.train import train_many
from otbench.methods.training import clipped, device, neural
from otbench.methods.training.batches import in_batches
from otbench.methods.training.device import GPU_SHARE, WORKSPACES, Pace, share_of
from otbench.methods.training.engine import Engine
from otbench.types import Indices, SamplePair

GIB = 2**30


def pair() -> SamplePair:
    rng = np.random.default_rng(0)
    return SamplePair(rng.standard_normal((30, 2)), 1 + rng.standard_normal((20, 2)))


def test_a_batch_takes_its_share_of_what_nobody_uses() -> None:
    """Memory of other processes and of our own tensors is in use; what torch keeps for reuse is not."""
    assert share_of(10 * GIB, 0, 0) == int(GPU_SHARE * (10 * GIB - WORKSPACES))
    assert share_of(10 * GIB, 3 * GIB, 0) == share_of(13 * GIB, 0, 0)
    assert share_of(10 * GIB, 3 * GIB, 3 * GIB) == share_of(10 * GIB, 0, 0)
    assert share_of(WORKSPACES - 1, 0, 0) == 0


@pytest.mark.parametrize("fields", [{}, {"batch": "full"}, {"dtype": "float64"}, {"widths": (512, 512)}], ids=str)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_batch_on_a_gpu_grows_with_what_is_free_down_to_one_critic(
    fields: dict[str, Any], fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    for room in (0, GIB, 2 * GIB, 64 * GIB):
        monkeypatch.setattr(clipped, "gpu_room", lambda _, room=room: room)
        sizes.append(clipped.batch_size(pair(), WeightClip(**fields), "cuda", fresh))
    assert sizes[0] == 1
    assert sizes[2] / sizes[1] == pytest.approx(2, rel=0.02)
    assert sizes[3] / sizes[1] == pytest.approx(64, rel=0.02)


def test_a_batch_of_networks_on_a_gpu_is_no_larger_than_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, sizes = method("gradient_penalty", widths=[64, 64]), []
    for room in (0, 2**28, 2**29, 2**50):
        monkeypatch.setattr(neural, "gpu_room", lambda _, room=room: room)
        sizes.append(neural.batch_size(recipe, 2, "cuda"))
    assert sizes[0] == 1
    assert sizes[2] / sizes[1] == pytest.approx(2, rel=0.05)
    assert sizes[3] <= 64 * neural.MOST_TOGETHER


@pytest.mark.gpu
def test_a_batch_is_no_larger_than_the_memory_it_was_sized_for() -> None:
    recipe = WeightClip(widths=(256, 256), batch=256)
    size = clipped.batch_size(pair(), recipe, "cuda")
    some = [pair()] * min(size, 512)
    room = device.gpu_room("cuda") * len(some) / size
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    Engine(some, [recipe] * len(some), list(range(len(some))), "cuda").prepare()
    assert torch.cuda.max_memory_allocated() - before <= room + WORKSPACES


@pytest.mark.parametrize(("count", "size", "due"), [(10, 10, [10]), (10, 5, [5, 5]), (10, 4, [4, 3, 3])])
def test_batches_are_no_larger_than_they_should_be_and_hold_every_critic_once(
    count: int, size: int, due: list[int]
) -> None:
    sizes: list[int] = []

    def train(some: Indices) -> list[Fitted]:
        sizes.append(len(some))
        return [Fitted(None, reason=str(k)) for k in some]

    assert [fitted.reason for fitted in in_batches(count, size, train)] == [str(k) for k in range(count)]
    assert sizes == due


def test_an_engine_that_runs_out_of_memory_trains_the_same_critics_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [WeightClip(widths=(6,), steps=8, batch=8, clip=0.1 * k) for k in (1, 2, 3, 4, 5)]
    due = train_many([pair()] * 5, recipes, [0] * 5)
    run = Engine.run

    def small(self: Engine, first: int, last: int) -> None:
        if self.stack.critics > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        run(self, first, last)

    monkeypatch.setattr(Engine, "run", small)
    found = train_many([pair()] * 5, recipes, [0] * 5)
    for here, there in zip(found, due, strict=True):
        assert here.batch <= 2
        assert (here.values(pair().x) == there.values(pair().x)).all()


class LaggingDevice:
    """A clock of which every look takes 0.3 seconds, and a device that is a hundred seconds behind when waited for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.waits = 0.0, 0
        patch.setattr(time, "monotonic", self.look)

    def look(self) -> float:
        self.now += 0.3
        return self.now

    def wait(self) -> None:
        self.now += 100
        self.waits += 1


def test_a_device_is_waited_for_about_once_a_second_while_a_limit_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    lagging = LaggingDevice(monkeypatch)
    pace = Pace(lagging.wait)
    for _ in range(20):
        pace.check()
    assert lagging.waits == 0, "without a limit nobody waits"
    with limited(1e6):
        start = lagging.now
        for _ in range(40):
            pace.check()
        spent = lagging.now - start - 100 * lagging.waits
        assert spent / 2.5 <= lagging.waits <= spent
    Pace(None).check()


@pytest.mark.parametrize("recipe", [
    WeightClip(widths=(4,), batch=8, steps=640), method("gradient_penalty", widths=[4], batch=8, steps=640),
    Discriminator(widths=(4,), batch=8, steps=640),
], ids=lambda recipe: recipe.name)  # fmt: skip
def test_a_limit_ends_training_on_a_device_that_has_been_handed_more_than_it_did(
    recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lagging = LaggingDevice(monkeypatch)
    with limited(50):
        type(recipe).fit([recipe], [Job(pair(), 0, exact=None)], "cpu")
    monkeypatch.setattr(Pace, "of", lambda device: Pace(lagging.wait))
    with limited(50), pytest.raises(TimeLimitError):
        type(recipe).fit([recipe], [Job(pair(), 0, exact=None)], "cpu")
    assert lagging.waits == 1

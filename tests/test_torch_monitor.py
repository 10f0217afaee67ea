"""The metric of training loops: the numbers of otbench.monitor and otbench.certify, however the batches come."""

import copy
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import otbench
from otbench.confidence import upper_confidence
from otbench.errors import InputError
from otbench.methods.running import SIZE, Moments, Totals
from otbench.torch import W1Monitor

BRACKETED = {"bound", "raw", "slope", "estimate", "lower", "upper"}


def critic(seed: int = 0, dim: int = 3) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(dim, 8), nn.ReLU(), nn.Linear(8, 1))


def batches(count: int, size: int = 24, dim: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of the laws N(0, I) and N(e_1, I), whose W1 is 1."""
    generator = torch.Generator().manual_seed(5)
    drawn = torch.randn(2, count, size + 1, dim, generator=generator)
    drawn[1, :, :, 0] += 1
    return [(drawn[0, k, : size - k], drawn[1, k]) for k in range(count)]


def read(monitor: W1Monitor, f: nn.Module, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> W1Monitor:
    for x, y in pairs:
        monitor.update(f(x), f(y), x, y)
    return monitor


def test_the_mean_of_the_batches_bounds_is_below_the_mean_of_their_w1() -> None:
    f, pairs = critic(), batches(4)
    told = read(W1Monitor(), f, pairs).compute()
    each = [otbench.monitor(f(x), f(y), x, y) for x, y in pairs]
    assert float(told["bound"]) == pytest.approx(np.mean([b.bound for b in each]), rel=1e-12)
    assert float(told["raw"]) == pytest.approx(np.mean([b.raw for b in each]), rel=1e-12)
    assert float(told["slope"]) == max(b.slope for b in each)
    assert 0 < float(told["bound"]) <= np.mean([otbench.solve_exact(x, y).w1 for x, y in pairs])
    assert set(told) == {"bound", "raw", "slope"}


def test_the_bracket_is_what_certify_and_the_exact_values_say_of_all_points() -> None:
    f, pairs = critic(1), batches(5)
    monitor = read(W1Monitor(critic=f, level=0.8), f, pairs)
    told = {name: float(value) for name, value in monitor.compute().items()}
    x, y = (torch.cat(side) for side in zip(*pairs, strict=True))
    whole = otbench.certify(f, x, y, level=0.9)  # each end errs with half of 1 - 0.8
    assert told["estimate"] == pytest.approx(whole.estimate, rel=1e-9)
    assert told["lower"] == pytest.approx(max(0, whole.lower), rel=1e-9, abs=1e-12)
    exact = [otbench.solve_exact(x, y).w1 for x, y in pairs]
    assert told["upper"] == pytest.approx(upper_confidence(exact, 0.9), rel=1e-9)
    assert set(told) == BRACKETED


def test_a_critic_that_tells_the_laws_apart_brackets_their_w1() -> None:
    f = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        f.weight.copy_(torch.tensor([[-0.7, 0.0, 0.0]]))  # any multiple of the potential
    told = read(W1Monitor(critic=f), f, batches(6, size=60)).compute()
    assert 0.5 < float(told["lower"]) < 1 < float(told["upper"])
    assert float(told["estimate"]) == pytest.approx(1, abs=0.25)


def test_batches_in_any_order_and_in_parts_come_to_one_state() -> None:
    f, pairs = critic(2), batches(5)
    whole = read(W1Monitor(critic=f), f, pairs)
    one, other = read(W1Monitor(critic=f), f, pairs[3:]), read(W1Monitor(critic=f), f, pairs[:3])
    one.merge_state(other)
    assert one.update_count == whole.update_count == 5
    torch.testing.assert_close(one.get_extra_state(), whole.get_extra_state(), rtol=1e-12, atol=1e-12)
    for empty in (W1Monitor(critic=f), W1Monitor()):
        empty.merge_state(whole)
        assert empty.get_extra_state().tolist() == whole.get_extra_state().tolist()


def test_reset_forgets_and_nothing_is_told_of_no_batch() -> None:
    f, (pair, *_) = critic(), batches(1)
    monitor = read(W1Monitor(critic=f), f, [pair])
    assert math.isinf(monitor.compute()["upper"])  # one exact value tells no spread
    monitor.reset()
    assert monitor.update_count == 0
    told = monitor.compute()
    assert set(told) == BRACKETED
    assert all(math.isnan(value) for value in told.values())
    again = read(monitor, f, [pair]).get_extra_state()
    assert again.tolist() == read(W1Monitor(critic=f), f, [pair]).get_extra_state().tolist()


def test_the_state_is_in_state_dict_and_the_held_out_critic_is_not(tmp_path: Path) -> None:
    f, pairs = critic(), batches(2)
    model = nn.ModuleDict({"critic": f, "w1": read(W1Monitor(critic=f), f, pairs)})
    torch.save(model.state_dict(), tmp_path / "state.pt")
    fresh = nn.ModuleDict({"critic": critic(9), "w1": W1Monitor(critic=f)})
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert {n: float(v) for n, v in fresh["w1"].compute().items()} == {
        n: float(v) for n, v in model["w1"].compute().items()
    }
    assert list(W1Monitor(critic=f).state_dict()) == ["_extra_state"]
    assert not list(W1Monitor(critic=f).parameters())
    assert not list(W1Monitor(critic=f).buffers())  # which would be overwritten where processes are kept alike
    with pytest.raises(InputError, match=f"has {SIZE} numbers; got fewer"):
        W1Monitor().set_extra_state(torch.zeros(3))


def test_casting_a_module_leaves_the_metric_as_exact_as_it_was_and_moving_it_moves_its_numbers() -> None:
    f, pairs = critic(), batches(2)
    monitor = read(W1Monitor(), f, pairs)
    before = monitor.compute()
    for cast in (nn.Sequential(monitor).half(), nn.Sequential(monitor).bfloat16()):
        after = cast[0].compute()
        assert after["bound"].dtype == torch.float64
        assert {n: float(v) for n, v in after.items()} == {n: float(v) for n, v in before.items()}
    assert {value.device.type for value in monitor.to("meta").compute().values()} == {"meta"}


@pytest.mark.gpu
def test_batches_of_a_gpu_give_numbers_there() -> None:
    f, (pair, *_) = critic().cuda(), batches(1)
    x, y = (z.cuda() for z in pair)
    monitor = W1Monitor(critic=f).cuda()
    monitor.update(f(x), f(y), x, y)
    told = monitor.compute()
    assert {value.device.type for value in told.values()} == {"cuda"}
    here = otbench.monitor(f(x), f(y), x, y)
    assert float(told["bound"]) == here.bound


def test_a_copy_and_a_pickle_go_on_by_themselves() -> None:
    f, pairs = critic(), batches(2)
    monitor = read(W1Monitor(), f, pairs[:1])
    for other in (copy.deepcopy(monitor), pickle.loads(pickle.dumps(monitor))):  # noqa: S301
        assert read(other, f, pairs[1:]).update_count == 2
    assert monitor.update_count == 1


def test_forward_tells_of_its_own_batch_alone() -> None:
    f, pairs = critic(), batches(2)
    monitor = W1Monitor()
    told = [monitor(f(x), f(y), x, y) for x, y in pairs]
    assert told == [otbench.monitor(f(x), f(y), x, y) for x, y in pairs]
    assert float(monitor.compute()["bound"]) == pytest.approx(np.mean([float(b) for b in told]), rel=1e-12)


def test_a_critic_that_changed_between_updates_is_refused_until_reset() -> None:
    f, pairs = critic(), batches(2)
    monitor = read(W1Monitor(critic=f), f, pairs[:1])
    with torch.no_grad():
        f[0].weight.mul_(1.01)
    with pytest.raises(InputError, match=r"has changed between two updates: .*call reset\(\)"):
        read(monitor, f, pairs[1:])
    monitor.reset()
    assert read(monitor, f, pairs[1:]).update_count == 1


class Strange(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.erf(x).sum(dim=1) + torch.special.bessel_j0(x).sum(dim=1)


def test_a_critic_without_a_constant_is_refused_and_a_vouched_one_is_not() -> None:
    f, (pair, *_) = Strange(), batches(1)
    with pytest.raises(InputError, match=r"no Lipschitz constant .* is known everywhere .*vouch for it by lipschitz="):
        read(W1Monitor(critic=f), f, [pair])
    assert read(W1Monitor(critic=f, lipschitz=4.0), f, [pair]).update_count == 1
    for wrong in ({"level": 1.0}, {"clip": 0.1}, {"lipschitz": 2.0}):
        with pytest.raises(InputError):
            W1Monitor(**wrong)


def test_images_are_read_as_they_are() -> None:
    f = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    x, y = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(5, 1, 4, 4)
    told = read(W1Monitor(critic=f), f, [(x, y), (x + 1, y + 0.5)]).compute()
    assert set(told) == BRACKETED
    assert float(told["lower"]) <= float(told["upper"])


def test_in_a_plain_loop_the_metric_follows_the_critic() -> None:
    f, monitor = critic(3), W1Monitor()
    optimiser = torch.optim.RMSprop(f.parameters(), lr=1e-2)
    bounds = []
    for _ in range(3):
        for x, y in batches(8):
            fx, fy = f(x), f(y)
            optimiser.zero_grad()
            (fy.mean() - fx.mean()).backward()
            optimiser.step()
            monitor.update(fx, fy, x, y)
        bounds.append(float(monitor.compute()["bound"]))
        monitor.reset()
    assert bounds[-1] > bounds[0] > 0


def test_moments_of_parts_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).normal(1e6, 1, 50)
    whole, parts = Moments.of(values), Moments.of(values[:7]) + Moments.of(values[7:8]) + Moments.of(values[8:])
    for name in ("count", "mean", "squares"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    assert parts.variance_of_mean == pytest.approx(values.var(ddof=1) / 50, rel=1e-9)
    assert Moments() + Moments() == Moments()
    assert Totals.from_numbers(Totals().numbers()) == Totals()


@pytest.mark.filterwarnings("ignore")
def test_torchmetrics_takes_the_metric_into_a_collection() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    from otbench.torchmetric import W1Metric, _united

    f, pairs = critic(), batches(3)
    together = torchmetrics.MetricCollection({"batch": W1Metric(), "laws": W1Metric(critic=f)})
    for x, y in pairs:
        together.update(critic_x=f(x), critic_y=f(y), x=x, y=y)
    told = together.compute()
    ours = read(W1Monitor(critic=f), f, pairs).compute()
    for name, value in ours.items():
        (found,) = {float(v) for key, v in told.items() if key.endswith(name) and "laws" in key} or {math.nan}
        assert found == pytest.approx(float(value), rel=1e-12)
    together.reset()
    one = W1Metric()
    single = one(f(pairs[0][0]), f(pairs[0][1]), *pairs[0])  # forward: of this batch alone
    one(f(pairs[1][0]), f(pairs[1][1]), *pairs[1])
    assert float(single["bound"]) == otbench.monitor(f(pairs[0][0]), f(pairs[0][1]), *pairs[0]).bound
    assert float(one.compute()["bound"]) == pytest.approx(
        float(read(W1Monitor(), f, pairs[:2]).compute()["bound"]), rel=1e-12
    )
    states = [read(W1Monitor(), f, part).get_extra_state() for part in (pairs[:1], pairs[1:])]
    assert _united(torch.stack(states))[0] == 3  # what two processes gather


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_logs_the_metric_and_resets_it_every_epoch(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    from otbench.torchmetric import W1Metric

    logged: list[dict[str, float]] = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.critic, self.w1 = critic(4), W1Monitor()
            self.metric = W1Metric()
            self.count = 0

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            x, y = batch
            fx, fy = self.critic(x), self.critic(y)
            self.w1.update(fx, fy, x, y)
            self.metric.update(fx, fy, x, y)
            return fy.mean() - fx.mean()

        def on_train_epoch_end(self) -> None:
            ours, theirs = self.w1.compute(), self.metric.compute()
            assert self.w1.update_count == 4
            self.log_dict({f"w1/{name}": value for name, value in ours.items()})
            assert {n: float(v) for n, v in ours.items()} == {n: float(v) for n, v in theirs.items()}
            logged.append({name: float(value) for name, value in ours.items()})
            self.w1.reset()
            self.metric.reset()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.RMSprop(self.critic.parameters(), lr=1e-2)

    x, y = (torch.cat([pair[k][:20] for pair in batches(4)]) for k in (0, 1))
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=20)
    trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False,
                                enable_model_summary=False, default_root_dir=tmp_path)  # fmt: skip
    module = Module()
    trainer.fit(module, data)
    assert float(trainer.logged_metrics["w1/bound"]) == pytest.approx(logged[1]["bound"], rel=1e-6)
    assert logged[1]["bound"] > logged[0]["bound"] > 0
    saved = torch.load(next(tmp_path.rglob("*.ckpt")), weights_only=False)["state_dict"]
    assert "w1._extra_state" in saved


def test_the_loop_of_the_document_prints_bounds_and_a_bracket(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "monitor.md").read_text()
    file = Path(otbench.__file__).parent.parent / "docs" / "monitor.md"
    code = text.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, str(file), "exec"), {})
    first, second, bracket = capsys.readouterr().out.splitlines()
    assert all(0 < float(line.split()[1]) < 2 * 2**0.5 for line in (first, second))  # W1 of the laws is sqrt(2)
    lower, upper = map(float, bracket.partition("[")[2].rstrip("]").split(","))
    assert lower <= 2**0.5 <= upper

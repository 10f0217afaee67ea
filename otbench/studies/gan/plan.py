"""The plan of a study of generators: which data, critics, learning rates and seeds, and how long they train."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from otbench.files import dump
from otbench.results.schema import CONVERGED
from otbench.studies.plan import StudyPlan

Width = Annotated[int, Field(ge=1)]


def _steps(entry: object) -> object:
    if entry != CONVERGED and not (isinstance(entry, int) and not isinstance(entry, bool) and entry >= 1):
        raise ValueError(f"must be a number of steps from 1 on, or '{CONVERGED}'; got {entry!r}")
    return entry


NCritic = Annotated[int | Literal["converged"], BeforeValidator(_steps)]

#: The critic's steps per iteration of the loop whose generators those critics read: the WGAN paper's.
LOOP_OF_CONVERGED = 5


@dataclass(frozen=True)
class GanBatch:
    """A job: the GANs of one data set, learning rate, seed and loop, one per clip value, trained on common random
    numbers. ``loop`` is the number of steps that the critic takes per iteration."""

    dataset: str
    lr: float
    seed: int
    loop: int


class GeneratorPlan(StudyPlan):
    """The training of Arjovsky, Chintala, Bottou 2017, Algorithm 1, which is read after every ``every`` iterations.

    An iteration has n steps of the critic, which is clipped after each, and one step of the generator on the loss
    -mean f(g(z)), all by RMSProp with the rate ``lr``. n is an entry of ``n_critic``. Its entry "converged" trains no
    other generator: it reads that of the loop with 5 steps by another critic, which begins anew at every reading and
    takes ``retrain_steps`` steps on that generator as it stands, at the rate ``retrain_rate`` times its clip value, so
    that every box is reached. The records hold what such a critic prints after half of the steps too, which tells
    how far from converged it is.

    A reading compares ``n`` generated points with ``n`` points of the data. No critic and no generator trains on
    either: the points of the data are held out, and the latent points are drawn for the readings alone. They are the
    same at all readings of a seed.
    """

    kind: ClassVar[str] = "generator table"
    version: ClassVar[int] = 2
    source: ClassVar[str] = "Arjovsky, Chintala, Bottou 2017, Algorithm 1"

    datasets: list[Literal["ring", "swiss_roll", "digits"]] = Field(min_length=1)
    clip: list[Annotated[float, Field(gt=0)]] = Field(min_length=2, description="none is trained alone")
    lr: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)
    n_critic: list[NCritic] = Field([5], min_length=1)
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(min_length=1)
    iterations: int = Field(1500, ge=1)
    every: int = Field(75, ge=1)
    retrain_steps: int = Field(1000, ge=2)
    retrain_rate: float = Field(0.01, gt=0, description="in units of the clip value")
    batch: int = Field(64, ge=1)
    critic: list[Width] = Field([64, 64], description="the critic's hidden widths")
    generator: list[Width] = Field([64, 64], description="the generator's")
    latent: int = Field(8, ge=1, description="dimension of z, standard normal")
    n: int = Field(512, ge=2, le=898)

    def readings(self) -> range:
        """The iterations after which everything is read; the first reading is before any."""
        return range(0, self.iterations + 1, self.every)

    def jobs(self) -> dict[str, GanBatch]:
        """Every job by its name, one data set after another."""
        axes = {"datasets", "clip", "lr", "seeds", "n_critic"}
        shared = hashlib.sha256(dump([self.version, self.model_dump(exclude=axes)])).hexdigest()[:12]
        loops = dict.fromkeys(map(_loop, self.n_critic))
        jobs = [
            GanBatch(name, lr, seed, loop)
            for name in self.datasets for lr in self.lr for seed in self.seeds for loop in loops
        ]  # fmt: skip
        return {f"{job.dataset} lr={job.lr:g} seed={job.seed} loop={job.loop} plan={shared}": job for job in jobs}

    def arms(self, job: GanBatch) -> list[str]:
        """The entries of ``n_critic`` whose records the job gives, as text."""
        return list(dict.fromkeys(str(n) for n in self.n_critic if _loop(n) == job.loop))

    def records(self, device: str) -> dict[str, list[str]]:
        """The jobs in order, each with the keys of its records."""
        return {name: [record_key(name, *point) for point in self._points(job)] for name, job in self.jobs().items()}

    def _points(self, job: GanBatch) -> Iterator[tuple[str, float, int]]:
        return ((arm, c, iteration) for iteration in self.readings() for arm in self.arms(job) for c in self.clip)


def _loop(n_critic: int | str) -> int:
    """The critic's steps per iteration of the loop that an entry of ``n_critic`` reads."""
    return LOOP_OF_CONVERGED if isinstance(n_critic, str) else n_critic


def record_key(job: str, n_critic: str, clip: float, iteration: int) -> str:
    """The key of one reading of one GAN."""
    return f"{job} n_critic={n_critic} clip={clip:g} iteration={iteration}"

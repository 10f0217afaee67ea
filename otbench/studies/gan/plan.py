"""The plan of a study of generators: which data, clip values, learning rates and seeds, and how long they train."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from otbench.files import dump
from otbench.studies.plan import StudyPlan

Width = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class GanBatch:
    """A job: the GANs of one data set, learning rate and seed, one per clip value, trained on common random numbers."""

    dataset: str
    lr: float
    seed: int


class GeneratorPlan(StudyPlan):
    """The training of Arjovsky, Chintala, Bottou 2017, Algorithm 1, which is read after every ``every`` iterations.

    An iteration has ``critic_steps`` steps of the critic, which is clipped after each, and one step of the generator on
    the loss -mean f(g(z)), all by RMSProp with the rate ``lr``. A reading compares ``n`` generated points with ``n``
    points that were held out.
    """

    kind: ClassVar[str] = "generator table"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "Arjovsky, Chintala, Bottou 2017, Algorithm 1"

    datasets: list[Literal["ring", "swiss_roll", "digits"]] = Field(min_length=1)
    clip: list[Annotated[float, Field(gt=0)]] = Field(min_length=2, description="none is trained alone")
    lr: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(min_length=1)
    iterations: int = Field(3000, ge=1)
    every: int = Field(100, ge=1)
    critic_steps: int = Field(5, ge=1)
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
        axes = {"datasets", "clip", "lr", "seeds"}
        shared = hashlib.sha256(dump([self.version, self.model_dump(exclude=axes)])).hexdigest()[:12]
        jobs = [GanBatch(name, lr, seed) for name in self.datasets for lr in self.lr for seed in self.seeds]
        return {f"{job.dataset} lr={job.lr:g} seed={job.seed} plan={shared}": job for job in jobs}

    def records(self, device: str) -> dict[str, list[str]]:
        """The jobs in order, each with the keys of its records."""
        return {name: [record_key(name, *point) for point in self._points()] for name in self.jobs()}

    def _points(self) -> Iterator[tuple[float, int]]:
        return ((clip, iteration) for iteration in self.readings() for clip in self.clip)


def record_key(job: str, clip: float, iteration: int) -> str:
    """The key of one reading of one GAN."""
    return f"{job} clip={clip:g} iteration={iteration}"

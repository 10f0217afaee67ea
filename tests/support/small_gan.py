"""The small generator experiment that tests share."""

from pathlib import Path

from otbench.experiment.declaration import Experiment, load_experiment
from otbench.studies.gan.plan import GeneratorPlan

PLAN = """
question = "Does it learn?"
[generator]
datasets = ["ring", "digits"]
clip = [0.01, 0.1]
lr = [5e-4]
n_critic = [2, 5, "converged"]
seeds = [0, 1]
retrain_steps = 6
iterations = 6
every = 2
batch = 8
critic = [8, 8]
generator = [8]
latent = 3
n = 24
"""
CLOCKS = {"seconds_critic", "seconds_generator", "seconds_exact", "machine"}


def small_plan(**fields) -> GeneratorPlan:
    """A plan of one tiny job."""
    shape = {"iterations": 4, "every": 2, "batch": 8, "critic": [8, 8], "generator": [8], "latent": 3, "n": 24,
             "retrain_steps": 6}  # fmt: skip
    axes = {"datasets": ["ring"], "clip": [0.01, 0.1], "lr": [5e-4], "seeds": [0], "n_critic": [5]}
    return GeneratorPlan(**(axes | shape | fields))


def timeless(rows):
    """Rows without what no two runs have in common."""
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]


def declare_gan(folder: Path, text: str = PLAN) -> Experiment:
    """The experiment, by way of a file."""
    (folder / "gan.toml").write_text(text)
    return load_experiment(str(folder / "gan.toml"))

"""A stand-in for a clone of the W1 benchmark's repository, in its layout."""

from pathlib import Path

import torch


def clone(folder: Path, dims: tuple[int, ...] = (2,)) -> Path:
    """Make a clone in a folder, with one made-up pair of four funnels in each dimension."""
    seeded = torch.Generator().manual_seed(0)
    for dim in dims:
        file = folder / f"Wasserstein1Benchmark/benchmarks/nd/dim_{dim}/width_4/deg_8_seed_987.pt"
        file.parent.mkdir(parents=True)
        torch.save({"net.centers": 4 * torch.rand(4, dim, generator=seeded) - 2, "net.bias": torch.zeros(4)}, file)
    return folder / "Wasserstein1Benchmark"

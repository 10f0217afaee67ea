"""The largest singular value of matrices, from above: whatever is rounded, the number is no smaller than the truth."""

import math

import torch
from torch import Tensor

EPS = 2.0**-52

#: Matrices of up to this many rows have all their eigenvalues computed; of larger ones a guess is proved by Cholesky.
EIGENVALUES_UP_TO = 48

#: The proof asks for one Cholesky factor of a matrix this wide at most: 2 GFlop, 128 MiB.
PROVED_UP_TO = 4096

#: Steps of a guess, and by how much it is raised before each attempt to prove it.
LANCZOS_STEPS, RAISE = 24, 1.005

#: A step whose part outside the basis is less than this share of it is rounding: the basis is complete.
NOTHING_NEW = 1e-10

#: Entries that are multiplied out at once, 64 MiB of complex numbers.
COMPLEX_AT_ONCE = 2**22


def largest_singular_value(matrices: Tensor, rounding: float = 0.0) -> float:
    """An upper bound of max_b |A_b|_2, within 1 % of it, of matrices A (B, rows, cols), real or complex float64.

    |A|_2^2 is the largest eigenvalue of the smaller of the Gram matrices A A* and A* A. Up to 48 rows it is read off
    the spectrum. Of a larger G an estimate t is guessed by Lanczos and proved: G <= t where the Cholesky factor
    of t - G exists. Of matrices wider than 4096 both ways min(|A|_F, sqrt(|A|_1 |A|_inf)) is returned, which may be far
    above.

    Rounding is allowed for: that of the Gram matrix, gamma_n |A|_F^2 <= gamma_n m |A|_2^2 (n, m the larger and the
    smaller side), of the factor, gamma_(m+2) tr (t - G) <= gamma_(m+2) m t, and of the eigenvalues, a few eps m |G|.
    ``rounding`` is the relative error of the matrices in their Frobenius norm.

    Source: Higham 2002, Thms 3.5 and 10.7; Rump 2006 (positive definiteness proved by a factor that exists).
    """
    if matrices.numel() == 0:
        return 0.0
    size = float(matrices.abs().amax())
    if size == 0 or not math.isfinite(size):
        return size
    matrices = matrices / size
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.mH
    small, large = matrices.shape[1:]
    slack = allowance(small, large) + 4 * rounding * math.sqrt(small)
    if small > PROVED_UP_TO:
        return size * slack * _by_sums(matrices)
    largest, step = 0.0, max(1, COMPLEX_AT_ONCE // (small * large))
    for part in torch.split(matrices, step):
        largest = max(largest, largest_eigenvalue(part @ part.mH, largest))
    return size * slack * math.sqrt(max(largest, 0.0))


def allowance(small: int, large: int) -> float:
    """What |A|_2 of a matrix with these sides is multiplied by, to allow for the rounding of its Gram matrix."""
    return 1 + 16 * EPS * (small + 2) * (large + 2)


def largest_eigenvalue(grams: Tensor, least: float = 0.0) -> float:
    """The largest eigenvalue of Hermitian matrices (B, m, m), or up to 1 % more, but for rounding; or ``least``, if
    that is larger."""
    if grams.shape[1] <= EIGENVALUES_UP_TO:
        return max(least, float(torch.linalg.eigvalsh(grams).amax()))
    return _proved(grams, max(least, RAISE * _guess(grams)))


def _by_sums(matrices: Tensor) -> float:
    """max over the matrices of min(|A|_F, sqrt(|A|_1 |A|_inf))."""
    sizes = matrices.abs()
    frobenius = sizes.square().sum((1, 2)).sqrt()
    return float(torch.minimum(frobenius, (sizes.sum(1).amax(1) * sizes.sum(2).amax(1)).sqrt()).amax())


def _guess(grams: Tensor) -> float:
    """A lower estimate of the largest eigenvalue of any of the matrices (B, m, m), by Lanczos."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(*grams.shape[:2], 1, generator=generator, dtype=torch.float64).to(grams.dtype)
    basis = vector / vector.norm(dim=1, keepdim=True)
    for _ in range(LANCZOS_STEPS):
        image = vector = grams @ basis[:, :, -1:]
        for _ in range(2):  # once more, as the first time leaves rounding
            vector = vector - basis @ (basis.mH @ vector)
        length = vector.norm(dim=1, keepdim=True)
        # Where nothing but rounding is left, as in one step of an orthogonal matrix, the basis has all that it can
        # have, and rounding drawn to length 1 would not be orthogonal to it.
        new = length > NOTHING_NEW * image.norm(dim=1, keepdim=True)
        basis = torch.cat([basis, torch.where(new, vector / length, 0.0)], dim=2)
    return float(torch.linalg.eigvalsh(basis.mH @ (grams @ basis)).amax())


def _proved(gram: Tensor, guess: float) -> float:
    """The first number from ``guess`` on, in steps of half a percent, of which Cholesky proves that no eigenvalue is
    larger."""
    unit = torch.eye(gram.shape[1], dtype=gram.dtype)
    bound = max(guess, 1e-300)
    while torch.linalg.cholesky_ex(bound * unit - gram).info.any():
        bound *= RAISE
    return bound

"""Every family of problems with the fields tests give it, and tests parametrised over them."""

import pytest

from otbench.problems import PROBLEMS

SIGMAS = 5

FAMILIES = {
    "translation": [
        {"law": law, "direction": way, "shift": 0.7, "scale": 1.3}
        for law in ("gaussian", "cube", "ball")
        for way in ("axis", "diagonal")
    ],
    "scaling": [{"sigma": 0.5, "factor": 3.0}, {"factor": 0.25}, {"factor": 1.1}],
    "spheres": [{"inner": 0.5, "outer": 2.0}],
    "balls": [{"inner": 0.5, "outer": 2.0}, {"inner": 1.0, "outer": 1.05}],
    "segments": [{"theta": -0.8}, {"theta": 2.0}],
    "shared_mass": [
        {"overlap": overlap, "w1": 2.0, "weights": weights}
        for overlap in (0.0, 0.3, 0.9)
        for weights in ("uniform", "mixture")
    ],
    "partial_move": [
        {"overlap": overlap, "width": 2.0, "weights": weights}
        for overlap in (0.0, 0.3, 0.9)
        for weights in ("uniform", "mixture")
    ],
    "lift": [
        {"left": "normal", "right": "laplace", "location": 1.0, "scale": 1.0},
        {"left": "uniform", "right": "exponential", "location": -0.5, "scale": 0.7},
        {"left": "logistic", "right": "normal", "location": 0.2, "scale": 3.0},
    ],
    "funnels": [{"funnels": 1}, {"funnels": 9, "power": 3.0, "half_width": 0.8, "bias_scale": 0.5}],
    "patches": [
        {"comparison": "brighter", "brightness": 0.1},
        {"comparison": "brighter", "brightness": -0.03, "photograph": "flower"},
    ],
}

#: Families whose points are images have dimensions of their own, whichever a test asks for.
OWN_DIMS = {"patches": (192,)}

#: Laws with atoms, of which a point may come twice.
ATOMS = {"patches"}


def least_dim(name):
    """The smallest dimension that a family has, as its field says."""
    limits = [rule.ge for rule in PROBLEMS[name].model_fields["dim"].metadata if hasattr(rule, "ge")]
    return max(limits, default=1)


def cases(*dims, leave_out=()):
    chosen = [
        (name, dim, fields)
        for name, family in FAMILIES.items()
        if name not in leave_out
        for fields in family
        for dim in OWN_DIMS.get(name, dims)
        if dim >= least_dim(name)
    ]
    ids = [f"{name}-{dim}-" + "-".join(map(str, fields.values())) for name, dim, fields in chosen]
    return pytest.mark.parametrize(("name", "dim", "fields"), chosen, ids=ids)

"""The masses of a plan, computed again from the forest that its entries form, leaf after leaf."""

import numpy as np

from otbench.types import Array, Plan

#: An entry whose mass is below this share of the smaller of its atoms' weights is what rounding left there.
CRUMB = 2.0**-48


def rebuilt(plan: Plan, a: Array, b: Array) -> Plan:
    """The plan without crumbs, with the masses that its forest and the weights a (n,), b (m,) determine.

    The simplex adds and subtracts mass at every pivot. What rounding leaves over goes anywhere, perhaps to a point 1e14
    away, where 1e-18 of mass costs 1e-4. An atom with a single entry must send all it has along it, whatever the other
    masses are. When such leaves are taken off one by one, only the last entry of a tree is rounded, and far pairs of
    equal weight are not. Entries on cycles, which a plan of the simplex does not have, keep their mass.
    """
    kept = plan.mass > CRUMB * np.minimum(a[plan.rows], b[plan.cols])
    rows, cols, mass = plan.rows[kept], plan.cols[kept], plan.mass[kept]
    ends = list(zip(rows.tolist(), (cols + len(a)).tolist(), strict=True))
    at: list[set[int]] = [set() for _ in range(len(a) + len(b))]
    for k, (row, col) in enumerate(ends):
        at[row].add(k)
        at[col].add(k)
    left = [*a.tolist(), *b.tolist()]
    leaves = [node for node, entries in enumerate(at) if len(entries) == 1]
    while leaves:
        leaf = leaves.pop()
        if not at[leaf]:  # it was the other end of the last entry
            continue
        k = at[leaf].pop()
        other = sum(ends[k]) - leaf
        at[other].remove(k)
        mass[k] = max(0.0, left[leaf])
        left[other] -= mass[k]
        if len(at[other]) == 1:
            leaves.append(other)
    return Plan(rows, cols, mass)

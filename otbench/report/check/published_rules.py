"""Rules for published scores: our re-trained critics and population values come near them."""

from collections.abc import Iterator

import pandas as pd

from otbench.report.check.violation import Violation

#: By how much our cosine may differ from the published one, which is training noise, and our population W1 relative to
#: the published one, which is an estimate from 4096 points.
NEAR_COS, NEAR_TRUE = 0.05, 0.05


def near_published(table: pd.DataFrame) -> Iterator[Violation]:
    """The re-trained critic's cosine is within 0.05 of the published one on seven pairs of eight, and the population W1
    within 5 % of the published estimate on all."""
    known = table[table["published_cos"].notna()] if "published_cos" in table else table.head(0)
    far = known[known["cos_difference"].abs() > NEAR_COS]
    if len(known) and len(far) > len(known) / 8:
        yield Violation("published cosine", "of all pairs", f"{len(far)} of {len(known)} apart", f"within {NEAR_COS}")
    for _, pair in table[(table["true_ratio"] - 1).abs() > NEAR_TRUE].iterrows():
        place = f"dim {pair['dim']:.0f}, {pair['funnels']:.0f} funnels"
        yield Violation("published true cost", place, f"{pair['true_ratio']:.4g} times", f"within {NEAR_TRUE:.0%}")

"""Rules for published scores: our re-trained critics and population values come near them."""

from collections.abc import Iterator

import pandas as pd

from otbench.report.check.violation import Violation
from otbench.results.tables.published_methods import CLIPPED

#: By how many ranges of our seeds our cosine may differ from the published one, which is of one training, and by how
#: much our population W1 relative to the published one, which is an estimate from 4096 points.
NEAR_RANGES, NEAR_TRUE = 2.0, 0.05


def near_published(table: pd.DataFrame) -> Iterator[Violation]:
    """The cosine of weight clipping re-trained is within twice the range of its seeds of the published one on seven
    pairs of eight, and the population W1 within 5 % of the published estimate on all.

    A critic whose seeds all say the same, as one that is 0 does, has a range of 0 and passes where it is equal alone.
    """
    known = table[(table["method"] == CLIPPED) & table["published_cos"].notna()]
    far = known[~(known["difference_over_range"] <= NEAR_RANGES)]
    if len(known) and len(far) > len(known) / 8:
        seen, due = f"{len(far)} of {len(known)} apart", f"within {NEAR_RANGES:g} ranges of the seeds"
        yield Violation("published cosine", "of all pairs", seen, due)
    pairs = table.drop_duplicates(["dim", "funnels"])
    for _, pair in pairs[(pairs["true_ratio"] - 1).abs() > NEAR_TRUE].iterrows():
        place = f"dim {pair['dim']:.0f}, {pair['funnels']:.0f} funnels"
        yield Violation("published true cost", place, f"{pair['true_ratio']:.4g} times", f"within {NEAR_TRUE:.0%}")

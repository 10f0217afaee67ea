"""Which pairs of funnels are those whose scores were published: known by their numbers, whatever file they came in."""

import pandas as pd

#: The SHA-256 of every published pair (dim, funnels): of its centres, row by row, and biases as little-endian float64.
#: In a clone of github.com/justkolesov/Wasserstein1Benchmark this prints the lines below (docs/published.md):
#:
#:     from otbench.problems.funnel_files import digest, funnel_pairs
#:     for place, pair in funnel_pairs(".").items():
#:         print(f'    {place}: "{digest(*pair)}",')
PUBLISHED_PAIRS = {
    (2, 4): "6e8e60f57d2b01dd34116b2c7cbebed306bebaca78a88da1abcd6c4c2cfe8cf2",
    (2, 16): "53ffdc1e887822e65043c73190fdfbe4082ad5a5c7512c53129d274282bbfc2d",
    (2, 64): "1d2a42b88150b915da82d230d588dbc8406f3e6207fcc7e3e110a8d89631c8ec",
    (2, 256): "57e5cf790c6843e54bc3adedbf69236ffbd2760cbe83aedcf5a407b316b4ed6d",
    (4, 4): "7bf523024c3e0478f001bdcee5407f4d557e9ac30126b5baee089dd589e05c17",
    (4, 16): "3b7e5d584f574c2e0cd0aba6026a685473a84f1d141495773109e9d5a7ff50b2",
    (4, 64): "fb2206f5a051ad60432f5da39f019b158bbf0f3275195cdc4a06cb62c57d2e36",
    (4, 256): "37306550661ca454707398b25c348423001bf7c165b8007a418aa31132683f6f",
    (8, 4): "b0fa36a4f574375d46444dc843ce5d95363691886c7a48e76ab23cf1f011d693",
    (8, 16): "881decf66313dfd85d5238e26cee253ca3e70c8d075012fc807bbbc1a864543f",
    (8, 64): "e1dfecf8290c8c1c9092c143f9b2e35ea044743d8c94ad5cf9893920c5720475",
    (8, 256): "2e62d692a43003693e477abe11a9b7dfe101f4a259245747cb5e4304460d7cc3",
    (16, 4): "bbc6dbe6dd24b21e323f71556818c3bdf252b0e72d54f40d96d5fb98a7240b08",
    (16, 16): "7c75ca70971032b0798d902f8decbc00de82a6171880258b161662ae488a0bc5",
    (16, 64): "727c4fe14a33b69cace61eea6c2050a1fc65f97b9fb04d1785e77c99b89f67c0",
    (16, 256): "5cbd8037e38c018da84bc92879b5accc65febd48feaee73f479fb968fd4804f0",
    (32, 4): "38d147d4ce9ce91d3f449b262ba79367dced1bff1b1be530fcfad6c8add5682a",
    (32, 16): "2857747c5d7922462114efeb4695632e6fa3e3f110f369480aff95273fd63086",
    (32, 64): "2611be023261ec653a0a9e3309852e1b908786ab0358724201848c821e631025",
    (32, 256): "1138e2d7f0bf0e797840585588bccda03a8c5a309f8aa23920f301034c2524e1",
    (64, 4): "0ef7f15bf282e8369ce73bd8b51afd4cb462cd01c9c415cf1053130a80d93e4f",
    (64, 16): "da7db70c6eb8c2943fc6fd8823c9f9c94cff8cea2434433dd30b30d8d492d510",
    (64, 64): "de8dd5d8a80098feefe0bdaea94ee4793d2c26372d4de70a848e8cc52c0cff5d",
    (64, 256): "8d70dd4871b6de80acf39f124cd29eff75fc8c5309df46813b855cb718cbe47f",
    (128, 4): "08bc86d510d2b380cc483ff7898e12d082b42d142c39118c2b72bb639171d952",
    (128, 16): "875a671719facef464a93bcd1fcf1462ef6143a8c8f99081ceb21e6aba8da469",
    (128, 64): "87f889fec2462881165e9c53cdcc901ef7075e54dd1398af4bd33fa0ced5bb97",
    (128, 256): "3f1a3fb6b3ec7ad065ca688ea1201fac6434ae89fc9f5cc13c239bcfebaa4d07",
}

#: The box and the power of the map with which they were published.
PUBLISHED_MAP = {"problem.half_width": 2.5, "problem.power": 8.0}


def is_published(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a row's pair is, to the last bit, one whose scores were published, and is moved as it was there.

    The digest alone is not enough: 2 funnels of 5 dimensions have as many numbers as 4 of 2.
    """
    columns = {"problem.dim", "problem.funnels", "problem.sha256", *PUBLISHED_MAP}
    if not columns <= set(frame):
        return pd.Series(False, frame.index)
    due = [PUBLISHED_PAIRS.get(place) for place in zip(frame["problem.dim"], frame["problem.funnels"], strict=True)]
    same = pd.Series(due, frame.index, dtype=object) == frame["problem.sha256"]
    for name, value in PUBLISHED_MAP.items():
        same &= (frame[name] == value).fillna(False)
    return same & (frame["problem.name"] == "funnels")

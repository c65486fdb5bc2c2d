"""Find near-duplicates: GIFs of the same animation, by their frame embeddings.

Two files of one animation may differ in size, crop, colours, codec, speed, and by frames
lost at either end. Pairs whose mean embeddings are near are compared frame by frame; two
groups join only if most of their GIFs match, so that a chain of look-alikes never joins
its two ends. Not done here: equal bytes (retrieval.build.build) and folding
(retrieval.search.ranker). `python -m benchmarks duplicates` measures precision and recall.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from retrieval.library.embeddings import gif_blocks, unit

# The least closeness (see `_closeness`) at which two GIFs match. Chosen with `mini` on one
# half of the pairs that `python -m benchmarks duplicates` makes; on the other half precision
# is 0.984 and recall 0.917 (1.000 and 0.875 by the cosine of means alone, at 0.975).
SAME_ANIMATION = 0.95

# Two groups join if more than this share of the pairs between them match. All of them is too
# much to ask: a crop from the left need not match one from the right.
SHARE = 0.75

# The centre of a library counts as n / (n + CENTRE_PRIOR): of a few copies of a few GIFs it
# would be made of those GIFs themselves, and little but noise would be left to compare (with
# 8, the copies of four starter GIFs, none of them cropped, were missed).
CENTRE_PRIOR = 64

# Each GIF is compared with so many later ones at most, the nearest. It bounds the work in a
# library of a thousand copies of one thing, which come out as several groups.
MOST_COMPARED = 100

BLOCK = 2_048  # GIFs whose means are compared at a time with as many others
# Up to here every pair of means is compared (30,000 of 512 dimensions: 3 s on 2 cores);
# beyond, only those that share a cell (120,000: 11 s). On 30,000 GIFs of 200 themes, a tenth
# of them copies, both find the same.
EXHAUSTIVE = 50_000
CELL = 1_000  # one GIF in so many is the middle of a cell
CELLS_EACH = 4  # the nearest cells, of which a GIF is in all
HALF_PRECISION = 0.002  # more than float16 means can be off by in a cosine

_PAIR = np.dtype([("i", np.int64), ("j", np.int64), ("cosine", np.float32)])


def group(
    vectors: np.ndarray,
    starts: np.ndarray,
    *,
    same: float = SAME_ANIMATION,
    block: int = BLOCK,
    exhaustive: int = EXHAUSTIVE,
) -> np.ndarray:
    """Return the number of the GIF that leads each GIF's group, int64 (n_gifs,).

    `vectors` are the unit frame embeddings (n, dim), float16 or float32, in memory or
    mapped; `starts` (n_gifs,) is the row at which each GIF's frames start. The first GIF
    of a group leads it: `result[i] <= i`, and `result[i] == i` for one that is alone.
    The result does not depend on `block`.

    Held in memory: 2 · dim bytes a GIF, a few times `block`² cosines, and the near pairs,
    at most MOST_COMPARED a GIF.
    """
    centre = library_centre(vectors, starts, block)
    means = _means(vectors, starts, centre, block)
    pairs = _near_pairs(means, same - HALF_PRECISION, block, exhaustive)
    ends = np.append(starts[1:], len(vectors))

    def frames_of(gif: int) -> np.ndarray:
        return unit(vectors[starts[gif] : ends[gif]] - centre)

    closeness = np.array([_closeness(frames_of(i), frames_of(j)) for i, j in pairs])
    matching = np.flatnonzero(closeness >= same)
    pairs, closeness = pairs[matching], closeness[matching]
    # The closest first; equals in catalogue order.
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -closeness))
    return _groups(len(starts), pairs[order])


def library_centre(vectors: np.ndarray, starts: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Return what the library's GIFs have in common, float32 (dim,): the mean of their means.

    A checkpoint that puts every picture into a narrow cone has nearly all of its cosine in
    there. Without it, 0 is how alike two GIFs are on average, whatever the checkpoint.
    """
    total = np.zeros(vectors.shape[1], np.float64)
    for gifs, rows in gif_blocks(vectors, starts, block):
        lengths = np.diff(np.append(gifs, len(rows)))
        total += (np.add.reduceat(rows, gifs, axis=0) / lengths[:, None]).sum(axis=0, dtype=float)
    return (total / (len(starts) + CENTRE_PRIOR)).astype(np.float32)


def _means(vectors: np.ndarray, starts: np.ndarray, centre: np.ndarray, block: int) -> np.ndarray:
    """Return the unit mean of each GIF's centred unit frames, float16 (n_gifs, dim)."""
    means = np.empty((len(starts), len(centre)), np.float16)
    done = 0
    for gifs, rows in gif_blocks(vectors, starts, block):
        means[done : done + len(gifs)] = unit(np.add.reduceat(unit(rows - centre), gifs, axis=0))
        done += len(gifs)
    return means


def _closeness(a: np.ndarray, b: np.ndarray) -> float:
    """Return how alike two GIFs are, from their centred unit frames (n, dim) and (m, dim).

    The least of three cosines: of their means, and, for either GIF, that of its median
    frame with the frame of the other that is nearest to it. The median forgives frames
    that the other lacks (trimmed, or not among those chosen); a mean or a minimum does
    not, and the maximum calls any two faces the same that share a blink.
    """
    cosines = a @ b.T
    middle = _lower_median(cosines.max(axis=1)), _lower_median(cosines.max(axis=0))
    return min(*middle, float(unit(a.sum(axis=0)) @ unit(b.sum(axis=0))))


def _lower_median(values: np.ndarray) -> float:
    return float(np.sort(values)[(len(values) - 1) // 2])


def _near_pairs(
    means: np.ndarray, floor: float, block: int = BLOCK, exhaustive: int = EXHAUSTIVE
) -> np.ndarray:
    """Return the pairs i < j of GIFs whose means' cosine is at least `floor`, int64 (m, 2).

    For each i at most MOST_COMPARED of them, the nearest.
    """
    n = len(means)
    cells = [np.arange(n)] if n <= exhaustive else _cells(means, block)
    found = [_pairs_within(means, cell, floor, block) for cell in cells]
    pairs = _nearest(np.concatenate(found))
    return np.stack([pairs["i"], pairs["j"]], axis=1)


def _pairs_within(means: np.ndarray, cell: np.ndarray, floor: float, block: int) -> np.ndarray:
    """Return the `_PAIR`s within a cell (ascending numbers), by comparing all of them."""
    found = [np.zeros(0, _PAIR)]
    for first in range(0, len(cell), block):
        rows = means[cell[first : first + block]].astype(np.float32)
        near = np.zeros(0, _PAIR)
        for second in range(first, len(cell), block):
            columns = means[cell[second : second + block]].astype(np.float32)
            cosines = rows @ columns.T
            at = np.flatnonzero(cosines >= floor)
            i, j = first + at // len(columns), second + at % len(columns)
            later = j > i
            more = np.empty(int(later.sum()), _PAIR)
            more["i"], more["j"] = cell[i[later]], cell[j[later]]
            # Rounded, so that the last bit of a product cannot change what is nearest.
            more["cosine"] = cosines.ravel()[at[later]].round(4)
            if len(more):
                near = _nearest(np.concatenate([near, more]))
        found.append(near)
    return np.concatenate(found)


def _nearest(pairs: np.ndarray) -> np.ndarray:
    """Return the pairs by (i, j), each once, and for each i only the MOST_COMPARED nearest."""
    pairs = pairs[np.lexsort((pairs["j"], pairs["i"]))]
    once = np.ones(len(pairs), bool)
    once[1:] = (pairs["i"][1:] != pairs["i"][:-1]) | (pairs["j"][1:] != pairs["j"][:-1])
    pairs = pairs[once]
    by_cosine = np.lexsort((pairs["j"], -pairs["cosine"], pairs["i"]))
    first_of = np.searchsorted(pairs["i"], pairs["i"])  # where each one's i begins
    rank = np.arange(len(pairs)) - first_of
    return pairs[np.sort(by_cosine[rank < MOST_COMPARED])]


def _cells(means: np.ndarray, block: int) -> Iterator[np.ndarray]:
    """Yield the GIF numbers of each cell, ascending; every GIF is in CELLS_EACH cells.

    A cell's middle is a GIF of the library, taken evenly from it, so that the cells are
    the same every time.
    """
    n = len(means)
    middles = means[::CELL].astype(np.float32)
    each = min(CELLS_EACH, len(middles))
    cell_of = np.empty((n, each), np.int32)
    for first in range(0, n, block):
        cosines = means[first : first + block].astype(np.float32) @ middles.T
        cell_of[first : first + block] = np.argpartition(-cosines, each - 1, axis=1)[:, :each]
    order = np.argsort(cell_of.ravel(), kind="stable")
    bounds = np.searchsorted(cell_of.ravel()[order], np.arange(len(middles) + 1))
    for first, last in pairwise(bounds):
        yield order[first:last] // each


def _groups(n: int, pairs: np.ndarray) -> np.ndarray:
    """Return the leader of each of n GIFs, given the matching pairs (m, 2), closest first.

    Two groups become one if more than SHARE of the pairs between them match.

    >>> _groups(4, np.array([(0, 1), (1, 2), (2, 3)])).tolist()
    [0, 0, 2, 2]
    """
    leader_of = np.arange(n)
    members = {int(gif): [int(gif)] for gif in np.unique(pairs)}
    # How many pairs there are between two groups, by their leaders.
    between: dict[int, dict[int, int]] = defaultdict(dict)
    for i, j in pairs.tolist():
        between[i][j] = between[j][i] = 1
    for i, j in pairs.tolist():
        kept, merged = sorted((int(leader_of[i]), int(leader_of[j])))
        too_few = SHARE * len(members[kept]) * len(members[merged])
        if kept == merged or between[kept].get(merged, 0) <= too_few:
            continue
        for other, count in between.pop(merged).items():
            del between[other][merged]
            if other != kept:
                between[kept][other] = between[kept].get(other, 0) + count
                between[other][kept] = between[kept][other]
        leader_of[members[merged]] = kept
        members[kept] += members.pop(merged)
    return leader_of

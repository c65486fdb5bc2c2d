"""Rank GIFs by several signals: frames, words in the picture, names, and reactions.

Every signal's score is brought to standard deviations of its scores over the library; the sum,
weighted by what was measured of the library when it was built (retrieval.signals.measure), is
the ranking. Its logistic is the score that people see: a calibrated probability of fitting. In
a large library, each signal first nominates candidates, and only these are scored by all; who
asks for more results than that gets four times as many candidates, those of before first. How
many come at once does not depend on how many results are asked for, so that a longer answer
starts like a shorter one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.errors import QueryError
from retrieval.library import SIGNALS, Catalog
from retrieval.search.query import Query
from retrieval.search.ranker import Ranker
from retrieval.signals import GifSignals, likeness, name_of, signal_weights

FUSIONS = ("sum", "rrf", "learned")
SCORE_ALL = 4_096  # GIFs up to which all are scored
CANDIDATES = 300  # nominated first by each signal in a larger library
RRF_CONSTANT = 60.0  # Cormack et al., SIGIR 2009
# Standard deviations that a message earns a GIF whose words or name it repeats letter by letter.
BY_LETTER, ALIKE_FROM, FULL_LENGTH = 12.0, 0.5, 8
COMPARED = 24  # GIFs of each text signal whose letters are compared
# Weights of the learned combination, and what is added for each unit of sight: logistic regression
# on the development judgements (data/judgements/skyzyx-reaction-gifs and data/messages/dev).
LEARNED = {"frames": 0.25, "words": 0.37, "names": 0.61, "reaction": 0.28}
LEARNED_BY_SIGHT = {"frames": 0.78, "words": 0.0, "names": -0.53, "reaction": 0.48}
# P(fits) = logistic(SLOPE × sum + INTERCEPT + INTERCEPT_BY_SIGHT × sight), fitted on the same.
SLOPE, INTERCEPT, INTERCEPT_BY_SIGHT = 0.37, -3.7, -2.0
# The first results cover several reactions that a message may call for: IA-Select (Agrawal et
# al., WSDM 2009) over so many places, among so many GIFs.
VARIED, VARIED_FROM, VARIETY = 10, 60, 0.7
SURE_KIND = 0.25  # probability from which a GIF is taken to express a reaction


@dataclass(frozen=True)
class Ranking:
    """GIFs, best first, with what each signal says of them."""

    gifs: np.ndarray  # int64 (n,)
    scores: np.ndarray  # probability of fitting, float32 (n,)
    by_signal: Mapping[str, np.ndarray]  # weighted standard deviations, (n,); nan: it has none
    texts: np.ndarray  # the best text's number among all words of the bundle; -1: none

    def __add__(self, later: Ranking) -> Ranking:
        return Ranking(
            np.concatenate([self.gifs, later.gifs]),
            np.concatenate([self.scores, later.scores]),
            {
                name: np.concatenate([part, later.by_signal[name]])
                for name, part in self.by_signal.items()
            },
            np.concatenate([self.texts, later.texts]),
        )

    def first(self, n: int) -> Ranking:
        """Return the first n of them."""
        parts = {name: part[:n] for name, part in self.by_signal.items()}
        return Ranking(self.gifs[:n], self.scores[:n], parts, self.texts[:n])


_NOTHING = Ranking(np.zeros(0, np.int64), np.zeros(0, np.float32), {}, np.zeros(0, np.int64))


class Fusion:
    """Ranks one collection by the signals of its bundle."""

    def __init__(self, records: Catalog, ranker: Ranker, signals: GifSignals):
        self._records, self._ranker, self._signals = records, ranker, signals
        self._names: dict[int, str] = {}  # of the GIFs that were compared; a fifth of a search

    def rank(
        self,
        query: Query,
        top_k: int,
        allowed: np.ndarray | None,
        least: float,
        fold: bool,
        signals: Collection[str] = SIGNALS,
        kind: str = "sum",
    ) -> Ranking:
        """Return the top_k GIFs; with `fold`, one GIF of each group of near-duplicates."""
        if kind not in FUSIONS:
            raise QueryError(f"Fusion {kind!r} is not known; expected one of {', '.join(FUSIONS)}.")
        reaction = self._reaction(query) if "reaction" in signals else None
        by_word = np.zeros(0, np.int64)
        if query.message and {"words", "names"} & set(signals):
            by_word = self._signals.phrases.candidates(query.message.text, COMPARED)
        found = _NOTHING
        for gifs in self._candidates(query, allowed, signals, reaction, by_word):
            if fold and len(found.gifs):
                groups = self._records.groups
                gifs = gifs[~np.isin(groups[gifs], groups[found.gifs])]
            is_first = not len(found.gifs)
            varies = is_first and reaction is not None and kind != "rrf"
            more = self._ranked(query, gifs, least, fold, signals, kind, reaction, by_word, varies)
            found = more if is_first else found + more
            if len(found.gifs) >= top_k:
                break
        return found.first(top_k)

    def _ranked(
        self,
        query: Query,
        gifs: np.ndarray,
        least: float,
        fold: bool,
        signals: Collection[str],
        kind: str,
        reaction: np.ndarray | None,
        by_word: np.ndarray,
        varies: bool,
    ) -> Ranking:
        """Return these GIFs in order, without those that score too low."""
        scores, texts = self._by_signal(query, gifs, signals, reaction)
        total, parts = self._total(scores, kind)
        repeated = self._by_letter(query, gifs, scores, by_word)
        total = total + repeated
        has_words = ~np.isnan(parts.get("words", np.full(len(gifs), np.nan)))
        if "words" in parts:  # what is repeated counts for them, or for the name if there are none
            parts["words"] = parts["words"] + repeated
        if "names" in parts:
            parts["names"] = parts["names"] + np.where(has_words, 0, repeated)
        intercept = INTERCEPT + INTERCEPT_BY_SIGHT * self._signals.measured.sight
        probability = 1 / (1 + np.exp(-(SLOPE * total + intercept)))
        order = np.lexsort((gifs, -total))
        order = order[probability[order] >= least]
        if fold:
            order = order[self._records.one_of_each_group(gifs[order])]
        if varies:
            is_quoted = repeated[order] >= BY_LETTER / 2
            order = self._varied(
                np.concatenate([order[is_quoted], order[~is_quoted]]),
                max(1, int(is_quoted.sum())),
                gifs,
                probability,
                query,
            )
        return Ranking(
            gifs[order],
            probability[order].astype(np.float32),
            {name: part[order] for name, part in parts.items()},
            texts[order],
        )

    def _varied(
        self,
        order: np.ndarray,
        n_fixed: int,
        gifs: np.ndarray,
        probability: np.ndarray,
        query: Query,
    ) -> np.ndarray:
        """Return the order with its first places spread over the reactions called for.

        The first `n_fixed` stay: the best one, and those whose words the message repeats.
        """
        assert query.reactions is not None
        fixed, order = order[:n_fixed], order[n_fixed:]
        covered = np.minimum(1, self._signals.kinds[gifs[fixed]] / SURE_KIND)
        first, rest = order[:VARIED_FROM].tolist(), order[VARIED_FROM:]
        expressed = np.minimum(1, self._signals.kinds[gifs[first]] / SURE_KIND)
        share = probability[first] / max(float(probability[first].max(initial=0)), 1e-9)
        uncovered = query.reactions * np.prod(1 - covered, axis=0)
        chosen: list[int] = []
        while first and len(chosen) < VARIED:
            value = (1 - VARIETY) * share + VARIETY * (expressed @ uncovered)
            best = int(np.argmax(value))
            chosen.append(first.pop(best))
            uncovered = uncovered * (1 - expressed[best])
            share, expressed = np.delete(share, best), np.delete(expressed, best, axis=0)
        return np.concatenate([fixed, np.array([*chosen, *first], np.int64), rest])

    def _reaction(self, query: Query) -> np.ndarray | None:
        """Return every GIF's score, in standard deviations, (n,)."""
        if query.reactions is None:
            return None
        scores = np.log(np.einsum("ij,j->i", self._signals.kinds, query.reactions) + 1e-4)
        return (scores - scores.mean()) / max(float(scores.std()), 1e-6)

    def _candidates(
        self,
        query: Query,
        allowed: np.ndarray | None,
        signals: Collection[str],
        reaction: np.ndarray | None,
        by_word: np.ndarray,
    ) -> Iterator[np.ndarray]:
        """Yield the GIFs to score, ascending: some candidates, then more, until all have come."""
        every = np.arange(len(self._records)) if allowed is None else np.flatnonzero(allowed)
        wanted, is_new = CANDIDATES, np.ones(len(self._records), bool)
        while len(every) > max(SCORE_ALL, wanted):
            found = [by_word]
            if "frames" in signals:
                found.append(self._ranker.nearest(query.vector, wanted, allowed)[1])
            if reaction is not None:
                found.append(every[np.argpartition(-reaction[every], wanted)[:wanted]])
            if query.answers is not None:
                for texts in (self._signals.words, self._signals.names):
                    if texts:
                        found.append(texts.candidates(query.answers, wanted, allowed))
            gifs = np.unique(np.concatenate(found))
            gifs = gifs[is_new[gifs]] if allowed is None else gifs[is_new[gifs] & allowed[gifs]]
            yield gifs
            is_new[gifs] = False
            wanted *= 4
        yield every[is_new[every]]

    def _by_signal(
        self,
        query: Query,
        gifs: np.ndarray,
        signals: Collection[str],
        reaction: np.ndarray | None,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return each signal's scores in standard deviations, and the best text of each GIF."""
        scores: dict[str, np.ndarray] = {}
        texts = np.full(len(gifs), -1, np.int64)
        if "frames" in signals:
            mean, covariance = self._signals.frames[0], self._signals.frames[1:]
            variance = query.vector @ np.einsum("ij,j->i", covariance, query.vector)
            deviation = np.sqrt(max(float(variance), 1e-12))
            found = self._ranker.scores_of(query.vector, gifs)
            scores["frames"] = (found - query.vector @ mean) / deviation
        if query.answers is not None:
            if "words" in signals and self._signals.words:
                scores["words"], texts = self._signals.words.scores(query.answers, gifs)
            if "names" in signals and self._signals.names:
                scores["names"], _ = self._signals.names.scores(query.answers, gifs)
        if reaction is not None:
            scores["reaction"] = reaction[gifs]
        return scores, texts

    def _total(
        self, scores: Mapping[str, np.ndarray], kind: str
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the combined scores, and each signal's part in them."""
        weights = signal_weights(self._signals.measured)
        if kind == "learned":
            sight = self._signals.measured.sight
            weights = {name: LEARNED[name] + sight * LEARNED_BY_SIGHT[name] for name in LEARNED}
        parts = {}
        for name, values in scores.items():
            if kind == "rrf":
                ranks = np.argsort(np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable"))
                parts[name] = weights[name] * 100 / (RRF_CONSTANT + 1 + ranks)
            else:
                parts[name] = weights[name] * values
        if not parts:
            raise QueryError("No signal can rank this question. Type a message.")
        return np.nansum([*parts.values()], axis=0), parts

    def _by_letter(
        self,
        query: Query,
        gifs: np.ndarray,
        scores: Mapping[str, np.ndarray],
        by_word: np.ndarray,
    ) -> np.ndarray:
        """Return what GIFs earn whose words or name the message repeats, (n,)."""
        bonus = np.zeros(len(gifs), np.float32)
        if not query.message:
            return bonus
        text = query.message.text
        compared = [
            np.argsort(-np.nan_to_num(scores[name], nan=-np.inf))[:COMPARED]
            for name in ("words", "names")
            if name in scores
        ]
        if not compared:
            return bonus
        chosen = np.unique(np.concatenate([*compared, np.flatnonzero(np.isin(gifs, by_word))]))
        length = min(1.0, sum(map(str.isalnum, text)) / FULL_LENGTH)
        for place in chosen.tolist():
            alike = float(likeness(text, self._texts(int(gifs[place]), scores)).max(initial=0))
            bonus[place] = BY_LETTER * length * max(0.0, alike - ALIKE_FROM) / (1 - ALIKE_FROM)
        return bonus

    def _texts(self, gif: int, scores: Mapping[str, np.ndarray]) -> Sequence[str]:
        record = self._records[gif]
        texts = [text.text for text in record.texts] if "words" in scores else []
        if "names" in scores:
            if gif not in self._names:
                self._names[gif] = name_of(record).split(":")[0]
            texts += [record.title, self._names[gif]]
        return texts

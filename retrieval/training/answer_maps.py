"""Fit the two linear maps that bring a message near the names and words that answer it.

InfoNCE (van den Oord et al., 2018) over unit sentence embeddings x, normalise(x @ map), on three
kinds of pairs: a message and a GIF's text that was written as its answer, a message and an
exemplar of its category, a message and the name of an emoji that its writer chose. Other right
answers in a batch share the target instead of counting as wrong. Both maps start as the identity
and are held near it, since a few thousand pairs cannot replace what the text tower knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Settings:
    """What made the shipped maps."""

    seed: int = 0
    steps: int = 800
    batch_size: int = 128  # of each kind of pairs
    temperature: float = 0.05
    learning_rate: float = 1e-3
    dropout: float = 0.1
    pull: float = 3e-2  # weight of the squared distance to the identity


@dataclass(frozen=True)
class Pairs:
    """Messages (m, width), GIF texts (t, width), and which of them fit."""

    messages: np.ndarray
    texts: np.ndarray
    fitting: np.ndarray  # (n, 2) int: indices of a message and of a text
    groups: np.ndarray  # (n,) int: messages and texts of one group all fit each other


@dataclass(frozen=True)
class CategoryPairs:
    """Messages (m, width) of one category each, exemplars (t, width) of one or several."""

    messages: np.ndarray
    categories: np.ndarray  # (m,) int
    exemplars: np.ndarray
    belongs: np.ndarray  # (t, C) bool


def fit_answer_maps(
    categories: CategoryPairs, answers: Pairs, emoji: Pairs, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """The maps of messages and of texts, float32 (width, width) each.

    They are the same for a seed and a number of threads; another number rounds differently.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    identity = torch.eye(answers.messages.shape[1])
    of_messages, of_texts = (torch.nn.Parameter(identity.clone()) for _ in range(2))
    optimizer = torch.optim.Adam([of_messages, of_texts], lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    members = [np.flatnonzero(column) for column in categories.belongs.T]

    def logits(messages: np.ndarray, texts: np.ndarray) -> torch.Tensor:
        a, b = (
            F.normalize(F.dropout(torch.from_numpy(rows), settings.dropout) @ weight)
            for rows, weight in ((messages, of_messages), (texts, of_texts))
        )
        return a @ b.T / settings.temperature

    def category_loss() -> torch.Tensor:
        i = rng.integers(0, len(categories.messages), settings.batch_size)
        asked = categories.categories[i]
        j = np.array([rng.choice(members[category]) for category in asked])
        scores = logits(categories.messages[i], categories.exemplars[j])
        return _loss(scores, categories.belongs[j][:, asked].T)

    def pair_loss(pairs: Pairs, *, both_ways: bool) -> torch.Tensor:
        drawn = rng.permutation(len(pairs.fitting))[: settings.batch_size]
        i, j = pairs.fitting[drawn].T
        scores = logits(pairs.messages[i], pairs.texts[j])
        same = pairs.groups[drawn][:, None] == pairs.groups[drawn]
        loss = _loss(scores, same)
        return loss + _loss(scores.T, same) if both_ways else loss

    for _ in range(settings.steps):
        loss = category_loss() + 0.5 * pair_loss(answers, both_ways=True)
        loss = loss + 0.5 * pair_loss(emoji, both_ways=False)
        away = (of_messages - identity).square().sum() + (of_texts - identity).square().sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss + settings.pull * away)
        optimizer.step()
        schedule.step()
    return of_messages.detach().numpy(), of_texts.detach().numpy()


def _loss(logits: torch.Tensor, fitting: np.ndarray) -> torch.Tensor:
    """Mean cross-entropy to a uniform target over the fitting columns of each row."""
    target = torch.from_numpy(np.ascontiguousarray(fitting)).float()
    target = target / target.sum(dim=1, keepdim=True)
    return -(target * F.log_softmax(logits, dim=1)).sum(dim=1).mean()

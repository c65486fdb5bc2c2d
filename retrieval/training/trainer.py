"""Train `mini`: a vision tower and two projections beside a frozen text tower.

Locked-text tuning (LiT the other way round: Zhai et al., 2022, lock the image
tower) in two stages:

1. *See.* The vision tower learns to tell emoji apart in every style. An image is
   pulled to its emoji's *proxy* (a free unit vector an emoji, Movshovitz-Attias et
   al., 2017) and to one of its names among the names of all other emoji; names, tags
   and messages are pulled to the proxies of their answers by the same softmax.
2. *Read.* The towers stay as they are and the text projection alone is fitted on the
   emoji's true prototypes, the mean embeddings of their pictures.

The proxies are thrown away at the end. This module imports torch, as the encoder
does; nothing that serves imports this module.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retrieval.encoders.tokenizer import spell_out
from retrieval.encoders.weights import TRAINED_PART, load_folder
from retrieval.evaluation.art import SMILEYS, Emoji
from retrieval.training.augment import paste
from retrieval.training.checkpoint_folder import save_trained
from retrieval.training.corpus import Text

STILL_SIDE = 96  # pixels; stills are kept at this size and pasted at 48 to 64

Report = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """What a training run is made of; the defaults made the shipped checkpoint."""

    seed: int = 1
    batch_size: int = 128
    # (picture side in pixels, steps): small pictures first, since they cost half.
    stages: tuple[tuple[int, int], ...] = ((48, 5500), (64, 4500))
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    ema_decay: float = 0.999
    temperature: float = 0.05
    texts_per_step: int = 512
    read_steps: int = 3000
    read_learning_rate: float = 1e-3
    read_dropout: float = 0.2


class Corpus:
    """Pictures and text features as tensors, and how a batch is drawn from them."""

    def __init__(
        self,
        stills: dict[str, dict[str, np.ndarray]],
        emoji: Sequence[Emoji],
        texts: Sequence[Text],
        features: np.ndarray,
    ):
        """`stills`: style → emoji key → RGBA; `features`: float32 (len(texts), width)."""
        index = {e.key: i for i, e in enumerate(emoji)}
        keyed = [item for style in stills.values() for item in style.items()]
        pictures = [torch.from_numpy(np.array(picture)) for _, picture in keyed]
        labels = [index[key] for key, _ in keyed]
        self.n_emoji = len(emoji)
        self.pictures = torch.stack(pictures)  # (n, side, side, 4) uint8
        self.labels = torch.tensor(labels)
        # Faces are most of what reactions are made of, and the hardest to tell apart.
        self._weights = torch.tensor([2.0 if emoji[i].group == SMILEYS else 1.0 for i in labels])
        self.features = torch.from_numpy(features)
        self.texts = texts
        self.answers = torch.zeros((len(texts), self.n_emoji), dtype=torch.bool)
        for row, text in enumerate(texts):
            self.answers[row, list(text.answers)] = True
        # Names by emoji, to draw one of each: row e lists the text indices of emoji e.
        self._named: list[list[int]] = [[] for _ in emoji]
        for row, text in enumerate(texts):
            if text.kind == "name":
                self._named[text.answers[0]].append(row)
        self.seen = torch.zeros(self.n_emoji, dtype=torch.bool)
        self.seen[self.labels] = True
        rows = {kind: [i for i, t in enumerate(texts) if t.kind == kind] for kind in KIND_SHARES}
        self._kind_rows = {kind: torch.tensor(found) for kind, found in rows.items() if found}

    def draw_pictures(
        self, n: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """n stills, uint8 RGBA, with their emoji indices."""
        chosen = torch.multinomial(self._weights, n, replacement=True, generator=generator)
        return self.pictures[chosen], self.labels[chosen]

    def draw_names(self, rng: np.random.Generator) -> torch.Tensor:
        """The text index of one name of every emoji, (n_emoji,)."""
        return torch.tensor([rows[rng.integers(len(rows))] for rows in self._named])

    def draw_texts(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n text indices, a fixed share of each kind."""
        parts = []
        for kind, rows in self._kind_rows.items():
            count = max(1, round(n * KIND_SHARES[kind]))
            parts.append(rows[torch.randint(len(rows), (count,), generator=generator)])
        return torch.cat(parts)


# Messages are what people type; names and tags keep the rest of the vocabulary alive.
KIND_SHARES = {"name": 0.3, "tag": 0.2, "message": 0.5}


def bfloat16_is_faster(visual: nn.Module, size: int) -> bool:
    """Whether a step takes less time in bfloat16 here: emulated, it takes several times as long.

    Measured on a copy with a few empty pictures; what is random afterwards is as without it.
    """
    tower = copy.deepcopy(visual)
    pictures = torch.zeros(4, 3, size, size).to(memory_format=torch.channels_last)

    def seconds(enabled: bool) -> float:
        times = []
        for _ in range(3):  # the first one prepares
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                features = tower(pictures)
            torch.autograd.backward(features.float().sum())
            times.append(time.perf_counter() - start)
        return min(times)

    with torch.random.fork_rng():
        return seconds(enabled=True) < seconds(enabled=False)


def learn_to_see(
    visual: nn.Module, text_proj: nn.Module, corpus: Corpus, settings: Settings, report: Report
) -> nn.Module:
    """Stage 1. Trains `visual` and `text_proj`; returns the averaged vision tower."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    dim = text_proj(corpus.features[:1]).shape[1]
    proxies = nn.Parameter(F.normalize(torch.randn(corpus.n_emoji, dim)))
    visual.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(visual).eval()
    weights = [p for p in visual.parameters() if p.ndim > 1] + list(text_proj.parameters())
    gains = [p for p in visual.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": settings.weight_decay},
            {"params": [*gains, proxies], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
    )
    total = sum(steps for _, steps in settings.stages)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=total, pct_start=min(0.3, 300 / total)
    )
    bfloat16 = bfloat16_is_faster(visual, settings.stages[0][0])
    step = 0
    for size, steps in settings.stages:
        for _ in range(steps):
            stills, labels = corpus.draw_pictures(settings.batch_size, generator)
            pictures = normalized(paste(stills, size, generator))
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                features = visual(pictures.to(memory_format=torch.channels_last))
            images = F.normalize(features.float())
            unit_proxies = F.normalize(proxies)
            names = F.normalize(text_proj(corpus.features[corpus.draw_names(rng)]))
            drawn = corpus.draw_texts(settings.texts_per_step, generator)
            texts = F.normalize(text_proj(corpus.features[drawn]))
            see = F.cross_entropy(images @ unit_proxies.T / settings.temperature, labels)
            name = F.cross_entropy(images @ names.T / settings.temperature, labels)
            read = answer_loss(texts @ unit_proxies.T / settings.temperature, corpus.answers[drawn])
            loss = see + name + read
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            _move_average(average, visual, min(settings.ema_decay, (1 + step) / (10 + step)))
            step += 1
            if step % 100 == 0 or step == total:
                report(
                    f"see {step}/{total} at {size} px: loss {loss.item():.3f} "
                    f"(proxy {see.item():.3f}, name {name.item():.3f}, text {read.item():.3f})"
                )
    return average


def answer_loss(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy to a uniform target over each row's answers.

    Uniform, not "any of them": a message should bring all of its reactions near.
    """
    target = answers.float() / answers.sum(dim=1, keepdim=True)
    return -(target * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


def prototypes(visual: nn.Module, corpus: Corpus, size: int, views: int, seed: int) -> torch.Tensor:
    """Unit mean embedding of each emoji's pictures, float32 (n_emoji, dim).

    Every picture counts once plain and `views` times augmented. An emoji without a
    picture has a row of zeros.
    """
    generator = torch.Generator().manual_seed(seed)
    total: torch.Tensor | None = None
    for start in range(0, len(corpus.labels), 256):
        stills = corpus.pictures[start : start + 256]
        labels = corpus.labels[start : start + 256]
        for view in range(views + 1):
            pictures = paste(stills, size, generator) if view else on_white(stills, size)
            with torch.inference_mode():
                embeddings = F.normalize(visual(normalized(pictures)).float())
            if total is None:
                total = torch.zeros((corpus.n_emoji, embeddings.shape[1]))
            total.index_add_(0, labels, embeddings)
    assert total is not None
    return F.normalize(total)


def learn_to_read(
    text_proj: nn.Module, targets: torch.Tensor, corpus: Corpus, settings: Settings, report: Report
) -> nn.Module:
    """Stage 2. Fits `text_proj` so that texts find the prototypes of their answers."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    text_proj.train()
    average = copy.deepcopy(text_proj).eval()
    optimizer = torch.optim.AdamW(
        text_proj.parameters(), lr=settings.read_learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.read_steps)
    unseen = ~corpus.seen
    for step in range(1, settings.read_steps + 1):
        drawn = corpus.draw_texts(settings.texts_per_step, generator)
        features = F.dropout(corpus.features[drawn], settings.read_dropout)
        logits = F.normalize(text_proj(features)) @ targets.T / settings.temperature
        loss = answer_loss(logits.masked_fill(unseen, -1e4), corpus.answers[drawn] & corpus.seen)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        _move_average(average, text_proj, min(0.998, step / (10 + step)))
        if step % 500 == 0 or step == settings.read_steps:
            report(f"read {step}/{settings.read_steps}: loss {loss.item():.3f}")
    return average


def on_white(stills: torch.Tensor, size: int) -> torch.Tensor:
    """RGBA stills on white, float32 (b, 3, size, size) in [0, 1]."""
    rgba = stills.permute(0, 3, 1, 2).float() / 255
    flat = rgba[:, :3] * rgba[:, 3:] + (1 - rgba[:, 3:])
    return F.interpolate(flat, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)


def normalized(pictures: torch.Tensor) -> torch.Tensor:
    """[0, 1] → [-1, 1], the preprocessing in open_clip_config.json."""
    return pictures * 2 - 1


@torch.no_grad()
def _move_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    latest = current.state_dict()
    for name, ours in average.state_dict().items():
        theirs = latest[name]
        if ours.dtype.is_floating_point:
            ours.lerp_(theirs, 1 - decay)
        else:
            ours.copy_(theirs)


def train(
    folder: Path,
    emoji: Sequence[Emoji],
    stills: dict[str, dict[str, np.ndarray]],
    texts: Sequence[Text],
    settings: Settings,
    report: Report,
    *,
    only_read: bool = False,
) -> None:
    """Both stages, then TRAINED_PART (float16) written into the checkpoint folder.

    `only_read` keeps the vision tower that the folder has and runs stage 2 alone.
    """
    model, _, tokenizer = load_folder(folder, untrained=not only_read)
    text_proj = model.text.proj
    model.text.proj = nn.Identity()
    features = text_features(model.eval(), tokenizer, [t.text for t in texts])
    report(f"features of {len(texts)} texts")
    corpus = Corpus(stills, emoji, texts, features)
    visual = model.visual
    if not only_read:
        visual = learn_to_see(visual, text_proj, corpus, settings, report)
    visual.eval()
    targets = prototypes(visual, corpus, visual.image_size[0], views=2, seed=settings.seed)
    for layer in text_proj.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    text_proj = learn_to_read(text_proj, targets, corpus, settings, report)
    save_trained(folder, model, visual, text_proj)
    report(f"written to {folder / TRAINED_PART}")


def text_features(model: Any, tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """What the frozen text tower says before its projection, float32 (n, width)."""
    spelled = [spell_out(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(spelled[i]))  # little padding a batch
    rows: dict[int, np.ndarray] = {}
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        tokens = tokenizer([spelled[i] for i in batch])
        longest = int((tokens != model.text.config.pad_token_id).sum(dim=1).max())
        with torch.inference_mode():
            features = model.encode_text(tokens[:, :longest]).numpy()
        rows.update(zip(batch, features, strict=True))
    return np.stack([rows[i] for i in range(len(texts))]).astype(np.float32)


def text_only_embedder(folder: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """The frozen text tower by itself, unit vectors: the baseline that sees no picture."""
    model, _, tokenizer = load_folder(folder, untrained=True)
    model.text.proj = nn.Identity()
    model.eval()

    def embed(texts: Sequence[str]) -> np.ndarray:
        features = text_features(model, tokenizer, texts)
        unit: np.ndarray = features / np.linalg.norm(features, axis=1, keepdims=True)
        return unit

    return embed

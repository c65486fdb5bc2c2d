"""Emoji stills pasted onto backgrounds: what the vision tower sees in training.

All in torch, a batch at a time, because a picture at a time in Pillow would leave
the processor waiting. Left out on purpose: mirroring, since a hand that points
left is another emoji than one that points right.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


def paste(stills: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """Augmented pictures, float32 (b, 3, size, size) in [0, 1].

    `stills` is uint8 (b, side, side, 4), RGBA. Each is scaled, turned and shifted at
    random onto a random background, then disturbed in colour, sharpness and noise,
    and now and then partly covered.
    """
    b = stills.shape[0]

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.rand(shape or (b, 1, 1, 1), generator=generator) * (high - low) + low

    def some(probability: float) -> torch.Tensor:
        return (torch.rand((b, 1, 1, 1), generator=generator) < probability).float()

    rgba = stills.permute(0, 3, 1, 2).float() / 255
    rgba = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)  # premultiplied
    scale = uniform(0.8, 1.7, b)  # of the sampling grid: above 1 the emoji is smaller
    angle = uniform(-1, 1, b) ** 3 * math.radians(25)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    room = (scale - 0.75).clamp(min=0.1)
    shift_x, shift_y = uniform(-1, 1, b) * room * 0.6, uniform(-1, 1, b) * room * 0.6
    stretch = uniform(0.9, 1.12, b)
    theta = torch.stack(
        [
            torch.stack([cos * stretch, -sin, shift_x], dim=1),
            torch.stack([sin * stretch, cos, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [b, 4, size, size], align_corners=False)
    pasted = F.grid_sample(rgba, grid, mode="bilinear", align_corners=False)

    colour, alpha = pasted[:, :3], pasted[:, 3:]
    # Colour is disturbed before pasting, so that a plain background stays plain.
    gain, offset = uniform(0.75, 1.25, b, 3, 1, 1), uniform(-0.08, 0.08, b, 3, 1, 1)
    grey = colour.mean(dim=1, keepdim=True)
    saturation = uniform(0.5, 1.4) * (1 - some(0.08))
    colour = grey + (colour - grey) * saturation
    colour = (colour * gain + offset * alpha).clamp(0, 1)
    pictures = colour + _backgrounds(b, size, generator) * (1 - alpha)

    small = F.interpolate(pictures, scale_factor=0.5, mode="bilinear", align_corners=False)
    blurred = F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)
    soften = some(0.25) * uniform(0.3, 1.0)
    pictures = pictures * (1 - soften) + blurred * soften
    noise = torch.randn(pictures.shape, generator=generator) * uniform(0, 0.05) * some(0.3)
    return _cover((pictures + noise).clamp(0, 1), generator)


def _backgrounds(b: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """Half plain white, the others one colour, a gradient, or soft patches."""
    one, two = torch.rand((2, b, 3, 1, 1), generator=generator)
    ramp = torch.linspace(0, 1, size)
    along = torch.where(
        torch.rand((b, 1, 1, 1), generator=generator) < 0.5,
        ramp.view(1, 1, 1, size),
        ramp.view(1, 1, size, 1),
    )
    patches = F.interpolate(
        torch.rand((b, 3, 4, 4), generator=generator),
        size=(size, size),
        mode="bilinear",
        align_corners=False,
    )
    kind = torch.rand((b, 1, 1, 1), generator=generator)
    background = torch.where(kind < 0.7, one.expand(-1, -1, size, size), one + (two - one) * along)
    background = torch.where(kind > 0.85, patches, background)
    return torch.where(kind < 0.5, torch.ones_like(background), background)


def _cover(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A grey or coloured rectangle over a fifth of the pictures."""
    b, _, size, _ = pictures.shape
    corner = torch.rand((b, 2), generator=generator)
    side = 0.1 + 0.25 * torch.rand((b, 2), generator=generator)
    chosen = torch.rand((b, 1, 1, 1), generator=generator) < 0.2
    axis = (torch.arange(size) + 0.5) / size
    rows = (axis >= corner[:, :1]) & (axis < corner[:, :1] + side[:, :1])
    columns = (axis >= corner[:, 1:]) & (axis < corner[:, 1:] + side[:, 1:])
    covered = (rows[:, None, :, None] & columns[:, None, None, :]) & chosen
    fill = torch.rand((b, 3, 1, 1), generator=generator)
    return torch.where(covered, fill, pictures)

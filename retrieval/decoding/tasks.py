"""What a worker does: a file to frames, prepared for an encoder and for a reader of words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from retrieval.encoders import Preprocess
from retrieval.media import Limits, Stop, distinct_frames
from retrieval.ocr import picture_to_read


def frames(
    fields: dict[str, Any], blocks: list[bytes], stop: Stop
) -> Iterator[tuple[dict[str, Any], list[memoryview]]]:
    """Yield the distinct frames of a file, then the CPU seconds that they took.

    `fields`: `prepare` (of Preprocess; None for frames in full size), `n`, `limits`, `to_read`
    (whether pictures for the reader of words are wanted). A frame comes as its index, its time,
    the facts of the file, and the shapes (height, width) of the blocks: uint8, three channels.
    """
    start = time.process_time()
    prepare = Preprocess.read(fields["prepare"]) if fields["prepare"] else np.asarray
    limits = Limits(**fields["limits"])
    for frame, facts in distinct_frames(blocks.pop(), fields["n"], limits, stop):
        pictures = [prepare(frame.image)]
        if fields["to_read"]:
            pictures.append(picture_to_read(frame.image))
        place = [frame.index, frame.time_ms]
        del frame  # and its picture, before the next is decoded
        yield (
            {
                "frame": place,
                "facts": [facts.n_frames, facts.duration_ms, facts.width, facts.height],
                "shapes": [picture.shape[:2] for picture in pictures],
            },
            [np.ascontiguousarray(picture).data.cast("B") for picture in pictures],
        )
    yield {"cpu_s": time.process_time() - start}, []

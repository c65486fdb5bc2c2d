"""What an encoder is, and which one to take for a checkpoint.

Two give the same embeddings: the exported towers (retrieval.encoders.openvino), which load in
under a second and need no torch, and open_clip itself (retrieval.encoders.open_clip),
which has every checkpoint and every device.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import CheckpointError, HubOfflineError
from retrieval.hub import Address

if TYPE_CHECKING:
    pass
from retrieval.encoders.base import Encoder
from retrieval.encoders.checkpoint import HF_HUB, export_folder, label_of


def load_encoder(
    name: str = "mini",
    pretrained: str | None = None,
    *,
    device: str = "auto",
    precision: str = "float32",
    runtime: str = "auto",
) -> Encoder:
    """The encoder of a checkpoint: exported where there is an export, else open_clip.

    An export lies beside the checkpoint's weights, in the user's cache, or, for
    hf-hub:OWNER/NAME (and @REVISION), in that repository, from which it is pulled.
    `precision` "auto" is bfloat16 where the processor multiplies it faster and the
    embeddings stay the same (cosine ≥ 0.995 to float32, tried on the spot), float32
    elsewhere. CheckpointError says what is missing and how to get it, HubError what the
    Hub refuses.
    """
    folder, torch_is_here = None, importlib.util.find_spec("torch") is not None
    kind = "int8" if precision == "int8" else "float32"
    if runtime != "torch" and device in ("auto", "cpu"):
        try:
            folder = find_export(name, pretrained, kind)
        except HubOfflineError:
            if runtime == "exported" or not torch_is_here:
                raise  # else open_clip may hold the checkpoint from an earlier time
        if device == "auto" and runtime == "auto" and folder and _has_accelerator():
            folder = None
    if folder:
        from retrieval.encoders.openvino import ExportedEncoder

        pulled = folder != export_folder(name, pretrained, kind)  # and checked then
        return ExportedEncoder(folder, name, pretrained, precision=precision, check=not pulled)
    if runtime == "exported" or precision == "int8":
        tag = f" --pretrained {pretrained}" if pretrained else ""
        flag = " --precision int8" if kind == "int8" else ""
        raise CheckpointError(
            f"No {'int8 ' if flag else ''}export of {label_of(name, pretrained)} at "
            f"{export_folder(name, pretrained, kind)}. Make it: "
            f"python scripts/export_encoder.py --model {name}{tag}{flag}"
        )
    if not torch_is_here:
        raise CheckpointError(
            f"{label_of(name, pretrained)} has no export, and without one it needs torch, which "
            f"is not installed here. Install it (pip install -r requirements.txt), or export the "
            f"checkpoint elsewhere: python scripts/export_encoder.py, or publish_model.py."
        )
    from retrieval.encoders.open_clip import OpenClipEncoder

    return OpenClipEncoder(name, pretrained, device=device, precision=precision)


def _has_accelerator() -> bool:
    """Whether torch could compute elsewhere than on the CPU; asks the system, not torch."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()


def find_export(name: str, pretrained: str | None, precision: str = "float32") -> Path | None:
    """The folder of a checkpoint's export, if there is one here or in its repository.

    HubError or HubOfflineError if the repository cannot be asked.
    """
    folder = export_folder(name, pretrained, precision)
    if (folder / "encoder.json").is_file():
        return folder
    if not name.startswith(HF_HUB):
        return None
    from retrieval.encoders.openvino import pull_export

    return pull_export(Address.parse(name), precision)

"""Load the encoder of a checkpoint: exported where possible, else open_clip.

Both give the same embeddings: the exported towers (retrieval.encoders.openvino) load in
under a second and need no torch; open_clip (retrieval.encoders.open_clip) supports every
checkpoint and every device.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from retrieval.encoders.base import Encoder
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.errors import CheckpointError, HubOfflineError


def load_encoder(
    checkpoint: Checkpoint | str = "mini",
    *,
    device: str = "auto",
    precision: str = "float32",
    runtime: str = "auto",
) -> Encoder:
    """Load the encoder of a checkpoint, from its export if there is one.

    An export lies beside the checkpoint's weights, in the user's cache, or, for
    hf-hub:OWNER/NAME (and @REVISION), in that repository, from which it is downloaded.
    `precision` "auto" is bfloat16 where that is measured to be faster on this machine and the
    embeddings stay the same (cosine ≥ 0.995 to float32), float32 elsewhere
    (retrieval.encoders.precision). CheckpointError says what is missing and how to get it;
    HubError is raised if the Hub refuses.
    """
    checkpoint = Checkpoint.parse(checkpoint)
    folder, has_torch = None, importlib.util.find_spec("torch") is not None
    kind = "int8" if precision == "int8" else "float32"
    if runtime != "torch" and device in ("auto", "cpu"):
        try:
            folder = find_export(checkpoint, kind)
        except HubOfflineError:
            if runtime == "exported" or not has_torch:
                raise  # else open_clip may have the checkpoint in its cache
        if device == "auto" and runtime == "auto" and folder and _has_accelerator():
            folder = None
    if folder:
        from retrieval.encoders.openvino import ExportedEncoder

        downloaded = folder != checkpoint.export_folder(kind)  # its hashes were checked then
        return ExportedEncoder(folder, checkpoint, precision=precision, check=not downloaded)
    if runtime == "exported" or precision == "int8":
        flag = " --precision int8" if kind == "int8" else ""
        raise CheckpointError(
            f"No {'int8 ' if flag else ''}export of {checkpoint} at "
            f"{checkpoint.export_folder(kind)}. Make it: "
            f"reaction-search export {checkpoint.options}{flag}"
        )
    if not has_torch:
        raise CheckpointError(
            f"{checkpoint} has no export, and without one it needs torch, which is not "
            f"installed. Install it, in the project's folder (pip install '.[torch]'), or export "
            f"the checkpoint elsewhere: reaction-search export, or publish checkpoint."
        )
    from retrieval.encoders.open_clip import OpenClipEncoder

    return OpenClipEncoder(checkpoint, device=device, precision=precision)


def _has_accelerator() -> bool:
    """Whether torch could use a GPU; asks the system, not torch, which takes seconds to load."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()


def find_export(checkpoint: Checkpoint | str, precision: str = "float32") -> Path | None:
    """The folder of a checkpoint's export, if there is one here or in its repository.

    HubError or HubOfflineError if the repository cannot be reached.
    """
    checkpoint = Checkpoint.parse(checkpoint)
    folder = checkpoint.export_folder(precision)
    if (folder / "encoder.json").is_file():
        return folder
    if checkpoint.address is None:
        return None
    from retrieval.encoders.openvino import pull_export

    return pull_export(checkpoint.address, precision)

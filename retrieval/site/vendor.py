"""Copy what a static site needs of other people's packages: the model's runtime and a tokenizer.

The npm client installs the versions of frontend/vendor/package-lock.json and checks them by the
hashes there; no script of a package runs. Nothing of them is kept in this project.

`ort.wasm.bundle.min.mjs` is onnxruntime-web for WebAssembly alone, and has the loader of its .wasm
inside: the smallest set of files that starts in a module worker.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from retrieval.errors import SpaceError
from retrieval.hub import sha256_of
from retrieval.paths import ROOT

VENDOR = "vendor"
SOURCES = ROOT / "frontend" / VENDOR
TIMEOUT_S = 600
# Roles, as the engine knows them, and the packages' files.
FILES = {
    "runtime": "onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
    "wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "tokenizers": "@huggingface/tokenizers/dist/tokenizers.min.mjs",
}


@dataclass(frozen=True)
class Package:
    """A package that a site carries, and the file with its licence."""

    name: str
    license: str
    file: str


PACKAGES = (
    Package("onnxruntime-web", "MIT", f"{VENDOR}/onnxruntime-web.LICENSE.txt"),
    Package("@huggingface/tokenizers", "Apache-2.0", f"{VENDOR}/tokenizers.LICENSE.txt"),
)


def write_vendor(folder: Path) -> dict[str, dict[str, object]]:
    """Write the packages' files into a folder; returns file, bytes and SHA-256 of each by role.

    `file` is relative to the site. SpaceError if npm is missing or refuses.
    """
    with tempfile.TemporaryDirectory() as temporary:
        modules = _install(Path(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        facts: dict[str, dict[str, object]] = {}
        for role, source in FILES.items():
            target = folder / Path(source).name
            shutil.copyfile(modules / source, target)
            facts[role] = {
                "file": f"{VENDOR}/{target.name}",
                "bytes": target.stat().st_size,
                "sha256": sha256_of(target),
            }
        runtime, tokenizers = (folder / Path(package.file).name for package in PACKAGES)
        shutil.copyfile(modules / "@huggingface/tokenizers/LICENSE", tokenizers)
        # The package onnxruntime-web has no text of its licence; the Python package of the same
        # project has, and lists the third parties whose code is in both.
        python = find_spec("onnxruntime")
        if python is None or python.origin is None:
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
        for name in ("LICENSE", "ThirdPartyNotices.txt"):
            target = runtime if name == "LICENSE" else folder / f"onnxruntime-web.{name}"
            shutil.copyfile(Path(python.origin).parent / name, target)
    return facts


def _install(folder: Path) -> Path:
    """Install the locked versions below a folder; returns its node_modules."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(SOURCES / name, folder / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise SpaceError(
            "A static site needs npm, which is not installed: it fetches onnxruntime-web and the "
            "tokenizer that run in visitors' browsers. Install Node.js, which brings it."
        ) from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        output = error.stderr if isinstance(error.stderr, str) else ""
        lines = [line for line in output.splitlines() if line.startswith("npm error")]
        reason = lines[0].removeprefix("npm error ") if lines else str(error)
        raise SpaceError(
            f"npm could not install what a static site needs ({reason}). Check the network, "
            f"then run the command again."
        ) from error
    return folder / "node_modules"

"""The package exports its main names, and loads nothing heavy until they are used."""

import subprocess
import sys

import pytest

import retrieval
from retrieval.paths import ROOT
from retrieval.search.searcher import Searcher

HEAVY = {"numpy", "faiss", "torch", "openvino", "open_clip", "pyarrow", "PIL", "huggingface_hub"}


def modules_after(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)"],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return set(done.stdout.split())


def test_importing_the_package_loads_no_heavy_library():
    assert not HEAVY & modules_after("import retrieval")
    assert "numpy" in modules_after("from retrieval import Searcher")  # the check can fail


def test_exported_names_are_those_of_the_subpackages():
    assert retrieval.Searcher is Searcher
    for name in retrieval.__all__:
        assert getattr(retrieval, name) is not None and name in dir(retrieval)
    with pytest.raises(AttributeError, match="has no attribute 'Found'"):
        retrieval.Found  # noqa: B018


@pytest.mark.parametrize("first", ["retrieval.encoders.openvino", "retrieval.encoders.export"])
def test_openvino_is_imported_without_its_telemetry(first: str):
    found = modules_after(
        f"import {first}, openvino, nncf; assert not sys.modules['openvino_telemetry']"
    )
    assert "openvino" in found and not {m for m in found if m.startswith("openvino_telemetry.")}

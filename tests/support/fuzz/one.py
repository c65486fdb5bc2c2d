"""python -m tests.support.fuzz.one TARGET [libFuzzer's options and folders]"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["retrieval"]):
    from tests.support.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

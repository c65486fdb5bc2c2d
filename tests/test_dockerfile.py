"""The Dockerfile is read as Docker reads it, or not at all."""

import re

import pytest

from retrieval.errors import SpaceError
from retrieval.paths import ROOT
from tests.support import dockerfile as _dockerfile
from tests.support.dockerfile import KNOWN, parse


def test_the_examples_in_docstrings_hold():
    import doctest

    failed, tried = doctest.testmod(_dockerfile)
    assert tried > 0 and failed == 0


def test_the_spaces_own_dockerfile_is_understood_whole():
    text = (ROOT / "space" / "Dockerfile").read_text()
    steps = parse(text)
    begins = re.findall(rf"^({'|'.join(KNOWN)}) ", text, re.MULTILINE)
    assert [step.name for step in steps] == begins
    assert steps[0].name == "FROM" and steps[-1].name == "CMD"
    assert "apt" not in {word for step in steps for word in re.split(r"\W", step.words[-1])}


def test_lines_are_joined_flags_parted_and_comments_dropped():
    text = """
        # a comment
        from python:3.11-slim
        RUN echo one && \\
        # between two lines
            echo "two  three"
        COPY --chown=1000:1000 a b/ c/
        ENV A=1 \\
            B="two words"
        CMD ["python", "-m", "x"]
        """
    base, command, copy, env, last = parse(text)
    assert (base.name, base.words, base.line) == ("FROM", ("python:3.11-slim",), 3)
    assert command.words[:2] == ("/bin/sh", "-c")
    assert command.words[2].split() == ["echo", "one", "&&", "echo", '"two', 'three"']
    assert '"two  three"' in command.words[2]
    assert (copy.flags, copy.words) == ({"chown": "1000:1000"}, ("a", "b/", "c/"))
    assert list(env.pairs()) == [("A", "1"), ("B", "two words")]
    assert last.words == ("python", "-m", "x")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ADD a b", "Line 2 of the Dockerfile: ADD is not understood; expected one of FROM"),
        ("VOLUME /data", "VOLUME is not understood"),
        ("COPY --from=build a b", "COPY --from is not understood; expected --chown"),
        ("RUN --mount=type=cache,target=/x true", "RUN --mount is not understood"),
        ("RUN <<EOF", "a heredoc is not understood"),
        ("FROM python:3.12", "2 FROM is not understood; expected one stage"),
        ("ENV NAME value", "ENV NAME value is not understood; expected NAME=VALUE"),
        ("ENV NAME='$A'", "single quotes is not understood"),
        ("CMD [python]", "expected a JSON list of words"),
        ("HEALTHCHECK NONE", "HEALTHCHECK NONE is not understood"),
        ("RUN true \\", "expected a line after the last backslash"),
        ("# escape=`", "expected the backslash as escape"),
        ("RUN", "RUN without an argument"),
    ],
)
def test_what_is_not_understood_is_an_error(line: str, expected: str):
    with pytest.raises(SpaceError) as raised:
        parse(f"FROM python:3.11-slim\n{line}\n")
    assert expected in str(raised.value)


def test_only_arg_comes_before_from():
    with pytest.raises(SpaceError, match="RUN before FROM"):
        parse("RUN true\nFROM x\n")

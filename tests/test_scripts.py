"""The commands, as a person runs them: on the shipped index, with its checkpoint.

A build and searches are processes of their own; the rest, which is about what is said, runs here.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import save_gif

from retrieval.paths import ROOT, STARTER
from tests.support.manifests import edit_manifest
from tests.support.shell import run_script


def run(script: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


def run_json(script: str, *args: object):
    done = run(script, *args, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_message_brings_what_answers_it():
    (results,) = run_json("search", "I'm so scared right now", "-k", 5)
    assert [r["rank"] for r in results] == [1, 2, 3, 4, 5]
    assert set(results[0]) == {
        "rank", "score", "id", "uri", "title", "emoji", "tags", "best_frame", "best_frame_ms",
        "signals", "words", "reactions",
    }  # fmt: skip
    assert {"😱", "😨", "😰", "😧"} & {r["emoji"] for r in results}
    assert all(Path(r["uri"]).read_bytes()[:3] == b"GIF" for r in results)
    scores = [r["score"] for r in results]
    # The best is first; what follows is spread over the reactions that the message may call for.
    assert scores[0] == max(scores) and all(0 < score < 1 for score in scores)


def test_good_news_brings_celebration_and_a_file_of_messages_answers_in_order(tmp_path: Path):
    messages = ["I got the job 🎉", "Congratulations on your graduation!", "brr, boring 🥱"]
    (tmp_path / "messages.txt").write_text("\n".join(messages) + "\n")
    answers = run_json("search", "--queries", tmp_path / "messages.txt", "-k", 5)
    emoji = [{r["emoji"] for r in results} for results in answers]
    celebration = {"🎉", "🥳", "🙌", "🍾", "🥂", "👏", "🤩", "💃", "🕺"}
    assert emoji[0] & celebration and emoji[1] & celebration
    assert "🥱" in emoji[2]


def test_a_folder_is_indexed_and_searched_with_a_picture(tmp_path: Path):
    folder, out = tmp_path / "gifs", tmp_path / "bundle"
    save_gif(folder / "red.gif", [(255, 0, 0)])
    save_gif(folder / "blue-green.gif", [(0, 0, 255), (0, 255, 0)])
    (folder / "broken.gif").write_text("no")
    (report,) = run_json("build_index", folder, "--out", out, "--frames", 4)
    assert (report["gifs"], report["frames"]) == (2, 3)
    assert [s["path"] for s in report["skipped"]] == ["broken.gif"]
    assert report["seconds"] > 0 and report["gifs_per_second"] > 0

    (results,) = run_json("search", "--image", folder / "red.gif", "--index", out)
    assert [r["title"] for r in results] == ["red", "blue green"]


def test_report_that_cannot_be_written_leaves_the_index_and_the_printed_report(tmp_path: Path):
    save_gif(tmp_path / "gifs" / "red.gif", [(255, 0, 0)])
    out = tmp_path / "bundle"
    done = run_script("build_index", tmp_path / "gifs", "--out", out, "--report", "/dev/full")
    assert done.returncode == 1 and "1 GIFs with 1 frames" in done.stdout
    assert "Error: The report cannot be written to /dev/full: No space left" in done.stderr
    assert "Traceback" not in done.stderr and (out / "manifest.json").is_file()


def truncated_index(folder: Path) -> Path:
    bundle = folder / "bundle"
    shutil.copytree(STARTER, bundle, ignore=shutil.ignore_patterns("media"))
    vectors = bundle / "vectors.faiss"
    vectors.write_bytes(vectors.read_bytes()[:1000])
    manifest = json.loads((bundle / "manifest.json").read_text())
    files = {k: v for k, v in manifest["files"].items() if not k.startswith("media/")}
    edit_manifest(bundle, files=files)
    return bundle


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (lambda tmp: ["search", ""], "The message is empty"),
        (lambda tmp: ["search", "x" * 100_000], "The message has 100,000 characters"),
        (lambda tmp: ["search", "hi", "--index", tmp / "none"], "No index at"),
        (lambda tmp: ["search", "hi", "--index", truncated_index(tmp)], "truncated or changed"),
        (lambda tmp: ["search", "--image", ROOT / "README.md"], "README.md cannot be searched"),
        (lambda tmp: ["search", "--queries", tmp / "none.txt"], "none.txt cannot be read"),
        (lambda tmp: ["build_index", tmp, "--out", tmp / "b"], "No media in"),
        (
            lambda tmp: ["build_index", STARTER / "media", "--out", tmp / "b", "--model", "x"],
            "Unknown checkpoint",
        ),
        (lambda tmp: ["build_index", STARTER / "media", "--out", "."], "is the working folder"),
        (
            lambda tmp: ["build_index", STARTER / "media", "--out", ROOT / "README.md" / "b"],
            "is a file; expected a folder",
        ),
        (
            lambda tmp: [
                *("build_index", STARTER / "media", "--out", tmp / "b"),
                *("--report", tmp / "none" / "r.html"),
            ],
            "--report is",
        ),
    ],
)
def test_bad_input_gets_one_sentence_and_no_traceback(tmp_path: Path, args, expected: str):
    done = run_script(*args(tmp_path))
    assert done.returncode == 1 and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and expected in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "script",
    ["build_index", "export_encoder", "search", "evaluate", "train", "make_starter_library",
     "convert_text_tower", "publish_index", "publish_model", "deploy_space",
     "feedback"],
)  # fmt: skip
def test_every_script_explains_itself(script: str):
    done = run_script(script, "--help")
    assert done.returncode == 0 and "usage:" in done.stdout and "default" in done.stdout


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.page", "tests.support.run_space"])
def test_every_tool_explains_itself(module: str):
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "usage:" in done.stdout

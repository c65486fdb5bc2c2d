"""The commands evaluate, ablate and compare over a tiny bundle of GIFs made here."""

import json
import sys
from pathlib import Path

import pytest
from conftest import save_gif

from retrieval import cli
from retrieval.evaluation import read_run

TOPICS = "t1\tit is our party tonight, come and dance\twin\nt2\tgood night, sleep well\tyawn\n"
QRELS = "t1 0 party dance.gif 2\nt1 0 red.gif 0\nt2 0 good night.gif 1\nt2 0 gone.gif 1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of four GIFs built with mini, and a judged set over it."""
    folder = tmp_path_factory.mktemp("evaluation")
    colours = {"party dance": (255, 0, 0), "good night": (0, 0, 90), "red": (200, 9, 9)}
    for name, colour in {**colours, "no way": (0, 255, 0)}.items():
        save_gif(folder / "gifs" / f"{name}.gif", [colour])
    described = '{"file_name": "good night.gif", "tags": ["yawn"]}\n'
    (folder / "gifs" / "metadata.jsonl").write_text(described, encoding="utf-8")
    command = ["build", str(folder / "gifs"), "--out", str(folder / "bundle")]
    cli.main([*command, "--precision", "float32"])
    (folder / "topics.tsv").write_text(TOPICS, encoding="utf-8")
    (folder / "qrels.txt").write_text(QRELS, encoding="utf-8")
    return folder


def inputs(folder: Path) -> list[str]:
    files = {"topics": "topics.tsv", "qrels": "qrels.txt", "bundle": "bundle"}
    return [arg for option, name in files.items() for arg in (f"--{option}", str(folder / name))]


def test_evaluate_prints_tables_and_writes_run_and_plots(folder: Path, tmp_path: Path, capsys):
    outputs = ["--run-out", str(tmp_path / "a.run"), "--plots", str(tmp_path / "plots")]
    cli.main(["evaluate", *inputs(folder), *outputs])
    printed = capsys.readouterr()
    assert printed.out.startswith("topics.tsv: 2 messages over 4 GIFs; 95 % intervals")
    heads = [line.split(" | ")[0] for line in printed.out.splitlines() if "| topics |" in line]
    assert heads == ["| messages", "| category", "| length"]
    assert "counted as not found (1): gone.gif" in printed.err
    run = read_run(tmp_path / "a.run")
    assert {name for name, _ in run["t1"]} == {
        "party dance.gif", "good night.gif", "red.gif", "no way.gif",
    }  # fmt: skip
    assert (tmp_path / "plots" / "scores.svg").is_file()
    assert (tmp_path / "plots" / "hit-rate-by-category.svg").is_file()


def test_evaluate_judges_a_run_as_it_judged_the_search(folder: Path, tmp_path: Path, capsys):
    run = str(tmp_path / "a.run")
    cli.main(["evaluate", *inputs(folder), "--run-out", run, "--json"])
    searched = json.loads(capsys.readouterr().out)
    cli.main(["evaluate", *inputs(folder), "--run", run, "--json"])
    assert json.loads(capsys.readouterr().out) == searched
    cli.main(["evaluate", "--run", run, "--qrels", str(folder / "qrels.txt"), "--json"])
    alone = json.loads(capsys.readouterr().out)
    assert alone["tables"]["messages"] == searched["tables"]["messages"][:1]
    measures = searched["tables"]["messages"][0]["measures"]
    assert measures["Success@5"]["mean"] == 1 and measures["R@10"]["mean"] == 0.75


def test_evaluate_writes_judgements_that_it_reads(folder: Path, tmp_path: Path, capsys):
    qrels = tmp_path / "qrels.txt"
    cli.main(["evaluate", *inputs(folder), "--qrels-out", str(qrels)])
    assert sorted(qrels.read_text().splitlines()) == sorted(QRELS.splitlines())
    assert capsys.readouterr().out


def test_evaluate_reads_reactiongif_and_draws_confusion(folder: Path, tmp_path: Path, capsys):
    tweets = tmp_path / "ReactionGIF.json"
    tweets.write_text('{"idx": 3, "label": "yawn", "text": "so tired"}\n', encoding="utf-8")
    options = ["--bundle", str(folder / "bundle"), "--plots", str(tmp_path / "plots")]
    cli.main(["evaluate", "--reactiongif", str(tweets), *options])
    printed = capsys.readouterr().out
    assert printed.startswith("ReactionGIF.json: 1 messages over 4 GIFs")
    assert "\n| yawn | 1 | " in printed and "\n| chance | 1 | 25.0 % |" in printed
    assert (tmp_path / "plots" / "confusion.svg").is_file()


def test_ablate_prints_a_row_for_all_signals_and_chance(folder: Path, capsys):
    cli.main(["ablate", *inputs(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "topics.tsv: 2 messages over 4 GIFs"
    assert lines[4].startswith("| all signals") and lines[-1].startswith("| chance | 2 | 25.0 %")
    cli.main(["ablate", *inputs(folder), "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["label"].startswith("all signals") and rows[0]["p"] is None
    assert rows[0]["measures"]["Success@5"] == {"mean": 1, "low": 1, "high": 1}
    assert len(rows) == len(lines) - 5


def test_compare_prints_difference_and_p_value(folder: Path, tmp_path: Path, capsys):
    good, bad = tmp_path / "good.run", tmp_path / "bad.run"
    good.write_text("t1 Q0 party dance.gif 1 1 a\nt2 Q0 good night.gif 1 1 a\n")
    bad.write_text("t1 Q0 no way.gif 1 2 a\nt1 Q0 party dance.gif 2 1 a\n")
    qrels = ["--qrels", str(folder / "qrels.txt")]
    cli.main(["compare", str(bad), str(good), *qrels, "--json"])
    printed = capsys.readouterr()
    assert "bad.run has no results for 1 topics, which count as 0" in printed.err
    rows = {row["measure"]: row for row in json.loads(printed.out)["measures"]}
    assert (rows["RR"]["run1"], rows["RR"]["run2"], rows["RR"]["difference"]) == (0.25, 1, 0.75)
    assert rows["RR"]["p"] == 0.5  # of the four signs of (0.5, 1), two are as far from 0
    cli.main(["compare", str(good), str(good), *qrels, "--bundle", str(folder / "bundle")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| 2 topics | good.run | good.run | difference (95 % interval) | p")
    assert all(line.endswith("| 1.0000 |") for line in lines[2:])


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["evaluate", "--topics", "t.tsv"], "--topics and --qrels go together"),
        (["evaluate", "--plots", "p"], "--plots goes with --topics, --starter, …"),
        (["evaluate", "--run", "r.run"], "--run needs --qrels, or another test collection"),
        (["evaluate", "--starter", "--all"], "--all goes without a test collection"),
        (["evaluate", "--starter", "--depth", "0"], "--depth is 0; expected 1 or more"),
        (["evaluate", "--starter", "--reactiongif", "r.json"], "give one of --starter and --rea"),
        (["evaluate", "--dataset", "me/gifs"], "--dataset, --text-column and --media-column go"),
        (["ablate"], "give a test collection: --topics and --qrels, or --starter"),
    ],
)
def test_wrong_usage_is_explained(args: list[str], expected: str, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(args)
    assert exit_info.value.code == 2 and expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "args"),
    [
        ("ir_measures", ["evaluate", "--starter"]),
        ("ir_measures", ["ablate", "--starter"]),
        ("ir_measures", ["compare", "a.run", "b.run", "--qrels", "q.txt"]),
        ("matplotlib", ["evaluate", "--starter", "--plots", "plots"]),
    ],
)
def test_missing_extra_is_named_before_any_work(
    package: str, args: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=rf"needs the package {package}.*install '\.\[evaluate\]'"):
        cli.main(args)

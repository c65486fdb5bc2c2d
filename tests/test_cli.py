"""The `reaction-search` command: dispatch, help, options, shims, and its documentation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval import cli
from retrieval.cli import serve
from retrieval.cli.dispatch import EXTRAS, VERBS, verb_module, verb_parser
from retrieval.paths import ROOT
from tests.support.commands import FILE, reference
from tests.support.project import requirements_of, settings
from tests.support.shell import run_script, run_verb

SHIMS = {
    "search": "search",
    "build_index": "build",
    "evaluate": "evaluate",
    "train": "train",
    "export_encoder": "export",
    "publish_index": "publish bundle",
    "publish_model": "publish checkpoint",
    "deploy_space": "deploy",
    "feedback": "feedback",
}


def reaction_search(*args: object, program: tuple[str, ...] = ("-m", "retrieval.cli")):
    command = [sys.executable, *program, *map(str, args)]
    env = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, cwd=ROOT)


def test_overview_lists_every_verb_with_its_summary():
    done = reaction_search("--help")
    assert done.returncode == 0
    shown = " ".join(done.stdout.split())
    assert all(f"{verb} {summary}" in shown for verb, summary in VERBS.items())
    assert reaction_search().stdout == done.stdout


def test_overview_imports_no_library():
    program = (
        "import sys\nfrom retrieval.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'numpy', 'PIL', 'faiss', 'pyarrow', 'torch', 'streamlit', 'huggingface_hub',"
        " 'tqdm'} & set(sys.modules))"
    )
    done = reaction_search(program=("-c", program))
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("verb", VERBS)
def test_verb_is_described_by_its_docstring(verb: str):
    parser = verb_parser(verb, verb_module(verb))
    assert parser.description == VERBS[verb]
    assert f"usage: reaction-search {verb}" in parser.format_help()


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_a_help_text(verb: str):
    parser = verb_parser(verb, verb_module(verb))
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action.choices, dict):
            parsers += action.choices.values()
        else:
            assert action.help, action
    assert all(action.help for p in parsers[1:] for action in p._actions)


def test_documentation_agrees_with_the_parsers():
    wrong = f"{FILE.name} is out of date. Write it again: python -m tests.support.commands"
    assert FILE.read_text(encoding="utf-8") == reference(), wrong


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["nope"], "invalid choice: 'nope'"),
        (["search"], "give a MESSAGE, --image FILE, or --queries FILE"),
        (
            ["search", "hi", "--queries", "x"],
            "--queries goes with -k, --index, --signals, --fusion and --json alone",
        ),
        (["build", "x", "--out", "y", "--frames", "0"], "--frames is 0; expected 1 or more"),
        (["publish", "mini", "me/mini"], "invalid choice: 'mini'"),
    ],
)
def test_wrong_usage_exits_with_status_2(args: list[str], expected: str):
    done = reaction_search(*args)
    assert done.returncode == 2 and done.stdout == ""
    assert expected in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("script", "verb"), SHIMS.items())
def test_script_is_a_shim_of_its_verb(script: str, verb: str):
    shim = run_script(script, "--help")
    assert shim.returncode == 0 and f"usage: reaction-search {verb}" in shim.stdout
    assert shim.stdout == run_verb(*verb.split(), "--help").stdout


def test_missing_package_names_the_extra_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def execute(args: object) -> None:
        raise ModuleNotFoundError("No module named 'open_clip.model'", name="open_clip.model")

    monkeypatch.setattr("retrieval.cli.serve.execute", execute)
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["serve"])
    assert str(exit_info.value) == (
        "Error: reaction-search serve needs the package open_clip, which is not installed. "
        "Install it, in the project's folder: pip install '.[torch]'"
    )


def test_missing_package_of_the_base_is_not_blamed_on_an_extra(monkeypatch: pytest.MonkeyPatch):
    def execute(args: object) -> None:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr("retrieval.cli.serve.execute", execute)
    with pytest.raises(ModuleNotFoundError, match="numpy"):
        cli.main(["serve"])


def test_serve_passes_its_options_to_streamlit_and_the_environment(
    monkeypatch: pytest.MonkeyPatch,
):
    calls = []
    monkeypatch.setattr("streamlit.web.cli.main", lambda args, **_: calls.append(args))
    monkeypatch.setenv("REACTION_INDEX", "before")
    monkeypatch.setenv("REACTION_CHECKPOINT", "before")
    cli.main(["serve", "--index", "index/mine", "--port", "8600", "--address", "127.0.0.1"])
    assert calls == [
        ["run", str(ROOT / "app.py"), "--server.port", "8600", "--server.address", "127.0.0.1"]
    ]
    assert os.environ["REACTION_INDEX"] == "index/mine"
    assert os.environ["REACTION_CHECKPOINT"] == "before"
    assert (serve.ROOT / "app.py").is_file()


def test_publish_and_deploy_print_their_files_as_json(tmp_path: Path):
    starter = ROOT / "index" / "starter"
    done = run_verb("publish", "bundle", starter, "me/gifs", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    size_bytes = (starter / "catalog.parquet").stat().st_size
    assert printed["address"] is None and printed["files"]["catalog.parquet"] == size_bytes

    done = run_verb("deploy", "me/page", "--dry-run", tmp_path / "space", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["variables"]["REACTION_INDEX"] == "/app/index/starter"
    assert printed["files"]["app.py"] == (tmp_path / "space" / "app.py").stat().st_size


# What is installed


def names(lines: list[str]) -> set[str]:
    cut = str.maketrans("<>=;[", "|||||")
    return {line.translate(cut).partition("|")[0].strip() for line in lines}


def test_requirements_name_the_eight_packages_of_the_design_and_no_bounds():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    named = {line for line in lines if not line.startswith(("#", "-"))}
    assert named == {
        "open_clip_torch", "faiss-cpu", "torch", "streamlit", "pillow", "imageio",
        "huggingface_hub", "datasets",
    }  # fmt: skip
    assert "-e .[torch,hub]" in lines
    bounded = names([line for part in ("base", "torch", "hub") for line in requirements_of(part)])
    assert named < bounded


def test_base_installation_has_none_of_the_packages_of_the_extras():
    imported = {
        "open_clip_torch": "open_clip", "resvg-py": "resvg_py", "ir-measures": "ir_measures"
    }  # fmt: skip
    parts = ("torch", "hub", "train", "evaluate", "static")
    extras = names([line for extra in parts for line in requirements_of(extra)])
    extras = {imported.get(name, name) for name in extras} - {"clip-reaction-search"}
    assert extras == set(EXTRAS)
    assert not set(EXTRAS) & names(requirements_of("base"))


def test_wheel_searches_from_any_folder(tmp_path: Path):
    """Built and unpacked, without installing its dependencies anew."""
    build = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run([sys.executable, *build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)

    def installed(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "retrieval.cli", *map(str, args)]
        env = {**os.environ, "PYTHONPATH": str(site)}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)

    done = installed("search", "I got the job", "-k", 3, "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == 3
    assert all(Path(result["uri"]).is_relative_to(site) for result in results)

    done = installed("deploy", "me/page", "--dry-run", tmp_path / "space", "--json")
    here = run_verb("deploy", "me/page", "--dry-run", tmp_path / "here", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(here.stdout)
    shipped = site / "retrieval" / "shipped"
    assert (shipped / "app.py").is_file() and (shipped / ".streamlit" / "config.toml").is_file()
    assert not (site / "tests").exists() and not (site / "benchmarks").exists()


def test_shipped_folders_exist():
    wheel = settings()["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert all((ROOT / source).exists() for source in wheel["force-include"])

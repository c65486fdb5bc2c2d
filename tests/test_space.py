"""What goes up as a Space: all that the page needs, nothing else, and no secret."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import deploy_space
import pytest
from conftest import FakeEncoder, save_gif

from retrieval.build import build_index
from retrieval.bundle import Manifest, read_manifest
from retrieval.errors import SpaceError
from retrieval.presets import PRESETS
from retrieval.settings import ROOT, STARTER
from retrieval.space import (
    HUB_MODELS,
    TOP_FILES,
    WORKDIR,
    assemble,
    by_folder,
    check_repo_id,
    hub_bundle,
    size_of,
    write,
)

from _dockerfile import parse

ON_HUB = "hf://datasets/me/reactions@v1"


@pytest.fixture(scope="module")
def starter():
    return assemble(str(STARTER))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A bundle of one GIF that is in it, which says that `mini` made it."""
    save_gif(tmp_path / "gifs" / "red.gif", [(255, 0, 0)])
    build_index(tmp_path / "gifs", tmp_path / "mine", FakeEncoder("mini"), copy_media=True)
    return tmp_path / "mine"


def front_matter(readme: bytes) -> dict[str, str]:
    lines = readme.decode().split("---\n")[1].splitlines()
    return dict(line.split(": ", 1) for line in lines)  # type: ignore[arg-type]


def requirements(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_page_goes_up_with_its_bundle_its_checkpoint_and_the_notices(starter):
    assert set(TOP_FILES) <= set(starter.files)
    assert {"app.py", "views/search.py", "LICENSE", ".streamlit/config.toml"} <= set(starter.files)
    manifest = read_manifest(STARTER)
    bundle = {f"index/starter/{name}" for name in [*manifest.files, "manifest.json"]}
    assert bundle <= set(starter.files)
    folder = ROOT / "retrieval" / "checkpoints" / "mini"
    checkpoint = {str(p.relative_to(ROOT)) for p in folder.rglob("*") if p.is_file()}
    assert checkpoint <= set(starter.files)
    assert starter.variables == {
        "TORCH": "0", "BAKE": "1", "REACTION_INDEX": f"{WORKDIR}/index/starter",
    }  # fmt: skip


def test_nothing_else_goes_up(starter):
    for name in starter.files:
        parts = Path(name).parts
        assert not {"tests", "scripts", "messages", "training", "docs", "__pycache__"} & set(parts)
        assert not {".git", ".venv", "artifacts", "space"} & set(parts), name
        assert not name.endswith(".pyc"), name
        assert parts[0] == ".streamlit" or not name.startswith("."), name
    unneeded = {"evaluation", "metrics", "limit", "space"}
    assert not {f"retrieval/{name}.py" for name in unneeded} & set(starter.files)


def test_everything_that_goes_up_is_copied_into_the_image_but_what_is_for_the_hub(starter):
    steps = parse((ROOT / "space" / "Dockerfile").read_text())
    (workdir,) = (step.words[0] for step in steps if step.name == "WORKDIR")
    assert workdir == WORKDIR
    sources = [word for step in steps if step.name == "COPY" for word in step.words[:-1]]
    left = [
        name
        for name in starter.files
        if not any(Path(name).is_relative_to(s) or Path(name).match(s) for s in sources)
    ]
    assert left == ["Dockerfile", "README.md"]


def test_the_folder_that_is_written_can_be_imported_and_searched_without_torch(
    starter, tmp_path: Path
):
    write(starter, tmp_path / "space")
    without = "import sys; sys.modules.update(torch=None, open_clip=None, transformers=None, "
    without += "datasets=None, timm=None, tqdm=None, jinja2=None); import runpy; "
    command = [sys.executable, "-c", without + "runpy.run_path('bake.py', run_name='__main__')"]
    env = {"PYTHONPATH": str(tmp_path / "space"), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path / "space", env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("starter answers with mini: ")
    with pytest.raises(SpaceError, match=r"space is not empty\. Remove it, or name another"):
        write(starter, tmp_path / "space")


def test_the_front_matter_is_the_hubs(starter):
    facts = front_matter(starter.files["README.md"])
    assert (facts["sdk"], facts["app_port"], facts["license"]) == ("docker", "8501", "apache-2.0")
    assert {facts["colorFrom"], facts["colorTo"]} <= {
        "red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray",
    }  # fmt: skip
    assert len(facts["short_description"]) <= 60
    assert json.loads(facts["models"]) == ["sentence-transformers/all-MiniLM-L6-v2"]
    assert "datasets" not in facts
    assert set(HUB_MODELS) == set(PRESETS)


def test_the_lean_requirements_are_lines_of_the_projects():
    lean = requirements(ROOT / "space" / "requirements.txt")
    torch = requirements(ROOT / "space" / "requirements-torch.txt")
    ours = requirements(ROOT / "requirements.txt")
    assert set(lean) < set(ours) and set(torch) < set(ours)
    assert not set(lean) & set(torch) and not any("torch" in line for line in lean)


def test_a_bundle_on_the_hub_is_named_not_copied():
    manifest = read_manifest(STARTER)
    space = assemble(ON_HUB, manifest, bake=False)
    assert [name for name in space.files if name.startswith("index/")] == ["index/README.md"]
    assert space.variables["REACTION_INDEX"] == ON_HUB and space.variables["BAKE"] == "0"
    assert json.loads(front_matter(space.files["README.md"])["datasets"]) == ["me/reactions"]
    assert hub_bundle("index/starter") is None
    assert hub_bundle("hf://datasets/me/reactions") == ("me/reactions", None)
    for wrong in ("hf://me/reactions", "hf://datasets/me", "hf://models/me/x"):
        with pytest.raises(SpaceError, match="is no bundle on the Hub; expected hf://datasets/"):
            hub_bundle(wrong)


def test_an_exported_checkpoint_goes_up_alone_and_any_other_needs_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    manifest = replace(read_manifest(STARTER), checkpoint="siglip2")
    with pytest.raises(SpaceError) as raised:
        assemble(ON_HUB, manifest)
    assert "needs the checkpoint siglip2, which is neither shipped nor exported" in str(
        raised.value
    )
    assert "python scripts/export_encoder.py --model siglip2, or" in str(raised.value)

    space = assemble(ON_HUB, manifest, torch=True)
    assert space.variables["TORCH"] == "1" and "REACTION_CHECKPOINT" not in space.variables
    assert not any("safetensors" in name for name in space.files)
    models = json.loads(front_matter(space.files["README.md"])["models"])
    assert models == ["timm/ViT-B-32-SigLIP2-256"]

    slug = "ViT-B-32-SigLIP2-256--webli"
    export = tmp_path / "clip-reaction-search" / "exported" / slug / "float32"
    export.mkdir(parents=True)
    (export / "encoder.json").write_text("{}")
    space = assemble(ON_HUB, manifest)
    assert f"retrieval/checkpoints/{slug}/exported/float32/encoder.json" in space.files
    place = f"local-dir:{WORKDIR}/retrieval/checkpoints/{slug}"
    assert space.variables["REACTION_CHECKPOINT"] == place

    space = assemble(ON_HUB, manifest, model="hf://me/exported@v2")
    assert space.variables["REACTION_CHECKPOINT"] == "hf://me/exported@v2"
    assert json.loads(front_matter(space.files["README.md"])["models"]) == ["me/exported"]


def test_a_checkpoint_in_a_folder_goes_up_under_another_place(tmp_path: Path):
    folder = tmp_path / "ours"
    shutil.copytree(PRESETS["mini"].model.removeprefix("local-dir:"), folder)
    manifest = replace(read_manifest(STARTER), checkpoint=f"local-dir:{folder}")
    space = assemble(ON_HUB, manifest)
    assert "retrieval/checkpoints/ours/exported/float32/encoder.json" in space.files
    place = f"local-dir:{WORKDIR}/retrieval/checkpoints/ours"
    assert space.variables["REACTION_CHECKPOINT"] == place
    assert "models" not in front_matter(space.files["README.md"])
    with pytest.raises(
        SpaceError, match=r"which is not there\. Say where it is: --model local-dir:"
    ):
        assemble(ON_HUB, replace(manifest, checkpoint=f"local-dir:{tmp_path / 'gone'}"))


def test_a_bundle_of_ones_own_goes_up_and_media_elsewhere_are_refused(mine: Path, tmp_path: Path):
    space = assemble(str(mine))
    assert space.variables["REACTION_INDEX"] == f"{WORKDIR}/index/mine"
    assert by_folder(space.files)["index/mine/media"] == ["red.gif"]
    assert not any(name.startswith("index/starter") for name in space.files)

    build_index(tmp_path / "gifs", tmp_path / "pointing", FakeEncoder("mini"))
    with pytest.raises(SpaceError) as raised:
        assemble(str(tmp_path / "pointing"))
    assert "1 of the 1 GIFs" in str(raised.value) and "red.gif" in str(raised.value)
    assert "--copy-media" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "A=1"),
        ("server.pem", "x"),
        ("token", "x"),
        ("secrets.toml", "x"),
        ("notes.txt", "my token is hf_" + "a1" * 17),
        ("notes.md", "-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_what_looks_like_a_secret_never_goes_up(name: str, content: str, tmp_path: Path):
    folder = tmp_path / "ours"
    shutil.copytree(PRESETS["mini"].model.removeprefix("local-dir:"), folder)
    (folder / name).write_text(content)
    with pytest.raises(SpaceError, match=rf"{re.escape(name)} looks like a secret"):
        assemble(ON_HUB, read_manifest(STARTER), model=f"local-dir:{folder}")


@pytest.mark.parametrize("wrong", ["reactions", "a/b/c", "me/", "me/my gifs", "-me/x", "me/a--b"])
def test_a_wrong_name_is_refused(wrong: str):
    assert check_repo_id("me/re-act_ions.2") == "me/re-act_ions.2"
    with pytest.raises(SpaceError, match="is no name of a Space; expected OWNER/NAME"):
        check_repo_id(wrong)


def test_the_script_shows_what_goes_up_and_writes_it(tmp_path: Path, starter):
    def deploy(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / "deploy_space.py"), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)

    folder = tmp_path / "space"
    done = deploy("me/reactions", "--dry-run", folder)
    assert done.returncode == 0, done.stderr
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert written == set(starter.files)
    total = sum(map(size_of, starter.files.values())) / 1e6
    assert re.search(rf"^in all +{len(written)} +{total:.2f}$", done.stdout, re.MULTILINE)
    assert "text_tower.safetensors" in done.stdout and "nothing was sent" in done.stdout
    assert f"REACTION_INDEX={WORKDIR}/index/starter" in done.stdout

    for args, expected in (
        (["me/reactions", "--dry-run", folder], "is not empty"),
        (["reactions"], "expected OWNER/NAME"),
        (["me/reactions", "--bundle", tmp_path / "none"], "No index at"),
        (["me/reactions", "--model", "clip"], "needs the checkpoint clip"),
    ):
        done = deploy(*args)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert expected in done.stderr


def test_the_manifest_has_all_that_assembling_needs_and_none_is_an_error():
    assert isinstance(read_manifest(STARTER), Manifest)
    with pytest.raises(ValueError, match="assembled with its manifest"):
        assemble(ON_HUB)


def test_the_script_hands_everything_to_the_hub_in_one_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The Hub itself is played here: tests/test_hub.py has the rest of the way."""
    asked, sent = [], []

    def fetch(repo_id: str, name: str, **where: object) -> str:
        asked.append((repo_id, name, where))
        return str(STARTER / name)

    def upload(*args: object, **more: object) -> str:
        sent.append((args, more))
        return "https://example.org/spaces/me/page"

    hub = ModuleType("retrieval.hub")
    hub.upload = upload  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "retrieval.hub", hub)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr(
        sys, "argv", ["deploy_space.py", "me/page", "--bundle", ON_HUB, "--private"]
    )
    deploy_space.main()
    assert asked == [
        ("me/reactions", "manifest.json", {"repo_type": "dataset", "revision": "v1"}),
    ]  # fmt: skip
    ((repo_id, kind, files), more) = sent.pop()
    assert (repo_id, kind) == ("me/page", "space") and "Dockerfile" in files
    assert more == {
        "message": f"Serve {ON_HUB}",
        "private": True,
        "space_sdk": "docker",
        "variables": {"TORCH": "0", "BAKE": "1", "REACTION_INDEX": ON_HUB},
    }
    assert capsys.readouterr().out.endswith("https://example.org/spaces/me/page\n")

"""What goes up as a Space: all that the page needs, nothing else, and no secret."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from conftest import FakeEncoder, save_gif
from hub_stand_in import HubStandIn

from retrieval.build.build import build_index
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.presets import PRESETS
from retrieval.errors import BundleError, HubError, OutputError, SpaceError
from retrieval.hub import split_front_matter
from retrieval.hub.client import size_of, upload
from retrieval.library.bundle import manifest_at
from retrieval.library.manifest import read_manifest, sealed
from retrieval.paths import ROOT, STARTER
from retrieval.publishing.space import HUB_MODELS, TOP_FILES, WORKDIR, assemble, write
from tests.support.dockerfile import parse
from tests.support.project import requirements_of
from tests.support.shell import run_script

ON_HUB = "hf://datasets/me/reactions@v1"
MINI = ROOT / "retrieval" / "checkpoints" / "mini"
DESCRIPTION = "exported/float32/encoder.json"


@pytest.fixture(scope="module")
def starter():
    return assemble(STARTER)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A bundle of one GIF that is in it, which says that `mini` made it."""
    save_gif(tmp_path / "gifs" / "red.gif", [(255, 0, 0)])
    build_index(tmp_path / "gifs", tmp_path / "mine", like_mini(), copy_media=True)
    return tmp_path / "mine"


def like_mini() -> FakeEncoder:
    encoder = FakeEncoder("mini")
    encoder.fingerprint = read_manifest(STARTER).fingerprint
    return encoder


def publish(**changes: object) -> str:
    """The address of a bundle on the Hub: the shipped one's manifest with changes, no more."""
    manifest = asdict(sealed(replace(read_manifest(STARTER), **changes)))  # type: ignore[arg-type]
    files = {"manifest.json": json.dumps(manifest).encode()}
    upload("me/reactions", "dataset", files, message="a bundle")
    return ON_HUB.removesuffix("@v1")


def describe(export: Path, **changes: object) -> Path:
    """Write an export's description, mini's with changes, into its folder."""
    export.mkdir(parents=True)
    described = json.loads((MINI / DESCRIPTION).read_text()) | changes
    (export / "encoder.json").write_text(json.dumps(described))
    return export / "encoder.json"


def front_matter(readme: bytes) -> dict[str, str]:
    values, _ = split_front_matter(readme.decode())
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def requirements(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_page_goes_up_with_its_bundle_its_checkpoint_and_the_notices(starter):
    assert set(TOP_FILES) <= set(starter.files)
    assert {"app.py", "views/search.py", "LICENSE", ".streamlit/config.toml"} <= set(starter.files)
    manifest = read_manifest(STARTER)
    bundle = {f"index/starter/{name}" for name in [*manifest.files, "manifest.json"]}
    assert bundle <= set(starter.files)
    checkpoint = {str(p.relative_to(ROOT)) for p in MINI.rglob("*") if p.is_file()}
    assert checkpoint <= set(starter.files)
    assert starter.variables == {
        "TORCH": "0",
        "BAKE": "1",
        "REACTION_INDEX": f"{WORKDIR}/index/starter",
        "REACTION_CHECKPOINT": None,
    }


def test_nothing_else_goes_up(starter):
    for name in starter.files:
        parts = Path(name).parts
        assert not {"tests", "scripts", "messages", "training", "docs", "__pycache__"} & set(parts)
        assert not {".git", ".venv", "artifacts", "space"} & set(parts), name
        assert not name.endswith(".pyc"), name
        assert parts[0] == ".streamlit" or not name.startswith("."), name


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
    with pytest.raises(OutputError, match=r"space is not empty\. Name an empty folder"):
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
    ours = [line for part in ("base", "torch", "hub") for line in requirements_of(part)]
    assert set(lean) < set(ours) and set(torch) < set(ours)
    assert not set(lean) & set(torch) and not any("torch" in line for line in lean)


def test_a_bundle_on_the_hub_is_named_not_copied(hub: HubStandIn):
    publish()
    repository = hub.repository("dataset", "me/reactions")
    repository.tags["v1"] = repository.head
    space = assemble(ON_HUB, bake=False)
    assert [name for name in space.files if name.startswith("index/")] == ["index/README.md"]
    assert space.variables["REACTION_INDEX"] == ON_HUB and space.variables["BAKE"] == "0"
    assert json.loads(front_matter(space.files["README.md"])["datasets"]) == ["me/reactions"]
    assert not [line for line in hub.asked if "/resolve/" in line and "manifest.json" not in line]
    assert manifest_at(ON_HUB) == manifest_at(STARTER) == read_manifest(STARTER)


@pytest.mark.parametrize(
    ("bundle", "kind", "expected"),
    [
        ("hf://me/reactions", HubError, "is no address on the Hub. Expected hf://datasets/"),
        ("hf://datasets/me", HubError, "is no address on the Hub. Expected hf://datasets/"),
        ("hf://datasets/me/none", HubError, "There is no data set me/none on the Hub"),
        ("hf://datasets/me/empty", BundleError, "holds no manifest.json"),
    ],
)
def test_what_is_no_bundle_on_the_hub_is_said(
    hub: HubStandIn, bundle: str, kind: type[Exception], expected: str
):
    upload("me/empty", "dataset", {"a.txt": b"a"}, message="no bundle")
    with pytest.raises(kind, match=re.escape(expected)):
        assemble(bundle)


def test_an_exported_checkpoint_goes_up_alone_and_any_other_needs_torch(hub: HubStandIn):
    bundle = publish(checkpoint="siglip2", signal_facts={})
    with pytest.raises(SpaceError) as raised:
        assemble(bundle)
    assert "needs the checkpoint siglip2, which is not exported here" in str(raised.value)
    assert "reaction-search export --model siglip2, or" in str(raised.value)

    space = assemble(bundle, torch=True)
    assert (space.variables["TORCH"], space.variables["REACTION_CHECKPOINT"]) == ("1", None)
    assert not any("safetensors" in name for name in space.files)
    models = json.loads(front_matter(space.files["README.md"])["models"])
    assert models == ["timm/ViT-B-32-SigLIP2-256"]

    export = Checkpoint.parse("siglip2").export_folder("float32")
    describe(export)
    slug = export.parent.name
    space = assemble(bundle)
    assert f"retrieval/checkpoints/{slug}/exported/float32/encoder.json" in space.files
    place = f"local-dir:{WORKDIR}/retrieval/checkpoints/{slug}"
    assert space.variables["REACTION_CHECKPOINT"] == place


def test_a_checkpoint_on_the_hub_is_fetched_there_if_it_has_an_export(
    hub: HubStandIn, tmp_path: Path
):
    card: dict[str, Path | bytes] = {"README.md": b"---\nlicense: mit\n---\n"}
    upload("me/clip", "model", card, message="no export")
    bundle = publish(checkpoint="hf-hub:me/clip", signal_facts={})
    with pytest.raises(SpaceError) as raised:
        assemble(bundle)
    assert "hf-hub:me/clip, which has no export in its repository or here" in str(raised.value)
    assert assemble(bundle, torch=True).variables["REACTION_CHECKPOINT"] is None

    export = Checkpoint.parse("hf-hub:me/clip").export_folder("float32")
    describe(export)
    place = f"local-dir:{WORKDIR}/retrieval/checkpoints/hf-hub--me--clip"
    assert assemble(bundle).variables["REACTION_CHECKPOINT"] == place
    shutil.rmtree(export)

    description: dict[str, Path | bytes] = {DESCRIPTION: MINI / DESCRIPTION}
    upload("me/clip", "model", card | description, message="exported")
    repository = hub.repository("model", "me/clip")
    repository.tags["v2"] = repository.head
    lean = {name for name in assemble(STARTER).files if not name.startswith("retrieval/checkp")}
    for where, named in ((bundle, None), (STARTER, "hf-hub:me/clip@v2")):
        space = assemble(where, model=named)
        assert space.variables["REACTION_CHECKPOINT"] == named
        assert json.loads(front_matter(space.files["README.md"])["models"]) == ["me/clip"]
        checkpoints = {name for name in space.files if name.startswith("retrieval/checkpoints")}
        if where == bundle:
            assert checkpoints == {"retrieval/checkpoints/mini/README.md"}  # the about page's
        else:  # mini reads the messages and names of a bundle with signals
            assert {name.split("/")[2] for name in checkpoints} == {"mini"}
            assert "retrieval/checkpoints/mini/reactions.safetensors" in checkpoints
    assert space.files.keys() == lean | checkpoints

    other: dict[str, Path | bytes] = {DESCRIPTION: describe(tmp_path / "x", parent="0" * 64)}
    upload("me/clip", "model", card | other, message="trained again")
    for where, named in ((bundle, None), (STARTER, "hf-hub:me/clip")):
        with pytest.raises(SpaceError, match=r"hf-hub:me/clip \(fingerprint 0{12}\) is another"):
            assemble(where, model=named)
    with pytest.raises(SpaceError, match="is no checkpoint; one on the Hub is hf-hub:OWNER/NAME"):
        assemble(STARTER, model="hf://me/clip")


def test_a_checkpoint_in_a_folder_goes_up_under_another_place(hub: HubStandIn, tmp_path: Path):
    folder = tmp_path / "ours"
    shutil.copytree(MINI, folder)
    bundle = publish(checkpoint=f"local-dir:{folder}")
    space = assemble(bundle)
    assert "retrieval/checkpoints/ours/exported/float32/encoder.json" in space.files
    place = f"local-dir:{WORKDIR}/retrieval/checkpoints/ours"
    assert space.variables["REACTION_CHECKPOINT"] == place
    assert "models" not in front_matter(space.files["README.md"])
    folder.rename(tmp_path / "moved")
    with pytest.raises(
        SpaceError, match=r"which is not there\. Say where it is: --model local-dir:"
    ):
        assemble(bundle)
    assert assemble(bundle, model=f"local-dir:{tmp_path / 'moved'}").files.keys() > {
        "retrieval/checkpoints/moved/exported/float32/encoder.json"
    }


def test_another_checkpoint_than_the_bundles_is_refused(mine: Path, tmp_path: Path):
    describe(tmp_path / "other" / "exported" / "float32", parent="0" * 64)
    with pytest.raises(SpaceError) as raised:
        assemble(mine, model=f"local-dir:{tmp_path / 'other'}")
    assert "built with mini (fingerprint" in str(raised.value)
    assert f"--out BUNDLE --model local-dir:{tmp_path / 'other'}" in str(raised.value)
    build_index(tmp_path / "gifs", mine, FakeEncoder("mini"), copy_media=True)
    with pytest.raises(SpaceError, match=r"and mini \(fingerprint \w{12}\) is another"):
        assemble(mine)


def test_a_bundle_of_ones_own_goes_up_and_media_elsewhere_are_refused(mine: Path, tmp_path: Path):
    space = assemble(mine)
    assert space.variables["REACTION_INDEX"] == f"{WORKDIR}/index/mine"
    assert [n for n in space.files if n.startswith("index/mine/media/")] == [
        "index/mine/media/red.gif"
    ]
    assert not any(name.startswith("index/starter") for name in space.files)

    build_index(tmp_path / "gifs", tmp_path / "pointing", like_mini())
    with pytest.raises(SpaceError) as raised:
        assemble(tmp_path / "pointing")
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
    describe(folder / "exported" / "float32")
    (folder / name).write_text(content)
    with pytest.raises(SpaceError, match=rf"{re.escape(name)} looks like a secret"):
        assemble(STARTER, model=f"local-dir:{folder}")


def test_the_script_shows_what_goes_up_and_writes_it(tmp_path: Path, starter):
    folder = tmp_path / "space"
    done = run_script("deploy_space", "me/reactions", "--dry-run", folder)
    assert done.returncode == 0, done.stderr
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert written == set(starter.files)
    total = sum(map(size_of, starter.files.values())) / 1e6
    assert re.search(rf"^in all +{len(written)} +{total:.2f}$", done.stdout, re.MULTILINE)
    assert "text_tower.safetensors" in done.stdout and "nothing was sent" in done.stdout
    assert f"REACTION_INDEX={WORKDIR}/index/starter" in done.stdout

    for args, expected in (
        (["me/reactions", "--dry-run", folder], "is not empty"),
        (["reactions"], "Expected OWNER/NAME"),
        (["me/reactions", "--bundle", tmp_path / "none"], "No index at"),
        (["me/reactions", "--model", "x"], "needs the checkpoint x, which is not exported"),
    ):
        done = run_script("deploy_space", *args)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert expected in done.stderr

"""A static site is put together whole, in bounds, without secrets, and goes up as one commit."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import save_gif
from hub_stand_in import HubStandIn
from PIL import Image

from retrieval.build.build import build_index
from retrieval.cli import main
from retrieval.encoders import load_encoder
from retrieval.errors import BundleError, CheckpointError, OutputError, SpaceError
from retrieval.hub import split_front_matter
from retrieval.library import Catalog
from retrieval.search import Searcher
from retrieval.site import assemble, write_folder, written
from retrieval.site.agreement import Agreement
from retrieval.site.limits import check_limits
from retrieval.site.media import WIDTHS, Picture, copied

AGREEMENT = Agreement(200, 0.99987, 0.99957, 0.9998, 0.9994, 0.986)
ISOLATION = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
}
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}


def write_fake_vendor(folder: Path) -> dict:
    """What npm would bring, without npm."""
    folder.mkdir(parents=True)
    (folder / "tokenizers.min.mjs").write_text("export class Tokenizer {}\n")
    return {"tokenizers": {"file": "vendor/tokenizers.min.mjs"}}


def write_fake_model(searcher: Searcher, folder: Path, vendor: dict) -> Agreement:
    """Files in place of an export, which test_site_model.py makes."""
    folder.mkdir(parents=True)
    (folder / "text.onnx").write_bytes(b"\0" * 1000)
    (folder / "model.json").write_text(json.dumps({"towers": {}, "vendor": vendor}))
    return AGREEMENT


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without torch and npm, and with its own store of renditions."""
    monkeypatch.setattr(assemble, "write_vendor", write_fake_vendor)
    monkeypatch.setattr(assemble, "write_model", write_fake_model)
    monkeypatch.setattr(assemble, "check_text_tower", lambda checkpoint: None)
    monkeypatch.setenv("REACTION_CACHE", str(tmp_path / "renditions"))
    if not (assemble.ENGINE / "worker.js").is_file():
        (tmp_path / "worker.js").write_text("export const engine = 1;\n")
        monkeypatch.setattr(assemble, "ENGINE", tmp_path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three GIFs that are in their bundle, embedded by mini."""
    folder = tmp_path_factory.mktemp("mine")
    for name, colour in COLOURS.items():
        save_gif(folder / "gifs" / f"{name}.gif", [colour, (250, 250, 250)])
    build_index(folder / "gifs", folder / "mine", load_encoder(), copy_media=True)
    return folder / "mine"


@pytest.fixture(scope="module")
def searcher(bundle: Path) -> Searcher:
    return Searcher.open(bundle)


def deploy(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    main(["deploy", *map(str, args)])
    return capsys.readouterr().out


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_manifest_lists_every_file_with_its_size_and_hash(searcher: Searcher, tmp_path: Path):
    site = write_folder(searcher, tmp_path / "public")
    found = hashes(tmp_path / "public")
    listed = json.loads((tmp_path / "public" / "site.json").read_text())["files"]
    assert listed == site.files
    assert {name: facts["sha256"] for name, facts in listed.items()} == {
        name: digest for name, digest in found.items() if name not in ("site.json", ".nojekyll")
    }
    assert {"index.html", "sw.js", "README.md", "LICENSE", "data/catalog.json"} <= set(listed)
    assert {"model/model.json", "model/text.onnx", "vendor/tokenizers.min.mjs"} <= set(listed)
    assert {name.rpartition("/")[2] for name in listed if name.startswith("page/")} >= {
        "page.js", "worker.js",
    }  # fmt: skip


def test_each_gif_has_its_original_two_animations_and_two_stills(
    searcher: Searcher, bundle: Path, tmp_path: Path
):
    write_folder(searcher, tmp_path / "public")
    for record in searcher.collection.records:
        picture = Picture(record.id, ".gif", 0)
        original = tmp_path / "public" / picture.original
        assert original.read_bytes() == (bundle / record.uri).read_bytes()
        for width in WIDTHS:
            with Image.open(tmp_path / "public" / picture.small("rendition", width)) as animation:
                assert animation.width <= width and animation.n_frames == record.n_frames
            with Image.open(tmp_path / "public" / picture.small("still", width)) as still:
                assert still.width <= width and getattr(still, "n_frames", 1) == 1


def test_site_is_replaced_and_nothing_else_is_touched(searcher: Searcher, tmp_path: Path):
    out = tmp_path / "public"
    write_folder(searcher, out)
    (out / "CNAME").write_text("gifs.example")
    (out / "media" / "old.gif").write_bytes(b"mine")
    before = hashes(out)
    write_folder(searcher, out)
    assert hashes(out) == before

    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"diary\.txt.* is not a static site"):
        write_folder(searcher, tmp_path / "notes")
    assert hashes(tmp_path / "notes").keys() == {"diary.txt"}


def test_failed_deployment_leaves_the_old_site(
    searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "public"
    write_folder(searcher, out)
    before = hashes(out)

    def fail(*_: object) -> None:
        raise CheckpointError("The text tower cannot be exported.")

    monkeypatch.setattr(assemble, "write_model", fail)
    with pytest.raises(CheckpointError):
        write_folder(searcher, out)
    assert hashes(out) == before and [p.name for p in tmp_path.glob(".public*")] == []


def test_space_goes_up_as_static_in_one_commit(
    hub: HubStandIn, bundle: Path, capsys: pytest.CaptureFixture[str]
):
    said = deploy(capsys, "me/reactions", "--static", "--bundle", bundle)
    repository = hub.repository("space", "me/reactions")
    assert said.splitlines()[-1] == f"{hub.endpoint}/spaces/me/reactions"
    assert (repository.sdk, repository.variables) == ("static", {})
    assert repository.messages == ["initial commit", "Serve mine"]
    files = repository.files
    described = json.loads(files["site.json"])["files"]
    assert set(files) == {*described, "site.json", ".gitattributes"}
    for name, facts in described.items():
        assert hashlib.sha256(files[name]).hexdigest() == facts["sha256"], name

    front, card = split_front_matter(files["README.md"].decode())
    assert (front["sdk"], front["app_file"], front["license"]) == (
        "static", "index.html", "apache-2.0",
    )  # fmt: skip
    assert front["custom_headers"] == ISOLATION
    assert not {"app_port", "suggested_hardware", "datasets"} & set(front)
    assert front["models"] == ["sentence-transformers/all-MiniLM-L6-v2"]
    assert "98.6% are the same" in card and "| GIFs | 3 |" in card


def test_dry_run_writes_what_would_go_up_and_sends_nothing(
    hub: HubStandIn, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "site"
    said = deploy(capsys, "me/reactions", "--static", "--bundle", bundle, "--dry-run", folder)
    assert said.splitlines()[-1] == f"Written to {folder}; nothing was sent."
    assert hub.asked == []
    dry = hashes(folder)
    deploy(capsys, "me/reactions", "--static", "--bundle", bundle)
    sent = hub.repository("space", "me/reactions").files
    sent.pop(".gitattributes")
    assert dry == {name: hashlib.sha256(data).hexdigest() for name, data in sent.items()}


def test_sizes_of_all_files_are_printed(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    said = deploy(capsys, "--static", "--bundle", bundle, "--out", tmp_path / "public")
    described = json.loads((tmp_path / "public" / "site.json").read_text())["files"]
    rows = {line.split()[0]: line.split()[-2:] for line in said.splitlines() if line.split()}
    grouped = ("media", "rendition", "still")
    alone = [name for name in described if name.split("/")[0] not in grouped]
    for name in alone:
        assert rows[name] == ["1", f"{described[name]['bytes'] / 1e6:.3f}"]
    assert [rows[f"{kind}/"][0] for kind in grouped] == ["3", "6", "6"]

    said = deploy(capsys, "--static", "--bundle", bundle, "--out", tmp_path / "two", "--json")
    report = json.loads(said)
    assert report["address"] is None and report["agreement"]["overlap_at_10"] == 0.986
    assert report["files"] == {name: facts["bytes"] for name, facts in described.items()}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--static"], "name the Space, OWNER/NAME, or a folder: --static --out FOLDER"),
        (["me/a", "--out", "x"], "--out goes with --static, without OWNER/NAME"),
        (["me/a", "--static", "--out", "x"], "--out goes with --static, without OWNER/NAME"),
        (["me/a", "--static", "--torch"], "--torch and --no-bake are not for --static"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    args: list[str], expected: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as raised:
        main(["deploy", *args])
    assert raised.value.code == 2 and expected in capsys.readouterr().err


def test_gifs_on_the_web_stay_there_and_such_a_page_is_not_isolated(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
):
    """A page that asks for isolation may not show pictures of other sites."""
    bundle = searcher.collection
    first, *others = bundle.records
    web = replace(first, uri="https://gifs.example/a.gif")
    mixed = Searcher(replace(bundle, records=Catalog([web, *others])), searcher.encoder)
    with written(mixed) as (site, files):
        assert not [name for name in site.files if first.id in name]
        assert sum(name.startswith("media/") for name in site.files) == 2
        front, card = split_front_matter(Path(files["README.md"]).read_text())
    assert "custom_headers" not in front
    assert "| shown from where they lie on the web | 1 |" in card


def test_files_outside_of_the_bundle_and_changed_ones_are_not_published(searcher: Searcher):
    bundle = searcher.collection
    first, *others = bundle.records
    away = replace(bundle, records=Catalog([replace(first, uri="/etc/hostname"), *others]))
    with pytest.raises(SpaceError, match=r"1 of the 3 GIFs .* lie outside of it .*--copy-media"):
        copied(away)
    swapped = [replace(first, uri=others[0].uri), *others]
    other = Searcher(replace(bundle, records=Catalog(swapped)), searcher.encoder)
    with pytest.raises(BundleError, match="was changed since the bundle was built"), written(other):
        pass


def test_secrets_are_not_published(searcher: Searcher, monkeypatch: pytest.MonkeyPatch):
    def leak(searcher: Searcher, folder: Path, vendor: dict) -> Agreement:
        made = write_fake_model(searcher, folder, vendor)
        (folder / "notes.txt").write_text("token: hf_" + "a" * 34)
        return made

    monkeypatch.setattr(assemble, "write_model", leak)
    with (
        pytest.raises(SpaceError, match=r"model/notes\.txt looks like a secret"),
        written(searcher),
    ):
        pass


def test_what_the_hub_would_not_take_is_refused_before_work_starts(
    searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paths = [f"media/ab/{number}.gif" for number in range(12)]
    check_limits(paths, max_entries=12, max_files=12)
    with pytest.raises(SpaceError, match=r"would have 12 files; the Hub takes 11 at most"):
        check_limits(paths, max_files=11)
    with pytest.raises(
        SpaceError, match=r"folder media/ab would have 12 entries; the Hub takes 11"
    ):
        check_limits(paths, max_entries=11)

    def start(*_: object) -> dict:
        raise AssertionError("work started")

    first = searcher.collection.records[0]
    ids = (hashlib.sha256(number.to_bytes(2, "big")).hexdigest() for number in range(20_100))
    many = [replace(first, id=gif_id) for gif_id in ids]
    huge = Searcher(searcher.collection, searcher.encoder)
    huge.collection = replace(searcher.collection, records=Catalog(many))
    monkeypatch.setattr(assemble, "write_vendor", start)
    with pytest.raises(SpaceError, match="would have 100,600 files; the Hub takes 100,000 at"):
        write_folder(huge, tmp_path / "public")
    assert list(tmp_path.glob("*public*")) == []

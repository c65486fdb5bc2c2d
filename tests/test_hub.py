"""Bundles, checkpoints, Spaces on the Hub: sent, pulled, checked, and what is said if not.

The Hub is a stand-in on loopback (hub_stand_in.py); client, files and indexes are real.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from conftest import RED, FakeEncoder, save_gif, use_hub
from hub_stand_in import READER, HubStandIn
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from retrieval.build.build import build_index
from retrieval.cli import main as reaction_search
from retrieval.encoders.checkpoint import Checkpoint
from retrieval.encoders.export import export_encoder
from retrieval.encoders.load import load_encoder
from retrieval.encoders.open_clip import OpenClipEncoder
from retrieval.encoders.openvino import ExportedEncoder
from retrieval.encoders.presets import CHECKPOINTS
from retrieval.encoders.reaction_model import REACTIONS
from retrieval.errors import BundleError, CheckpointError, HubError, MediaError, RetrievalError
from retrieval.hub import verify as checked
from retrieval.hub.address import Address, check_repo_id
from retrieval.hub.client import Snapshot, upload
from retrieval.hub.front_matter import split_front_matter
from retrieval.library.bundle import Bundle, folder_of
from retrieval.library.catalog import read_catalog, write_catalog
from retrieval.library.manifest import checksum_of
from retrieval.paths import ROOT, STARTER
from retrieval.publishing.cards import data_card, license_id, model_card
from retrieval.publishing.space import WORKDIR, Space, assemble, write
from retrieval.publishing.uploads import Publication, bundle_files, checkpoint_files
from retrieval.search.searcher import Searcher
from retrieval.web.routes import find_file, media_file
from tests.support.api import api_client, loaded, search
from tests.support.manifests import accept_changes
from tests.support.shell import run_script

HERE = "hf://datasets/me/gifs"


@pytest.fixture
def local(tmp_path: Path, library: Path, encoder: FakeEncoder) -> Bundle:
    """A bundle with its media, their licence and a notice inside."""
    rows = ["file_name,license,source", "a-red.gif,MIT,paint", "d-yellow.gif,MIT,paint"]
    (library / "metadata.csv").write_text("\n".join(rows))
    (library / "LICENSE.txt").write_text("Do as you like.")
    build_index(library, tmp_path / "bundle", encoder, copy_media=True, pooling="best_frame")
    return Bundle.open(tmp_path / "bundle")


def publish(bundle: Bundle | Path, repo_id: str = "me/gifs", **options: bool) -> str:
    path = bundle.path if isinstance(bundle, Bundle) else bundle
    made = bundle_files(path, repo_id)
    return upload(repo_id, "dataset", made.files, message="a bundle", **options)


def answers(bundle: Bundle) -> list[tuple]:
    results = Searcher(bundle, FakeEncoder()).ask("red", top_k=4)
    return [(r.rank, r.score, r.record, r.frames, Path(r.uri).read_bytes()) for r in results]


# Out and back


def test_what_was_published_opens_with_the_same_results_bit_for_bit(hub: HubStandIn, local: Bundle):
    assert publish(local) == f"{hub.endpoint}/datasets/me/gifs"
    pulled = Bundle.open(HERE)
    assert pulled.name == "me/gifs" and pulled.path.is_relative_to(os.environ["HF_HOME"])
    assert pulled.manifest == local.manifest
    np.testing.assert_array_equal(pulled.embeddings.vectors, local.embeddings.vectors)
    assert answers(pulled) == answers(local)
    # the notice came along; what the manifest does not name was not even asked for
    assert (pulled.path / "media" / "LICENSE.txt").read_text() == "Do as you like."
    assert "README.md" in hub.repository("dataset", "me/gifs").files
    assert not [line for line in hub.asked if line.endswith("README.md")]
    assert hub.tokens_at_store == 0


def test_the_shipped_index_answers_from_the_hub_as_from_here(hub: HubStandIn):
    done = run_script("publish_index", STARTER, "me/starter", "--dry-run")
    assert done.returncode == 0 and not done.stderr
    assert re.search(r"^media +269 +\d+\.\d\d  LICENSE\.txt, ", done.stdout, re.MULTILINE)
    assert "nothing was sent" in done.stdout and not hub.repositories
    done = run_script("publish_index", STARTER, "me/starter", "--private")
    assert done.returncode == 0 and done.stdout.endswith("/datasets/me/starter\n"), done.stderr
    assert hub.repository("dataset", "me/starter").private
    question = ("I got the job 🎉", "--json", "-k", 5)
    there, here = (
        json.loads(run_script("search", *question, *index).stdout)
        for index in (("--index", "hf://datasets/me/starter"), ())
    )
    assert [r.pop("uri") for r in there] != [r.pop("uri") for r in here]
    assert there == here


def test_publishing_again_replaces_it_in_one_commit_and_a_pinned_one_stays(
    hub: HubStandIn, local: Bundle, library: Path, encoder: FakeEncoder
):
    publish(local)
    first = hub.repository("dataset", "me/gifs").head
    assert len(Bundle.open(HERE).records) == 4
    (library / "a-red.gif").unlink()
    build_index(library, local.path, encoder, copy_media=True)
    publish(local)
    repository = hub.repository("dataset", "me/gifs")
    assert repository.messages == ["initial commit", "a bundle", "a bundle"]
    assert "media/a-red.gif" not in repository.files and ".gitattributes" in repository.files
    assert len(Bundle.open(HERE).records) == 3
    assert len(Bundle.open(f"{HERE}@{first}").records) == 4
    repository.tags["v1"] = first
    assert len(Bundle.open(f"{HERE}@v1").records) == 4


# The cache


def test_opening_again_asks_once_and_reads_no_file_to_hash_it(
    hub: HubStandIn, local: Bundle, monkeypatch: pytest.MonkeyPatch
):
    publish(local)
    pulled = Bundle.open(HERE)
    monkeypatch.setattr(checked, "sha256_of", lambda file, _: pytest.fail(f"{file} was hashed"))
    del hub.asked[:]
    assert answers(Bundle.open(HERE)) == answers(pulled)
    assert hub.asked == ["GET /api/datasets/me/gifs"]  # which commit it is now
    assert Bundle.open(f"{HERE}@{pulled.path.name}").path == pulled.path
    assert len(hub.asked) == 1


def test_without_a_network_what_was_pulled_still_opens(
    hub: HubStandIn, local: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    publish(local)
    pulled = Bundle.open(HERE)
    use_hub("http://127.0.0.1:9", tmp_path / "hf", monkeypatch)
    assert answers(Bundle.open(HERE)) == answers(pulled)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert answers(Bundle.open(HERE)) == answers(pulled)


@pytest.mark.parametrize("note", [None, b"no database", b""])
def test_where_the_note_of_what_was_checked_is_lost_all_is_hashed_again(
    hub: HubStandIn, local: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, note
):
    publish(local)
    Bundle.open(HERE)
    (file,) = (tmp_path / "cache").rglob("checked.sqlite")
    file.unlink() if note is None else file.write_bytes(note)
    hashed = []
    real = checked.sha256_of
    monkeypatch.setattr(
        checked, "sha256_of", lambda file, count: hashed.append(file) or real(file, count)
    )
    Bundle.open(HERE)
    assert len(hashed) == len(local.manifest.files)


def test_a_file_that_was_damaged_in_the_cache_is_pulled_again(hub: HubStandIn, local: Bundle):
    publish(local)
    pulled = Bundle.open(HERE)
    vectors = pulled.path / "vectors.faiss"
    vectors.resolve().write_bytes(bytes(vectors.stat().st_size))
    assert answers(Bundle.open(HERE)) == answers(local)


# What can go wrong on the way


def test_a_file_with_other_bytes_than_were_published_is_not_used(hub: HubStandIn, local: Bundle):
    publish(local)
    hub.spoiled.add("vectors.faiss")
    message = error_of(lambda: Bundle.open(HERE))
    assert "vectors.faiss in hf://datasets/me/gifs at commit" in message
    assert "is not the file that was published (SHA-256" in message
    hub.spoiled.clear()
    assert answers(Bundle.open(HERE)) == answers(local)


def test_a_transfer_that_breaks_off_goes_on_where_it_was(hub: HubStandIn, local: Bundle):
    publish(local)
    hub.break_off["vectors.faiss"] = 1
    assert answers(Bundle.open(HERE)) == answers(local)
    assert hub.break_off["vectors.faiss"] == 0


def test_one_that_always_breaks_off_is_said_and_the_rest_is_kept(hub: HubStandIn, local: Bundle):
    publish(local)
    hub.break_off["vectors.faiss"] = 1_000
    message = error_of(lambda: Bundle.open(HERE))
    assert "The connection to the Hub broke off in the data set me/gifs" in message
    hub.break_off.clear()
    del hub.asked[:]
    assert answers(Bundle.open(HERE)) == answers(local)
    assert sum("GET /store" in line for line in hub.asked) < len(local.manifest.files)


def error_of(action: Callable[[], object], kind: type[RetrievalError] = HubError) -> str:
    """The message of the error that it must raise, which must be of one line."""
    with pytest.raises(kind) as raised:
        action()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def no_token(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")


def token(name: str) -> Callable[[HubStandIn, pytest.MonkeyPatch], None]:
    return lambda hub, monkeypatch: monkeypatch.setenv("HF_TOKEN", name)


def offline(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub("http://127.0.0.1:9", Path(os.environ["HF_HOME"]), monkeypatch)


def told_to_be_offline(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def busy(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status = 503


def as_it_is(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize(
    ("where", "state", "expected"),
    [
        ("hf://datasets/me/none", as_it_is, ["no data set me/none on the Hub", "Check the name"]),
        ("hf://datasets/me/none", no_token, ["or it is private", "hf auth login", "HF_TOKEN"]),
        (HERE, no_token, ["no data set me/gifs on the Hub, or it is private", "hf auth login"]),
        (HERE, token("hf_wrong"), ["refuses the token", "hf auth login", "HF_TOKEN"]),
        (f"{HERE}@v9", as_it_is, ["has no revision 'v9'", "leave out @v9"]),
        (HERE, offline, ["The Hub at http://127.0.0.1:9 cannot be reached", "Check the network"]),
        (HERE, told_to_be_offline, ["cannot be reached", "HF_HUB_OFFLINE"]),
        (HERE, busy, ["HTTP 503", "Try again later"]),
        ("hf://datasets/gifs", as_it_is, ["is no address", "hf://datasets/OWNER/NAME"]),
        ("hf://me/gifs/x", as_it_is, ["is no address", "hf://datasets/OWNER/NAME"]),
    ],
)
def test_what_cannot_be_pulled_gets_one_sentence_that_says_what_to_do(
    hub: HubStandIn,
    local: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    state: Callable[[HubStandIn, pytest.MonkeyPatch], None],
    expected: Sequence[str],
):
    publish(local, private=True)
    state(hub, monkeypatch)
    message = error_of(lambda: Bundle.open(where))
    assert all(part in message for part in expected), message


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (no_token, ["needs a token", "hf auth login", "HF_TOKEN"]),
        (token("hf_wrong"), ["refuses the token", "hf auth login"]),
        (token(READER), ["may not write to the data set me/new", "settings/tokens"]),
        (offline, ["The Hub at http://127.0.0.1:9 cannot be reached"]),
    ],
)
def test_what_cannot_be_published_gets_one_sentence_too(
    hub: HubStandIn, local: Bundle, monkeypatch: pytest.MonkeyPatch, state, expected
):
    state(hub, monkeypatch)
    message = error_of(lambda: publish(local, "me/new"))
    assert all(part in message for part in expected), message
    assert not hub.repositories


def test_private_does_not_go_into_what_is_public(hub: HubStandIn, local: Bundle):
    publish(local)
    before = hub.repository("dataset", "me/gifs").head
    message = error_of(lambda: publish(local, private=True))
    assert "is there already, and public. Nothing was uploaded" in message
    assert hub.repository("dataset", "me/gifs").head == before
    assert "Expected OWNER/NAME" in error_of(lambda: publish(local, "gifs"))


def test_a_script_says_it_in_one_line_and_without_a_traceback(hub: HubStandIn):
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "hi"]
    command += ["--index", "hf://datasets/me/none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Error: There is no data set me/none") and (
        done.stderr.count("\n") == 1
    )


def test_what_is_no_bundle_is_said(hub: HubStandIn):
    upload("me/gifs", "dataset", {"a.txt": b"a"}, message="no bundle")
    message = error_of(lambda: Bundle.open(HERE), BundleError)
    assert "holds no manifest.json" in message and "reaction-search publish bundle" in message


# A cache that cannot be written


def test_a_file_in_place_of_the_cache_is_said(hub: HubStandIn, local: Bundle, tmp_path: Path):
    publish(local)
    (tmp_path / "hf").write_text("in the way")
    message = error_of(lambda: Bundle.open(HERE))
    assert f"cache at {tmp_path / 'hf' / 'hub'} cannot be written" in message
    assert "HF_HOME" in message


OPEN = f"""
from retrieval.library import Bundle
from retrieval.errors import HubError
try:
    print(len(Bundle.open({HERE!r}).records))
except HubError as error:
    print(error)
"""


def opened_within_permissions(**env: str) -> str:
    """What OPEN prints, run by someone who may not override permissions, as root may."""
    command = [sys.executable, "-c", OPEN]
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root, and no setpriv to give its rights up with")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", "--inh-caps=-all", *command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=ROOT, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def forbid_writing(home: Path) -> Callable[[], None]:
    """Take the right to write from everything there; what is returned gives it back."""
    paths = [path for path in (home, *home.rglob("*")) if not path.is_symlink()]
    before = [stat.S_IMODE(path.stat().st_mode) for path in paths]
    for path, mode in zip(paths, before, strict=True):
        path.chmod(mode & ~0o222)
    return lambda: [path.chmod(m) for path, m in zip(paths, before, strict=True)] and None


def test_a_cache_that_may_only_be_read_serves_what_is_in_it(
    hub: HubStandIn, local: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    publish(local)
    home = tmp_path / "hf"
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "notes"))
    allow_again = forbid_writing(home)
    said = opened_within_permissions()
    allow_again()
    assert f"cache at {home}/hub cannot be written" in said and "set HF_HOME" in said
    Bundle.open(HERE)
    shutil.rmtree(home / "notes")  # it cannot even be noted that all was checked
    allow_again = forbid_writing(home)
    answers_with_it = opened_within_permissions()
    without = opened_within_permissions(HF_ENDPOINT="http://127.0.0.1:9")
    allow_again()
    assert (answers_with_it, without) == ("4", "4") and not (home / "notes").exists()


# Repositories that mean no good


def rewrite(hub: HubStandIn, **files: bytes) -> None:
    """Commit other files to me/gifs than a person of good will would."""
    repository = hub.repository("dataset", "me/gifs")
    changed = {name.replace("__", "."): (data, False) for name, data in files.items()}
    repository.commit({**repository.commits[repository.head], **changed}, "by hand")


@pytest.mark.parametrize("name", ["../../../../out", "media/../../x", "/tmp/out", ""])
def test_a_manifest_that_names_what_is_outside_is_refused(
    hub: HubStandIn, local: Bundle, name: str
):
    publish(local)
    manifest = json.loads((local.path / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    manifest["checksum"] = checksum_of(manifest)
    rewrite(hub, manifest__json=json.dumps(manifest).encode())
    del hub.asked[:]
    message = error_of(lambda: Bundle.open(HERE), BundleError)
    assert "is outside of the bundle" in message
    assert not [line for line in hub.asked if "catalog.parquet" in line]


def test_a_pulled_catalogue_cannot_hand_out_files_of_this_machine(
    hub: HubStandIn, local: Bundle, tmp_path: Path
):
    secret = tmp_path / "secret.gif"
    save_gif(secret, [RED])
    records = list(read_catalog(local.path / "catalog.parquet"))
    records[0] = replace(records[0], uri=str(secret))
    records[1] = replace(records[1], uri="media/../../../../secret.gif")
    records[3] = replace(records[3], uri=f"file://x/../../..{secret}")
    write_catalog(records, local.path / "catalog.parquet")
    accept_changes(local.path)
    publish(local)
    with pytest.raises(BundleError, match="has not been opened yet"):
        find_file(HERE, records[2].id)
    pulled = Bundle.open(HERE)
    refused = [*pulled.records[:2], pulled.records[3]]
    assert [pulled.media_path(record) for record in refused] == ["", "", ""]
    for record in refused:
        with pytest.raises(MediaError):
            find_file(HERE, record.id)
    file = find_file(HERE, records[2].id)
    assert file.path == (folder_of(HERE) / records[2].uri).resolve()
    assert file.media_type == "image/gif"
    (folder_of(HERE) / "media" / "unlisted.gif").symlink_to(secret)  # the manifest lacks it
    unlisted = replace(records[2], uri="media/unlisted.gif")
    with pytest.raises(MediaError):
        media_file(folder_of(HERE), unlisted, pulled=True)
    assert Bundle.open(local.path).media_path(records[0]) == str(secret)  # here, it may


# The page


def test_the_page_serves_a_bundle_from_the_hub(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch):
    publish(STARTER, "me/starter")
    monkeypatch.setenv("REACTION_INDEX", "hf://datasets/me/starter")
    answer = search(loaded(api_client()), q="thank you")
    assert answer["total"] == 267 and len(answer["gifs"]) == 30
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.run()
    page.switch_page("views/about.py").run()
    assert "me/starter" in [text.value for text in page.text]
    assert not page.error and not page.exception


# Cards


def test_the_data_card_says_what_manifest_and_catalogue_say(hub: HubStandIn, local: Bundle):
    publish(local)
    card = hub.repository("dataset", "me/gifs").files["README.md"].decode()
    front, text = split_front_matter(card)
    assert front["license"] == "other"  # two are MIT, two unknown
    assert [part["config_name"] for part in front["configs"]] == ["catalog", "embeddings"]
    for line in (
        "| GIFs | 4 |", "| checkpoint | fake |", "| MIT | paint |  | 2 |",
        "| unknown |  |  | 2 |", 'Searcher.open("hf://datasets/me/gifs")',
        "The licence of 2 GIFs is not known.",
    ):  # fmt: skip
        assert line in text, text
    assert local.manifest.fingerprint in text


def test_nothing_that_a_source_says_breaks_out_of_the_card(local: Bundle):
    nasty = 'MIT: "x"\n---\n| <script> [a](b) `'
    records = [replace(record, license=nasty, source="a|b") for record in local.records]
    manifest = replace(local.manifest, source="folder #1: <b>", licenses={nasty: 4})
    front, text = split_front_matter(data_card("me/a-b_c", manifest, records))
    assert front["license"] == "other" and front["pretty_name"] == "a-b_c"
    (row,) = [line for line in text.splitlines() if "script" in line]
    assert row == r'| MIT: "x" --- \| \<script\> \[a\](b) \` | a\|b |  | 4 |'
    assert license_id([nasty]) == license_id([]) == license_id(["MIT", "Apache-2.0"]) == "other"


def test_what_should_be_known_before_publishing_is_said(
    tmp_path: Path, library: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    encoder.checkpoint = Checkpoint.parse("local-dir:/home/me/clip")
    build_index(library, tmp_path / "bundle", encoder)
    licences, media, checkpoint = bundle_files(tmp_path / "bundle", "me/gifs").warnings
    assert "licence of 4 of 4 GIFs is not known" in licences
    assert "4 of 4 GIFs are not in the bundle" in media and "--copy-media" in media
    assert "publish checkpoint local-dir:/home/me/clip" in checkpoint
    (tmp_path / "bundle" / "catalog.parquet").write_bytes(
        (tmp_path / "bundle" / "catalog.parquet").read_bytes()[:-1] + b"x"
    )
    with pytest.raises(BundleError, match=r"catalog.parquet|is damaged"):
        bundle_files(tmp_path / "bundle", "me/gifs")


def test_a_model_card_keeps_what_it_says_and_gets_what_it_lacks():
    front, text = split_front_matter(
        model_card("me/x", "---\nlicense: mit\nlanguage: en\n---\n# Mine\n", {"dimensions": "16"})
    )
    assert (front["license"], front["language"], front["library_name"]) == (
        "mit", "en", "open_clip",
    )  # fmt: skip
    assert text.index("# Mine") < text.index('create_model_from_pretrained("hf-hub:me/x")')
    assert "exported/float32" in text
    front, text = split_front_matter(model_card("me/x", "", {}, exported=False))
    assert "exported" not in text
    assert front["license"] == "other" and "nothing is known here" in " ".join(text.split())


LOAD_DATASET = """
import json, sys
from datasets import load_dataset
where = sys.argv[1]
catalog = load_dataset(where, "catalog", split="train")
embeddings = load_dataset(where, "embeddings", split="train")
default = load_dataset(where, split="train")
columns = (catalog["id"], default["title"], embeddings["gif_id"], embeddings["vector"])
print(json.dumps([list(column) for column in columns]))
"""


def test_load_dataset_reads_catalogue_and_embeddings_as_they_are(
    hub: HubStandIn, local: Bundle, tmp_path: Path
):
    publish(local)
    plain = tmp_path / "plain"
    for name, data in hub.repository("dataset", "me/gifs").files.items():
        (plain / name).parent.mkdir(parents=True, exist_ok=True)
        (plain / name).write_bytes(data)
    for where in ("me/gifs", str(plain)):
        done = subprocess.run(
            [sys.executable, "-c", LOAD_DATASET, where], capture_output=True, text=True,
            timeout=120, cwd=tmp_path, env=os.environ,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        ids, titles, gif_ids, vectors = json.loads(done.stdout.splitlines()[-1])
        assert ids == [record.id for record in local.records]
        assert titles == [record.title for record in local.records]
        assert gif_ids == [ids[number] for number in local.embeddings.gif_numbers]
        np.testing.assert_array_equal(np.array(vectors, np.float32), local.embeddings.vectors)


# Checkpoints

TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "width": 64, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]},
}
TEXTS = ["I got the job 🎉", "why?? :("]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of open_clip's own towers, its weights split over two files."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "open_clip_config.json").write_text(json.dumps(TINY))
    torch.manual_seed(0)
    weights = open_clip.create_model(f"local-dir:{folder}").state_dict()
    names = sorted(weights)
    save_file({n: weights[n] for n in names[:9]}, folder / "a.safetensors")
    save_file({n: weights[n] for n in names[9:]}, folder / "b.safetensors")
    return folder


@pytest.fixture(scope="module")
def staged(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Publication:
    return checkpoint_files(f"local-dir:{tiny}", "me/tiny", tmp_path_factory.mktemp("staging"))


def test_a_checkpoint_comes_back_the_same_with_and_without_torch(
    hub: HubStandIn,
    tiny: Path,
    staged: Publication,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    assert len(staged.warnings) == 1 and "does not say the licence" in staged.warnings[0]
    upload("me/tiny", "model", staged.files, message="a checkpoint")
    here = OpenClipEncoder(f"local-dir:{tiny}")
    first = hub.repository("model", "me/tiny").head
    for there in (f"hf-hub:me/tiny@{first}", "hf-hub:me/tiny"):
        exported, exact = load_encoder(there), load_encoder(there, runtime="torch")
        assert isinstance(exported, ExportedEncoder) and isinstance(exact, OpenClipEncoder)
        assert exported.fingerprint == exact.fingerprint == here.fingerprint
        np.testing.assert_array_equal(exact.encode_text(TEXTS), here.encode_text(TEXTS))
        cosines = (exported.encode_text(TEXTS) * here.encode_text(TEXTS)).sum(axis=1)
        assert cosines.min() >= 0.9999
    # offline both still load; what was never pulled is said, by either
    use_hub("http://127.0.0.1:9", tmp_path / "hf", monkeypatch)
    assert isinstance(load_encoder("hf-hub:me/tiny"), ExportedEncoder)
    assert load_encoder("hf-hub:me/tiny", runtime="torch").fingerprint == here.fingerprint
    assert "cannot be reached" in error_of(lambda: load_encoder("hf-hub:me/x", runtime="exported"))


def test_an_export_that_was_tampered_with_is_refused(hub: HubStandIn, staged: Publication):
    files = dict(staged.files)
    upload("me/tiny", "model", files, message="a checkpoint")
    hub.spoiled.add("image.xml")
    message = error_of(lambda: load_encoder("hf-hub:me/tiny"))
    assert "exported/float32/image.xml in hf-hub:me/tiny at commit" in message
    hub.spoiled.clear()
    description = json.loads(Path(str(files["exported/float32/encoder.json"])).read_text())
    description["files"]["../../../../../etc/hostname"] = "0" * 64
    files["exported/float32/encoder.json"] = json.dumps(description).encode()
    upload("me/tiny", "model", files, message="reaches out")
    assert "outside of it" in error_of(lambda: load_encoder("hf-hub:me/tiny"))
    del description["files"]["../../../../../etc/hostname"]
    description["tokenizer_file"] = "../../../../../etc/hostname"
    files["exported/float32/encoder.json"] = json.dumps(description).encode()
    upload("me/tiny", "model", files, message="reads what it has no hash of")
    assert "no hash of" in error_of(lambda: load_encoder("hf-hub:me/tiny"), CheckpointError)


def test_only_a_checkpoint_of_this_machine_can_be_published(tmp_path: Path):
    message = error_of(lambda: checkpoint_files("clip", "me/x", tmp_path), CheckpointError)
    assert "clip is no checkpoint of this machine" in message


WITHOUT_TORCH = """
import sys
import numpy as np
from retrieval.encoders import load_encoder
from retrieval.search import Searcher
from retrieval.paths import STARTER
there, here = load_encoder("hf-hub:me/mini"), load_encoder("mini")
texts = ["I got the job", "so tired"]
assert there.fingerprint == here.fingerprint
assert np.array_equal(there.encode_text(texts), here.encode_text(texts))
found = [Searcher.open(STARTER, encoder).ask("so tired") for encoder in (there, here)]
assert found[0] == found[1] and found[0]
print({"torch", "open_clip", "transformers", "datasets"} & set(sys.modules))
"""
WITH_OPEN_CLIP = """
import open_clip, torch
model, preprocess = open_clip.create_model_from_pretrained("hf-hub:me/mini")
model.eval()
tokenizer = open_clip.get_tokenizer("hf-hub:me/mini")
with torch.no_grad():
    print(model.encode_text(tokenizer(["I got the job"]), normalize=True)[0, :6].tolist())
"""


def test_mini_is_published_and_serves_from_the_hub_without_torch(
    hub: HubStandIn, capsys: pytest.CaptureFixture[str]
):
    reaction_search(["publish", "checkpoint", "mini", "me/mini"])  # here, torch is loaded already
    said = capsys.readouterr()
    assert said.out.endswith(f"{hub.endpoint}/me/mini\n") and not said.err
    assert re.search(r"^open_clip_model\.safetensors +\d\d\.", said.out, re.MULTILINE)
    files = hub.repository("model", "me/mini").files
    assert [name for name in files if name.endswith(".safetensors")] == [
        "open_clip_model.safetensors",
        "reactions.safetensors",
    ]
    assert files["reactions.safetensors"] == (CHECKPOINTS / "mini" / REACTIONS).read_bytes()
    front, text = split_front_matter(files["README.md"].decode())
    assert front["license"] == "apache-2.0" and "# mini" in text
    weights = len(files["open_clip_model.safetensors"])
    assert len(files["exported/float32/weights.bin"]) < 0.05 * weights
    del hub.asked[:]
    outputs = []
    for program in (WITHOUT_TORCH, WITH_OPEN_CLIP):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.splitlines()[-1])
    assert outputs[0] == "set()"
    expected = load_encoder("mini").encode_text(["I got the job"])[0, :6]
    np.testing.assert_allclose(json.loads(outputs[1]), expected, atol=1e-4)
    # open_clip found text tower and tokenizer in the repository itself
    assert not [line for line in hub.asked if "/me/mini" not in line and "/store/" not in line]


def test_addresses_are_read_as_they_are_written():
    assert str(Address.parse("hf://datasets/me/gifs@refs/pr/1")) == f"{HERE}@refs/pr/1"
    assert Address.parse(Path(HERE)) == Address("dataset", "me/gifs")
    data_sets = [f"hf://datasets/{name}" for name in ("me", "../x", "me/a b", "me/a/b", "me/a@")]
    for wrong in ("me/gifs", "hf-hub:me/x@", "hf-hub:/x", *data_sets):
        with pytest.raises(HubError, match="is no address"):
            Address.parse(wrong)


@pytest.mark.parametrize(
    "wrong", ["gifs", "a/b/c", "me/", "me/my gifs", "-me/x", "me/a--b", "me/a.", "me/é", "me/a.git"]
)
def test_a_name_that_the_hub_could_not_have_is_refused(wrong: str):
    assert check_repo_id("me/re-act_ions.2") == "me/re-act_ions.2"
    assert "Expected OWNER/NAME" in error_of(lambda: check_repo_id(wrong))
    assert "is no address" in error_of(lambda: Address.parse(f"hf-hub:{wrong}"))


def test_a_snapshot_fetches_nothing_from_outside(tmp_path: Path):
    snapshot = Snapshot(Address.parse(HERE), "0" * 40, tmp_path)
    with pytest.raises(HubError, match="outside of it"):
        snapshot.fetch(["../x"])


# Spaces


def test_a_space_goes_up_with_its_variables_and_no_others(hub: HubStandIn, tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    card = b"---\nsdk: docker\n---\n"
    files: dict[str, Path | bytes] = {"Dockerfile": tmp_path / "Dockerfile", "README.md": card}
    settings: list[dict[str, str | None]] = [
        {"REACTION_INDEX": HERE, "A": "1", "B": None},
        {"REACTION_INDEX": f"{HERE}@v1", "A": "1", "B": "2"},
        {"REACTION_INDEX": f"{HERE}@v1", "A": None},
    ]
    for variables in settings:
        address = upload(
            "me/page", "space", files, message="deploy", space_sdk="docker", variables=variables
        )
        assert address == f"{hub.endpoint}/spaces/me/page"
        space = hub.repository("space", "me/page")
        assert space.sdk == "docker"
        assert space.files.keys() - {".gitattributes"} == files.keys()
        files.pop("Dockerfile", None)
    assert space.messages == ["initial commit", "deploy", "deploy"]  # the third changed no file
    # what was not named stayed, and what did not change was not sent: it starts the Space anew
    assert space.variables == {"REACTION_INDEX": f"{HERE}@v1", "B": "2"}
    sent = [line.split()[0] for line in hub.asked if line.endswith("/variables")]
    assert sent == ["GET", "POST", "POST", "GET", "POST", "POST", "GET", "DELETE"]


@pytest.fixture
def on_hub(hub: HubStandIn, staged: Publication, library: Path, tmp_path: Path) -> Path:
    """A bundle of a checkpoint on the Hub, itself on the Hub; its folder here."""
    upload("me/tiny", "model", staged.files, message="a checkpoint")
    build_index(library, tmp_path / "built", load_encoder("hf-hub:me/tiny"), copy_media=True)
    publish(tmp_path / "built")
    return tmp_path / "built"


def test_a_space_is_deployed_in_one_commit_and_again_with_another_bundle(
    hub: HubStandIn, on_hub: Path, staged: Publication, library: Path, tmp_path: Path
):
    checkpoint = Path(str(staged.files["open_clip_config.json"])).parent
    local_dir = load_encoder(f"local-dir:{checkpoint}")
    build_index(library, tmp_path / "mine", local_dir, copy_media=True)
    facts = []
    for bundle in (tmp_path / "mine", HERE):
        done = run_script("deploy_space", "me/page", "--bundle", bundle)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"{hub.endpoint}/spaces/me/page\n")
        space = hub.repository("space", "me/page")
        dry = tmp_path / f"dry-{len(facts)}"
        done = run_script("deploy_space", "me/page", "--bundle", bundle, "--dry-run", dry)
        assert done.returncode == 0, done.stderr
        written = {p.relative_to(dry).as_posix(): p for p in dry.rglob("*") if p.is_file()}
        assert space.files.keys() == written.keys() | {".gitattributes"}
        assert all(space.files[name] == file.read_bytes() for name, file in written.items())
        variables = [f"--variable {key}={value}" for key, value in space.variables.items()]
        assert sorted(variables) == sorted(re.findall(r"--variable \S+", done.stdout))
        front, _ = split_front_matter(space.files["README.md"].decode())
        facts.append((dict(space.variables), front.get("datasets"), front.get("models")))
    common = {"TORCH": "0", "BAKE": "1"}
    place = {"REACTION_CHECKPOINT": f"local-dir:{WORKDIR}/retrieval/checkpoints/{checkpoint.name}"}
    assert facts == [
        ({**common, "REACTION_INDEX": f"{WORKDIR}/index/mine", **place}, None, None),
        ({**common, "REACTION_INDEX": HERE}, ["me/gifs"], ["me/tiny"]),
    ]
    assert space.messages == ["initial commit", "Serve mine", f"Serve {HERE}"]
    assert (space.sdk, front["sdk"]) == ("docker", "docker")
    before = dict(hub.repositories)
    # the starter, with that checkpoint
    done = run_script("deploy_space", "me/new", "--model", "hf-hub:me/tiny")
    assert done.returncode == 1 and "is another checkpoint" in done.stderr
    assert hub.repositories == before


ANSWER = """
import json, sys
from retrieval.search import Searcher
from retrieval.web import Settings
settings = Settings.read()
searcher = Searcher.open(settings.index, checkpoint=settings.checkpoint)
found = searcher.ask("so tired", top_k=3)
print(json.dumps([[r.record.id, r.score, [f.score for f in r.frames], r.uri] for r in found]))
"""
NO_TORCH = "import runpy, sys; sys.modules.update(torch=None, open_clip=None, transformers=None)\n"
BAKE = "runpy.run_path('bake.py', run_name='__main__')"


def in_space(space: Space, folder: Path, program: str, **env: str) -> str:
    """What a program prints in the folder of a written Space, with its variables."""
    variables = {k: v.replace(WORKDIR, str(folder)) for k, v in space.variables.items() if v}
    home = folder.parent / "home"
    user = {"HOME": str(home), "HF_HOME": str(home / "hf"), "XDG_CACHE_HOME": str(home / "cache")}
    hub = {name: os.environ[name] for name in ("HF_ENDPOINT", "HF_HUB_DISABLE_XET")}
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH + program], capture_output=True, text=True, timeout=120,
        cwd=folder, env={"PYTHONPATH": str(folder), **user, **hub, **variables, **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_space_fetches_what_it_serves_once_and_starts_without_a_network(
    hub: HubStandIn, on_hub: Path, tmp_path: Path
):
    space, folder = assemble(HERE), tmp_path / "space"
    write(space, folder)
    nothing_yet = subprocess.run(
        [sys.executable, "bake.py"], capture_output=True, text=True, timeout=120, cwd=folder,
        env={**os.environ, "REACTION_INDEX": HERE, "PYTHONPATH": str(folder),
             "HF_HOME": str(tmp_path / "none"), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert nothing_yet.returncode == 1 and nothing_yet.stderr.startswith("Error: The Hub at ")
    assert in_space(space, folder, BAKE).startswith("me/gifs answers with hf-hub:me/tiny: ")
    del hub.asked[:]
    answered = in_space(space, folder, ANSWER)
    assert hub.asked == ["GET /api/datasets/me/gifs", "GET /api/models/me/tiny"]
    assert in_space(space, folder, ANSWER, HF_HUB_OFFLINE="1") == answered
    assert in_space(space, folder, ANSWER, HF_ENDPOINT="http://127.0.0.1:9") == answered
    here = Searcher.open(on_hub).ask("so tired", top_k=3)
    assert [[r.record.id, r.score] for r in here] == [line[:2] for line in json.loads(answered)]


def test_the_export_of_a_checkpoint_that_open_clip_fetches_is_all_that_must_go_up(
    hub: HubStandIn, tiny: Path, library: Path, tmp_path: Path
):
    export = Checkpoint.parse("siglip2").export_folder("float32")  # in the user's cache
    export_encoder(OpenClipEncoder(f"local-dir:{tiny}"), export)
    build_index(library, tmp_path / "built", load_encoder("siglip2"), copy_media=True)
    here = Searcher.open(tmp_path / "built").ask("so tired", top_k=3)
    space, folder = assemble(tmp_path / "built"), tmp_path / "space"
    write(space, folder)
    shutil.rmtree(export)
    assert in_space(space, folder, BAKE).startswith("built answers with local-dir:")
    answered = json.loads(in_space(space, folder, ANSWER))
    assert [[r.record.id, r.score] for r in here] == [line[:2] for line in answered]
    assert not hub.asked

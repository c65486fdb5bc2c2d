"""What a command may write to: nothing of the user's is replaced or deleted."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BLUE, GREEN, RED, FakeEncoder, save_gif

from retrieval.build.build import build_index
from retrieval.build.report import check_report
from retrieval.encoders.export import check_output as check_export_output
from retrieval.errors import BundleError, OutputError
from retrieval.library.bundle import Bundle
from retrieval.library.manifest import MANIFEST, owned_files, read_manifest
from retrieval.library.writer import BundleWriter
from retrieval.output import MARKER, StagedFolder, _exchange, require_empty, resolve_output
from retrieval.paths import ROOT
from tests.support.shell import run_script


def content_of(folder: Path) -> dict[str, bytes | str]:
    """Every entry below, hidden ones too: its bytes, or where it links to."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def run_module(name: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", name, *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_build_into_its_own_source_is_refused_and_keeps_every_file(tmp_path: Path, library: Path):
    (library / "notes.txt").write_text("mine")
    before = content_of(tmp_path)
    done = run_script("build_index", library, "--out", library)
    assert done.returncode == 1 and "is the source itself" in done.stderr
    assert "Traceback" not in done.stderr
    assert content_of(tmp_path) == before


def a_folder_of_other_files(out: Path) -> None:
    out.mkdir()
    (out / "diary.txt").write_text("mine")


def a_web_app(out: Path) -> None:
    out.mkdir()
    (out / "manifest.json").write_text('{"name": "my app", "files": {}}')


def a_file(out: Path) -> None:
    out.write_text("mine")


def a_place_below_a_file(out: Path) -> None:
    out.parent.write_text("mine")


def a_link_to_itself(out: Path) -> None:
    out.symlink_to(out)


def a_link_to_a_folder_of_other_files(out: Path) -> None:
    a_folder_of_other_files(out.with_name("elsewhere"))
    out.symlink_to(out.with_name("elsewhere"))


@pytest.mark.parametrize(
    "make",
    [
        a_folder_of_other_files,
        a_web_app,
        a_file,
        a_place_below_a_file,
        a_link_to_itself,
        a_link_to_a_folder_of_other_files,
    ],
)
def test_build_refuses_a_path_that_holds_other_files(
    tmp_path: Path, library: Path, encoder: FakeEncoder, make: Callable[[Path], None]
):
    out = tmp_path / "place" / "out"
    if make is not a_place_below_a_file:
        out.parent.mkdir()
    make(out)
    before = content_of(tmp_path)
    with pytest.raises(OutputError, match=r"Name (a|another) "):
        build_index(library, out, encoder)
    assert content_of(tmp_path) == before


@pytest.mark.parametrize("out", [".", "", "..", "/", "./", "deep/.."])
def test_build_refuses_the_working_folder(
    tmp_path: Path, library: Path, encoder: FakeEncoder, monkeypatch, out: str
):
    (tmp_path / "here" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, match="is the working folder, or one above it"):
        build_index(library, Path(out), encoder)


def test_build_accepts_an_empty_folder_and_a_link_to_one(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for _ in range(2):  # new, then updated
        build_index(library, tmp_path / "link", encoder)
        assert (tmp_path / "link").is_symlink()
        assert len(Bundle.open(tmp_path / "empty").records) == 4


def test_rebuild_keeps_files_that_are_not_the_bundles(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    save_gif(out / "media" / "mine.gif", [BLUE])
    (out / "README.md").write_text("about this index")
    (out / "media" / "link").symlink_to("/etc/hostname")
    (out / "empty" / "deeper").mkdir(parents=True)
    kept = {n: c for n, c in content_of(out).items() if n not in read_manifest(out).files}
    (library / "a-red.gif").unlink()

    build_index(library, out, encoder, copy_media=True)

    now = content_of(out)
    assert {n: c for n, c in now.items() if n in kept and n != MANIFEST} == {
        n: c for n, c in kept.items() if n != MANIFEST
    }
    assert (out / "empty" / "deeper").is_dir()
    assert "media/a-red.gif" not in now  # the bundle's own copy goes with its GIF
    assert "media/mine.gif" not in read_manifest(out).files
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.work", "b", "library"]


def test_rebuild_from_its_own_media_keeps_what_cannot_be_indexed(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    media = out / "media"
    save_gif(media / "new.gif", [BLUE])
    (media / "copy.gif").write_bytes((media / "a-red.gif").read_bytes())
    (media / "d-yellow.gif").write_bytes(b"GIF89a broken by its owner")  # in the manifest
    (media / "notes.txt").write_text("mine")
    before = content_of(media)

    build_index(media, out, encoder, copy_media=True)

    assert content_of(media) == before
    assert sorted(r.title for r in Bundle.open(out).records) == [
        "a red",
        "b red blue",
        "c green",
        "new",
    ]


def test_source_inside_the_bundle_needs_copied_media(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    before = content_of(tmp_path)
    with pytest.raises(OutputError, match="--copy-media"):
        build_index(out / "media", out, encoder)
    paths = tmp_path / "list.txt"
    paths.write_text(f"{out / 'media' / 'a-red.gif'}\n")
    with pytest.raises(OutputError, match="--copy-media"):
        build_index(paths, out, encoder)
    paths.unlink()
    assert {n: c for n, c in content_of(tmp_path).items() if ".work" not in n} == {
        n: c for n, c in before.items() if ".work" not in n
    }


def test_bundle_inside_the_source_is_no_part_of_it(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    for _ in range(2):
        report = build_index(library, library / "index", encoder, copy_media=True)
        assert (report.n_gifs, report.n_exact_duplicates, report.skipped) == (4, 0, ())
    assert (library / "a-red.gif").is_file()


def test_new_media_do_not_overwrite_files_that_are_not_the_bundles(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    (out / "media" / "new.gif").write_text("mine")
    save_gif(library / "new.gif", [GREEN, RED])
    with pytest.raises(OutputError, match=r"new\.gif is not a file of the index"):
        build_index(library, out, encoder, copy_media=True)
    assert (out / "media" / "new.gif").read_text() == "mine"
    assert len(Bundle.open(out).records) == 4


@pytest.mark.parametrize("name", [".b.partial", ".b.old"])
def test_folders_that_only_look_like_ours_are_never_cleared(
    tmp_path: Path, library: Path, encoder: FakeEncoder, name: str
):
    build_index(library, tmp_path / "b", encoder)
    (tmp_path / name).mkdir()
    (tmp_path / name / "diary.txt").write_text("mine")
    try:
        build_index(library, tmp_path / "b", encoder)
    except OutputError as error:
        assert "is in the way" in str(error)
    assert (tmp_path / name / "diary.txt").read_text() == "mine"


def test_other_files_survive_a_kill_at_every_step_of_a_commit(
    tmp_path: Path, library: Path, encoder: FakeEncoder, monkeypatch
):
    """The process is stopped before its 1st, 2nd, … change of the disk in `commit`."""
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    (out / "diary.txt").write_text("mine")

    class Killed(BaseException):
        pass

    def commit_killed_at(step: int) -> bool:
        count = 0

        def counted(real):
            def call(*args, **kwargs):
                nonlocal count
                count += 1
                if count > step:
                    raise Killed
                return real(*args, **kwargs)

            return call

        with monkeypatch.context() as patched:
            # what remains of the process does not clean up, either
            patched.setattr(StagedFolder, "__exit__", lambda self, *raised: None)
            staged = StagedFolder(out, owned_files)
            for name in [name for name in owned_files(out) or () if (out / name).is_file()]:
                (staged.path / name).parent.mkdir(parents=True, exist_ok=True)
                (staged.path / name).write_bytes((out / name).read_bytes())
            for name in ("unlink", "rename"):
                patched.setattr(Path, name, counted(getattr(Path, name)))
            patched.setattr(os, "link", counted(os.link))
            patched.setattr(os, "rmdir", counted(os.rmdir))
            patched.setattr("retrieval.output._exchange", counted(_exchange))
            try:
                staged.commit()
            except Killed:
                return True
        return False

    step = 0
    while commit_killed_at(step):
        assert (out / "diary.txt").read_text() == "mine", step
        assert len(Bundle.open(out).records) == 4, step
        step += 1
    assert step > 10
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.work", "b", "library"]


def test_old_bundle_that_cannot_be_deleted_is_no_failure_of_the_build(
    tmp_path: Path, library: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    """The new one is in place by then, and must not be reported as not written."""
    build_index(library, tmp_path / "b", encoder)
    (library / "a-red.gif").unlink()

    def refuse(*args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("retrieval.output._remove", refuse)
        build_index(library, tmp_path / "b", encoder)
    assert len(Bundle.open(tmp_path / "b").records) == 3
    build_index(library, tmp_path / "b", encoder)  # clears what was left
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.work", "b", "library"]


def test_manifest_that_names_files_outside_deletes_nothing_there(tmp_path: Path):
    (tmp_path / "diary.txt").write_text("mine")
    (tmp_path / "b").mkdir()
    manifest: dict[str, object] = {"written_by": "clip-reaction-search 9"}
    manifest["files"] = {"../diary.txt": {}, str(tmp_path / "diary.txt"): {}, "old.bin": {}}
    (tmp_path / "b" / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "b" / "old.bin").touch()
    with BundleWriter(tmp_path / "b", 3) as writer:
        writer._staged.commit()
    assert (tmp_path / "diary.txt").read_text() == "mine"
    assert not (tmp_path / "b" / "old.bin").exists()


def test_folder_of_media_behind_a_link_is_not_emptied(
    tmp_path: Path, library: Path, encoder: FakeEncoder
):
    out = tmp_path / "b"
    build_index(library, out, encoder, copy_media=True)
    (out / "media").rename(tmp_path / "photos")
    (out / "media").symlink_to(tmp_path / "photos")
    before = content_of(tmp_path / "photos")
    with pytest.raises(OutputError, match="media is not a file of the index"):
        build_index(library, out, encoder, copy_media=True)
    build_index(library, out, encoder)
    assert content_of(tmp_path / "photos") == before


def test_suggested_command_never_names_a_folder_that_holds_other_files(
    tmp_path: Path, library: Path, bundle: Bundle
):
    with pytest.raises(BundleError) as error:
        Bundle.open(library)
    assert str(error.value).endswith(f"--out {library}-index")
    with pytest.raises(BundleError) as error:
        Bundle.open(tmp_path / "nothing")
    assert str(error.value).endswith(f"--out {tmp_path / 'nothing'}")
    (bundle.path / "vectors.faiss").unlink()
    with pytest.raises(BundleError) as error:
        Bundle.open(bundle.path)
    assert str(error.value).endswith(f"--out {bundle.path}")


def test_export_refuses_a_folder_of_other_files(tmp_path: Path):
    (tmp_path / "weights.safetensors").touch()
    with pytest.raises(OutputError, match="is not an export"):
        check_export_output(tmp_path)
    done = run_script("export_encoder", "--out", tmp_path)
    assert done.returncode == 1 and "is not an export" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize(
    "command",
    [
        ("deploy_space", "me/reactions", "--dry-run", "OUT"),
        ("tests.support.run_space", "SPACE", "--into", "OUT"),
        ("make_starter_library", "--out", "OUT"),
        ("train", "--out", "OUT"),
    ],
)
@pytest.mark.parametrize("make", [a_folder_of_other_files, a_file])
def test_other_commands_refuse_a_path_that_holds_other_files(
    tmp_path: Path, command: tuple[str, ...], make: Callable[[Path], None]
):
    if command[0].endswith("run_space") and os.geteuid() != 0:
        pytest.skip("running a Space without Docker takes root")
    make(tmp_path / "out")
    before = content_of(tmp_path)
    words = [{"OUT": tmp_path / "out", "SPACE": ROOT / "space"}.get(w, w) for w in command]
    run = run_module if words[0].startswith("tests.") else run_script
    done = run(words[0], *words[1:])
    assert done.returncode == 1 and done.stderr.startswith("Error: "), done.stderr
    assert content_of(tmp_path) == before


def test_report_overwrites_reports_alone(tmp_path: Path, library: Path):
    (tmp_path / "diary.html").write_text("<title>mine</title>")
    with pytest.raises(OutputError, match="nothing else is overwritten"):
        check_report(tmp_path / "diary.html")
    with pytest.raises(OutputError, match="nothing else is overwritten"):
        check_report(tmp_path)
    for _ in range(2):
        out, report = tmp_path / "b", tmp_path / "report.html"
        done = run_script("build_index", library, "--out", out, "--report", report)
        assert done.returncode == 0, done.stderr
    assert "build report</title>" in report.read_text()


def test_empty_folder_is_required_where_a_command_only_adds_files(tmp_path: Path):
    require_empty(tmp_path)
    require_empty(tmp_path / "new")
    (tmp_path / "link").symlink_to("nowhere")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(OutputError):
            require_empty(path)


def test_resolve_output_follows_links(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "not" / "yet")
    assert resolve_output(tmp_path / "link") == tmp_path.resolve() / "not" / "yet"


def test_staged_folder_left_early_changes_nothing(tmp_path: Path):
    with pytest.raises(RuntimeError), StagedFolder(tmp_path / "b", owned_files) as staged:
        (staged.path / "half").touch()
        assert (staged.path / MARKER).exists()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_rebuild_keeps_a_deeply_nested_folder(
    tmp_path: Path, library: Path, encoder: FakeEncoder, monkeypatch
):
    out = tmp_path / "b"
    build_index(library, out, encoder)
    monkeypatch.chdir(out)
    for _ in range(1_200):  # deeper than Python's recursion limit
        os.mkdir("n")
        os.chdir("n")
    Path("diary.txt").write_text("mine")
    os.chdir(tmp_path)
    try:
        build_index(library, out, encoder)
        assert (out / "/".join("n" * 1_200) / "diary.txt").read_text() == "mine"
        assert not (tmp_path / ".b.partial").exists()
    finally:
        subprocess.run(["rm", "-rf", str(out / "n"), str(tmp_path / ".b.partial")], check=True)

"""What a build is given, read as it is: folders, lists, data sets, and what is downloaded."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BLUE, GREEN, RED, save_gif
from PIL import Image

from retrieval.build.build import build_index
from retrieval.build.folders import open_source
from retrieval.build.items import Item, Source
from retrieval.build.report import as_text
from retrieval.embedding import Skipped
from retrieval.errors import SourceError


@pytest.fixture(autouse=True)
def caches_of_this_test(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def left_out(source: Source) -> list[tuple[str, str]]:
    list(source)
    assert source.n_left_out == len(source.left_out)
    return [(row.path, row.reason) for row in source.left_out]


def save_webp(path: Path) -> Path:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


# Folders


def test_a_folder_gives_its_files_in_order_with_what_its_metadata_says(library: Path):
    leaf = {"file_name": "deep/c-green.gif", "title": "Leaf", "tags": "plant, spring"}
    (library / "metadata.jsonl").write_text(json.dumps(leaf) + "\n")
    save_gif(library / ".hidden" / "x.gif", [RED])
    source = open_source(str(library))
    items = list(source)
    assert [item.name for item in items] == [
        "a-red.gif",
        "b-red-blue.gif",
        "d-yellow.gif",
        "deep/c-green.gif",
    ]
    assert items[0] == Item(
        "a-red.gif",
        str(library / "a-red.gif"),
        {"title": "a red", "tags": ()},
        path=library / "a-red.gif",
        suffix=".gif",
    )
    assert items[3].described == {"title": "Leaf", "tags": ("plant", "spring")}
    assert (source.label, source.total(), source.left_out) == ("folder library", 4, [])
    assert list(source) == items
    assert list(open_source(library, limit=2)) == items[:2]
    assert open_source(library, limit=2).total() == 2


def test_metadata_of_a_file_that_is_not_there_is_said(library: Path):
    (library / "metadata.csv").write_text("file_name,title\na-red.gif,Red\na-rde.gif,Typo\n")
    source = open_source(library)
    assert left_out(source) == [("metadata: a-rde.gif", "described, but not in the folder")]


def test_a_link_keeps_its_own_name_and_a_link_in_a_circle_ends(library: Path):
    (library / "e-link").symlink_to(library)
    (library / "e-link.gif").symlink_to(library / "a-red.gif")
    names = [Path(item.uri).name for item in open_source(library)]
    assert names == ["a-red.gif", "b-red-blue.gif", "d-yellow.gif", "c-green.gif", "e-link.gif"]


def test_what_is_no_file_in_a_folder_is_left_out_with_its_reason(library: Path):
    os.mkfifo(library / "pipe.gif")  # opening it would wait for ever
    os.mkfifo(library / "deep" / "pipe")
    (library / "zero.gif").symlink_to("/dev/zero")
    (library / "loop.gif").symlink_to("loop.gif")
    (library / "gone.gif").symlink_to("nowhere.gif")
    (library / "linked").symlink_to(library)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(library / "socket"))  # its path may have 108 bytes
    source = open_source(library)
    assert left_out(source) == [
        ("deep/pipe", "a named pipe; expected a regular file"),
        ("gone.gif", "cannot be opened (No such file or directory)"),
        ("linked", "a link to a folder; its files are not followed"),
        ("loop.gif", "cannot be opened (Too many levels of symbolic links)"),
        ("pipe.gif", "a named pipe; expected a regular file"),
        ("socket", "a socket; expected a regular file"),
        ("zero.gif", "a device; expected a regular file"),
    ]
    assert len(list(source)) == 4


def test_pipes_and_devices_in_a_list_are_left_out_and_not_opened(tmp_path: Path, library, encoder):
    os.mkfifo(tmp_path / "pipe.gif")
    (tmp_path / "list.txt").write_text("pipe.gif\n/dev/zero\nlibrary\nlibrary/a-red.gif\n")
    report = build_index(tmp_path / "list.txt", tmp_path / "b", encoder)
    assert [(skipped.path, skipped.reason.split(";")[0]) for skipped in report.skipped] == [
        ("pipe.gif", "a named pipe"),
        ("/dev/zero", "a device"),
        ("library", "a folder"),
    ]


def test_folder_with_nothing_but_a_pipe_says_so(tmp_path: Path):
    os.mkfifo(tmp_path / "a.gif")
    with pytest.raises(SourceError, match=r"No media in .* a\.gif: a named pipe"):
        open_source(tmp_path)


def test_folders_nested_deeper_than_the_recursion_limit_are_walked(tmp_path: Path):
    save_gif(tmp_path / "a.gif", [RED])
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_100):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    assert len(list(open_source(tmp_path))) == 1
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # shutil gives up on it


@pytest.mark.parametrize(
    ("name", "expected"),
    [("loop", "Too many levels of symbolic links"), ("x" * 300, "File name too long")],
)
def test_source_that_cannot_be_looked_at_is_one_sentence(tmp_path: Path, name, expected: str):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceError, match=rf"cannot be opened \({expected}\)\. Give a folder"):
        open_source(tmp_path / name)


def test_source_whose_path_is_not_utf8_is_refused(tmp_path: Path):
    save_gif(tmp_path / "\udcff" / "a.gif", [RED])
    with pytest.raises(SourceError, match=r"is not UTF-8\. Rename it"):
        open_source(tmp_path / "\udcff")


GOOD_ROW = '{"file_name": "a-red.gif", "license": "MIT"}\n'


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("metadata.jsonl", lambda f: f.write_text(GOOD_ROW + "[" * 100_000), "line 2: maximum rec"),
        ("metadata.jsonl", lambda f: f.write_text(GOOD_ROW + "[1]\n"), "line 2: a list; expected"),
        ("metadata.jsonl", lambda f: f.write_text(GOOD_ROW + "?\n"), "line 2: Expecting value"),
        (
            "metadata.jsonl",
            lambda f: f.write_text('{"file_name": 7}\n' + GOOD_ROW),
            "line 1: file_name is 7; expected text",
        ),
        (
            "metadata.jsonl",
            lambda f: f.write_text(GOOD_ROW + json.dumps({"file_name": "b" * 1_000_000})),
            "line 2: longer than 1,000,000 bytes",
        ),
        ("metadata.jsonl", lambda f: f.write_bytes(b"\xff\n"), "line 1: not UTF-8"),
        ("metadata.jsonl", lambda f: f.mkdir(), "a folder; expected a regular file"),
        ("metadata.jsonl", os.mkfifo, "a named pipe; expected a regular file"),
        ("metadata.jsonl", lambda f: f.symlink_to(f), "Too many levels of symbolic links"),
        (
            "metadata.jsonl",
            lambda f: (f.touch(), os.truncate(f, 3_000_000_000)),
            "3,000,000,000 bytes, of which 250,000,000",
        ),
        ("metadata.csv", lambda f: f.mkdir(), "a folder; expected a regular file"),
        ("metadata.csv", lambda f: f.write_text("name\na\n"), "line 2: file_name is None"),
        (
            "metadata.csv",
            lambda f: f.write_text("file_name,title\na," + "x" * 1_000_000),
            "line 2: longer than 1,000,000 bytes",
        ),
    ],
)
def test_metadata_that_cannot_be_read_is_one_sentence(library: Path, name, make, expected: str):
    make(library / name)
    with pytest.raises(SourceError) as error:
        open_source(library)
    assert f"{name} cannot be read ({expected}" in str(error.value)
    assert str(error.value).endswith("Mend it, or move it away.")


def test_metadata_of_a_name_that_no_file_can_have_is_left_out(tmp_path: Path, library, encoder):
    (library / "metadata.jsonl").write_text(GOOD_ROW + '{"file_name": "\\ud83d.gif"}\n')
    report = build_index(library, tmp_path / "b", encoder)
    assert [skipped.path for skipped in report.skipped] == ["metadata: ?.gif"]
    as_text(report).encode()


def test_long_fields_of_a_csv_are_read_as_those_of_jsonl_are(library: Path):
    title = "x" * 200_000
    (library / "metadata.csv").write_text(f"file_name,title\na-red.gif,{title}\n")
    assert next(iter(open_source(library))).described["title"] == title
    (library / "list.csv").write_text(f"file_name,title\na-red.gif,{title}\n")
    (item,) = open_source(library / "list.csv")
    assert item.described["title"] == title


def test_list_that_vanishes_while_it_is_used_is_one_sentence(tmp_path: Path):
    (tmp_path / "list.txt").write_text("a.gif\n")
    source = open_source(tmp_path / "list.txt")
    (tmp_path / "list.txt").unlink()
    for use in (source.total, lambda: list(source)):
        with pytest.raises(SourceError, match=r"list\.txt cannot be read \(.*No such file"):
            use()


# Lists


def test_a_text_list_holds_paths_and_addresses(tmp_path: Path):
    (tmp_path / "urls.txt").write_text(
        "\ufeff# reactions\n"
        "http://127.0.0.1/two%20cats.gif?w=9\n"
        "\n"
        "deep/so_sad.GIF\r\n"
        f"file://{tmp_path}/a%20b.webp\n"
        "ftp://127.0.0.1/a.gif\n"
        "https://ann:secret@127.0.0.1/a.gif\n"
        "data:image/gif;base64,R0lGODlh\n"
        "file://elsewhere/a.gif\n"
        "https:///a.gif\n"
        "bad\x00name.gif\n"
    )
    source = open_source(tmp_path / "urls.txt")
    url, relative, absolute = source
    assert (url.name, url.uri, url.url, url.path) == (
        *["http://127.0.0.1/two%20cats.gif?w=9"] * 3,
        None,
    )
    assert (url.described["title"], url.suffix) == ("two cats", ".gif")
    assert relative.name == "deep/so_sad.GIF"
    assert relative.path == tmp_path / "deep" / "so_sad.GIF"
    assert (relative.described["title"], relative.suffix) == ("so sad", ".gif")
    assert absolute.path == tmp_path / "a b.webp"
    assert absolute.uri == f"{tmp_path}/a b.webp"
    assert left_out(source) == [
        ("urls.txt line 6", "ftp: cannot be fetched; expected http(s)://"),
        ("urls.txt line 7", "the address holds a user name, which the index would publish"),
        ("urls.txt line 8", "data: cannot be fetched; expected http(s)://"),
        ("urls.txt line 9", "file:// on another machine cannot be read; expected file:///path"),
        ("urls.txt line 10", "an address without a host"),
        ("urls.txt line 11", "a path or address with a character that has no place in one"),
    ]
    assert (source.label, source.total()) == ("list urls.txt", 10)  # the mark before # hides it


def test_a_csv_describes_its_files_and_broken_rows_are_named_by_line(tmp_path: Path):
    (tmp_path / "list.csv").write_bytes(
        b"\xef\xbb\xbfURL, Title ,tags,license,width\r\n"
        b'http://127.0.0.1/a.gif,"No, thanks","no, nope",CC0-1.0,16\r\n'
        b"http://127.0.0.1/b.gif,No, thanks,no,MIT,16\r\n"
        b"\r\n"
        b",nowhere,,,\r\n"
        b"http://127.0.0.1/c.gif\r\n"
        b"http://127.0.0.1/d.gif,caf\xe9,,,\r\n"
        b'http://127.0.0.1/e.gif,"two\r\nlines",,,\r\n'
        b'http://127.0.0.1/f.gif,"open,,,\r\n'
        b"http://127.0.0.1/g.gif,,,,\r\n"
    )
    source = open_source(tmp_path / "list.csv")
    described = {item.name[-5:]: item.described for item in source}
    assert described == {
        "a.gif": {"title": "No, thanks", "license": "CC0-1.0", "tags": ("no", "nope")},
        "c.gif": {"title": "c", "tags": ()},
        "e.gif": {"title": "two lines", "tags": ()},
    }
    assert [(where, reason[:24]) for where, reason in left_out(source)] == [
        ("list.csv line 3", "6 fields, but 5 columns;"),
        ("list.csv line 5", "no path and no address i"),
        ("list.csv line 7", "not UTF-8"),
        ("list.csv line 10 to 11", "unexpected end of data"),
    ]


def test_jsonl_rows_that_cannot_be_items_are_named_by_line(tmp_path: Path):
    rows = [
        '{"file_name": "a.gif", "tags": ["x", " ", null, 7], "title": NaN, "emoji": "\\ud83d"}',
        '{"file_name": "b.gif", "title": ',
        '["c.gif"]',
        '{"title": "nowhere"}',
        '{"url": 12}',
        "[" * 100_000,
        json.dumps({"path": "d.gif", "title": "d" * 1_000_000}),
        '{"path": "\\ud83d.gif"}',
        '{"path": "", "image_url": "http://127.0.0.1/e.gif"}',
    ]
    (tmp_path / "list.ndjson").write_text("\n".join(rows) + "\n")
    source = open_source(tmp_path / "list.ndjson")
    a, e = source
    assert a.described == {"title": "a", "tags": ("x", "7"), "emoji": "?"}
    assert e.url == "http://127.0.0.1/e.gif"
    assert [
        (where.split()[-1], reason.split(" (")[0][:30]) for where, reason in left_out(source)
    ] == [
        ("2", "no JSON"),
        ("3", "a list; expected {…} with colu"),
        ("4", "no path and no address in file"),
        ("5", "the path or address is 12; exp"),
        ("6", "no JSON"),
        ("7", "longer than 1,000,000 bytes"),
        ("8", "a path or address with a chara"),
    ]
    assert source.total() == 9


def test_a_parquet_list_is_read_in_batches_and_only_its_known_columns(tmp_path: Path):
    n = 3_000
    table = pa.table(
        {
            "Path": pa.array([f"{i}.gif" if i != 2_500 else None for i in range(n)]),
            "tags": pa.array([["a", "b"]] * n),
            "clip_vector": pa.array([[0.0]] * n),
        }
    )
    pq.write_table(table, tmp_path / "list.parquet")
    source = open_source(str(tmp_path / "list.parquet"))
    assert source.total() == n
    items = list(source)
    assert len(items) == n - 1
    assert items[2_999 - 1].path == tmp_path / "2999.gif"
    assert items[0].described == {"title": "0", "tags": ("a", "b")}
    assert [row.path for row in source.left_out] == ["list.parquet row 2500"]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_a_long_list_opens_at_once_and_is_never_held(tmp_path: Path, suffix: str):
    n = 10_000
    rows = {
        ".txt": "http://127.0.0.1/{}.gif\n",
        ".csv": "http://127.0.0.1/{},a title,tag\n",
        ".jsonl": '{{"url": "http://127.0.0.1/{}.gif", "title": "a title"}}\n',
    }
    head = "url,title,tags\n" if suffix == ".csv" else ""
    path = tmp_path / f"long{suffix}"
    path.write_text(head + "".join(rows[suffix].format(i) for i in range(n)))
    start = time.perf_counter()
    source = open_source(path)
    next(iter(source))
    assert time.perf_counter() - start < 0.2
    assert source.total() == n
    tracemalloc.start()
    assert sum(1 for _ in source) == n
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000  # the items as a list: 10 MB


def test_what_is_left_out_is_counted_beyond_what_is_listed(tmp_path: Path):
    (tmp_path / "list.txt").write_text("ftp://127.0.0.1/a.gif\n" * 1_500)
    source = open_source(tmp_path / "list.txt")
    assert list(source) == []
    assert (len(source.left_out), source.n_left_out) == (1_000, 1_500)
    assert source.left_out[-1] == Skipped(
        "list.txt line 1000", "ftp: cannot be fetched; expected http(s)://"
    )
    list(source)
    assert source.n_left_out == 1_500


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "list.csv",
            b"title,link\na,b\n",
            "no column that says where the files are, only title, link",
        ),
        ("list.csv", b"", "only none at all"),
        ("list.csv", "url\na".encode("utf-16"), "cannot be read .*not UTF-8"),
        ("list.parquet", b"PAR1", "cannot be read"),
        ("list.json", b"[]", "is no folder and no list"),
        ("other.txt", b"", "is no folder"),
    ],
)
def test_a_list_that_cannot_be_one_is_refused_at_once(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=expected):
        open_source(tmp_path / ("list.txt" if name == "other.txt" else name))


def test_a_parquet_of_pictures_is_sent_to_the_data_sets(tmp_path: Path):
    pq.write_table(pa.table({"image": [b"GIF89a"]}), tmp_path / "train.parquet")
    with pytest.raises(SourceError, match=f"dataset:{tmp_path}"):
        open_source(tmp_path / "train.parquet")


def test_only_a_data_set_has_splits(library: Path):
    with pytest.raises(SourceError, match="has no splits, so not 'train' either"):
        open_source(library, split="train")


# Data sets


@pytest.fixture
def parquet_set(tmp_path: Path) -> tuple[Path, list[bytes]]:
    """Two animations and an empty row in Parquet, as Hugging Face stores pictures."""
    stored = [
        save_gif(tmp_path / "x.gif", [RED, BLUE]).read_bytes(),
        save_webp(tmp_path / "y.webp").read_bytes(),
    ]
    rows = {
        "gif": [
            {"bytes": stored[0], "path": "so_sad.gif"},
            None,
            {"bytes": stored[1], "path": None},
        ],
        "thumbnail": [{"bytes": stored[1], "path": None}] * 3,
        "caption": ["a  cat\ncries", "nothing", None],
        "label": [1, 0, -1],
        "tags": [["cry", "cat"], [], ["wave"]],
        "license": ["CC0-1.0", None, None],
        "vector": [[1.0]] * 3,
    }
    features = datasets.Features(
        gif=datasets.Image(),
        thumbnail=datasets.Image(),
        caption=datasets.Value("string"),
        label=datasets.ClassLabel(names=["dog", "cat"]),
        tags=datasets.List(datasets.Value("string")),
        license=datasets.Value("string"),
        vector=datasets.List(datasets.Value("float32")),
    )
    folder = tmp_path / "reactions"
    made = datasets.Dataset.from_dict(rows, features)
    (folder / "data").mkdir(parents=True)
    with (folder / "data" / "train-00000-of-00001.parquet").open("wb") as file:
        made.to_parquet(file)
    return folder, stored


def check_parquet_set(source: Source, stored: list[bytes]) -> None:
    sad, wave = source
    assert sad.data == stored[0] and wave.data == stored[1]
    assert (sad.name, sad.uri, sad.suffix) == ("reactions[train] row 0", "", ".gif")
    assert sad.described == {"title": "a cat cries", "tags": ("cry", "cat"), "license": "CC0-1.0"}
    assert (wave.name, wave.suffix) == ("reactions[train] row 2", ".webp")
    assert wave.described == {"title": "reactions[train] row 2", "tags": ("wave",)}
    assert left_out(source) == [("reactions[train] row 1", "nothing in column gif")]


def test_the_bytes_of_a_data_set_come_through_as_they_were(parquet_set):
    folder, stored = parquet_set
    source = open_source(f"dataset:{folder}")
    assert source.label == "data set reactions, split train"
    check_parquet_set(source, stored)
    check_parquet_set(source, stored)  # again


@pytest.mark.skipif(
    tuple(map(int, datasets.__version__.split(".")[:2])) < (5, 2),
    reason="decodes in threads only when told to, and then for good",
)
def test_bytes_stay_what_they_were_where_threads_decode_rows_as_for_the_hub(
    parquet_set, monkeypatch
):
    folder, stored = parquet_set
    load = datasets.load_dataset

    def as_from_the_hub(*args, **kwargs):
        loaded = load(*args, **kwargs)
        return {split: rows.decode(num_threads=2) for split, rows in loaded.items()}

    monkeypatch.setattr(datasets, "load_dataset", as_from_the_hub)
    check_parquet_set(open_source(f"dataset:{folder}"), stored)


def test_an_imagefolder_gives_its_files_and_their_labels(tmp_path: Path):
    cat = save_gif(tmp_path / "set" / "cat" / "so_sad.gif", [RED, BLUE])
    dog = save_gif(tmp_path / "set" / "dog" / "happy.gif", [GREEN, BLUE])
    sad, happy = open_source(f"dataset:{tmp_path / 'set'}")
    assert (sad.path, sad.uri, sad.suffix) == (cat, str(cat), ".gif")
    assert happy.path == dog
    assert sad.described == {"title": "so sad", "tags": ("cat",)}


def test_an_imagefolder_in_an_archive_gives_its_files_bytes(tmp_path: Path):
    stored = save_gif(tmp_path / "so_sad.gif", [RED, BLUE]).read_bytes()
    (tmp_path / "set").mkdir()
    with zipfile.ZipFile(tmp_path / "set" / "images.zip", "w") as archive:
        archive.writestr("deep/so_sad.gif", stored)
        archive.writestr("happy.gif", save_gif(tmp_path / "h.gif", [GREEN]).read_bytes())
    items = {item.described["title"]: item for item in open_source(f"dataset:{tmp_path / 'set'}")}
    assert sorted(items) == ["happy", "so sad"]
    sad = items["so sad"]
    assert (sad.data, sad.uri, sad.suffix) == (stored, "", ".gif")


def test_a_set_from_the_hub_says_whence_it_is_and_reads_no_files_of_this_machine(
    tmp_path: Path, monkeypatch
):
    stored = save_gif(tmp_path / "private.gif", [RED]).read_bytes()
    rows = [
        {"bytes": stored, "path": "cat.gif"},
        {"bytes": None, "path": str(tmp_path / "private.gif")},
        {"bytes": None, "path": f"file://{tmp_path}/private.gif"},
        {"bytes": None, "path": f"file://{tmp_path}/private.gif::hf://datasets/a/b/c.zip"},
        {"bytes": None, "path": f"zip://a::file://{tmp_path}/private.gif::hf://datasets/a/b"},
        {"bytes": None, "path": "http://127.0.0.1/a.gif"},
    ]
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"image": rows}), tmp_path / "set" / "a.parquet")
    load = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name, *args, **options: load(str(tmp_path / "set"), **options),
    )
    source = open_source("dataset:someone/reactions")
    cat, linked = source
    assert cat.described == {"title": "cat", "tags": (), "source": "someone/reactions"}
    assert cat.name == "someone/reactions[train] row 0"
    assert linked.uri == linked.url == "http://127.0.0.1/a.gif"
    assert left_out(source) == [
        ("someone/reactions[train] row 1", "a path outside of the data set"),
        ("someone/reactions[train] row 2", "a path outside of the data set"),
        ("someone/reactions[train] row 3", "a path outside of the data set"),
        ("someone/reactions[train] row 4", "a path outside of the data set"),
    ]


def test_columns_of_bytes_and_of_addresses_are_taken_where_no_type_says_image(tmp_path: Path):
    stored = save_gif(tmp_path / "x.gif", [RED, BLUE]).read_bytes()
    for name in ("bytes", "urls"):
        (tmp_path / name).mkdir()
    pq.write_table(pa.table({"data": [stored], "title": ["T"]}), tmp_path / "bytes" / "a.parquet")
    rows = [{"url": "http://127.0.0.1/a.gif", "text": "A"}, {"url": "ftp://127.0.0.1/b.gif"}]
    text = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "urls" / "train.jsonl").write_text(text)

    (item,) = open_source(f"dataset:{tmp_path / 'bytes'}")
    assert (item.data, item.suffix, item.described["title"]) == (stored, ".gif", "T")
    source = open_source(f"dataset:{tmp_path / 'urls'}")
    (item,) = source
    assert (item.url, item.described["title"]) == ("http://127.0.0.1/a.gif", "A")
    assert left_out(source) == [
        ("urls[train] row 1", "ftp: cannot be fetched; expected http(s)://")
    ]


def test_a_web_dataset_gives_its_bytes_and_its_json(tmp_path: Path):
    stored = save_gif(tmp_path / "x.gif", [RED, BLUE]).read_bytes()
    (tmp_path / "set").mkdir()
    with tarfile.open(tmp_path / "set" / "train-0.tar", "w") as archive:
        for name, data in (("x.gif", stored), ("x.json", b'{"caption": "Tears"}')):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (item,) = open_source(f"dataset:{tmp_path / 'set'}")
    assert (item.data, item.described["title"]) == (stored, "Tears")


def test_a_split_is_chosen_or_named(parquet_set):
    folder, _ = parquet_set
    train = folder / "data" / "train-00000-of-00001.parquet"
    test = train.with_name("test-00000-of-00001.parquet")
    test.write_bytes(train.read_bytes())
    assert open_source(f"dataset:{folder}", split="test", limit=1).label.endswith("split test")
    assert len(list(open_source(f"dataset:{folder}", split="test", limit=1))) == 1
    with pytest.raises(SourceError, match=r"no split 'valid', but 'train', 'test'. Name one"):
        open_source(f"dataset:{folder}", split="valid")
    train.rename(train.with_name("validation-00000-of-00001.parquet"))
    with pytest.raises(SourceError, match="no split 'train', but 'validation', 'test'"):
        open_source(f"dataset:{folder}")
    test.unlink()
    assert open_source(f"dataset:{folder}").label.endswith("split validation")


def test_a_configuration_is_named_behind_a_hash(parquet_set):
    folder, stored = parquet_set
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: one\n  data_files: data/*\n"
        "- config_name: two\n  data_files: data/*\n---\n"
    )
    with pytest.raises(SourceError, match=r"\['one', 'two'\]\. Name a configuration"):
        open_source(f"dataset:{folder}")
    assert next(iter(open_source(f"dataset:{folder}#two"))).data == stored[0]


def test_a_data_set_that_cannot_be_one_says_what_to_do(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"empty cannot be opened: .*no|doesn't contain any"):
        open_source(f"dataset:{tmp_path / 'empty'}")
    with pytest.raises(SourceError, match=r"is no folder\. Give a folder, or a data set's name"):
        open_source(f"dataset:{tmp_path / 'nowhere'}")
    (tmp_path / "text").mkdir()
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "text" / "a.parquet")
    with pytest.raises(SourceError, match=r"no column of pictures, only text, n\. Expected"):
        open_source(f"dataset:{tmp_path / 'text'}")


def test_without_a_network_a_data_set_of_the_hub_is_one_sentence():
    code = (
        "from retrieval.build import open_source\n"
        "from retrieval.errors import SourceError\n"
        "import sys; assert 'datasets' not in sys.modules\n"
        "try: open_source('dataset:nobody/nothing')\n"
        "except SourceError as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("The data set nobody/nothing cannot be opened: Couldn't reach")
    assert ran.stdout.strip().endswith("Check the network, or give a local folder: dataset:FOLDER.")
    assert "Traceback" not in ran.stderr


def test_csv_written_by_the_csv_module_is_read_back(tmp_path: Path):
    titles = ['say "hi"', "a,b", "line\nbreak", "日本語", ""]
    with (tmp_path / "list.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["file_name", "title"], *(["x.gif", title] for title in titles)])
    read = [item.described["title"] for item in open_source(tmp_path / "list.csv")]
    assert read == ['say "hi"', "a,b", "line break", "日本語", "x"]

"""Decoders in processes of their own: whatever a file does to one, the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import FakeEncoder, save_gif, save_heavy_gif

from retrieval.decoding import decode_frames
from retrieval.embedding import Pipeline, Work
from retrieval.encoders import Preprocess
from retrieval.errors import LimitError, MediaError, StoppedError, UnavailableError
from retrieval.media import Limits, convert_media, media_sandbox
from retrieval.paths import ROOT, STARTER
from retrieval.sandbox import Job, Part, Sandbox, TaskError
from retrieval.web.turns import NICENESS
from tests.support.server import serving_api

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux, and its /proc")

TASKS = "tests.support.sandbox_tasks"
GIFS = sorted((STARTER / "media").glob("*.gif"))[:6]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(2)
    yield sandbox
    sandbox.close()


def run(sandbox: Sandbox, task: str, stop=None, blocks=(), *, limits: dict | None = None, **fields):
    """The parts of a task's answer."""
    job = Job(f"{TASKS}:{task}", fields, blocks, **(limits or {}))
    return sandbox.run(job, list, stop)


def pid_of(sandbox: Sandbox) -> int:
    return run(sandbox, "echo")[0].fields["pid"]


def workers(parent: int) -> list[int]:
    """The running workers of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        is_worker = b"retrieval.sandbox.worker" in command
        if is_worker and state != "Z" and command[3] == str(parent).encode():
            found.append(int(folder.name))
    return found


def wait_until(is_so: Callable[[], object], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_worker_is_started_for_the_first_job_and_used_again():
    sandbox = Sandbox(2)
    before = workers(os.getpid())
    assert not sandbox._idle
    first = run(sandbox, "echo", blocks=[b"some", b"", b"bytes" * 100_000], text="é")
    assert [bytes(block) for block in first[0].blocks] == [b"some", b"", b"bytes" * 100_000]
    assert first[0].fields["text"] == "é"
    assert pid_of(sandbox) == first[0].fields["pid"]
    sandbox.close()
    assert workers(os.getpid()) == before


@pytest.mark.parametrize(
    ("task", "fields", "error", "reason"),
    [
        ("crash", {}, MediaError, r"the decoder crashed \(SIGSEGV\)"),
        ("eat", {"mb": 101}, LimitError, "max_memory_mb is 100, this takes more"),
        ("loop", {}, LimitError, "max_decode_s is 1, this takes longer"),
        ("sleep", {}, UnavailableError, "decoding it took more than 1 s"),
        ("flood", {"n": 1_001}, MediaError, "no valid answer .more than 1,000 bytes"),
        ("babble", {"bytes": "ffffffff"}, MediaError, "no valid answer .a message of 4,294,9"),
        ("babble", {"bytes": "00000002" + b"[]".hex()}, MediaError, "no valid answer"),
        ("babble", {"bytes": "00000005" + b"{'a':".hex()}, MediaError, "no valid answer"),
        ("fail", {"name": "LimitError"}, LimitError, "^of the task$"),
        ("fail", {"name": "UnavailableError"}, UnavailableError, "^of the task$"),
        ("fail", {"name": "KeyError"}, TaskError, "^KeyError: 'of the task'$"),
    ],
)
def test_failing_job_says_what_happened_and_the_next_one_is_done(
    sandbox: Sandbox,
    task: str,
    fields: dict,
    error: type[Exception],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
):
    if task == "sleep":
        monkeypatch.setattr(Job, "wall_s", 1.0)
    start = time.monotonic()
    with pytest.raises(error, match=reason) as raised:
        run(sandbox, task, limits={"cpu_s": 1, "memory_mb": 100, "max_bytes": 1_000}, **fields)
    assert type(raised.value) is error or isinstance(raised.value, MediaError)
    monkeypatch.undo()
    assert time.monotonic() - start < 30  # for a CPU second, of a busy machine
    assert pid_of(sandbox)
    assert sandbox._n_busy == 0 and len(sandbox._idle) == 1


def test_memory_within_its_limit_is_given(sandbox: Sandbox):
    for _ in range(5):  # what one job took is there for the next
        (part,) = run(sandbox, "eat", mb=90, limits={"memory_mb": 100})
        assert part.fields["n"] == 90_000_000


def test_crash_that_may_be_due_to_an_earlier_file_is_tried_again_in_a_fresh_worker(
    sandbox: Sandbox,
):
    first = run(sandbox, "crash_unless_first")[0].fields["pid"]
    assert run(sandbox, "crash_unless_first")[0].fields["pid"] != first


def test_what_a_decoder_prints_goes_nowhere(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]):
    assert run(sandbox, "chatter")[0].fields["pid"] == pid_of(sandbox)
    assert capfd.readouterr() == ("", "")


def test_worker_writes_no_file(sandbox: Sandbox, tmp_path: Path):
    with pytest.raises(TaskError, match="OSError"):
        run(sandbox, "write_file", path=str(tmp_path / "x"))
    assert (tmp_path / "x").stat().st_size == 0


@pytest.mark.parametrize(("task", "is_kept"), [("wait", True), ("sleep", False), ("loop", False)])
def test_job_ends_within_a_second_of_being_stopped(sandbox: Sandbox, task: str, is_kept: bool):
    worker, stop = pid_of(sandbox), threading.Event()
    threading.Timer(0.3, stop.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        run(sandbox, task, stop.is_set)
    assert 0.2 < time.monotonic() - start < 0.3 + 1
    assert (pid_of(sandbox) == worker) is is_kept
    assert pid_of(sandbox)  # and a late word to stop ends no other job


def test_more_jobs_than_workers_wait_and_can_be_stopped(sandbox: Sandbox):
    stop = threading.Event()

    def wait() -> None:
        with pytest.raises(StoppedError):
            run(sandbox, "wait", stop.is_set)

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: sandbox._n_busy == 2)
    time.sleep(0.3)
    assert sandbox._n_busy == 2 and not sandbox._idle
    stop.set()
    for thread in waiting:
        thread.join(5)
    assert not any(thread.is_alive() for thread in waiting)
    assert sandbox._n_busy == 0


def test_worker_has_no_secrets_in_its_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("REACTION_SLACK_SIGNING_SECRET", "secret too")
    sandbox = Sandbox(1)
    environment = Path(f"/proc/{pid_of(sandbox)}/environ").read_bytes()
    sandbox.close()
    names = {entry.partition(b"=")[0] for entry in environment.split(b"\0")}
    assert b"secret" not in environment and b"PATH" in names
    assert not {name for name in names if name.startswith((b"HF_", b"REACTION_"))}


def test_idle_worker_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("retrieval.sandbox.keeper.LOOK_S", 0.05)
    sandbox = Sandbox(1, idle_s=0.2)
    pid_of(sandbox)  # the keeper may look late for the first time
    wait_until(lambda: not sandbox._idle)
    assert pid_of(sandbox)
    sandbox.close()


def test_frames_of_a_worker_are_those_of_this_process():
    prepare = Preprocess((64, 64), (0.5,) * 3, (0.5,) * 3)
    for path in GIFS[:2]:
        data = path.read_bytes()
        here = convert_media(data, prepare)
        for decoded in (decode_frames(data, prepare, to_read=True), decode_frames(data, prepare)):
            assert [(f.index, f.time_ms) for f in decoded.frames] == [
                (f.index, f.time_ms) for f in here.frames
            ]
            for frame, same in zip(decoded.frames, here.frames, strict=True):
                assert (frame.pixels == same.image).all()
        whole = decode_frames(data, np.asarray)  # any other preparation is done here
        assert [prepare_array(f.pixels, prepare).tobytes() for f in whole.frames] == [
            f.image.tobytes() for f in here.frames
        ]


def prepare_array(pixels: np.ndarray, prepare: Preprocess) -> np.ndarray:
    from PIL import Image

    return prepare(Image.fromarray(pixels))


FACTS = [3, 100, 4, 4]
PART = {"frame": [0, 0], "facts": FACTS, "shapes": [[2, 2]]}


@pytest.mark.parametrize(
    "change",
    [
        {"frame": [0]},
        {"frame": [3, 0]},
        {"frame": [-1, 0]},
        {"frame": ["0", 0]},
        {"frame": None},
        {"facts": [3, 100, 4_000_000, 4_000_000]},
        {"facts": [10**9, 100, 4, 4]},
        {"facts": [3, float("nan"), 4, 4]},
        {"facts": {}},
        {"shapes": [[2, 3]]},
        {"shapes": [[-2, -2]]},
        {"shapes": [[2, 2], [2, 2]]},
        {"shapes": [[4, 1]]},
        {"cpu_s": 1e9},
        {"cpu_s": "x"},
    ],
    ids=str,
)
def test_answer_that_no_file_has_is_refused(change: dict):
    class TakenOver:
        def run(self, job, read, stop):
            return read(iter([Part(PART | change, [bytes(12)])]))

    prepare = Preprocess((2, 2), (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(MediaError, match="no valid answer"):
        decode_frames(b"GIF", prepare, sandbox=TakenOver())  # type: ignore[arg-type]


def test_worker_killed_in_a_build_costs_its_file_and_changes_no_other(tmp_path: Path):
    def embedded(kill: bool) -> dict[str, np.ndarray | MediaError]:
        sandbox = media_sandbox(1)
        files = [*GIFS[:3], save_heavy_gif(tmp_path / "heavy.gif", 1_000, 2_500), *GIFS[3:]]

        def read(path: Path) -> bytes:
            if kill and path.name == "heavy.gif":
                threading.Timer(0.4, kill_workers).start()
            return path.read_bytes()

        def kill_workers() -> None:
            for pid in set(workers(os.getpid())) - set(others):
                os.kill(pid, signal.SIGKILL)

        others = workers(os.getpid())
        pipeline = Pipeline(FakeEncoder(), readers=1, decoders=1, sandbox=sandbox)
        works = (Work(path, lambda path=path: read(path)) for path in files)
        done = {one.subject.name: one for one in pipeline.run(works)}
        sandbox.close()
        return {name: one.frames.vectors if one.frames else one.error for name, one in done.items()}

    whole, damaged = embedded(kill=False), embedded(kill=True)
    error = damaged.pop("heavy.gif")
    assert isinstance(error, UnavailableError)  # so the next build tries it again
    assert str(error) == "the decoder was ended from outside (SIGKILL)"
    assert len(damaged) == len(GIFS)
    for name, vectors in damaged.items():
        assert vectors.tobytes() == whole[name].tobytes()


PARENT = """
import os, signal, sys, threading, time
from retrieval.sandbox import Job, Sandbox
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's is ignored
sandbox = Sandbox(2)
job = lambda task: sandbox.run(Job("tests.support.sandbox_tasks:" + task), list)
job("echo")
threading.Thread(target=job, args=["loop"], daemon=True).start()
job("echo")
while len(sandbox._idle) < 1 or sandbox._n_busy < 1:
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(number: int):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"ready\n"
        assert len(workers(parent.pid)) == 2  # one idle, one in the middle of a job
        parent.send_signal(number)
        parent.wait(10)
        wait_until(lambda: not workers(parent.pid), 2)


def test_build_leaves_no_worker(tmp_path: Path):
    save_gif(tmp_path / "gifs" / "a.gif", [(255, 0, 0)])
    command = [sys.executable, "-m", "retrieval.cli", "build", tmp_path / "gifs"]
    command += ["--out", tmp_path / "b", "--signals", "frames"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as build:
        build.communicate(timeout=60)
    assert build.returncode == 0 and not workers(build.pid)


def test_server_starts_workers_for_a_picture_of_low_priority_and_leaves_none():
    with serving_api(wait_for="/api/v1/ready") as server:
        assert not workers(server.process.pid)
        request = urllib.request.Request(f"{server.address}/api/v1/pictures", GIFS[0].read_bytes())
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["picture"]
        (worker,) = workers(server.process.pid)
        assert os.getpriority(os.PRIO_PROCESS, worker) == NICENESS
    wait_until(lambda: not workers(server.process.pid), 1)


def test_limits_of_a_job_have_the_names_of_the_options():
    job, limits = Job(""), Limits()
    assert getattr(limits, job.cpu_name) == job.cpu_s == 10
    assert getattr(limits, job.memory_name) == job.memory_mb == 500

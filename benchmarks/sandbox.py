"""Decoding in worker processes against threads of one process, and what a worker costs.

Both sides do what a build does of a file before it encodes: distinct frames, prepared for a
ViT-B-32, and pictures for the reader of words. They take turns, round by round.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from retrieval.decoding import decode_frames
from retrieval.embedding import WORKERS
from retrieval.encoders import Preprocess
from retrieval.media import convert_media, media_sandbox, shared_sandbox
from retrieval.ocr import picture_to_read
from retrieval.sandbox.messages import BUFFER_BYTES

PREPARE = Preprocess((224, 224), (0.5,) * 3, (0.5,) * 3)
ROUNDS = 5
SIZES = ((100_000, 16), (1_000_000, 16), (30_000_000, 16), (1_000_000, 4_300_000))


def measure_sandbox(folder: Path, n_files: int) -> None:
    """Print the start of a worker, the throughput of both ways, and ways to send bytes."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".gif", ".webp", ".png"))
    contents = [path.read_bytes() for path in files[:n_files]]
    print(f"{os.cpu_count()} cores, {len(contents)} files of {folder.name}")
    print(start_of_worker(contents[0]))
    for with_words in (False, True):
        print(
            f"{'frames and words' if with_words else 'frames'}: {throughput(contents, with_words)}"
        )
    for name in ("pipes", "sockets", "shared memory"):
        print(f"{name}: {', '.join(f'{ms:.2f}' for ms in transport(name))} ms")


def start_of_worker(data: bytes) -> str:
    """How long the first job takes beyond the second one, and the memory of a worker."""
    times = []
    for _ in range(ROUNDS):
        sandbox = media_sandbox(1)
        for _ in range(2):
            start = time.perf_counter()
            decode_frames(data, PREPARE, sandbox=sandbox)
            times.append(time.perf_counter() - start)
        status = Path(f"/proc/{sandbox._idle[0].process.pid}/status").read_text()
        sandbox.close()
    start_s = statistics.median(times[::2]) - statistics.median(times[1::2])
    anonymous_mb = int(status.split("RssAnon:")[1].split()[0]) / 1024
    return f"first job: {start_s:.2f} s more; a worker holds {anonymous_mb:.0f} MB of its own"


def throughput(contents: list[bytes], with_words: bool) -> str:
    """Files a second, and CPU seconds, by threads and by worker processes; ratios of each round.

    On a machine that others use, compare the CPU seconds: a worker waits for a core more often.
    """

    def in_thread(data: bytes) -> object:
        def convert(image: Image.Image) -> object:
            return PREPARE(image), picture_to_read(image) if with_words else None

        return convert_media(data, convert)

    def in_worker(data: bytes) -> object:
        return decode_frames(data, PREPARE, to_read=with_words)

    def rate(decode: Callable[[bytes], object]) -> tuple[float, float]:
        start, cpu_s = time.perf_counter(), processor_s()
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(decode, contents):
                pass
        return len(contents) / (time.perf_counter() - start), processor_s() - cpu_s

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(in_worker, contents[:WORKERS]))
    rounds = [(*rate(in_thread), *rate(in_worker)) for _ in range(ROUNDS)]
    shared_sandbox().close()
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    rates = ", ".join(f"{workers / threads:.2f}" for threads, _, workers, _ in rounds)
    costs = ", ".join(f"{workers / threads:.2f}" for _, threads, _, workers in rounds)
    return (
        f"threads {medians[0]:.1f}/s, {medians[1]:.1f} CPU s; workers {medians[2]:.1f}/s, "
        f"{medians[3]:.1f} CPU s; workers/threads {rates}; in CPU s {costs}"
    )


def processor_s() -> float:
    """CPU seconds of this process and of its idle workers."""
    ticks = 0
    for worker in shared_sandbox()._idle:
        stat = Path(f"/proc/{worker.process.pid}/stat").read_text()
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def transport(name: str) -> list[float]:
    """Milliseconds to a process and back, for the sizes (there, back) of SIZES."""
    memory = os.memfd_create("exchange")
    os.ftruncate(memory, 1 << 28)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    command = [sys.executable, "-m", "benchmarks.sandbox", name, str(memory)]
    pipe = theirs.fileno() if name == "sockets" else subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=[memory], bufsize=0) as other:
        if other.stdin and other.stdout:
            to, back = other.stdin.fileno(), other.stdout.fileno()
        else:
            to = back = ours.fileno()
        medians = []
        for there, n_back in SIZES:
            data, times = os.urandom(there), []
            for _ in range(20 if there > 5_000_000 else 200):
                start = time.perf_counter()
                if name == "shared memory":
                    os.pwrite(memory, data, 0)
                    _write(to, struct.pack("<2Q", there, n_back))
                    _read(back, 16)
                    os.pread(memory, n_back, 0)
                else:
                    _write(to, struct.pack("<2Q", there, n_back) + data)
                    _read(back, n_back)
                times.append(1000 * (time.perf_counter() - start))
            medians.append(statistics.median(times))
        other.kill()
    for end in (ours, theirs):
        end.close()
    os.close(memory)
    return medians


def answer(name: str, memory: int) -> None:
    """The other process of `transport`."""
    import mmap

    answers = {n_back: os.urandom(n_back) for _, n_back in SIZES}
    shared = mmap.mmap(memory, 1 << 28)
    while True:
        n_there, n_back = struct.unpack("<2Q", _read(0, 16))
        if name == "shared memory":
            os.pread(memory, n_there, 0)
            shared[:n_back] = answers[n_back]
            _write(1, bytes(16))
        else:
            _read(0, n_there)
            _write(1, answers[n_back])


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _read(file: int, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        view = view[os.readv(file, [view]) or size :]
    return data


if __name__ == "__main__":
    answer(sys.argv[1], int(sys.argv[2]))

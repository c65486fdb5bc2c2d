"""Build and run a Dockerfile's image without Docker, by Linux namespaces; needs root.

The image is a folder that the caller gives. Each step, and in the end the server, runs in
a mount and a process namespace of its own with that folder as its root (chroot), so that
the absolute paths of the Dockerfile are the real ones, and nothing outside of the folder can
be written. What stands in for the base image is this machine's own system, mounted
read-only: /usr, /etc and Python. Layers are not cached, and the network is the machine's.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from retrieval.errors import SpaceError
from retrieval.output import require_empty
from tests.support.dockerfile import Instruction, expand, parse

TOOLS = ("unshare", "setpriv", "mount", "chroot", "env")
BASE_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")  # into /usr; folders on old systems
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # Docker's
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# As in a slim image: user 1000 has no name.
PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
# How this machine reaches its package registry is no part of an image, yet pip needs it.
PASSED_TO_RUN = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_")

GRACE_S = 10

Say = Callable[[str], None]


@dataclass
class Image:
    """A built image: its root folder, and what its Dockerfile says of running it."""

    root: Path
    env: dict[str, str]
    workdir: str = "/"
    user: str = "0:0"
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    args: dict[str, str] = field(default_factory=dict)  # known so far while building


@dataclass(frozen=True)
class Container:
    """A running image."""

    image: Image
    env: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def check_health(self) -> subprocess.CompletedProcess[str]:
        """The Dockerfile's own check, run inside."""
        command = _enclosed(self.image, self.image.healthcheck, self.env)
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def end(self) -> None:
        """Ask the server to end, as `docker stop` does; after ten seconds kill all inside."""
        first = children_of(self.process.pid)  # with it its whole namespace ends
        _signal([one for shell in first for one in children_of(shell)], signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
            return
        _signal(first or [self.process.pid], signal.SIGKILL)
        self.process.wait()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def children_of(pid: int) -> list[int]:
    """The numbers of a process's children; none if it has ended."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def build(context: Path, into: Path, given: Mapping[str, str], say: Say = lambda _: None) -> Image:
    """Follow the Dockerfile of the folder `context` in the empty folder `into`.

    `given` are the build arguments; those that no ARG declares are passed over, as the
    Hub passes all variables of a Space. SpaceError names the step that fails; OutputError if
    `into` is not empty.
    """
    _check_machine()
    require_empty(into)
    try:
        steps = parse((context / "Dockerfile").read_text(encoding="utf-8"))
    except OSError as error:
        raise SpaceError(
            f"{context} holds no Dockerfile ({error}). Write the Space there first: "
            f"reaction-search deploy OWNER/NAME --dry-run {context}"
        ) from error
    image = Image(_lay_base(into), {"PATH": f"{sys.base_prefix}/bin:{DEFAULT_PATH}"})
    for step in steps:
        say(f"{step.name} {' '.join(step.words)}")
        _follow(step, image, context, given)
    return image


@contextmanager
def running(image: Image, given: Mapping[str, str], timeout_s: float = 60) -> Iterator[Container]:
    """Start the image with these variables, wait until it is healthy, end it after.

    Its working folder, which is the application, is mounted read-only.
    """
    env = {**image.env, **given}
    command = _enclosed(image, image.healthcheck, env)
    if subprocess.run(command, capture_output=True, timeout=60).returncode == 0:
        raise SpaceError(
            "Another server answers the health check already. End it, or take another port: "
            "--variable STREAMLIT_SERVER_PORT=8502"
        )
    command = _enclosed(image, (*image.entrypoint, *image.command), env, read_only=[image.workdir])
    container = Container(image, env, subprocess.Popen(command))
    try:
        deadline = time.monotonic() + timeout_s
        while (health := container.check_health()).returncode:
            status = container.process.poll()
            if status is not None or time.monotonic() > deadline:
                what = "still runs" if status is None else f"has ended with status {status}"
                raise SpaceError(
                    f"The server {what}, and is not healthy after {timeout_s:.0f} s at most: "
                    f"{health.stderr.strip()[-300:]}"
                )
            time.sleep(0.5)
        yield container
    finally:
        container.end()


def _check_machine() -> None:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if sys.platform != "linux" or os.geteuid() != 0 or missing:
        found = f"no {', '.join(missing)}" if missing else f"{sys.platform}, and not root"
        raise SpaceError(
            f"Running a Space without Docker takes Linux, root and {', '.join(TOOLS)}; found "
            f"{found}. With Docker: docker build -t space FOLDER && docker run -p 8501:8501 space"
        )


def _lay_base(into: Path) -> Path:
    """The empty folders and links of the root; the namespaces mount the machine's into them."""
    root = into.resolve() / "root"
    for name in ("proc", "sys", "dev", "root"):
        (root / name).mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    for name in BASE_LINKS:
        if Path(name).is_symlink():
            (root / name[1:]).symlink_to(os.readlink(name))
    for folder in _base_folders():
        (root / str(folder)[1:]).mkdir(parents=True, exist_ok=True)
    (into / "passwd").write_text(PASSWD)
    return root


def _base_folders() -> list[Path]:
    """The machine's own folders that stand in for the base image's."""
    links = [Path(name) for name in BASE_LINKS]
    found = [Path("/usr"), Path("/etc")]
    found += [one for one in links if one.is_dir() and not one.is_symlink()]
    python = Path(sys.base_prefix)
    return found if python.is_relative_to("/usr") else [*found, python]


def _follow(step: Instruction, image: Image, context: Path, given: Mapping[str, str]) -> None:
    values = {**image.args, **image.env}
    words = [expand(word, values) for word in step.words]
    match step.name:
        case "FROM":
            image.args.clear()  # those before FROM end here
        case "ARG":
            for name, default in step.pairs():
                image.args[name] = given.get(name, expand(default or "", values))
        case "ENV":
            for name, value in step.pairs():
                image.env[name] = expand(value or "", values)
        case "WORKDIR":
            image.workdir = str(PurePosixPath(image.workdir, words[0]))
            _inside(image, image.workdir).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(context, words, image, step)
        case "USER":
            image.user = _numbers(words[0], step)
        case "EXPOSE":
            image.ports = tuple(int(word.removesuffix("/tcp")) for word in words)
        case "RUN":
            passed = {k: v for k, v in os.environ.items() if k.upper().startswith(PASSED_TO_RUN)}
            command = _enclosed(image, step.words, {**passed, **values})
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SpaceError(
                    f"Line {step.line} of the Dockerfile, RUN, ended with status "
                    f"{done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}"
                )
        case "HEALTHCHECK":
            image.healthcheck = step.words
        case "CMD":
            image.command = step.words
        case "ENTRYPOINT":
            image.entrypoint, image.command = step.words, ()
        case _:
            raise SpaceError(f"Line {step.line} of the Dockerfile: no one follows {step.name} here")


def _inside(image: Image, path: str) -> Path:
    """Where an absolute path of the image lies on this machine."""
    return image.root / path.lstrip("/")


def _numbers(user: str, step: Instruction) -> str:
    """user:group as numbers; a user without a group is in group 0, as in Docker."""
    uid, _, gid = user.partition(":")
    if not uid.isdigit() or not (gid or "0").isdigit():
        raise SpaceError(
            f"Line {step.line} of the Dockerfile: user {user!r}; expected numbers: 1000:1000"
        )
    return f"{uid}:{gid or 0}"


def _copy(context: Path, words: Sequence[str], image: Image, step: Instruction) -> None:
    """COPY: a folder's content or files, theirs who --chown names, root's without it."""
    *patterns, target = words
    sources: list[Path] = []
    for pattern in patterns:
        found = sorted(Path(name) for name in glob.glob(str(context / pattern)))
        if not found or not all(one.resolve().is_relative_to(context.resolve()) for one in found):
            raise SpaceError(
                f"Line {step.line} of the Dockerfile copies {pattern}, and {context} holds none"
            )
        sources += found
    uid, gid = map(int, _numbers(step.flags.get("chown", "0:0"), step).split(":"))
    to = _inside(image, str(PurePosixPath(image.workdir, target)))
    into_folder = target.endswith("/") or len(sources) > 1
    made: list[Path] = []
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, to, dirs_exist_ok=True)
            made += [to / one.relative_to(source) for one in [source, *source.rglob("*")]]
        else:
            goal = to / source.name if into_folder else to
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, goal)
            made += [goal.parent, goal] if into_folder else [goal]
    for one in made:
        os.chown(one, uid, gid, follow_symlinks=False)


def _enclosed(
    image: Image,
    command: Sequence[str],
    env: Mapping[str, str],
    read_only: Sequence[str] = (),
) -> list[str]:
    """The command that runs `command` inside the image, as its user, with `env` alone."""
    root = image.root
    mounts = ["set -eu"]
    for folder in _base_folders():
        mounts += _bound(folder, _inside(image, str(folder)), read_only=True)
    mounts += _bound(root.parent / "passwd", root / "etc/passwd", read_only=True)
    mounts += [
        f"mount -t proc proc {_quoted(root / 'proc')}",
        f"mount -t sysfs -o ro sysfs {_quoted(root / 'sys')}",
        f"mount -t tmpfs -o mode=755 tmpfs {_quoted(root / 'dev')}",
        f"mkdir -m 1777 {_quoted(root / 'dev/shm')}",
    ]
    for device in DEVICES:
        mounts.append(f": > {_quoted(root / 'dev' / device)}")
        mounts += _bound(Path("/dev", device), root / "dev" / device)
    for path in read_only:
        inside = _inside(image, path)
        mounts += _bound(inside, inside, read_only=True, how="--rbind")
    given = {"HOME": "/root" if image.user.startswith("0:") else "/", **env}
    inner = ["chroot", f"--userspec={image.user}", "--groups=", str(root)]
    inner += ["env", "-i", f"--chdir={image.workdir}", *(f"{k}={v}" for k, v in given.items())]
    # Not exec: this shell stays, as root, the first process of its namespace, and when it ends
    # all inside end. Linux forgets whom to kill with a parent once a process changes its user.
    mounts.append(f"{shlex.join([*inner, *command])} || exit $?\nexit 0")
    tied = ["setpriv", "--pdeathsig", "KILL", "unshare", "--kill-child"]
    namespaces = ["--mount", "--propagation", "private", "--pid", "--fork"]
    return [*tied, *namespaces, "sh", "-c", "\n".join(mounts)]


def _bound(
    source: Path, target: Path, *, read_only: bool = False, how: str = "--bind"
) -> list[str]:
    lines = [f"mount {how} {_quoted(source)} {_quoted(target)}"]
    if read_only:
        lines.append(f"mount -o remount,ro,bind {_quoted(target)}")
    return lines


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))

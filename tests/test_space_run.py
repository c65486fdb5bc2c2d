"""A Space as its visitors meet it: built by its own Dockerfile, in a frame of another site."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from retrieval.errors import OutputError, SpaceError
from retrieval.paths import ROOT
from tests.support.container import Container, Image, build, children_of, running

ARTIFACTS = ROOT / "artifacts"
MEDIA = ROOT / "index" / "starter" / "media"
# What the Hub lets the frame of a Space do.
SANDBOX = (
    "allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups "
    "allow-popups-to-escape-sandbox allow-same-origin allow-scripts "
    "allow-storage-access-by-user-activation"
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="stands in for Docker as root on Linux"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of what `reaction-search deploy` writes; about a gigabyte, and half a minute."""
    folder = tmp_path_factory.mktemp("space")
    deploy = [sys.executable, "scripts/deploy_space.py", "me/reactions", "--dry-run"]
    subprocess.run([*deploy, folder / "files"], cwd=ROOT, check=True, capture_output=True)
    yield build(folder / "files", folder / "image", {"REACTION_INDEX": "/app/index/starter"})
    shutil.rmtree(folder)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 1100})
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield page
    page.close()


def framed(page: Page, port: int) -> Iterator[FrameLocator]:
    """The Space in a frame of a page at localhost: to a browser, not the site of 127.0.0.1."""
    frame = f'<iframe src="http://127.0.0.1:{port}" sandbox="{SANDBOX}"'
    html = f'<h1>Another site</h1>{frame} style="width: 100%; height: 1000px"></iframe>'.encode()

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        page.goto(f"http://localhost:{hub.server_port}/")
        yield page.frame_locator("iframe")
        hub.shutdown()


def ask(frame: FrameLocator, message: str) -> None:
    box = frame.get_by_role("searchbox", name="Write text you want to get reaction for")
    box.fill(message)
    box.press("Enter")


def upload(frame: FrameLocator) -> None:
    files = [MEDIA / f"{name}.gif" for name in ("party-popper", "nauseated-face", "red-heart")]
    frame.locator("input[type=file]").last.set_input_files(files)


def process_in(container: Container) -> Path:
    """The /proc folder of the server itself, seen from outside its namespace."""
    pid = container.process.pid
    while children := children_of(pid):
        pid = children[0]
    return Path(f"/proc/{pid}")


def all_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_it_serves_searches_and_uploads_in_a_frame_of_another_site(image: Image, page: Page):
    port = free_port()
    app, home = image.root / "app", image.root / "home" / "user"
    before = all_in(app)
    # all that the build left at home: which hashes bake.py has checked
    kept = home / ".cache" / "clip-reaction-search" / "checked.sqlite"
    assert kept.is_file() and len(all_in(home)) == 3
    shutil.rmtree(home / ".cache")  # and it starts as well with nothing there
    assert image.ports == (8501,) == (int(image.env["STREAMLIT_SERVER_PORT"]),)
    # In the test the site that frames the Space is not the Hub's.
    framing = {"REACTION_FRAME_ANCESTORS": "http://localhost:*"}
    assert image.env["REACTION_FRAME_ANCESTORS"] == "https://huggingface.co"
    with running(image, {"STREAMLIT_SERVER_PORT": str(port), **framing}) as container:
        assert container.check_health().returncode == 0
        for frame in framed(page, port):
            ask(frame, "I'm so scared right now")
            expect(frame.get_by_text("face screaming in fear").first).to_be_visible()
            pictures = frame.get_by_test_id("stMain").locator(".card img")
            expect(pictures.nth(11)).to_be_visible()
            width, head = pictures.first.evaluate(
                "async picture => { await picture.decode(); const file = await fetch(picture.src);"
                " return [picture.naturalWidth, (await file.text()).slice(0, 6)]; }"
            )
            assert (width, head) == (128, "GIF89a")
            upload(frame)
            ask(frame, "that is disgusting, I feel sick")
            expect(frame.get_by_text("3 of your pictures")).to_be_visible()
            expect(pictures).to_have_count(3)
            expect(pictures.first).to_have_attribute("alt", "nauseated-face.gif")
            ARTIFACTS.mkdir(exist_ok=True)
            page.screenshot(path=ARTIFACTS / "space.png")

            frame.get_by_role("link", name="Library").click()
            expect(frame.get_by_role("heading", name="Map")).to_be_visible()
            expect(frame.get_by_text("Every GIF")).to_be_visible()
            frame.get_by_role("link", name="About").click()
            expect(frame.get_by_text("How to cite")).to_be_visible()
            expect(frame.get_by_text("mini: 256 dimensions")).to_be_visible()

        server = process_in(container)
        assert b"streamlit" in (server / "cmdline").read_bytes()
        status = (server / "status").read_text().splitlines()
        assert "Uid:\t1000\t1000\t1000\t1000" in status and "CapEff:\t0000000000000000" in status
        mounts = [line.split() for line in (server / "mountinfo").read_text().splitlines()]
        assert [m[5].split(",")[0] for m in mounts if m[4] == "/app"] == ["ro"]
        libraries = (server / "maps").read_text()
        assert "openvino" in libraries and "libtorch" not in libraries
    assert all_in(app) == before
    assert container.process.poll() is not None and not server.exists()


def test_streamlits_protection_is_on_in_a_space_as_elsewhere(image: Image, page_address: str):
    def has_cookie(address: str) -> bool:
        with urllib.request.urlopen(f"{address}/_stcore/health") as answer:
            return "_streamlit_xsrf=" in (answer.headers["Set-Cookie"] or "")

    assert has_cookie(page_address)
    port = free_port()
    with running(image, {"STREAMLIT_SERVER_PORT": str(port)}):
        assert has_cookie(f"http://127.0.0.1:{port}")


def write_context(folder: Path, dockerfile: str) -> Path:
    (folder / "part" / "deep").mkdir(parents=True)
    (folder / "part" / "deep" / "one.txt").write_text("one")
    (folder / "two.txt").write_text("two")
    (folder / "Dockerfile").write_text(f"FROM python:3.11-slim\n{dockerfile}")
    return folder


def test_steps_are_followed_as_docker_follows_them(tmp_path: Path):
    context = write_context(
        tmp_path / "context",
        """\
        ARG NAME=nobody
        ARG OTHER
        ENV GREETING="hello $NAME" PATH=/opt/bin:$PATH
        WORKDIR /app
        WORKDIR inner
        COPY part here
        COPY *.txt there/
        COPY --chown=7:8 two.txt renamed.txt
        RUN echo "$GREETING|$OTHER|$HOME|$PWD|$(id -u)" > said && cat here/deep/one.txt >> said
        RUN install -d -o 1000 -g 1000 /home/user
        USER 1000
        ENV HOME=/home/user
        RUN id -u > ~/who && id -g >> ~/who && ! touch /app/inner/x 2>/dev/null
        """,
    )
    image = build(context, tmp_path / "image", {"NAME": "you", "OTHER": "x", "UNKNOWN": "y"})
    inner = image.root / "app" / "inner"
    assert (inner / "said").read_text() == "hello you|x|/root|/app/inner|0\none"
    assert (inner / "there" / "two.txt").read_text() == "two"
    owner = (inner / "renamed.txt").stat()
    assert (owner.st_uid, owner.st_gid) == (7, 8)
    assert (inner / "here" / "deep").stat().st_uid == 0
    assert (image.root / "home" / "user" / "who").read_text().split() == ["1000", "0"]
    assert image.env["PATH"].startswith("/opt/bin:") and "NAME" not in image.env


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("RUN echo no luck >&2; exit 3", "Line 2 of the Dockerfile, RUN, ended with status 3: no"),
        ("RUN touch /usr/x", "Read-only file system"),
        ("COPY none.txt .", "Line 2 of the Dockerfile copies none.txt"),
        ("COPY ../outside.txt .", "Line 2 of the Dockerfile copies ../outside.txt"),
        ("USER somebody", "user 'somebody'; expected numbers"),
    ],
)
def test_a_step_that_fails_is_named(dockerfile: str, expected: str, tmp_path: Path):
    (tmp_path / "outside.txt").write_text("not of the context")
    with pytest.raises(SpaceError) as raised:
        build(write_context(tmp_path / "context", dockerfile), tmp_path / "image", {})
    assert expected in str(raised.value)


def test_the_folder_must_be_empty_and_hold_a_dockerfile(tmp_path: Path):
    context = write_context(tmp_path / "context", "RUN true")
    with pytest.raises(OutputError, match=r"context is not empty\. Name an empty folder"):
        build(context, context, {})
    with pytest.raises(SpaceError, match="holds no Dockerfile"):
        build(tmp_path / "none", tmp_path / "image", {})


def test_the_script_runs_a_space_until_it_is_ended(tmp_path: Path):
    port = free_port()
    context = write_context(
        tmp_path / "context",
        f"""\
        EXPOSE {port}
        HEALTHCHECK CMD python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}')"
        USER 1000:1000
        CMD ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
        """,
    )
    command = [sys.executable, "-m", "tests.support.run_space", str(context)]
    command += ["--into", str(tmp_path / "image")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        said = next(line for line in process.stdout if line.startswith("Healthy"))
        assert f"as user 1000:1000: http://127.0.0.1:{port}" in said
        again = build(context, tmp_path / "again", {})
        with pytest.raises(SpaceError, match="Another server answers"), running(again, {}):
            pass
        process.kill()  # and all that it started ends with it
    with pytest.raises(OSError):
        for _ in range(50):
            urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=1).close()
            time.sleep(0.1)


def test_where_it_cannot_run_it_says_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    context = write_context(tmp_path / "context", "RUN true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        SpaceError, match=r"takes Linux, root and unshare, .*; found linux, and not"
    ):
        build(context, tmp_path / "image", {})

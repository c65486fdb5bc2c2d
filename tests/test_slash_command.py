"""The slash command, with bodies and signatures as Slack and Mattermost document them."""

import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from retrieval.api import api_routes
from retrieval.api.chat_signatures import is_from_slack
from retrieval.api.slash import slash_routes
from retrieval.web import current_settings, translate
from retrieval.web.media_routes import media_routes
from tests.support.api import loaded
from tests.support.signal_bundle import build_signal_bundle

# docs.slack.dev/authentication/verifying-requests-from-slack
EXAMPLE_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
EXAMPLE_TIME = 1531420618
EXAMPLE_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
EXAMPLE_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
TOKEN = "rbuyqnxwxtgxxgkpbbpwgsjd9a"
PUBLIC = "https://gifs.example.org/reactions"
HOOK = "https://hooks.slack.com/actions/T1/2/3"
COMMAND = {
    "channel_id": "cniah6qa73bjjjan6mzn11f4ie", "channel_name": "town-square",
    "command": "/react", "response_url": "http://mattermost.local/hooks/commands/xyz",
    "team_domain": "someteam", "team_id": "rdc9bgriktyx9p4kowh3dmgqyc", "text": "I got the job",
    "token": TOKEN, "trigger_id": "abc", "user_id": "c3a4cqe3dfy6dgopqt8ai3hydh",
    "user_name": "somename",
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_signal_bundle(tmp_path_factory.mktemp("slash"))


@pytest.fixture
def sent() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def client(built: Path, sent, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("REACTION_INDEX", str(built))
    monkeypatch.setenv("REACTION_SLACK_SIGNING_SECRET", EXAMPLE_SECRET)
    monkeypatch.setenv("REACTION_MATTERMOST_TOKEN", TOKEN)
    monkeypatch.setenv("REACTION_PUBLIC_URL", PUBLIC)
    current_settings.cache_clear()
    routes = slash_routes(lambda address, message: sent.append((address, dict(message))))
    app = Starlette(routes=[*routes, *media_routes(), *api_routes()])
    yield loaded(TestClient(app))
    current_settings.cache_clear()


def slack(client: TestClient, fields: dict[str, str], status: int = 200, path: str = "") -> Any:
    body = urlencode(fields).encode()
    now = str(int(time.time()))
    digest = hmac.new(EXAMPLE_SECRET.encode(), f"v0:{now}:".encode() + body, "sha256").hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    response = client.post(f"/integrations/slack{path}", content=body, headers=headers)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def slack_click(client: TestClient, button: dict[str, Any], status: int = 200, hook: str = HOOK):
    payload = {
        "type": "block_actions", "user": {"id": "U0CA5", "username": "amy"},
        "container": {"type": "message", "is_ephemeral": True}, "response_url": hook,
        "actions": [{"action_id": button["action_id"], "value": button["value"]}],
    }  # fmt: skip
    return slack(client, {"payload": json.dumps(payload)}, status)


def buttons_of(message: dict[str, Any]) -> dict[str, Any]:
    (actions,) = (block for block in message["blocks"] if block["type"] == "actions")
    return {button["action_id"]: button for button in actions["elements"]}


def image_of(message: dict[str, Any]) -> str:
    (image,) = (block for block in message["blocks"] if block["type"] == "image")
    assert image["alt_text"]
    return image["image_url"]


def test_slacks_documented_signature_verifies():
    def verifies(secret=EXAMPLE_SECRET, at=str(EXAMPLE_TIME), body=EXAMPLE_BODY, now_s=0.0):
        return is_from_slack(secret, at, EXAMPLE_SIGNATURE, body, EXAMPLE_TIME + now_s)

    assert verifies() and verifies(now_s=299) and verifies(now_s=-299)
    assert not verifies(now_s=301) and not verifies(now_s=-301)
    assert not verifies(secret=EXAMPLE_SECRET[:-1]) and not verifies(body=EXAMPLE_BODY + b"x")
    assert not verifies(at="") and not verifies(at=f"{EXAMPLE_TIME}.0")


def test_slack_command_answers_with_the_best_gif_and_buttons(client: TestClient):
    start = time.perf_counter()
    message = slack(client, {**COMMAND, "token": "unused"})
    assert time.perf_counter() - start < 3
    assert message["response_type"] == "ephemeral"
    best = client.get("/api/v1/search", params={"q": "I got the job"}).json()["gifs"][0]
    assert image_of(message) == f"{PUBLIC}/{best['file']}"
    assert client.get(f"/{best['file']}").headers["content-type"].startswith("image/")
    labels = [button["text"]["text"] for button in buttons_of(message).values()]
    assert labels == ["Send", "Another one", "Cancel"]
    assert all(len(button["value"]) <= 2_000 for button in buttons_of(message).values())


def test_buttons_speak_the_language_of_the_configured_address(client: TestClient):
    message = slack(client, COMMAND, path="?lang=ko")
    assert buttons_of(message)["send"]["text"]["text"] == translate("ko", "slash_send")


def test_slack_buttons_send_show_another_and_cancel(client: TestClient, sent):
    first = slack(client, COMMAND)
    assert slack_click(client, buttons_of(first)["another"]) is None
    ((address, other),) = sent
    assert address == HOOK and other["replace_original"] is True
    assert image_of(other) != image_of(first)
    sent.clear()
    slack_click(client, buttons_of(other)["send"])
    (_, gone), (_, shown) = sent
    assert gone == {"delete_original": True}
    assert shown["response_type"] == "in_channel" and image_of(shown) == image_of(other)
    assert "<@U0CA5>" in json.dumps(shown)
    sent.clear()
    slack_click(client, buttons_of(first)["cancel"])
    assert [message for _, message in sent] == [{"delete_original": True}]


def test_after_the_last_gif_comes_the_first_again(client: TestClient, sent):
    message = slack(client, COMMAND)
    seen = [image_of(message)]
    for _ in range(40):
        slack_click(client, buttons_of(message)["another"])
        message = sent[-1][1]
        if image_of(message) == seen[0]:
            break
        assert image_of(message) not in seen
        seen.append(image_of(message))
    else:
        raise AssertionError("no way back to the first")
    assert len(seen) > 2


def test_slack_message_is_sent_to_slack_only(client: TestClient, sent):
    button = buttons_of(slack(client, COMMAND))["send"]
    for hook in (
        "http://hooks.slack.com/x",
        "https://hooks.slack.com.evil.example/x",
        "https://hooks.slack.com@evil.example/x",
        "file:///etc/passwd",
        "http://169.254.169.254/",
    ):
        slack_click(client, button, 422, hook)
    assert sent == []


def test_wrong_signature_or_token_is_refused(client: TestClient):
    for headers in (
        {},
        {"X-Slack-Request-Timestamp": str(EXAMPLE_TIME), "X-Slack-Signature": EXAMPLE_SIGNATURE},
        {"X-Slack-Request-Timestamp": str(int(time.time())), "X-Slack-Signature": "v0=é".encode()},
    ):
        response = client.post("/integrations/slack", content=EXAMPLE_BODY, headers=headers)
        assert response.status_code == 401 and response.json()["code"] == "signature"
    for token in ("", "wrong", "é"):
        wrong = client.post("/integrations/mattermost", data={**COMMAND, "token": token})
        assert wrong.status_code == 401


@pytest.mark.parametrize("chat", ["slack", "mattermost"])
def test_chat_without_a_secret_is_not_there(client: TestClient, chat: str, monkeypatch):
    monkeypatch.delenv("REACTION_SLACK_SIGNING_SECRET")
    monkeypatch.delenv("REACTION_MATTERMOST_TOKEN")
    current_settings.cache_clear()
    assert client.post(f"/integrations/{chat}", data=COMMAND).status_code == 404


def mattermost_click(client: TestClient, button: dict[str, Any]):
    body = {
        "user_id": "rd49ehbqyjytddasoownkuqrxe", "user_name": "amy",
        "post_id": "gqrnh3675jfxzftnjyjfe4udeh",
        "channel_id": "j6j53p28k6urx15fpcgsr20psq", "team_id": "5xxzt146eax4tul69409opqjlf",
        "trigger_id": "abc", "type": "button", "data_source": "",
        "context": button["integration"]["context"],
    }  # fmt: skip
    return client.post("/integrations/mattermost", json=body)


def test_mattermost_command_and_buttons(client: TestClient, sent):
    message = client.post("/integrations/mattermost", data=COMMAND).json()
    assert message["response_type"] == "ephemeral"
    (attachment,) = message["attachments"]
    assert attachment["image_url"].startswith(f"{PUBLIC}/gif/")
    buttons = {button["id"]: button for button in attachment["actions"]}
    assert [button["name"] for button in buttons.values()] == ["Send", "Another one", "Cancel"]
    assert buttons["send"]["integration"]["url"].startswith(f"{PUBLIC}/integrations/mattermost")

    other = mattermost_click(client, buttons["another"]).json()["update"]
    (shown,) = other["props"]["attachments"]
    assert shown["image_url"] != attachment["image_url"] and sent == []

    done = mattermost_click(client, buttons["send"]).json()
    assert done == {"update": {"message": "Sent.", "props": {"attachments": []}}}
    ((address, public),) = sent
    assert address == COMMAND["response_url"] and public["response_type"] == "in_channel"
    assert public["attachments"][0]["image_url"] == attachment["image_url"]

    cancelled = mattermost_click(client, buttons["cancel"]).json()
    assert cancelled["update"]["message"] == "Nothing was sent." and len(sent) == 1


def test_changed_context_of_a_mattermost_button_is_refused(client: TestClient, sent):
    message = client.post("/integrations/mattermost", data=COMMAND).json()
    button = message["attachments"][0]["actions"][0]
    context = button["integration"]["context"]
    for change in ({"to": "http://169.254.169.254/"}, {"q": "other"}, {"signature": None}):
        changed = {"integration": {"context": {**context, **change}}}
        assert mattermost_click(client, changed).status_code == 401
    assert sent == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write a message after the command, such as: /react I got the job"),
        ("   ", "Write a message"),
        ("x" * 1_501, "1,501 characters"),
        ('"nobody ever says this"', "No GIF answers this"),
    ],
)
def test_what_cannot_be_answered_is_said_to_the_person_alone(
    client: TestClient, text: str, said: str
):
    for message in (
        slack(client, {**COMMAND, "text": text}),
        client.post("/integrations/mattermost", data={**COMMAND, "text": text}).json(),
    ):
        assert message["response_type"] == "ephemeral" and said in message["text"]


def test_longest_message_fits_into_a_button_of_slack(client: TestClient):
    message = slack(client, {**COMMAND, "text": "하" * 1_500})
    assert all(len(button["value"]) <= 2_000 for button in buttons_of(message).values())


@pytest.mark.parametrize(
    "payload", ["", "[]", "{", "{}", '{"response_url": 3}', "[" * 20_000, '{"actions": [3]}']
)
def test_malformed_clicks_get_a_4xx(client: TestClient, payload: str):
    assert "detail" in slack(client, {"payload": payload}, 422)


def test_body_over_the_limit_is_refused(client: TestClient):
    response = client.post("/integrations/slack", content=b"x" * 64_001)
    assert response.status_code == 413


def test_failing_chat_is_reported(built: Path, client: TestClient):
    def fail(address: str, message: object) -> None:
        raise OSError("no route to host 10.0.0.1")

    app = Starlette(routes=[*slash_routes(fail), *api_routes()])
    with TestClient(app) as failing:
        problem = slack_click(failing, buttons_of(slack(client, COMMAND))["send"], 502)
    assert problem["code"] == "chat" and "10.0.0.1" not in problem["detail"]

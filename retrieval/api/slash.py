"""The slash command: `/react I got the job` in Slack or Mattermost.

POST /integrations/slack        the command, and clicks on its buttons (form field `payload`)
POST /integrations/mattermost   the command, and clicks on its buttons (JSON)

Each answers only if its secret is set (REACTION_SLACK_SIGNING_SECRET, REACTION_MATTERMOST_TOKEN).
The command answers with the best GIF for the one who asked; "Send" shows it to the channel, by one
request to the address that the chat gave for it. `?lang=ko` in the configured address makes the
buttons Korean.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrieval.api.answers import answer
from retrieval.api.bodies import Bodies
from retrieval.api.chat_signatures import is_context, is_from_slack, is_token, sign_context
from retrieval.api.compatible import root_of
from retrieval.api.problems import ProblemError, problem_response
from retrieval.api.questions import Question, parse_language
from retrieval.api.routes import current_searcher, operation
from retrieval.api.slash_messages import (
    ACTIONS,
    Choice,
    mattermost_choice,
    mattermost_sent,
    mattermost_update,
    private,
    slack_choice,
    slack_sent,
)
from retrieval.api.unknown import unknown_routes
from retrieval.errors import QueryError
from retrieval.renditions import WIDTHS
from retrieval.web import current_settings, rendition_url, translate

SLACK_ROUTE, MATTERMOST_ROUTE = "/integrations/slack", "/integrations/mattermost"
MAX_BODY_BYTES = 64_000
MAX_MESSAGE_CHARS = 1_500  # with the rest of its state, a button of Slack holds 2,000
MAX_ADDRESS_CHARS = 2_000
DELIVER_S = 2.5  # a chat waits three seconds for an answer
SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
CHAT_IMAGES = (".gif", ".png", ".jpg")  # that both services show
RENDITION_WIDTH = max(WIDTHS)  # of what is another format
_log = logging.getLogger(__name__)

Deliver = Callable[[str, Mapping[str, Any]], None]
Parts = Mapping[str, str]


def post_json(address: str, content: Mapping[str, Any]) -> None:
    """Send JSON to an address that the chat gave; OSError if it does not take it."""
    data = json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, data, headers, method="POST")
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=DELIVER_S):
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to another host than the one that was checked."""

    def redirect_request(self, *args: Any) -> None:
        return None


def slash_routes(deliver: Deliver = post_json) -> list[Route]:
    """The routes; `deliver` sends a message to a channel."""
    bodies = Bodies()

    def endpoint(handle: Callable[[Request, bytes], Awaitable[Any]]) -> Any:
        async def respond(request: Request) -> Response:
            too_large = f"The body has more than {MAX_BODY_BYTES:,} bytes, the most allowed."
            try:
                async with bodies.read(request, MAX_BODY_BYTES, too_large) as body:
                    content = await handle(request, body)
            except Exception as error:
                return problem_response(error)
            return Response() if content is None else JSONResponse(content)

        return respond

    async def slack(request: Request, body: bytes) -> Any:
        secret = _configured(current_settings().slack_signing_secret)
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not is_from_slack(secret, timestamp, signature, body, time.time()):
            raise _not_signed("Slack's signature")
        form = _form(body)
        if "payload" in form:
            return await _slack_click(request, _object(form["payload"]), deliver)
        found = await run_in_threadpool(_first, request, form)
        language = parse_language(request.query_params)
        return found if isinstance(found, dict) else slack_choice(found, language)

    async def mattermost(request: Request, body: bytes) -> Any:
        token = _configured(current_settings().mattermost_token)
        if request.headers.get("content-type", "").startswith("application/json"):
            return await _mattermost_click(request, _object(body), token, deliver)
        form = _form(body)
        if not is_token(token, form.get("token", "")):
            raise _not_signed("Mattermost's token")
        found = await run_in_threadpool(_first, request, form)
        if isinstance(found, dict):
            return found
        return _mattermost_choice(request, found, form.get("response_url", ""), token)

    routes = [
        Route(SLACK_ROUTE, endpoint(slack), methods=["POST"]),
        Route(MATTERMOST_ROUTE, endpoint(mattermost), methods=["POST"]),
    ]
    return [*routes, *unknown_routes("/integrations", routes, operation)]


async def _slack_click(request: Request, payload: Mapping[str, Any], deliver: Deliver) -> None:
    """Slack takes the answer to a click at an address of its own."""
    address = str(payload.get("response_url", ""))
    parts = urlsplit(address)
    if parts.scheme != "https" or parts.hostname not in SLACK_HOSTS:
        raise _malformed("response_url")
    clicked = payload.get("actions")
    click = clicked[0] if isinstance(clicked, list) and clicked else None
    if not isinstance(click, dict) or click.get("action_id") not in ACTIONS:
        raise _malformed("action")
    language = parse_language(request.query_params)
    action, state = click["action_id"], _object(str(click.get("value", "")))
    messages: list[Mapping[str, Any]] = [{"delete_original": True}]
    if action != "cancel":
        found = await run_in_threadpool(_choose, request, state, int(action == "another"))
        if isinstance(found, dict):
            messages = [{**found, "replace_original": True}]
        elif action == "another":
            messages = [{**slack_choice(found, language), "replace_original": True}]
        else:
            user = payload.get("user")
            user_id = str(user.get("id", "")) if isinstance(user, dict) else ""
            messages.append(slack_sent(found, user_id))
    for message in messages:
        await run_in_threadpool(_deliver, deliver, address, message)


async def _mattermost_click(
    request: Request, body: Mapping[str, Any], token: str, deliver: Deliver
) -> dict[str, Any]:
    sent = body.get("context")
    context = dict(sent) if isinstance(sent, dict) else {}
    signature = context.pop("signature", None)
    if not is_context(token, context, signature):
        raise _not_signed("the context of a button of ours")
    language = parse_language(request.query_params)
    if context["action"] == "cancel":
        return mattermost_update({"text": translate(language, "slash_cancelled")})
    is_other = context["action"] == "another"
    found = await run_in_threadpool(_choose, request, context, int(is_other))
    if isinstance(found, dict):
        return mattermost_update(found)
    if is_other:
        return mattermost_update(_mattermost_choice(request, found, str(context["to"]), token))
    await run_in_threadpool(_deliver, deliver, str(context["to"]), mattermost_sent(found))
    return mattermost_update({"text": translate(language, "slash_sent")})


def _mattermost_choice(request: Request, choice: Choice, to: str, token: str) -> dict[str, Any]:
    if urlsplit(to).scheme not in ("http", "https") or len(to) > MAX_ADDRESS_CHARS:
        raise _malformed("response_url")
    language = parse_language(request.query_params)
    contexts: dict[Any, dict[str, Any]] = {}
    for action in ACTIONS:
        context = {"action": action, "to": to, **choice.state}
        contexts[action] = {**context, "signature": sign_context(token, context)}
    click_url = f"{root_of(request)}{MATTERMOST_ROUTE}?lang={language}"
    return mattermost_choice(choice, language, click_url, contexts)


def _first(request: Request, form: Parts) -> Choice | dict[str, Any]:
    message = form.get("text", "").strip()
    if not message:
        command = form.get("command", "/react")[:40]
        return private(
            translate(parse_language(request.query_params), "slash_usage", command=command)
        )
    return _choose(request, {"q": message, "n": 0}, 0)


def _choose(request: Request, state: Mapping[str, Any], further: int) -> Choice | dict[str, Any]:
    """The GIF that is `further` after the one of a state; a sentence for the person if none."""
    language = parse_language(request.query_params)
    message, number = state.get("q"), state.get("n")
    if not isinstance(message, str) or type(number) is not int or not 0 <= number < 2**31:
        raise _malformed("state of a button")
    if len(message) > MAX_MESSAGE_CHARS:
        return private(
            f"The message has {len(message):,} characters; expected at most "
            f"{MAX_MESSAGE_CHARS:,}. Shorten it."
        )
    try:
        searcher = current_searcher(language)
        for at in (number + further, 0):  # after the last one comes the first one again
            question = Question(message=message, limit=1, offset=at, language=language)
            gifs = answer(question, searcher)["gifs"]
            if gifs and gifs[0]["file"]:
                return Choice(message, at, gifs[0]["title"] or message, _image(request, gifs[0]))
    except QueryError as error:
        return private(str(error))
    except ProblemError as error:  # the library is still loading
        return private(error.detail)
    return private(translate(language, "slash_nothing"))


def _image(request: Request, gif: Mapping[str, Any]) -> str:
    if gif["is_web"]:
        return str(gif["file"])
    if gif["file"].endswith(CHAT_IMAGES):
        return f"{root_of(request)}/{gif['file']}"
    return f"{root_of(request)}{rendition_url(gif['id'], RENDITION_WIDTH, 'gif')}"


def _deliver(deliver: Deliver, address: str, message: Mapping[str, Any]) -> None:
    try:
        deliver(address, message)
    except (OSError, ValueError) as error:
        _log.warning("The chat did not take a message: %s", error)
        detail = "The chat did not take the message at the address that it gave. Try again."
        raise ProblemError(HTTPStatus.BAD_GATEWAY, detail, "chat") from error


def _configured(secret: str) -> str:
    if not secret:
        detail = "This chat is not configured here. docs/api.md says how."
        raise ProblemError(HTTPStatus.NOT_FOUND, detail)
    return secret


def _form(body: bytes) -> Parts:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise _malformed("form") from error


def _object(text: str | bytes) -> Mapping[str, Any]:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _malformed("JSON")
    return content


def _malformed(what: str) -> ProblemError:
    detail = f"The request has no {what} as the chat sends it."
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _not_signed(what: str) -> ProblemError:
    detail = f"The request does not carry {what}; expected one that is right and recent."
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, "signature")

"""The messages of the slash command, in the JSON of Slack and of Mattermost.

Slack: Block Kit (docs.slack.dev/reference/block-kit). Mattermost: message attachments with actions
(developers.mattermost.com/integrate/plugins/interactive-messages).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retrieval.web import translate

ALT_CHARS = 300
Action = Literal["send", "another", "cancel"]
ACTIONS: tuple[Action, ...] = ("send", "another", "cancel")
PRIVATE, PUBLIC = "ephemeral", "in_channel"  # who sees a message; both services say it so


@dataclass(frozen=True)
class Choice:
    """A GIF that is offered, and what is needed to offer another one or to send it."""

    message: str
    number: int  # of the results, from 0
    title: str
    image: str  # absolute address

    @property
    def state(self) -> dict[str, Any]:
        """What comes back with a click."""
        return {"q": self.message, "n": self.number}


def slack_choice(choice: Choice, language: str) -> dict[str, Any]:
    """The GIF with its buttons, for the one who asked."""
    state = json.dumps(choice.state, ensure_ascii=False)
    buttons: list[dict[str, Any]] = [
        {
            "type": "button",
            "action_id": action,
            "text": {"type": "plain_text", "text": translate(language, f"slash_{action}")},
            "value": state,
        }
        for action in ACTIONS
    ]
    buttons[0]["style"] = "primary"
    return {
        "response_type": PRIVATE,
        "text": choice.title,  # for notifications
        "blocks": [_slack_image(choice), {"type": "actions", "elements": buttons}],
    }


def slack_sent(choice: Choice, user_id: str) -> dict[str, Any]:
    """The GIF for everybody, with who sent it."""
    who = {"type": "mrkdwn", "text": f"<@{user_id}>"}
    blocks = [{"type": "context", "elements": [who]}] if user_id else []
    return {
        "response_type": PUBLIC,
        "replace_original": False,
        "text": choice.title,
        "blocks": [*blocks, _slack_image(choice)],
    }


def _slack_image(choice: Choice) -> dict[str, Any]:
    return {"type": "image", "image_url": choice.image, "alt_text": choice.title[:ALT_CHARS]}


def mattermost_choice(
    choice: Choice, language: str, click_url: str, contexts: Mapping[Action, Mapping[str, Any]]
) -> dict[str, Any]:
    """The GIF with its buttons, for the one who asked; a click sends its context to `click_url`."""
    actions = [
        {
            "id": action,  # letters and digits only
            "type": "button",
            "name": translate(language, f"slash_{action}"),
            "style": "primary" if action == "send" else "default",
            "integration": {"url": click_url, "context": contexts[action]},
        }
        for action in ACTIONS
    ]
    attachment = {"fallback": choice.title, "image_url": choice.image, "actions": actions}
    return {"response_type": PRIVATE, "text": "", "attachments": [attachment]}


def mattermost_sent(choice: Choice) -> dict[str, Any]:
    """The GIF for everybody, in the name of who asked."""
    attachment = {"fallback": choice.title, "image_url": choice.image}
    return {"response_type": PUBLIC, "text": "", "attachments": [attachment]}


def mattermost_update(message: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a click that puts a message in the place of the one that was clicked."""
    attachments = message.get("attachments", [])
    return {"update": {"message": message["text"], "props": {"attachments": attachments}}}


def private(text: str) -> dict[str, Any]:
    """A sentence for the one who asked; both services take it."""
    return {"response_type": PRIVATE, "text": text}

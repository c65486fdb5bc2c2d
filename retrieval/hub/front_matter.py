"""Read and write the YAML front matter of cards, as huggingface_hub does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrieval.errors import HubError


def front_matter(values: Mapping[str, Any]) -> str:
    """Format the values as the YAML block at the start of a card; None values are left out."""
    from huggingface_hub import CardData

    return f"---\n{CardData(**values).to_yaml()}\n---\n"


def split_front_matter(card: str) -> tuple[dict[str, Any], str]:
    """Split a card into its front matter, empty if it has none, and its Markdown.

    HubError if the front matter is not valid.
    """
    import yaml
    from huggingface_hub import RepoCard

    if not card.startswith("---"):
        return {}, card
    try:
        parsed = RepoCard(card, ignore_metadata_errors=True)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise HubError(
            f"The front matter of the card is not valid YAML ({reason}). Correct it, or remove "
            f"the lines from the first --- to the second."
        ) from error
    values: dict[str, Any] = parsed.data.to_dict()  # type: ignore[no-untyped-call, unused-ignore]
    return values, parsed.text

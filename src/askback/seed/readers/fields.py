"""Fields of a seed row that change the meaning of its pair in any format: they are respected, or the row is refused."""

import re
from collections.abc import Mapping
from typing import Any

from askback.inputs.json_values import as_text, filled
from askback.records import Rejection, fail, record_id, reject

STAGE = "pairs"

ATTACHED = ("image", "images", "image_url", "audio", "audios", "video", "videos", "attachment", "attachments")
EARLIER = ("history", "chat_history", "conversation_history", "previous_turns")
SYSTEM = ("system", "system_prompt", "system_message")
_ASSISTANT = re.compile(
    r"you are (?:an? |the )?(?:(?:helpful|friendly|polite|honest|harmless|respectful|kind|useful|smart|ai|virtual|digital"
    r"|general|large|language|chat|and|very)[, ]+)*(?:assistant|chatbot|chat bot|ai|model|bot)[.! ]*",
    re.IGNORECASE,
)
"""A system text that says only that there is an assistant."""


def broken(where: str, why: str) -> Rejection:
    """Return the rejection of a row that cannot be used."""
    return fail(record_id(where), STAGE, "broken", why, uri=where)


def refused(where: str, rule: str, why: str, text: str = "", number: int = 0) -> Rejection:
    """Return the rejection of an answer that is not used; `number` counts the later answers of one row."""
    return reject(record_id(where, str(number)) if number else record_id(where), STAGE, rule, why, uri=where, text=text)


def instructed(system: str, instruction: str) -> str:
    """Return an instruction with the system text before it, unless that says only that there is an assistant."""
    system = system.strip()
    return f"{system}\n\n{instruction}" if system and not _ASSISTANT.fullmatch(system) else instruction


def system_of(row: Mapping[str, Any]) -> str:
    """Return the system text in a field of its own."""
    return next((as_text(row[name]) for name in SYSTEM if filled(row.get(name))), "")


def unusable(where: str, row: Mapping[str, Any]) -> Rejection | None:
    """Return the rejection of a row's first answer where it refers to an attachment or to earlier turns, else None."""
    attached = next((name for name in ATTACHED if filled(row.get(name))), None)
    if attached:
        return refused(
            where, "attachment", f"the row has something under '{attached}', which a pair of texts would lose"
        )
    earlier = next((name for name in EARLIER if filled(row.get(name))), None)
    if earlier:
        return refused(where, "not-first-turn", f"earlier turns under '{earlier}'")
    return None

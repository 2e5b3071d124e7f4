"""The prompt of a model."""

from dataclasses import dataclass

from askback.records import Message


@dataclass(frozen=True, slots=True)
class Prompt:
    """The turns of a conversation, the last one a user's, and the given beginning of the answer.

    An engine renders it only through `askback.prompts.render`, or sends it as chat messages.
    """

    turns: tuple[Message, ...]
    answer_start: str = ""

    @property
    def user(self) -> str:
        """The last turn, which the model answers."""
        return self.turns[-1].content

    @property
    def text(self) -> str:
        """All turns, the earlier ones with their roles."""
        earlier = [f"{turn.role}: {turn.content}\n\n" for turn in self.turns[:-1]]
        return "".join([*earlier, self.user])


def ask(user: str, answer_start: str = "") -> Prompt:
    """Return a prompt of one turn."""
    return Prompt((Message("user", user),), answer_start)

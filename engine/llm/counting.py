"""About how many tokens a text takes, before anybody has counted them. Pure."""

from engine.llm.messages import ChatRequest, File, Image, Part, Reasoning, Text

CHARACTERS_PER_TOKEN = 3.6  # of a text that was written, on average
PICTURE_TOKENS = 1000
FILE_TOKENS = 3000


def tokens_in(text: str) -> int:
    """A guess on the safe side: three bytes of UTF-8 a token."""
    return (len(text) + 2) // 3 if text.isascii() else (len(text.encode("utf-8", "replace")) + 2) // 3


def prompt_tokens(request: ChatRequest) -> int:
    """The tokens of a prompt by the same guess; a picture counts as a thousand, a file as three."""
    tokens = 0
    for message in request.messages:
        tokens += 8
        for part in message.parts:
            tokens += _tokens_of(part)
        for call in message.tool_calls:
            tokens += tokens_in(call.name + call.arguments) + 8
    for tool in request.tools:
        tokens += tokens_in(str(tool))
    return tokens


def _tokens_of(part: Part) -> int:
    match part:
        case Text(text) | Reasoning(text):
            return tokens_in(text)
        case Image():
            return PICTURE_TOKENS
        case File():
            return FILE_TOKENS

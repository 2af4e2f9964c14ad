"""The transcript of a chat: `Transcript` shows `Message`s, and draws no more of them than is seen."""

from app.widgets.transcript.message import Message
from app.widgets.transcript.widget import Transcript

__all__ = ["Message", "Transcript"]

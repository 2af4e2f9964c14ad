"""Every action of the workbench, once: what it is called, its keys, where it works.

This drives the bindings, the bar below, the palette, the help of each screen and `docs/reference/keys.md`. A screen, or
the app for EVERYWHERE, has a method `action_ID` for each of its actions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.binding import Binding, BindingType

EVERYWHERE = "everywhere"


@dataclass(frozen=True, slots=True)
class Action:
    """`keys` are Textual's names, parted by commas; the first one is shown. `rank` orders the bar below, 1 first; 0
    keeps it out of there. `place` is a screen's id, or EVERYWHERE."""

    id: str
    place: str
    keys: str
    title: str
    help: str
    rank: int = 0

    @property
    def key(self) -> str:
        """The first key as people write it."""
        return shown_key(self.keys.split(",")[0]) if self.keys else ""


ACTIONS: Sequence[Action] = (
    Action("help", EVERYWHERE, "f1", "Help", "What the keys of this screen do", 90),
    Action("command_palette", EVERYWHERE, "ctrl+p", "Commands", "All actions, by name", 91),
    Action("jump", EVERYWHERE, "ctrl+o", "Jump", "Show a letter on everything that takes keys, and go there", 92),
    Action("go_chat", EVERYWHERE, "1,f2", "Chat", "Go to the conversations"),
    Action("go_models", EVERYWHERE, "2,f3", "Models", "Go to the models and their providers"),
    Action("go_workflows", EVERYWHERE, "3,f4", "Workflows", "Go to the workflows and their tokens"),
    Action("go_server", EVERYWHERE, "4,f5", "Server", "Go to the server: addresses, requests, snippets"),
    Action("go_doctor", EVERYWHERE, "5,f6", "Doctor", "Go to the doctor: what was found, what is missing"),
    Action("mend", EVERYWHERE, "f8", "Mend", "Do what an error proposes: take other ports, another model, try again"),
    Action("copy_openai", EVERYWHERE, "", "OpenAI address", "Copy the base address for OpenAI clients"),
    Action("copy_graphql", EVERYWHERE, "", "GraphQL address", "Copy the address of the GraphQL API"),
    Action("next_theme", EVERYWHERE, "", "Next theme", "Try the next of the workbench's own themes"),
    Action("quit", EVERYWHERE, "ctrl+q,q", "Quit", "Close the workbench and end what it started", 93),
    #
    Action("send", "chat", "", "Send", "Enter sends the question; ctrl+j starts a new line"),
    Action("back", "chat", "escape", "Stop, back", "Stop the answer; else leave the question, or go back to it", 1),
    Action("ask", "chat", "i,slash", "Ask", "Go to the question", 2),
    Action("new_chat", "chat", "ctrl+n,n", "New", "Start a new conversation", 3),
    Action("pick_model", "chat", "ctrl+t,m", "Model", "Choose the model of this conversation", 4),
    Action("again", "chat", "ctrl+r,r", "Again", "Send the last question again", 5),
    Action("chats", "chat", "ctrl+l,c", "Chats", "Go to the list of conversations", 6),
    Action("find", "chat", "ctrl+f", "Find", "Find in this conversation; n and N go through what was found", 7),
    Action("copy", "chat", "y", "Copy", "Copy what is selected, the chosen code, or the message that is seen", 8),
    Action("go_on", "chat", "o", "Go on", "Let an answer that was stopped go on"),
    Action("export", "chat", "e", "Export", "Write this conversation into a Markdown file"),
    Action("delete_chat", "chat", "d", "Delete", "Delete the chosen conversation, after asking"),
    Action("why", "chat", "w", "Why", "Show or hide why this model was taken", 7),
    #
    Action("use_model", "models", "enter", "Chat with it", "Start a conversation with the chosen model", 1),
    Action("refresh", "models", "r", "Look again", "Ask all providers for their models again", 2),
    Action("add_key", "models", "a", "Add key", "Keep an API key for a provider", 3),
    Action("pull", "models", "p", "Pull", "Fetch a model onto this machine", 4),
    Action("stop_pull", "models", "s", "Stop", "Stop fetching; the same again goes on where it was"),
    Action("delete_model", "models", "d", "Delete", "Remove the chosen model from this machine, after asking", 5),
    #
    Action("new_token", "workflows", "n", "New token", "Start a token in the chosen workflow", 1),
    Action("fire", "workflows", "f", "Fire", "Choose a transition of the token and fire it", 2),
    Action("verify", "workflows", "v", "Verify", "Show what the analysis found; a finding can be played", 3),
    Action("what_if", "workflows", "w", "What if", "Fire on a copy of the token: nothing is stored", 4),
    Action("step_back", "workflows", "left,h", "Back", "One step back: in a run, or in the history of the token", 5),
    Action("step_on", "workflows", "right,l", "On", "One step on", 6),
    Action("play", "workflows", "space", "Play", "Play the run or the history; again pauses", 7),
    Action("leave", "workflows", "end,escape", "Now", "Leave the past, a run or a what-if: back to what is now"),
    Action("ask", "workflows", "a", "Ask", "Ask about all runs: can shipped be reached without paid", 8),
    Action("roll_back", "workflows", "b", "Roll back", "Bring the token back to the version that is looked at"),
    Action("undo", "workflows", "u", "Undo", "Roll the token back to the version before"),
    Action("commit", "workflows", "c", "For real", "Fire the steps of a what-if for real, one after the other"),
    Action("next_token", "workflows", "t", "Next token", "Go to the next token", 9),
    Action("previous_token", "workflows", "T", "Token before", "Go to the token before"),
    Action("fork", "workflows", "F", "Fork", "Start a new token where this one is, with its data"),
    Action("cancel", "workflows", "x", "Cancel", "Take the token out of its workflow; its history stays"),
    Action("next_element", "workflows", "period", "Next part", "Choose the next place or transition of the picture"),
    Action("previous_element", "workflows", "comma", "Part before", "Choose the part before"),
    Action("copy_picture", "workflows", "y", "Copy", "Copy the picture as text", 10),
    #
    Action("toggle_server", "server", "s", "On / off", "Start or stop the server", 1),
    Action("free_ports", "server", "p", "Other ports", "Start it on free ports", 2),
    Action("next_snippet", "server", "n", "Next client", "Show how another client is set up", 3),
    Action("copy_snippet", "server", "y", "Copy", "Copy the snippet", 4),
    #
    Action("check_again", "doctor", "r", "Look again", "Look at everything again", 1),
    Action("copy_fix", "doctor", "y", "Copy fix", "Copy what would mend the chosen line", 2),
    Action("doctor_key", "doctor", "a", "Add key", "Keep an API key for a provider", 3),
)


def actions_of(place: str) -> Iterator[Action]:
    return (action for action in ACTIONS if action.place == place)


def bindings_of(place: str) -> list[BindingType]:
    """The bindings of a place. Their ids are what a keymap in the settings names.

    A key that types nothing works wherever the focus is, even where a text would take it for itself.
    """
    found: list[BindingType] = []
    for action in actions_of(place):
        for key in action.keys.split(",") if action.keys else ():
            first = not types(key) and key not in ("escape", "enter")  # those two belong to what has the focus first
            id = f"{place}.{action.id}.{key}"
            found.append(Binding(key, action.id, action.title, show=False, id=id, tooltip=action.help, priority=first))
    return found


def types(key: str) -> bool:
    """Whether a key would be typed into a text."""
    return not (key.startswith("ctrl+") or key in ("escape", "enter") or (key[:1] == "f" and key[1:].isdecimal()))


_SHOWN = {
    "escape": "esc",
    "enter": "⏎",
    "slash": "/",
    "period": ".",
    "comma": ",",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "left_square_bracket": "[",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
}


def shown_key(key: str) -> str:
    """A key as people write it: `ctrl+p` is `^p`, `f1` is `F1`."""
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    if key[:1] == "f" and key[1:].isdecimal():
        return key.upper()
    return _SHOWN.get(key, key)


def shown_keys(action: Action) -> str:
    """All keys of an action, as people write them."""
    return " ".join(shown_key(key) for key in action.keys.split(",")) if action.keys else "palette"

"""Chat: conversations, what was said, and why that model."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option
from textual.worker import Worker

from app.actions import bindings_of
from app.bridge import EngineFailed, described, is_one_of
from app.screens.dialogs import Choice, Pick, Sure
from app.screens.place import Place
from app.widgets.frame import Fault
from app.widgets.prompt import Prompt
from app.widgets.transcript import Message, Transcript
from engine.kernel.caller import WORKBENCH

if TYPE_CHECKING:
    from engine.chats.model import Conversation, Turn
    from engine.chats.service import Begun
    from engine.doctor import Check
    from engine.llm.model import Model
    from engine.llm.routing import Decision

_SIGNS = {"ok": "●", "note": "○", "problem": "✗"}


class ChatScreen(Place):
    place = "chat"
    CSS_PATH = "chat.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("chat")

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="chat-body"):
            yield OptionList(id="chats")
            with Vertical(id="talk"):
                yield Static(id="talk-title")
                yield Transcript(id="transcript", empty="# Circuit Breaker\n\nLooking at what is there…")
                yield Prompt("Ask anything. Enter sends, ctrl+j starts a new line.", id="prompt")
                yield Static(id="meter")
            yield Static(id="why")
        # what is shown
        self._conversation: Conversation | None = None
        self._listed: Sequence[Conversation] = ()
        self._answering: Worker[None] | None = None

    # -- opening ------------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#chats").border_title = "Chats"
        self.query_one("#why").border_title = "Why this model"
        self.query_one(Prompt).focus()
        self._show_title()

    def opened(self) -> None:
        self.begin("open", self._open)

    async def _open(self) -> None:
        await self._start_fresh()
        await self._list_chats()
        await self._greet()

    def on_engine_failed(self, message: EngineFailed) -> None:
        super().on_engine_failed(message)
        self.query_one(Transcript).empty = "# Circuit Breaker\n\nIt could not be opened; see below."

    def happened(self, events: list[object]) -> None:
        if any(is_one_of(event, "CatalogChanged") for event in events):
            self.begin("greet", self._greet)
            self._show_meter()

    async def _start_fresh(self) -> None:
        self._conversation = await self.engine.chats.start(self.engine.settings.default_model)
        self.query_one(Transcript).clear()
        self._show_why(None)
        self._show_title()
        self._show_meter()

    async def _list_chats(self) -> None:
        self._listed = await self.engine.chats.all()
        chats = self.query_one("#chats", OptionList)
        chats.clear_options()
        chats.add_options(Option(Content(one.title), id=one.id) for one in self._listed)
        if not self._listed:
            chats.add_option(Option(Content.from_markup("[dim]none yet[/dim]"), disabled=True))
        current = self._conversation.id if self._conversation else ""
        chats.highlighted = next((n for n, one in enumerate(self._listed) if one.id == current), None)

    async def _greet(self) -> None:
        checks = await self.engine.doctor.quick()
        self.query_one(Transcript).empty = welcome(checks)

    # -- saying -------------------------------------------------------------------------------------------------------

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        if not self.is_open or self._answering:
            self.notify("One moment: " + ("an answer is coming, esc stops it." if self._answering else "opening…"))
            return
        self.query_one(Prompt).text = ""
        self._say(event.text)

    def _say(self, text: str) -> None:
        self.query_one(Fault).close()
        transcript = self.query_one(Transcript)
        transcript.add(Message(role="user", text=text))
        transcript.add(Message(role="assistant", title="…", meta="choosing a model"))
        self._answering = self.begin("answer", self._answer, text)

    async def _answer(self, text: str) -> None:
        assert self._conversation is not None
        conversation, transcript = self._conversation, self.query_one(Transcript)
        try:
            async with aclosing(self.engine.chats.say(conversation, text, WORKBENCH)) as progress:
                async for step in progress:
                    if is_one_of(step, "Begun"):
                        self._begun(step)  # type: ignore[arg-type]
                    elif is_one_of(step, "Piece"):
                        transcript.extend(step.text, step.thinking)  # type: ignore[union-attr]
        except asyncio.CancelledError:
            pass  # stopped; what came is stored
        except Exception as error:
            self._failed(error)
        finally:
            self._answering = None
        await self._show_end(conversation)

    def _begun(self, begun: "Begun") -> None:
        answer = begun.answer
        self.query_one(Transcript).replace_last(Message(role="assistant", title=answer.model.id, meta="answering"))
        self._show_why(answer.decision)

    def _failed(self, error: Exception) -> None:
        transcript = self.query_one(Transcript)
        said = transcript.messages[-1]
        message = Message.error(*described(error), title="no answer" if not said.text else "broken off")
        if said.text or said.thinking:
            transcript.add(message)
        else:
            transcript.replace_last(message)

    async def _show_end(self, conversation: "Conversation") -> None:
        """Show what is stored of the answer, and the conversation under its title."""
        turns = await self.engine.chats.turns(conversation.id)
        transcript = self.query_one(Transcript)
        if turns and turns[-1].role == "assistant" and not turns[-1].error:
            if transcript.messages and transcript.messages[-1].role == "assistant":
                transcript.flush()
                transcript.replace_last(message_of(turns[-1]))
        elif transcript.messages and transcript.messages[-1].meta == "choosing a model":
            transcript.replace_last(Message(role="assistant", title="no answer", meta="stopped before the first word"))
        await self._list_chats()
        found = next((one for one in self._listed if one.id == conversation.id), None)
        if found and self._conversation and self._conversation.id == found.id:
            self._conversation = found
        self._show_title()
        self._show_meter()

    # -- actions ------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        if self._answering:
            self._answering.cancel()
        elif self.query_one(Fault).close():
            self.query_one(Prompt).focus()
        elif isinstance(self.focused, Prompt):
            self.query_one(Transcript).focus()
        else:
            self.query_one(Prompt).focus()

    def action_send(self) -> None:
        text = self.query_one(Prompt).text
        if text.strip():
            self.query_one(Prompt).post_message(Prompt.Sent(text))
        else:
            self.notify("There is no question yet.")

    def action_ask(self) -> None:
        self.query_one(Prompt).focus()

    async def action_new_chat(self) -> None:
        if not self._busy():
            await self._start_fresh()
            await self._list_chats()
            self.query_one(Prompt).focus()

    def action_again(self) -> None:
        questions = [message.text for message in self.query_one(Transcript).messages if message.role == "user"]
        if not questions:
            self.notify("There is no question yet.")
        elif not self._busy():
            self._say(questions[-1])

    def action_chats(self) -> None:
        chats = self.query_one("#chats", OptionList)
        if self._listed and chats.display and chats.size.width:
            chats.focus()
        elif self._listed:
            choices = [Choice(one.id, one.title, one.updated_at.strftime("%Y-%m-%d %H:%M")) for one in self._listed]
            self.app.push_screen(Pick("Chats", choices), self._chosen_chat)
        else:
            self.notify("There are no conversations yet.")

    def _chosen_chat(self, id: str | None) -> None:
        if id is not None:
            self.begin("open", self._show_chat, id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._chosen_chat(event.option.id)

    async def _show_chat(self, id: str) -> None:
        if self._busy():
            return
        self._conversation = next(one for one in self._listed if one.id == id)
        turns = await self.engine.chats.turns(id)
        self.query_one(Transcript).load(message_of(turn) for turn in turns)
        self._show_title()
        self._show_meter()
        self.query_one(Prompt).focus()

    def action_delete_chat(self) -> None:
        chats = self.query_one("#chats", OptionList)
        id = chats.get_option_at_index(chats.highlighted).id if chats.highlighted is not None else None
        chosen = next((one for one in self._listed if one.id == id), None)
        if chosen is None:
            self.notify("Choose a conversation first: c.")
        elif not self._busy():

            def sure(yes: bool | None) -> None:
                if yes:
                    self.begin("open", self._delete, chosen.id)

            self.app.push_screen(Sure(f"Delete “{chosen.title}”?", "It cannot be brought back."), sure)

    async def _delete(self, id: str) -> None:
        await self.engine.chats.delete(id)
        if self._conversation and self._conversation.id == id:
            await self._start_fresh()
        await self._list_chats()

    def action_why(self) -> None:
        self.query_one("#why").toggle_class("wanted")
        self.query_one("#why").toggle_class("unwanted")

    def action_pick_model(self) -> None:
        if self.is_open and self._conversation:
            self.app.push_screen(Pick("Model of this conversation", self._model_choices()), self._chosen_model)

    def use_model(self, name: str) -> None:
        """Send the next question to this model."""
        self._chosen_model(name)

    def _chosen_model(self, name: str | None) -> None:
        if name is not None:
            self.begin("model", self._choose_model, name)

    async def _choose_model(self, name: str) -> None:
        if self._conversation:
            self._conversation = await self.engine.chats.choose_model(self._conversation, name)
            self._show_title()
            self._show_meter()

    def _model_choices(self) -> list[Choice]:
        from engine.llm.routing import ABOUT  # loaded with the engine, which is open here

        models = [model for model in self.engine.llm.catalog.models if "chat" in model.abilities]
        virtual = [Choice(name, name, about) for name, about in ABOUT.items()]
        return virtual + [Choice(model.id, model.name, about_model(model)) for model in models]

    def _busy(self) -> bool:
        if self._answering:
            self.notify("An answer is coming; esc stops it.")
        return self._answering is not None

    # -- showing ------------------------------------------------------------------------------------------------------

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        self._show_meter()

    def _show_title(self) -> None:
        conversation = self._conversation
        title = (conversation.title if conversation else "") or "New chat"
        model = conversation.model if conversation else "auto"
        line = Content.from_markup("[b]$title[/b]  [dim]→ $model[/dim]", title=title, model=model)
        self.query_one("#talk-title", Static).update(line)

    def _show_meter(self) -> None:
        """What the next question goes to, how full its context is, and what would be left out."""
        if not self.is_open or self._conversation is None:
            return
        transcript, prompt = self.query_one(Transcript), self.query_one(Prompt)
        said = sum(len(message.text) for message in transcript.messages) + len(prompt.text)
        line = self.engine.chats.outlook(self._conversation.model, said)
        self.query_one("#meter", Static).update(Content.from_markup("[dim]$line[/dim]", line=line))

    def _show_why(self, decision: "Decision | None") -> None:
        self.query_one("#why", Static).update(why(decision))

    def on_transcript_copied(self, event: Transcript.Copied) -> None:
        self.app.copy_to_clipboard(event.text)
        self.notify(f"Copied {event.what}.")


def welcome(checks: "Sequence[Check]") -> str:
    """What is shown before the first question, as Markdown."""
    lines = []
    for check in checks:
        if check.id in ("ollama", "embedded", "keys") or check.state == "problem":
            fix = f"  \n→ {check.fix}" if check.fix and check.state != "ok" else ""
            lines += [f"{_SIGNS[check.state]} **{check.title}** {check.says}{fix}", ""]
    return "\n".join(
        [
            *("# Circuit Breaker", "", *lines),
            "Ask below. `F1` says what the keys do, `^p` lists all commands, `F4` shows the workflows.",
        ]
    )


def message_of(turn: "Turn") -> Message:
    if turn.role == "user":
        return Message(role="user", text=turn.text)
    return Message(role="assistant", title=turn.model, text=turn.text, thinking=turn.thinking, meta=measures(turn))


def measures(turn: "Turn") -> str:
    """The small line below an answer."""
    generating = turn.duration_s - turn.ttft_s
    parts = ["stopped"] if turn.stopped else []
    parts.append(f"{turn.output_tokens} tok")
    if turn.ttft_s:
        parts.append(f"TTFT {turn.ttft_s:.1f} s")
    if generating > 0.05 and turn.output_tokens > 1:
        parts.append(f"{turn.output_tokens / generating:.0f} tok/s")
    parts.append("$?" if not turn.cost_usd else "$0" if float(turn.cost_usd) == 0 else f"${float(turn.cost_usd):.4f}")
    if turn.left_out:
        parts.append(f"{turn.left_out} earlier left out")
    return " · ".join(parts)


def about_model(model: "Model") -> str:
    parts = [model.provider, *(sorted(model.abilities - {"chat"}))]
    if model.context:
        parts.append(f"{model.context // 1024}k context")
    if model.loaded:
        parts.append("loaded")
    if model.tiny:
        parts.append("tiny demonstration model")
    return " · ".join(parts)


def why(decision: "Decision | None") -> Content:
    """The candidates with what speaks for each, and the others with what stood against them."""
    if decision is None:
        return Content.from_markup("[dim]Shown with the next answer.[/dim]")
    lines = [Content.from_markup("[dim]$asked · $policy[/dim]\n", asked=decision.asked, policy=decision.policy)]
    for number, one in enumerate(decision.ranked[:6], 1):
        name = Content.from_markup(
            f"{'[b]' if number == 1 else ''}{number} $name  [dim]{one.score:.2f}[/dim]{'[/b]' if number == 1 else ''}",
            name=one.model.name,
        )
        lines += [name, *(Content.from_markup("[dim]  $reason[/dim]", reason=reason) for reason in one.reasons)]
    for no in decision.rejected[:8]:
        lines.append(Content.from_markup("✗ $name\n[dim]  $reason[/dim]", name=no.model.name, reason=no.reason))
    return Content("\n").join(lines)

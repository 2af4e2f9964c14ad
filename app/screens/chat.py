"""Chat: conversations, what was said, and why that model."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
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
from app.clipboard import shown_path
from app.screens.chat_words import about_model, exported, message_of, welcome, why
from app.screens.dialogs import Choice, Pick, Sure
from app.screens.place import Place, Remedy
from app.widgets.frame import Fault
from app.widgets.prompt import MOST, Prompt
from app.widgets.transcript import Message, Transcript
from engine.kernel.caller import WORKBENCH
from engine.kernel.errors import TooLarge

if TYPE_CHECKING:
    from app.widgets.find_bar import FindBar
    from engine.chats.model import Conversation
    from engine.chats.service import Begun
    from engine.llm.routing import Decision

_OTHER_MODEL = Remedy("screen.pick_model", "chooses another model")


class ChatScreen(Place):
    place = "chat"
    CSS_PATH = "chat.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("chat")
    REMEDIES: ClassVar[Mapping[str, Remedy]] = {
        **Place.REMEDIES,
        "NotFound": _OTHER_MODEL,
        "NoModelFits": _OTHER_MODEL,
        "ProviderError": _OTHER_MODEL,
        "ProviderAuth": Remedy("app.go_models", "goes to the keys"),
    }

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="chat-body"):
            yield OptionList(id="chats")
            with Vertical(id="talk"):
                yield Static(id="talk-title")
                yield Transcript(id="transcript")  # empty: Markdown would have to be loaded before the first paint
                yield Prompt("Ask anything. Enter sends, ctrl+j starts a new line.", id="prompt")
                yield Static("[dim]looking at what is there…[/dim]", id="meter")
            yield Static(id="why")
        # what is shown
        self._conversation: Conversation | None = None
        self._listed: Sequence[Conversation] = ()
        self._answering: Worker[None] | None = None
        self._stopped = False  # the last answer was, and can go on
        self._said = 0  # characters

    # -- opening ------------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
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
        self.query_one("#meter", Static).update("[dim]not open[/dim]")

    def happened(self, events: list[object]) -> None:
        if any(is_one_of(event, "CatalogChanged") for event in events):
            self.catch_up()

    def catch_up(self) -> None:
        self.begin("greet", self._greet)
        self._show_meter()

    def server_changed(self) -> None:
        if self._bridge.server.error and self.is_current:
            self.fault(self._bridge.server.error)

    async def _start_fresh(self) -> None:
        self._conversation = await self.engine.chats.start(self.engine.settings.default_model)
        self.query_one(Transcript).clear()
        self._stopped = False
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
        if not event.text.strip():
            self.notify("There is no question yet.")
        elif not self._busy():
            self.query_one(Prompt).text = ""
            self._say(event.text)

    def on_prompt_too_long(self, event: Prompt.TooLong) -> None:
        self.fault(
            TooLarge(
                f"That is too long for a question: {event.characters:,} characters.",
                why=f"The question takes up to {MOST:,}. Nothing of it was taken.",
                fix="Paste the part that matters.",
            )
        )

    def _say(self, text: str) -> None:
        self.query_one(Fault).close()
        transcript = self.query_one(Transcript)
        transcript.action_last()
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
        what, why, fix = described(error)
        self.remedy = self.remedy_of(error)
        if self.remedy:
            fix = f"{fix} F8 {self.remedy.does}.".strip()
        message = Message.error(what, why, fix, title="no answer" if not said.text else "broken off")
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
        self._stopped = bool(turns) and turns[-1].stopped
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
        prompt = self.query_one(Prompt)
        prompt.post_message(Prompt.Sent(prompt.text))

    def action_ask(self) -> None:
        self.query_one(Prompt).focus()

    def action_new_chat(self) -> None:
        if not self._busy():
            self.begin("open", self._new_chat)

    async def _new_chat(self) -> None:
        await self._start_fresh()
        await self._list_chats()
        self.query_one(Prompt).focus()

    def action_again(self) -> None:
        questions = [message.text for message in self.query_one(Transcript).messages if message.role == "user"]
        if not questions:
            self.notify("There is no question yet.")
        elif not self._busy():
            self._say(questions[-1])

    def action_go_on(self) -> None:
        if not self._stopped:
            self.notify("No answer was stopped.")
        elif not self._busy():
            self._say("Go on exactly where you stopped.")

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
        self._stopped = bool(turns) and turns[-1].stopped
        self._show_why(None)
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
        if not self.not_open():
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
        models = sorted(self.engine.llm.catalog.models, key=lambda model: "chat" not in model.abilities)
        virtual = [Choice(name, name, policy.about) for name, policy in self.engine.llm.policies.items()]
        return virtual + [
            Choice(model.id, model.name, about_model(model), off="chat" not in model.abilities) for model in models
        ]

    def _busy(self) -> bool:
        """Whether nothing can be sent or opened now; says why."""
        if self._answering:
            self.notify("An answer is coming; esc stops it.")
        return self._answering is not None or self.not_open()

    # -- finding, copying, exporting ----------------------------------------------------------------------------------

    def action_find(self) -> None:
        from app.widgets.find_bar import FindBar  # its Input would cost time before the first paint

        if not self.query(FindBar):
            self.query_one("#talk").mount(FindBar(), after="#transcript")

    def on_find_bar_changed(self, event: "FindBar.Changed") -> None:
        """Go to the first place from what is seen on."""
        transcript = self.query_one(Transcript)
        count = transcript.find(event.text)
        if count:
            transcript.next_match()
        event.bar.found(count)

    def on_find_bar_left(self, event: "FindBar.Left") -> None:
        transcript = self.query_one(Transcript)
        if not event.keep:
            transcript.find("")
        event.bar.remove()
        transcript.focus()

    def action_copy(self) -> None:
        if self.query_one(Transcript).messages:
            self.query_one(Transcript).action_copy()
        else:
            self.notify("There is nothing to copy yet.")

    def on_transcript_copied(self, event: Transcript.Copied) -> None:
        self.copy(event.text, event.what)

    def on_transcript_link_clicked(self, event: Transcript.LinkClicked) -> None:
        """A model wrote it: copied, for the user to look at, and never opened."""
        self.copy(event.url, f"the link {event.url}")

    def action_export(self) -> None:
        messages, folder = self.query_one(Transcript).messages, self._bridge.folder
        if not messages or self._conversation is None or folder is None:
            self.notify("There is nothing to export yet.")
            return
        title = self._conversation.title or "New chat"
        name = re.sub(r"[^\w .-]+", " ", title).strip(" .") or "chat"
        file = folder / "exports" / f"{name} {self._conversation.id[-6:]}.md"
        self.begin("export", self._export, file, exported(title, messages))

    async def _export(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(file.write_text, text, encoding="utf-8", errors="replace")
        self.notify(shown_path(file), title="Exported to")

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
        if self._answering is None:  # while an answer streams in, all of it would be put together each time
            self._said = sum(len(message.text) for message in self.query_one(Transcript).messages)
        line = self.engine.chats.outlook(self._conversation.model, self._said + len(self.query_one(Prompt).text))
        self.query_one("#meter", Static).update(Content.from_markup("[dim]$line[/dim]", line=line))

    def _show_why(self, decision: "Decision | None") -> None:
        self.query_one("#why", Static).update(why(decision))

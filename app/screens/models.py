"""Models: what is there, from whom, and what each can do."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from app.actions import bindings_of
from app.bridge import is_one_of
from app.screens.key_entry import enter_key
from app.screens.place import Place
from app.widgets.virtual_table import Column, Row, VirtualTable, listing

if TYPE_CHECKING:
    from engine.llm.model import Model, ProviderStatus

_STATES = {"up": "●", "down": "◐", "off": "○"}
_COLUMNS = (
    Column("name", "model"),
    Column("provider", "provider", 10),
    Column("state", "state", 8),
    Column("size", "size", 8, right=True),
    Column("context", "context", 8, right=True),
    Column("abilities", "can", 28),
)


class ModelsScreen(Place):
    place = "models"
    CSS_PATH = "models.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("models")

    def body(self) -> Iterable[Widget]:
        with Vertical(id="models-body"):
            yield Static("Looking…", id="providers")
            yield VirtualTable(
                _COLUMNS,
                listing(self._rows),
                empty="No models yet. r looks again; F6 says what is missing.",
                id="models",
            )
            yield Static(id="model-facts")

    def on_mount(self) -> None:
        self.query_one("#providers").border_title = "Providers"
        self.query_one("#model-facts").border_title = "Chosen"
        self.query_one(VirtualTable).focus()

    def opened(self) -> None:
        self._show()

    def happened(self, events: list[object]) -> None:
        if any(is_one_of(event, "CatalogChanged") for event in events):
            self._show()

    def catch_up(self) -> None:
        self._show()

    def _show(self) -> None:
        statuses = self.engine.llm.catalog.providers.values()
        if statuses:
            self.query_one("#providers", Static).update(Content("\n").join(provider_line(one) for one in statuses))
        self.query_one(VirtualTable).reload()

    def _rows(self) -> list[Row]:
        return [_row(model) for model in self._models()]

    def _models(self) -> "list[Model]":
        """The models of all providers, also of those that were up and are down."""
        if not self.is_open:
            return []
        return [model for status in self.engine.llm.catalog.providers.values() for model in status.models]

    def on_virtual_table_highlighted(self, event: VirtualTable.Highlighted) -> None:
        found = next((model for model in self._models() if model.id == event.key), None)
        self.query_one("#model-facts", Static).update(facts(found) if found else "")

    async def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        await self.action_use_model()

    # -- actions ------------------------------------------------------------------------------------------------------

    async def action_use_model(self) -> None:
        chosen = next((model for model in self._models() if model.id == self.query_one(VirtualTable).cursor), None)
        if chosen is None:
            self.notify("Choose a model first.")
        elif "chat" not in chosen.abilities:
            self.notify(f"{chosen.name} does not chat: it can {', '.join(sorted(chosen.abilities))}.")
        else:
            await self.app.run_action(f"chat_with('{chosen.id}')")

    def action_refresh(self) -> None:
        if self.not_open():
            return
        for provider in self.engine.llm.catalog.providers:
            self.engine.llm.discovery.soon(provider)
        self.notify("Asking all providers again.")

    def action_add_key(self) -> None:
        if not self.not_open():
            self.begin("key", enter_key, self, self.engine)


def provider_line(status: "ProviderStatus") -> Content:
    where = "" if status.id == "embedded" else f"  {status.address}"
    if status.state == "up":
        says = f"{len(status.models)} models{where}" if len(status.models) != 1 else f"1 model{where}"
        fix = ""
    else:
        says, fix = status.why, f"\n    → {status.fix}" if status.fix else ""
    return Content.from_markup(
        "$sign [b]$title[/b]  $says[dim]$fix[/dim]", sign=_STATES[status.state], title=status.title, says=says, fix=fix
    )


def _row(model: "Model") -> Row:
    state = "tiny" if model.tiny else "loaded" if model.loaded else "local" if model.local else "cloud"
    size = f"{model.size_bytes / 1e9:.1f} GB" if model.size_bytes else ""
    context = f"{model.context:,}" if model.context else "?"
    return Row(model.id, (model.name, model.provider, state, size, context, " ".join(sorted(model.abilities))))


def facts(model: "Model") -> Content:
    """What is known of one model, in two lines."""
    price = "free" if model.price and not model.price.input else "price unknown" if model.price is None else ""
    if model.price and model.price.input:
        price = f"${model.price.input} / ${model.price.output} for a million tokens in / out"
    parts = [
        "stays on this machine" if model.local else "leaves this machine",
        price,
        f"{model.context:,} tokens of context" if model.context else "context unknown",
        *(f"{key.replace('_', ' ')} {value}" for key, value in model.details.items() if _is_a_fact(value)),
    ]
    note = "\nA tiny model to show the way: it follows instructions poorly." if model.tiny else ""
    return Content.from_markup(
        "[b]$id[/b]  $parts[dim]$note[/dim]", id=model.id, parts=" · ".join(part for part in parts if part), note=note
    )


def _is_a_fact(value: object) -> bool:
    return isinstance(value, str | int) and value != ""

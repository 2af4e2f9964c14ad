"""Models: what is there, from whom, what each can do and costs, whether it fits, and how fast it was."""

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from app.actions import bindings_of
from app.bridge import is_one_of
from app.progress import progress_line
from app.screens.dialogs import Ask, Sure
from app.screens.key_entry import enter_key
from app.screens.place import Place
from app.widgets.virtual_table import Column, Row, VirtualTable, listing

if TYPE_CHECKING:
    from engine.llm.fit import Fit
    from engine.llm.health import Speed
    from engine.llm.model import Model, Price, ProviderStatus

_STATES = {"up": "●", "down": "◐", "off": "○"}
_COLUMNS = (
    Column("name", "model"),
    Column("provider", "provider", 10),
    Column("state", "state", 8),
    Column("size", "size", 8, right=True),
    Column("context", "context", 8, right=True),
    Column("price", "in/out $", 10, right=True),
    Column("fits", "fits", 8),
    Column("speed", "tok/s", 5, right=True),
    Column("abilities", "can", 28),
)
_FITS = {"graphics": "graphics", "memory": "memory", "split": "in part", "no": "✗ no", "unknown": "?"}
_KEEPER = "ollama"


class ModelsScreen(Place):
    place = "models"
    CSS_PATH = "models.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("models")

    def body(self) -> Iterable[Widget]:
        self._fits: Mapping[str, Fit] = {}
        self._pulling = ""
        with Vertical(id="models-body"):
            yield Static("Looking…", id="providers")
            yield Static(id="pulling", markup=False)
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
        self.query_one("#pulling").border_title = "Fetching"
        self.query_one("#pulling").border_subtitle = "s stops it"
        self.query_one(VirtualTable).focus()

    def opened(self) -> None:
        self._show()

    def happened(self, events: list[object]) -> None:
        if any(is_one_of(event, "CatalogChanged", "RequestEnded") for event in events):
            self._show()

    def catch_up(self) -> None:
        self._show()

    def _show(self) -> None:
        statuses = self.engine.llm.catalog.providers.values()
        if statuses:
            self.query_one("#providers", Static).update(Content("\n").join(provider_line(one) for one in statuses))
        self.query_one(VirtualTable).reload()
        self.begin("fits", self._look)

    async def _look(self) -> None:
        """See what fits now."""
        self._fits = await self.engine.fits.all(self._models())
        self.query_one(VirtualTable).reload()
        self._show_facts()

    def _rows(self) -> list[Row]:
        return [_row(model, self._fits.get(model.id), self.engine.llm.health.speed(model)) for model in self._models()]

    def _models(self) -> "list[Model]":
        """The models of all providers, also of those that were up and are down."""
        if not self.is_open:
            return []
        return [model for status in self.engine.llm.catalog.providers.values() for model in status.models]

    def on_virtual_table_highlighted(self, event: VirtualTable.Highlighted) -> None:
        self._show_facts()

    def _chosen(self) -> "Model | None":
        return next((model for model in self._models() if model.id == self.query_one(VirtualTable).cursor), None)

    def _show_facts(self) -> None:
        found = self._chosen()
        text = facts(found, self._fits.get(found.id), self.engine.llm.health.speed(found)) if found else ""
        self.query_one("#model-facts", Static).update(text)

    async def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        await self.action_use_model()

    # -- actions ------------------------------------------------------------------------------------------------------

    async def action_use_model(self) -> None:
        chosen = self._chosen()
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

    def action_pull(self) -> None:
        if self.not_open():
            return
        if self._pulling:
            self.notify(f"{self._pulling} is being fetched: s stops it.")
            return

        def named(name: str | None) -> None:
            if name and name.strip():
                self.begin("pull", self._pull, name.strip())

        about = "By its name in Ollama's library. It may be several gigabytes."
        self.app.push_screen(Ask("Fetch a model", about, placeholder="qwen2.5-coder:3b"), named)

    async def _pull(self, name: str) -> None:
        line = self.query_one("#pulling", Static)
        self._pulling = name
        line.update(name)
        line.add_class("shown")
        try:
            async with aclosing(self.engine.llm.keeper(_KEEPER).pull(name)) as steps:
                async for step in steps:
                    line.update(f"{name}  {progress_line(step, 20)}")
            self.notify(f"{name} is there.", title="Fetched")
        finally:
            self._pulling = ""
            line.remove_class("shown")
            self.engine.llm.discovery.soon(_KEEPER)

    def action_stop_pull(self) -> None:
        if not self._pulling:
            self.notify("Nothing is being fetched.")
            return
        self.notify(f"The same again goes on where it was: p, {self._pulling}.", title="Stopped")
        self.workers.cancel_group(self, "pull")

    def action_delete_model(self) -> None:
        chosen = self._chosen()
        if self.not_open():
            return
        if chosen is None:
            self.notify("Choose a model first.")
            return
        try:
            self.engine.llm.keeper(chosen.provider)
        except Exception as error:
            self.fault(error)
            return

        def sure(yes: bool | None) -> None:
            if yes:
                self.begin("delete", self._delete, chosen)

        size = f"It frees {chosen.size_bytes / 1e9:.1f} GB. " if chosen.size_bytes else ""
        self.app.push_screen(Sure(f"Delete {chosen.name}?", f"{size}It can be fetched again."), sure)

    async def _delete(self, model: "Model") -> None:
        await self.engine.llm.keeper(model.provider).remove(model.name)
        self.engine.llm.discovery.soon(model.provider)
        self.notify(f"{model.name} is gone.", title="Deleted")


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


def _row(model: "Model", fit: "Fit | None", speed: "Speed") -> Row:
    state = "tiny" if model.tiny else "loaded" if model.loaded else "local" if model.local else "cloud"
    cells = (
        model.name,
        model.provider,
        state,
        f"{model.size_bytes / 1e9:.1f} GB" if model.size_bytes else "",
        f"{model.context:,}" if model.context else "?",
        _price(model.price),
        _FITS[fit.verdict] if fit else "",
        f"{speed.tokens_per_s:.0f}" if speed.tokens_per_s else "",
        " ".join(sorted(model.abilities)),
    )
    return Row(model.id, cells)


def _price(price: "Price | None") -> str:
    if price is None:
        return "?"
    return f"{price.input:f}/{price.output:f}" if price.input or price.output else "free"


def facts(model: "Model", fit: "Fit | None", speed: "Speed") -> Content:
    """What is known of one model, in a few lines."""
    price = {"?": "price unknown", "free": "free"}.get(_price(model.price), "")
    if not price and model.price:
        price = f"${model.price.input} / ${model.price.output} for a million tokens in / out"
    parts = [
        "stays on this machine" if model.local else "leaves this machine",
        price,
        f"{model.context:,} tokens of context" if model.context else "context unknown",
        f"can {', '.join(sorted(model.abilities))}",
        *(f"{key.replace('_', ' ')} {value}" for key, value in model.details.items() if _is_a_fact(value)),
        f"{speed.ttft_s:.2f} s to the first token here" if speed.ttft_s is not None else "",
        f"{speed.tokens_per_s:.0f} tokens a second here" if speed.tokens_per_s else "",
    ]
    notes = [fit.reasons[-1]] if fit and fit.verdict != "unknown" else []
    notes += ["A tiny model to show the way: it follows instructions poorly."] if model.tiny else []
    return Content.from_markup(
        "[b]$id[/b]  $parts[dim]$notes[/dim]",
        id=model.id,
        parts=" · ".join(part for part in parts if part),
        notes="".join(f"\n{note}" for note in notes),
    )


def _is_a_fact(value: object) -> bool:
    return isinstance(value, str | int) and value != ""

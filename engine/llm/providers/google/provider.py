"""Google's Gemini, by its own API with a key of AI Studio, and by Vertex AI, which has the same bodies elsewhere.

Wire format: "Gemini API reference", v1beta, and "Thought signatures" (ai.google.dev, read 2026-08). The key goes in a
header, never in the address: addresses end up in logs.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from engine.kernel.errors import ProviderRejected
from engine.kernel.world import World
from engine.llm.counting import tokens_in
from engine.llm.messages import ChatRequest, Chunk, EmbeddingRequest, Embeddings, Usage
from engine.llm.model import Model
from engine.llm.ports import KeptAt, KeySource, not_told
from engine.llm.providers.asking import Asking, answered
from engine.llm.providers.google.answers import completion
from engine.llm.providers.google.families import abilities_of
from engine.llm.providers.google.requests import content_body
from engine.llm.providers.repairs import Repairs
from engine.llm.providers.site import Site, in_header
from engine.llm.wire import REMOTE, Address, Deadlines

GOOGLE_URL = "https://generativelanguage.googleapis.com"
MOST_AT_ONCE = 100  # texts in one request for embeddings
_MODELS_S = 5.0
_MOST_PAGES = 10
_DROPPABLE = (
    "temperature", "topP", "topK", "stopSequences", "seed", "frequencyPenalty", "presencePenalty", "responseLogprobs",
    "logprobs", "thinkingConfig",
)  # fmt: skip
_WORDS = {"thinkingConfig": ("thinking_config", "thinking_level", "thinking_budget", "thinking level", "budget")}


class GoogleProvider:
    """`path` gives where a model is; a method of it comes after a colon."""

    def __init__(
        self, site: Site, world: World, *, path: Callable[[str], str] = lambda name: f"/v1beta/models/{name}"
    ) -> None:
        self.id, self.title, self.local = site.id, site.title, site.local
        self._site, self._world, self._path, self._wire = site, world, path, site.wire(world)
        self._repairs = Repairs(_DROPPABLE, _WORDS)
        self._unsigned: set[str] = set()  # models that were found to want a signature on every call

    @classmethod
    def google(
        cls,
        keys: KeySource,
        world: World,
        *,
        base_url: str = GOOGLE_URL,
        kept: KeptAt = not_told,
        deadlines: Deadlines = REMOTE,
    ) -> "GoogleProvider":
        """AI Studio. Raises InvalidConfig for a bad address."""
        site = Site(
            "google",
            "Google",
            google_address(base_url),
            keys,
            authorize=in_header("x-goog-api-key"),
            key_fix="Add one with `circuit-breaker keys set google`, or set GOOGLE_API_KEY.",
            kept=kept,
            deadlines=deadlines,
        )
        return cls(site, world)

    @property
    def address(self) -> str:
        return self._site.address.url

    def keys(self) -> Sequence[str]:
        return self._site.usable_keys()

    async def models(self) -> tuple[Model, ...]:
        """All pages of the list; models that neither chat nor embed texts are left out."""
        if self._site.given:
            return self._site.named(lambda name: abilities_of(name) or frozenset({"chat"}))
        found: dict[str, Model] = {}
        key, page = next(iter(self.keys()), ""), ""
        for _ in range(_MOST_PAGES):
            after = f"&pageToken={quote(page, safe='')}" if page else ""
            path = f"/v1beta/models?pageSize=1000{after}"
            answer = await self._wire.get_json(path, key=key, within_s=_MODELS_S)
            rows = answer.get("models") if isinstance(answer, Mapping) else None
            if not isinstance(rows, list):
                raise self._wire.broken("Its list of models is no list.")
            models = (self._model(row) for row in rows if isinstance(row, Mapping))
            found |= {model.name: model for model in models if model is not None}
            page = str(answer.get("nextPageToken") or "")
            if not page:
                break
        return tuple(found.values())

    def chat(self, request: ChatRequest, model: Model, key: str = "") -> AsyncGenerator[Chunk, None]:
        """See `Provider.chat`. A parameter that is refused is left out once, and remembered. Signatures that are not
        taken, as after a change of the model, are left out too; a model that misses them is told that there are none.
        """
        unsigned = False

        def ask() -> Asking:
            sentinel = unsigned or model.name in self._unsigned
            refused = self._repairs.of(model.name)
            body = content_body(request, model.name, refused, signed=not unsigned, sentinel=sentinel)
            return Asking(body.fields, self._chat(request, body.fields, model, key), body.notes)

        def learn(error: ProviderRejected, sent: Mapping[str, Any]) -> str | None:
            nonlocal unsigned
            said = str(error.details.get("upstream_message", "")).casefold().replace("_", " ")
            if "thought signature" not in said and "thoughtsignature" not in said:
                return self._repairs.learn(model.name, error, sent.get("generationConfig", {}))
            if "missing" in said and model.name not in self._unsigned:
                self._unsigned.add(model.name)
                return "calls without their signatures"
            if "missing" not in said and not unsigned:
                unsigned = True
                return "the signatures of calls"
            return None

        return answered(model.name, ask, learn)

    def _chat(
        self, request: ChatRequest, fields: Mapping[str, Any], model: Model, key: str
    ) -> AsyncGenerator[Chunk, None]:
        path = f"{self._path(_plain(model.name))}:streamGenerateContent?alt=sse"
        events = self._wire.events(path, fields, key=key, model=model.name)
        return completion(events, self._wire, request, model.name, self._world)

    async def embed(self, request: EmbeddingRequest, model: Model, key: str = "") -> Embeddings:
        """Vectors by batchEmbedContents, a hundred texts at a time. Google does not count their tokens."""
        vectors: list[tuple[float, ...]] = []
        for start in range(0, len(request.inputs), MOST_AT_ONCE):
            texts = request.inputs[start : start + MOST_AT_ONCE]
            rows = [self._text(text, request, model) for text in texts]
            path = f"{self._path(_plain(model.name))}:batchEmbedContents"
            answer = await self._wire.post_json(path, {"requests": rows}, key=key, model=model.name)
            found = [vector_in(one) for one in _rows(answer, "embeddings")]
            if len(found) != len(texts) or None in found:
                raise self._wire.broken("It did not give one vector for each text.", model=model.name)
            vectors += [one for one in found if one is not None]
        usage = Usage(input=sum(map(tokens_in, request.inputs)), counted=not request.inputs)
        return Embeddings(model.name, tuple(vectors), usage)

    async def close(self) -> None:
        await self._wire.close()

    def _text(self, text: str, request: EmbeddingRequest, model: Model) -> dict[str, Any]:
        row = {"model": f"models/{_plain(model.name)}", "content": {"parts": [{"text": text}]}}
        return row | ({"outputDimensionality": request.dimensions} if request.dimensions is not None else {})

    def _model(self, row: Mapping[str, Any]) -> Model | None:
        name = row.get("name")
        methods = row.get("supportedGenerationMethods")
        if not isinstance(name, str):
            return None
        abilities = abilities_of(name)
        needed = "embedContent" if abilities and "embedding" in abilities else "generateContent"
        if abilities is None or (isinstance(methods, list) and needed not in methods):
            return None
        if row.get("thinking") is False:
            abilities -= {"thinking"}
        context, most = (row.get(key) for key in ("inputTokenLimit", "outputTokenLimit"))
        title = row.get("displayName")
        found = Model(
            provider=self.id,
            name=_plain(name),
            abilities=abilities,
            context=context if isinstance(context, int) else 0,
            most_output=most if isinstance(most, int) else 0,
            details={"title": title} if isinstance(title, str) else {},
        )
        return self._site.model(found)


def google_address(text: str) -> Address:
    """Where the API is: what comes before `/v1beta/models`. Raises InvalidConfig."""
    given = text.strip().rstrip("/")
    return Address.parse(given.removesuffix("/v1beta").removesuffix("/v1"))


def vector_in(row: Any) -> tuple[float, ...] | None:
    values = row.get("values") if isinstance(row, Mapping) else None
    if not isinstance(values, list) or not values or not all(isinstance(one, int | float) for one in values):
        return None
    return tuple(map(float, values))


def _rows(answer: Any, name: str) -> list[Any]:
    rows = answer.get(name) if isinstance(answer, Mapping) else None
    return rows if isinstance(rows, list) else []


def _plain(name: str) -> str:
    return name.removeprefix("models/")

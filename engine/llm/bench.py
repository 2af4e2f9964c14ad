"""A short measured prompt, so that a model's speed on this machine is known before it is needed."""

from dataclasses import dataclass, replace

from engine.kernel.caller import Caller
from engine.kernel.errors import ProviderUnavailable
from engine.llm.health import Speed
from engine.llm.messages import ChatMessage, ChatRequest, Sampling
from engine.llm.service import Llm
from engine.store.ports import RequestRecord

PROMPT = "Count from one to sixty in words, separated by commas. Write nothing else."
TOKENS = 64


@dataclass(frozen=True, slots=True)
class Bench:
    """`load_s` is how long it took to be ready, None when it was in memory already or runs elsewhere. `speed` is the
    mean that is known of the model now."""

    record: RequestRecord
    load_s: float | None
    speed: Speed


async def bench(llm: Llm, model: str, caller: Caller, *, tokens: int = TOKENS) -> Bench:
    """Ask `model` and measure it; a local one that is not in memory is asked a word first, to load it. The requests are
    in the log as the app `bench`, and cost what they cost. Raises as `Llm.chat`."""
    caller = replace(caller, app="bench")
    request = ChatRequest(model, (ChatMessage.of("user", PROMPT),), Sampling(temperature=0.0, max_tokens=tokens))
    first = (await llm.explain(request)).ranked[0]
    load_s = None
    if first.model.local and not first.model.loaded:
        warming = replace(request, sampling=Sampling(temperature=0.0, max_tokens=1))
        load_s = (await _asked(llm, warming, caller)).ttft_s
    record = await _asked(llm, request, caller)
    return Bench(record, load_s, llm.health.speed(first.model))


async def _asked(llm: Llm, request: ChatRequest, caller: Caller) -> RequestRecord:
    answer = await llm.chat(request, caller)
    await answer.whole()
    if answer.record is None:
        raise ProviderUnavailable(f"{answer.model.id} gave no whole answer.", fix="Try again.")
    return answer.record

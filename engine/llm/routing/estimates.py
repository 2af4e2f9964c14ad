"""What an answer would cost and how long it would take. Pure; guesses until the model was used here."""

import math
import re

from engine.llm.messages import Usage
from engine.llm.model import Model
from engine.llm.prices import cost
from engine.llm.routing.model import Needs, Standing

REMOTE_TTFT_S, REMOTE_TOKENS_PER_S = 1.0, 60.0
LOCAL_TTFT_S = 0.5
LOAD_BYTES_PER_S = 1.5e9  # a model that is not in memory is read from the disk first


def cost_usd(needs: Needs, model: Model) -> float | None:
    """US dollars for the whole request; None when the price is unknown."""
    found = cost(Usage(input=needs.prompt_tokens, output=needs.output_tokens), model.price)
    return None if found is None else float(found)


def seconds(needs: Needs, model: Model, standing: Standing) -> float:
    """To the end of the answer: time to the first token, loading when it is not in memory, and writing."""
    speed = standing.speed
    first = speed.ttft_s if speed.ttft_s is not None else LOCAL_TTFT_S if model.local else REMOTE_TTFT_S
    rate = speed.tokens_per_s or (_local_rate(model) if model.local else REMOTE_TOKENS_PER_S)
    loading = model.size_bytes / LOAD_BYTES_PER_S if model.local and not model.loaded else 0.0
    return first + loading + needs.output_tokens / rate


def _local_rate(model: Model) -> float:
    """Tokens a second on a laptop, by size: a rule of thumb until it is measured."""
    billions = parameters(model)
    return 60.0 / max(1.0, billions) if billions else 10.0


def parameters(model: Model) -> float:
    """Billions of parameters, as the provider says (`3.1B`, `137M`), else as its name does; 0 when neither does."""
    told = str(model.details.get("parameter_size", "")).strip()
    match = re.fullmatch(r"([\d.]+)\s*([BM])", told, re.I) or (
        None if told else re.search(r"(?<![\w.])(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", model.name, re.I)
    )
    return float(match[1]) / (1 if match[2].upper() == "B" else 1000) if match else 0.0


def cheapness(dollars: float) -> float:
    """From 1 for free to 0 for a quarter of a dollar, on a scale of orders of magnitude."""
    return max(0.0, 1 - math.log1p(dollars / 0.0005) / math.log1p(0.25 / 0.0005))


def quickness(seconds_: float) -> float:
    return 1 / (1 + seconds_ / 8)

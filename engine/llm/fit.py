"""Does a local model fit the memory of this machine, with the arithmetic in words. Pure.

A model that runs needs its weights, the keys and values of what it attends to (the KV cache), and some room to compute:

    keys and values = 2 · layers · KV heads · head size · tokens of context · bytes of one number

The shape is what /api/show says (`model_info`, GGUF's names). Where it says nothing a rule of thumb stands in for it,
and the answer says so. It is an estimate: sliding windows, other caches and what runs beside it are not looked at.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from engine.kernel.machine import Machine
from engine.kernel.records import record
from engine.llm.model import Model
from engine.llm.routing.estimates import parameters

Verdict = Literal["graphics", "memory", "split", "no", "unknown"]
USUAL_CONTEXT = 4096
BYTES_OF_A_NUMBER = 2  # the cache is kept in 16 bits
ROOM = 0.10  # of weights and cache, to compute in
LEAST_ROOM = 300 * 2**20
USUAL_BITS = 4.8  # of a weight, as models are mostly quantised (Q4_K_M)
_BITS: Mapping[str, float] = {
    "F32": 32, "F16": 16, "BF16": 16, "Q8_0": 8.5, "Q6_K": 6.6, "Q5_K_M": 5.7, "Q5_K_S": 5.5, "Q5_0": 5.5, "Q5_1": 6.0,
    "Q4_K_M": 4.8, "Q4_K_S": 4.6, "Q4_0": 4.5, "Q4_1": 5.0, "MXFP4": 4.25, "Q3_K_M": 3.9, "Q2_K": 3.0,
}  # fmt: skip
"""Bits a weight takes in GGUF, with its scales (llama.cpp, examples/quantize)."""


@record
class Shape:
    """What the size of the KV cache depends on."""

    layers: int
    kv_heads: int
    head: int

    def cache(self, context: int) -> int:
        """Bytes of keys and values for so many tokens."""
        return 2 * self.layers * self.kv_heads * self.head * context * BYTES_OF_A_NUMBER


@record
class Fit:
    """Bytes that a model needs with `context` tokens. `reasons` are the arithmetic, a sentence each. `most_context` is
    the longest context, up to the model's own, that fits what is free; 0 when none does or nothing is known."""

    model: str
    verdict: Verdict
    context: int
    weights: int
    cache: int
    room: int
    most_context: int
    reasons: tuple[str, ...]

    @property
    def needed(self) -> int:
        return self.weights + self.cache + self.room


def shape_in(model_info: Mapping[str, Any]) -> Shape | None:
    """The shape in `model_info` of Ollama's /api/show; None when it does not say all of it."""
    kind = model_info.get("general.architecture")

    def number(name: str) -> int:
        value = model_info.get(f"{kind}.{name}")
        if isinstance(value, list):  # one for each layer
            value = max((one for one in value if isinstance(one, int)), default=0)
        return value if isinstance(value, int) and value > 0 else 0

    layers, heads, width = number("block_count"), number("attention.head_count"), number("embedding_length")
    head = number("attention.key_length") or (width // heads if heads else 0)
    kv_heads = number("attention.head_count_kv") or heads
    return Shape(layers, kv_heads, head) if layers and kv_heads and head else None


def usual_shape(billions: float) -> Shape:
    """About the shape of a model of so many billion parameters, with grouped attention as most have since 2024. Fitted
    by eye on Llama 3.2 1B (16 layers), 3B (28), 3.1 8B (32), Qwen 2.5 32B (64) and Llama 3.3 70B (80)."""
    layers = round(min(96, max(12, 16 * math.sqrt(max(billions, 0.1)))))
    return Shape(layers if billions < 20 else max(layers, 60), 8, 64 if billions < 2 else 128)


def fit(model: Model, machine: Machine, context: int = 0) -> Fit:
    """Whether `model` fits with so many tokens of context: the window that it would be given, when 0."""
    billions = parameters(model)
    window = model.details.get("window")
    tokens = context or (window if isinstance(window, int) and window > 0 else 0)
    tokens = tokens or min(model.context or USUAL_CONTEXT, USUAL_CONTEXT)
    weights, how = _weights(model, billions)
    if not model.local:
        return Fit(model.id, "unknown", tokens, 0, 0, 0, 0, ("It runs elsewhere and needs no memory here.",))
    if not weights:
        return Fit(model.id, "unknown", tokens, 0, 0, 0, 0, ("Neither its size nor its parameters are known.",))
    info = model.details.get("shape")
    known = Shape(*info) if isinstance(info, tuple | list) and len(info) == 3 else None
    shape = known or usual_shape(billions or weights * 8 / USUAL_BITS / 1e9)
    cache = shape.cache(tokens)
    room = _room(weights, cache)
    needed = weights + cache + room
    reasons = [
        how,
        f"The keys and values of {tokens:,} tokens take 2 · {shape.layers} layers · {shape.kv_heads} KV heads · "
        f"{shape.head} · {BYTES_OF_A_NUMBER} bytes · {tokens:,} = {in_bytes(cache)}"
        + ("." if known else ", by a rule of thumb: its shape is not known."),
        f"To compute it wants about {in_bytes(room)} more: {in_bytes(needed)} together.",
    ]
    verdict, free = _verdict(needed, machine)
    reasons.append(_said(verdict, needed, machine))
    most = _most_context(model, weights, shape, free)
    if most and most < (model.context or most):
        reasons.append(f"The longest context that fits is about {most:,} tokens, of {model.context:,}.")
    return Fit(model.id, verdict, tokens, weights, cache, room, most, tuple(reasons))


def unfit(model: Model, machine: Machine) -> str:
    """Why a model cannot run here however much were free; empty when it may."""
    whole = Machine(machine.total, machine.total, tuple(replace(card, free=card.total) for card in machine.cards))
    found = fit(model, whole)
    if found.verdict != "no":
        return ""
    there = whole.free + sum(card.free for card in whole.cards)
    return f"needs about {in_bytes(found.needed)} of memory, and there are {in_bytes(there)} in all"


def _weights(model: Model, billions: float) -> tuple[int, str]:
    if model.size_bytes:
        return model.size_bytes, f"The weights are {in_bytes(model.size_bytes)}, as the file."
    quantised = str(model.details.get("quantization_level", "")).upper()
    bits = _BITS.get(quantised, USUAL_BITS)
    size = round(billions * 1e9 * bits / 8)
    return size, f"The weights are about {billions:g} billion · {bits:g} bits = {in_bytes(size)}."


def _room(weights: int, cache: int) -> int:
    return max(LEAST_ROOM, round((weights + cache) * ROOM))


def _verdict(needed: int, machine: Machine) -> tuple[Verdict, int]:
    """Where it fits, and how much is free there."""
    graphics = sum(card.free for card in machine.cards)
    if graphics and needed <= graphics:
        return "graphics", graphics
    if not machine.free:
        return "unknown", 0
    if needed <= machine.free:
        return "split" if graphics else "memory", machine.free
    if graphics and needed <= machine.free + graphics:
        return "split", machine.free + graphics
    return "no", machine.free + graphics


def _said(verdict: Verdict, needed: int, machine: Machine) -> str:
    graphics = sum(card.free for card in machine.cards)
    match verdict:
        case "graphics":
            return f"It fits the graphics memory: {in_bytes(graphics)} are free."
        case "memory":
            return f"It fits the memory: {in_bytes(machine.free)} are free. There is no graphics card that we know of."
        case "split":
            return (
                f"It does not fit the graphics memory alone ({in_bytes(graphics)} free): a part of it would run on the "
                f"processor, slower, in {in_bytes(machine.free)} of free memory."
            )
        case "no":
            short = needed - machine.free - graphics
            return f"It does not fit: {in_bytes(machine.free + graphics)} are free, {in_bytes(short)} too little."
        case _:
            return "How much memory is free here is not known."


def _most_context(model: Model, weights: int, shape: Shape, free: int) -> int:
    """The longest context that fits, in steps of 1,024 tokens."""
    left = min(free / (1 + ROOM) - weights, free - LEAST_ROOM - weights)
    tokens = math.floor(left / shape.cache(1) / 1024) * 1024 if left > 0 else 0
    return min(tokens, model.context) if model.context else tokens


def in_bytes(size: int) -> str:
    """`4.7 GB`, `310 MB`: powers of ten, as files are sold and shown."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"

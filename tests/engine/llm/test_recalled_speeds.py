"""How fast models are is recalled from the log: nothing else of it is stored."""

from engine.llm.health import Health
from engine.llm.model import Model
from tests.contract.test_journal_contract import record

MODEL = Model("ollama", "qwen", local=True)


def test_the_log_is_recalled_in_its_order(clock):
    used, recalled = Health(clock.world), Health(clock.world)
    for number in range(20):
        used.learn(MODEL, float(number), None)
    recalled.recall([record(f"{number}", ttft_s=float(number)) for number in reversed(range(20))])
    assert recalled.speed(MODEL) == used.speed(MODEL)


def test_what_failed_or_was_not_measured_says_nothing(clock):
    health = Health(clock.world)
    health.recall([record(error="cancelled"), record(ttft_s=None)])
    assert health.speed(MODEL).observations == 0


def test_what_was_learned_since_is_newer(clock):
    health = Health(clock.world)
    health.learn(MODEL, 1.0, 50.0)
    health.recall([record("1", ttft_s=9.0), record("2", ttft_s=3.0, model="other")])
    assert health.speed(MODEL).ttft_s == 1.0
    assert health.speed(Model("ollama", "other")).ttft_s == 3.0

"""Logs: one JSON object a line, and no secret in it."""

import io
import json
import logging

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.kernel.logs import Redactor, in_request, open_log

PLANTED = "sk-planted-0123456789abcdef"


@pytest.fixture
def redactor():
    return Redactor()


@pytest.fixture
def lines(redactor):
    """What was logged, read back; the process's own handlers are put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    open_log(stream, "info", redactor)

    def read():
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    root.handlers[:] = before
    root.setLevel(level)


def text_of(found):
    return json.dumps(found, ensure_ascii=False)


def test_a_line_has_time_level_room_message_and_facts(lines):
    logging.getLogger("store").warning("it is %s", "slow", extra={"facts": {"took_s": 3}})
    (line,) = lines()
    assert (line["level"], line["room"], line["message"], line["took_s"]) == ("warning", "store", "it is slow", 3)
    assert line["at"].endswith("+00:00")


def test_lines_within_a_request_carry_its_id_and_others_none(lines):
    log = logging.getLogger("x")
    with in_request("r1"):
        log.info("inside")
    log.info("outside")
    inside, outside = lines()
    assert inside["request"] == "r1"
    assert "request" not in outside


@pytest.mark.parametrize(
    "message",
    [
        f"key {PLANTED} refused",
        f'{{"api_key": "{PLANTED[3:]}"}}',
        f"Authorization: Bearer {PLANTED[3:]}",
        f"x-api-key={PLANTED[3:]}",
        "AIza" + "x" * 30,
        "ghp_" + "y" * 30,
    ],
)
def test_what_looks_like_a_key_is_taken_out_of_messages(lines, message):
    logging.getLogger("x").info(message)
    logging.getLogger("x").info("control: an id 0123456789abcdef")
    first, control = lines()
    assert "0123456789abcdef" not in text_of(first)
    assert "xxxxxxxx" not in text_of(first)
    assert "yyyyyyyy" not in text_of(first)
    assert "0123456789abcdef" in control["message"]


@pytest.mark.parametrize(
    "secret", ['quo"te-back\\slash', "plain-secret", "ümläut-schlüssel", "line\nbreak", "tab\there"]
)
def test_a_secret_that_was_learnt_is_found_wherever_it_stands(lines, redactor, secret):
    log = logging.getLogger("x")
    log.info("before %s", secret)
    redactor.learn([secret])
    log.info("in the message: %s", secret)
    log.info("in facts", extra={"facts": {"deep": [{"er": f"<{secret}>"}], secret: 1}})
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("in a traceback")
    control, *rest = lines()
    assert secret in control["message"]
    assert secret not in text_of([list(walk(line)) for line in rest])
    assert not any(secret in text for line in rest for text in walk(line))
    assert len(rest) == 3


def walk(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)
    else:
        yield str(value)


@given(st.lists(st.text(min_size=4, max_size=12), min_size=1, max_size=4), st.text(max_size=8), st.text(max_size=8))
def test_no_learnt_secret_survives_cleaning(secrets, before, after):
    assume(not any("•" in secret for secret in secrets))
    redactor = Redactor()
    redactor.learn(secrets)
    for secret in secrets:
        cleaned = redactor.clean(before + secret + after)
        assert secret not in cleaned or secret in before + "•••" + after


def test_of_a_secret_that_begins_another_nothing_is_left_over():
    redactor = Redactor()
    redactor.learn(["abcd", "abcd-the-rest", "abcd-the"])
    assert redactor.clean("<abcd-the-rest>") == "<•••>"


@pytest.mark.parametrize("facts", [{"token": 1234567890}, {"api_key": "abcdefgh"}, {"inner": {"password": "abcdefgh"}}])
def test_a_fact_that_is_named_like_a_secret_is_masked_and_the_line_stays_json(lines, facts):
    logging.getLogger("x").info("m", extra={"facts": facts})
    (line,) = lines()
    assert "•••" in text_of(line)
    assert "abcdefgh" not in text_of(line)
    assert "1234567890" not in text_of(line)


@pytest.mark.parametrize(
    "fact",
    ["\ud800", 2**70, {1: 2}, {(1, 2): 3}, object, {"a"}, float("nan"), b"\xff", [(), ("x",)], None],
    ids=range(10),
)
def test_whatever_is_logged_gives_a_line_and_nothing_on_the_terminal(lines, capsys, fact):
    record = logging.makeLogRecord({"name": "x", "msg": "\ud800", "facts": {"fact": fact}})
    logging.getLogger().handlers[0].handle(record)  # past pytest's own handler, which cannot pass it on
    assert len(lines()) == 1
    assert capsys.readouterr() == ("", "")


def test_chatter_of_libraries_is_left_out(lines):
    logging.getLogger("httpx").info("HTTP Request: GET")
    logging.getLogger("httpx").warning("it warns")
    assert [line["message"] for line in lines()] == ["it warns"]


def test_a_log_goes_to_a_file_whose_folder_is_made(tmp_path, redactor, lines):
    handler = open_log(tmp_path / "logs" / "log", "debug", redactor)
    logging.getLogger("x").debug("hello")
    handler.close()
    assert orjson.loads((tmp_path / "logs" / "log").read_bytes())["message"] == "hello"
    assert lines() == []

"""Event logs: written and read in three notations, and nothing hostile comes in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.caller import PROGRAM
from engine.kernel.errors import InvalidInput, NotFound, TooLarge
from engine.nets.token import Event, Token
from engine.workflows.logs import jsonl, model, xes
from engine.workflows.logs.model import Case, EventLog, Step
from engine.workflows.logs.reading import read
from tests.support import APPROVAL, NOON

TWO = EventLog(
    (Case("1", (Step("a", NOON, "me"), Step("b", NOON + timedelta(hours=1)))), Case("2", (Step("a", NOON),)))
)

XES = """<?xml version="1.0" encoding="ISO-8859-1"?>
<log xes.version="1.0" xmlns="http://www.xes-standard.org/">
  <global scope="event"><string key="concept:name" value="__INVALID__"/></global>
  <string key="concept:name" value="of another tool"/>
  <trace><string key="concept:name" value="1"/><int key="cost" value="3"/>
    <event><string key="concept:name" value="a"><string key="concept:name" value="inner"/></string>
      <string key="org:resource" value="me"/><date key="time:timestamp" value="2026-08-01T14:00:00.000+02:00"/></event>
    <event><string key="concept:name" value="b"/><string key="lifecycle:transition" value="start"/></event>
    <event><string key="concept:name" value="b"/><string key="lifecycle:transition" value="COMPLETE"/>
      <date key="time:timestamp" value="2026-08-01T13:00:00Z"/></event>
  </trace>
  <trace><string key="concept:name" value="2"/><event>
    <string key="concept:name" value="a"/><date key="time:timestamp" value="2026-08-01T12:00:00"/></event></trace>
</log>"""

JSONL = """{"case": "1", "activity": "a", "timestamp": "2026-08-01T12:00:00Z", "resource": "me"}

{"case": "1", "kind": "created", "activity": "created"}
{"case": "2", "activity": "a", "timestamp": "2026-08-01T12:00:00+00:00"}
{"case": "1", "activity": "b", "timestamp": "2026-08-01T13:00:00"}
"""

CSV = """\ufeffCase ID;Timestamp;Activity;Resource;More
1;2026-08-01T13:00:00Z;b;;x
1;2026-08-01T12:00:00Z;a;me;x
2;2026-08-01T12:00:00Z;"a";;"x
y"
"""


@pytest.mark.parametrize(("text", "format"), [(XES, "xes"), (JSONL, "jsonl"), (CSV, "csv")])
def test_the_three_notations_say_the_same(text, format):
    assert read(text, format) == read(text) == TWO


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("case,activity\n1,a\n1\n", 3, "1 columns"),
        ("case,activity\n1,a\n,b\n", 3, "case is missing"),
        ("id,activity\n1,a\n", 1, "no column case"),
        ("case,activity,timestamp\n1,a,soon\n", 2, "'soon' is no time"),
        ('case,activity\n1,"a\n', 2, "unexpected end"),
        ('{"case": "1", "activity": "a"}\n{"case": 2, "activity": "a"}', 2, "case is missing or no text"),
        ('{"case": "1", "activity": "a"}\n\n{"case": ', 3, "column"),
        ('{"case": "1", "activity": "a"}\n[]', 2, "no object"),
        ("<log>\n<trace>\n<event/></trace></log>", 3, "concept:name of an event"),
        ("<log>\n<trace>", 2, "no element found"),
        ("<pnml>\n</pnml>", 1, "instead of <log>"),
        ("<log><trace>\n<event>" + "<list>" * 60, 2, "nested"),
        (f'{{"case": "1", "activity": "{"x" * 1001}"}}', 1, "too long"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text, line, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        read(text)
    assert caught.value.details["line"] == line
    assert f"Line {line}." in caught.value.why


BOMB = '<!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE log [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
BODY = '<log><trace><event><string key="concept:name" value="{}"/></event></trace></log>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB + BODY.format("&b;"),
        OUTSIDE + BODY.format("x"),
        '<!DOCTYPE log SYSTEM "http://127.0.0.1:9/x.dtd">' + BODY.format("x"),
        '<?xml version="1.0"?><!DOCTYPE log [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>' + BODY.format("x"),
        "<!DOCTYPE log>" + BODY.format("x"),
    ],
)
def test_entities_and_document_types_are_refused(text):
    with pytest.raises(InvalidInput, match="document type or an entity") as caught:
        read(text, "xes")
    assert "root:" not in str(caught.value)


def test_without_the_guard_an_entity_would_come_in():
    """The control: what the parser does when nobody refuses."""
    assert read(BODY.format("&lt;a&gt;"), "xes").cases[0].steps[0].activity == "<a>"
    reading = xes._Reading()
    reading._parser.StartDoctypeDeclHandler = reading._parser.EntityDeclHandler = None
    assert reading.log(BOMB + BODY.format("&b;")).cases[0].steps[0].activity == "ha" * 8


def test_more_than_is_taken_is_refused(monkeypatch):
    for text in (XES, JSONL, CSV):
        assert read(text)  # control
    monkeypatch.setattr(model, "MOST_EVENTS", 2)
    monkeypatch.setattr(xes, "MOST_EVENTS", 2)
    for text in (XES, JSONL, CSV):
        with pytest.raises(TooLarge, match="more than 2 events"):
            read(text)
    monkeypatch.setattr("engine.workflows.logs.reading.MOST_BYTES", 10)
    with pytest.raises(TooLarge, match="characters"):
        read(XES)


def test_a_format_that_is_not_known_and_a_log_without_cases():
    with pytest.raises(NotFound, match="no format 'xml'"):
        read(XES, "xml")
    for text in ("", "<log/>", "case,activity\n"):
        with pytest.raises(InvalidInput, match=r"no case|no column"):
            read(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_name_goes_there_and_back(name):
    token = Token(name, "w", {"a": 1}, {}, {}, 1, NOON, NOON)
    history = [(token, [Event(name, 1, "fired", {"a": 1}, NOON, {"a": 1}, name, actor=name)])]
    if not name.strip():
        return
    want = EventLog((Case(name, (Step(name, NOON, name),)),))
    assert jsonl.read("".join(jsonl.write(history))) == want
    kept = xes._FORBIDDEN.sub("\ufffd", name)
    if kept.strip():
        found = xes.read("".join(xes.write(name, history)))
        assert found == EventLog((Case(kept, (Step(kept, NOON, kept),)),))


async def test_whole_histories_are_written(store, workflows, clock):
    await workflows.create(APPROVAL)
    token = await workflows.create_token("approval_v1", caller=PROGRAM, data={"n": 1})
    clock.move(1.5)
    await workflows.fire(token.id, "submit", caller=PROGRAM, data={"score": 1}, reason="ready")
    await workflows.cancel(token.id, caller=PROGRAM)
    token = await workflows.token(token.id)
    history = [(token, await workflows.history(token.id))]
    text = "".join(xes.write("approval_v1", history))
    assert text.count("<trace>") == 1
    assert text.count("<event>") == 3
    assert 'key="lifecycle:transition" value="unknown"' in text
    assert 'key="lifecycle:transition" value="pi_abort"' in text
    assert '<date key="time:timestamp" value="2026-08-01T12:00:01.500+00:00"/>' in text
    assert [step.activity for step in xes.read(text).cases[0].steps] == ["submit"]
    rows = [line for _, line in model.lines("".join(jsonl.write(history)))]
    assert len(rows) == 3
    assert '"reason":"ready"' in rows[1]
    assert jsonl.read("\n".join(rows)).cases[0].steps[0].at == datetime(2026, 8, 1, 12, 0, 1, 500_000, UTC)

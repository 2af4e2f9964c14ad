"""What tokens did and how well a log fits, over HTTP."""

import json

from tests.serving import Served

ANALYTICS = """query($n: Int!, $b: TimeBucket!) { workflowAnalytics(id: "approval_v1", tokens: $n, bucket: $b) {
  workflowId tokens active completed eventCount reworked cycle { count p95Seconds } throughput { begins tokens }
  places { place tokens ages { count } visits stays { count } returns }
  transitions { transition fired firedAgain repeats } follows { source target count } mermaid dot } }"""
CONFORM = """query($log: String!, $f: LogFormat) { conformance(workflowId: "approval_v1", log: $log, format: $f) {
  cases eventCount fitting fitness missing remaining deviations { kind activity place times examples words } } }"""
EXPORT = 'query($f: LogFormat!, $n: Int!) { exportHistory(workflowId: "approval_v1", format: $f, tokens: $n) }'
FIRE = "mutation($i: FireTransitionInput!) { fireTransition(input: $i) { id } }"


async def walked(app: Served) -> str:
    """A token that came to its end after it was sent back once."""
    token = await app.token()
    for transition in ("submit", "back", "submit", "accept"):
        await app.data(FIRE, i={"tokenId": token, "transitionId": transition, "data": {"score": 90}})
    return token


async def test_figures_of_a_workflow(alone: Served) -> None:
    await walked(alone)
    await alone.token()
    found = (await alone.data(ANALYTICS, n=100, b="HOUR"))["workflowAnalytics"]
    assert (found["tokens"], found["active"], found["completed"], found["eventCount"]) == (2, 1, 1, 6)
    assert found["cycle"]["count"] == found["reworked"] == found["throughput"][0]["tokens"] == 1
    assert ":00:00" in found["throughput"][0]["begins"]
    draft = found["places"][0]
    assert (draft["place"], draft["tokens"], draft["visits"], draft["returns"]) == ("draft", 1, 3, 1)
    assert found["transitions"][0] == {"transition": "submit", "fired": 2, "firedAgain": 1, "repeats": 1}
    assert {"source": "accept", "target": "■", "count": 1} in found["follows"]
    assert found["mermaid"].startswith("flowchart LR")
    assert found["dot"].startswith("digraph")
    assert await alone.code(ANALYTICS, n=0, b="DAY") == "invalid_input"
    assert await alone.code(ANALYTICS.replace("approval_v1", "none"), n=1, b="DAY") == "not_found"


async def test_a_log_goes_out_and_is_replayed(alone: Served) -> None:
    token = await walked(alone)
    for format in ("XES", "JSONL"):
        log = (await alone.data(EXPORT, f=format, n=10))["exportHistory"]
        assert token in log
        for asked in (format, None):
            found = (await alone.data(CONFORM, log=log, f=asked))["conformance"]
            assert (found["cases"], found["eventCount"], found["fitting"], found["fitness"]) == (1, 4, 1, 1.0)
    rows = [json.loads(line) for line in log.splitlines()]
    assert [row["kind"] for row in rows] == ["created", *["fired"] * 4]
    assert await alone.code(EXPORT, f="CSV", n=10) == "not_found"


async def test_where_a_log_deviates_is_said(alone: Served) -> None:
    await alone.token()
    log = "case;activity;timestamp\n1;submit;2026-01-01\n1;lunch;2026-01-02\n2;accept;2026-01-03\n"
    found = (await alone.data(CONFORM, log=log, f="CSV"))["conformance"]
    assert found["cases"] == 2
    assert found["fitness"] < 1
    assert {one["kind"] for one in found["deviations"]} == {"unknown", "missing", "remaining", "unfinished"}
    bomb = '<!DOCTYPE log [<!ENTITY a "x">]><log/>'
    assert await alone.code(CONFORM, log=bomb, f="XES") == "invalid_input"
    assert await alone.code(CONFORM, log="nothing", f=None) == "invalid_input"

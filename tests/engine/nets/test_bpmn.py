"""BPMN: models as modellers write them, each with its verdict, and what is refused."""

from pathlib import Path

import pytest

from engine.kernel.errors import InvalidInput
from engine.nets.analysis.verdicts import analyse
from engine.nets.model import Arc, Timer
from engine.nets.notation.bpmn import read_bpmn
from engine.nets.notation.conditions import condition_of
from engine.nets.notation.durations import seconds_of
from engine.nets.notation.text import detect, read_text
from engine.nets.structure import check
from engine.rules.expression import parse
from engine.rules.model import Not

FILES = Path(__file__).parent / "notation_files"


def process(inside, more=""):
    return (
        f'<?xml version="1.0"?>\n<definitions>\n<process id="p" name="P">\n{inside}\n</process>{more}\n</definitions>'
    )


def flows(*pairs):
    return "".join(f'<sequenceFlow id="{a}-{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in pairs)


def net_of(inside):
    net = read_bpmn(process(inside)).net
    assert not check(net)
    return net


# -- whole models -----------------------------------------------------------------------------------------------------


def test_an_invoice_with_a_loop_a_timer_a_fork_and_a_call():
    text = (FILES / "invoice.bpmn").read_text(encoding="utf-8")
    assert detect("invoice.bpmn", text) == detect("x.bpmn20.xml", text) == "bpmn"
    definition = read_text(text, "bpmn")
    net = definition.net
    assert definition.name == "Invoice"
    assert (net.initial, net.final) == ({"review_invoice": 1}, {"invoice_processed", "escalated"})
    late, rework, yes = (net.transition_of[name] for name in ("3_days", "rework", "yes"))
    assert (late.sources, late.timer) == (("review_invoice",), Timer(259_200))
    assert yes.guard == parse("approved && amount <= 1000")
    assert rework.guard == Not(parse("approved && amount <= 1000"))
    assert rework.outputs == (Arc("review_invoice"),)
    assert rework.automatic
    assert net.transition_of["archive"].sub_workflow == "archive_v1"
    assert net.transition_of["join"].inputs == (Arc("pay_done"), Arc("archive_done"))
    assert net.transition_of["pay"].metadata == {"bpmn": "serviceTask"}
    assert not check(net)
    assert analyse(net).sound


def test_a_sub_process_that_can_fail_or_be_withdrawn():
    net = read_text((FILES / "support.bpmn").read_text(encoding="utf-8"), "bpmn").net
    assert not check(net)
    assert net.final == {"closed", "given_up"}
    inner = {"look_into_it", "ask_the_customer", "look_into_it_done", "ask_the_customer_done", "possible"}
    assert inner < set(net.transition_of["withdrawn"].resets)
    assert inner < set(net.transition_of["failed"].resets)
    assert net.transition_of["silence"].timer == Timer(1_209_600)
    assert net.transition_of["confirmed"].sources == net.transition_of["silence"].sources == ("wait_for_answer",)
    assert analyse(net).sound


# -- one element at a time --------------------------------------------------------------------------------------------

KINDS = ["task", "userTask", "manualTask", "serviceTask", "scriptTask", "sendTask", "receiveTask", "businessRuleTask"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task(kind):
    net = net_of(f'<startEvent id="s"/><{kind} id="t" name="Do it"/><endEvent id="e"/>' + flows(("s", "t"), ("t", "e")))
    assert net.place_ids == ("do_it", "end")
    assert net.transition_of["do_it"].metadata["bpmn"] == kind


def test_names_that_come_twice_are_numbered():
    net = net_of(
        '<startEvent id="s"/><task id="a" name="Check"/><task id="b" name="Check"/><endEvent id="e"/>'
        + flows(("s", "a"), ("a", "b"), ("b", "e"))
    )
    assert net.place_ids == ("check", "check_2", "end")
    assert list(net.transition_of) == ["check", "check_2"]


def test_a_choice_without_conditions_is_made_by_hand():
    net = net_of(
        '<startEvent id="s"/><exclusiveGateway id="x"/><task id="a"/><task id="b"/><endEvent id="e"/>'
        + flows(("s", "x"), ("x", "a"), ("x", "b"), ("a", "e"), ("b", "e"))
    )
    choices = [t for t in net.transitions if t.metadata["bpmn"] == "exclusiveGateway"]
    assert len(choices) == 2
    assert not any(choice.automatic or choice.guard for choice in choices)
    assert analyse(net).sound


def test_a_choice_joined_by_a_parallel_gateway_is_a_deadlock_that_the_analysis_finds():
    net = net_of(
        '<startEvent id="s"/><exclusiveGateway id="x"/><task id="a"/><task id="b"/><parallelGateway id="j"/>'
        '<endEvent id="e"/>' + flows(("s", "x"), ("x", "a"), ("x", "b"), ("a", "j"), ("b", "j"), ("j", "e"))
    )
    assert analyse(net).sound is False


def test_a_task_with_several_flows_out_forks():
    net = net_of(
        '<startEvent id="s"/><task id="a"/><task id="b"/><task id="c"/><parallelGateway id="j"/><endEvent id="e"/>'
        + flows(("s", "a"), ("a", "b"), ("a", "c"), ("b", "j"), ("c", "j"), ("j", "e"))
    )
    assert len(net.transitions[0].outputs) == 2
    assert analyse(net).sound


def test_an_end_that_terminates_empties_everything():
    net = net_of(
        '<startEvent id="s"/><parallelGateway id="f"/><task id="a" name="A"/><task id="b" name="B"/>'
        '<endEvent id="e" name="done"><terminateEventDefinition/></endEvent><endEvent id="g" name="over"/>'
        + flows(("s", "f"), ("f", "a"), ("f", "b"), ("a", "e"), ("b", "g"))
    )
    ending = net.transition_of["done"]
    assert set(ending.resets) >= {"a", "b", "over"}
    assert ending.outputs == (Arc("done_done"),)


def test_a_message_start_and_a_message_end_are_transitions():
    net = net_of(
        '<startEvent id="s" name="order"><messageEventDefinition/></startEvent><task id="t"/>'
        '<endEvent id="e" name="reply"><messageEventDefinition/></endEvent>' + flows(("s", "t"), ("t", "e"))
    )
    assert net.initial == {"order": 1}
    assert net.transition_of["order"].metadata["event"] == "message"
    assert net.transition_of["reply"].automatic


def test_several_starts_are_a_choice():
    net = net_of(
        '<startEvent id="s" name="mail"><messageEventDefinition/></startEvent>'
        '<startEvent id="r" name="call"><messageEventDefinition/></startEvent><task id="t"/><endEvent id="e"/>'
        + flows(("s", "t"), ("r", "t"), ("t", "e"))
    )
    assert net.initial == {"start": 1}
    assert {"mail", "call"} < set(net.transition_of)
    assert analyse(net).sound


def test_a_plain_sub_process_is_flattened():
    net = net_of(
        '<startEvent id="s"/><subProcess id="sub" name="Sub"><startEvent id="si"/><task id="t" name="T"/>'
        '<endEvent id="ei"/>' + flows(("si", "t"), ("t", "ei")) + '</subProcess><task id="u" name="U"/>'
        '<endEvent id="e"/>' + flows(("s", "sub"), ("sub", "u"), ("u", "e"))
    )
    assert net.place_ids == ("t", "u", "end")
    assert analyse(net).sound


def test_a_date_in_the_data_is_waited_for():
    net = net_of(
        '<startEvent id="s"/><intermediateCatchEvent id="w" name="due"><timerEventDefinition>'
        "<timeDate>${order.due}</timeDate></timerEventDefinition></intermediateCatchEvent>"
        '<intermediateThrowEvent id="m" name="milestone"/><endEvent id="e"/>'
        + flows(("s", "w"), ("w", "m"), ("m", "e"))
    )
    assert net.transition_of["due"].timer == Timer(None, "order.due")
    assert net.transition_of["milestone"].automatic


# -- what is refused --------------------------------------------------------------------------------------------------

AROUND = '<startEvent id="s"/>\n{}\n<endEvent id="e"/>' + flows(("s", "t"), ("t", "e"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("<definitions/>", 1, "no process"),
        ("<x/>", 1, "holds no BPMN"),
        (process('<task id="a"/>', '\n<process id="q"><task id="b"/></process>'), 6, "second process"),
        (process('<task id="a"/>'), 3, "no start event"),
        (process(AROUND.format('<inclusiveGateway id="t"/>')), 5, "exclusive and parallel"),
        (process(AROUND.format('<complexGateway id="t"/>')), 5, "complexGateway is not supported"),
        (process(AROUND.format('<userTsk id="t"/>')), 5, "Did you mean userTask"),
        (process(AROUND.format('<task id="t"><multiInstanceLoopCharacteristics/></task>')), 5, "side by side"),
        (process(AROUND.format('<adHocSubProcess id="t"/>')), 5, "order of its tasks"),
        (process(AROUND.format('<callActivity id="t"/>')), 5, "what it calls"),
        (process(AROUND.format('<subProcess id="t" triggeredByEvent="true"/>')), 5, "boundary event"),
        (process(AROUND.format('<subProcess id="t"><task id="i"/></subProcess>')), 5, "no start event"),
        (process(AROUND.format('<task id="t"/><boundaryEvent id="b" attachedToRef="t" cancelActivity="false"/>')), 5,
         "does not interrupt"),
        (process(AROUND.format('<task id="t"/><boundaryEvent id="b" attachedToRef="u"/>')), 5,
         "'u', which does not exist"),
        (process(AROUND.format('<task id="t"/>\n<task id="lonely"/>')), 6, "no incoming flow"),
        (process('<startEvent id="s"/>\n<task id="t"/>' + flows(("s", "t"))), 5, "no outgoing flow"),
        (process('<startEvent id="s"/>\n<task id="t"/>' + flows(("s", "tt"))), 5, "'tt', which does not exist"),
        (process('<startEvent id="s"/><exclusiveGateway id="x"/>\n<exclusiveGateway id="y"/>'
                 + flows(("s", "x"), ("x", "y"), ("y", "x"))), 4, "loop of gateways"),
        (process(AROUND.format('<intermediateCatchEvent id="t"><timerEventDefinition>\n<timeDuration>3 days'
                               '</timeDuration></timerEventDefinition></intermediateCatchEvent>')), 6, "PT15M"),
        (process(AROUND.format('<intermediateCatchEvent id="t"><timerEventDefinition>\n<timeCycle>R3/PT1H'
                               '</timeCycle></timerEventDefinition></intermediateCatchEvent>')), 6,
         "cannot be translated"),
        (process('<startEvent id="s"/><exclusiveGateway id="x"/><endEvent id="e"/>' + flows(("s", "x"))
                 + '<sequenceFlow id="f" sourceRef="x" targetRef="e">\n<conditionExpression>${a.b(}'
                 '</conditionExpression></sequenceFlow>'), 5, "cannot be translated"),
        (process('<startEvent id="s"/><task id="t"/><endEvent id="e"/>' + flows(("s", "t"))
                 + '\n<sequenceFlow id="f" sourceRef="t" targetRef="e"><conditionExpression>a</conditionExpression>'
                 "</sequenceFlow>"), 5, "exclusive gateway after it"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_its_line_and_what_to_draw(text, line, words):
    with pytest.raises(InvalidInput) as caught:
        read_bpmn(text)
    assert words in str(caught.value)
    assert caught.value.details["line"] == line


# -- their languages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("${approved}", "approved"),
        ("#{amount gt 100 and not vip}", "amount > 100 && ! vip"),
        ("${status == 'not and or'}", "status == 'not and or'"),
        ("= amount = 5", "amount == 5"),
        ('=status = "a = b" or amount >= 3', 'status == "a = b" || amount >= 3'),
        ("= not(approved)", "!(approved)"),
        ("amount <= 10", "amount <= 10"),
        ("${ order.and_more eq 3 }", "order.and_more == 3"),
    ],
)
def test_conditions_are_respelt(theirs, ours):
    assert condition_of(theirs) == ours
    parse(condition_of(theirs))


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("PT15M", 900),
        ("P3D", 259_200),
        ("P1DT2H3M4S", 93_784),
        ("P2W", 1_209_600),
        ("PT0.5S", 0.5),
        ("P1M", 2_592_000),
        ("P", None),
        ("PT", None),
        ("3 days", None),
        ("-PT1S", None),
        ("P" + "1" * 200 + "D", None),
    ],
)
def test_durations_are_iso_8601(duration, seconds):
    assert seconds_of(duration) == seconds

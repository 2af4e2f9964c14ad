"""`workflow verify`, `ask` and `simulate`: what can be proven of a workflow, and what can be expected of it."""

import argparse
import sys
from typing import Any

import orjson

from app.commands.printing import print_json, print_table
from app.commands.sources import definition_of
from engine.kernel.errors import InvalidInput
from engine.nets.analysis import notation as analysis_notation
from engine.nets.analysis.asking.answering import ask
from engine.nets.analysis.asking.model import Answer, Verdict
from engine.nets.analysis.model import Analysis, Finding, Severity, Step
from engine.nets.analysis.verdicts import analyse
from engine.nets.marking import in_words
from engine.nets.model import Net
from engine.nets.simulation import Exponential, Simulation, simulate
from engine.workflows.behaviour import behaviours

_SAID = {Verdict.HOLDS: "✓ yes", Verdict.FAILS: "✗ no", Verdict.NOT_PROVEN: "? not proven"}


def run(chosen: argparse.Namespace) -> int:
    match chosen.action:
        case "ask":
            return _ask(chosen)
        case "simulate":
            return _simulate(chosen)
        case _:
            return _verify(chosen)


def _verify(chosen: argparse.Namespace) -> int:
    definition = definition_of(chosen, chosen.file)
    analysis = analyse(definition.net, most_states=chosen.max_states)
    if chosen.json:
        print_json(analysis_notation.write(analysis))
    else:
        _print_analysis(definition.name, definition.net, analysis)
    return int(any(finding.severity is Severity.ERROR for finding in analysis.findings))


_WORDS = {
    "sound": ("sound: it can always end, properly, and every transition can fire", "not sound"),
    "deadlock_free": ("no deadlock", "can get stuck"),
    "bounded": ("bounded", "can fill without end"),
    "live": (
        "live: every transition can always become possible again",
        "some transitions can become impossible for good",
    ),
}


def _print_analysis(name: str, net: Net, analysis: Analysis) -> None:
    searched = "all of them" if analysis.complete else "there are more"
    sys.stdout.write(f"{name}: {analysis.states:,} states, {analysis.edges:,} steps ({searched})\n")
    for attribute, (yes, no) in _WORDS.items():
        verdict = getattr(analysis, attribute)
        sign, words = ("?", f"{attribute.replace('_', ' ')}: not proven") if verdict is None else ("✓", yes)
        sign, words = ("✗", no) if verdict is False else (sign, words)
        by = analysis.by.get(attribute, "state space")
        remark = f"  (by {by})" if verdict is not None and by != "state space" else ""
        remark += "  (data may turn it: see the guards)" if attribute in analysis.on_guards else ""
        if attribute != ("live" if net.final else "sound"):  # what ends is not live; what runs for ever is not sound
            sys.stdout.write(f"  {sign} {words}{remark}\n")
    for invariant in analysis.invariants:
        if invariant.kind == "place":
            sys.stdout.write(f"  · {invariant.words}\n")
    if analysis.structure is not None:
        for line in analysis.structure.in_words():
            sys.stdout.write(f"  · {line}\n")
    for finding in analysis.told:
        _print_finding(finding, net)
    if analysis.deadlocks and analysis.complete and not analysis.every_deadlock:
        sys.stdout.write("\nThere are more kinds of deadlock than these.\n")


def _print_finding(finding: Finding, net: Net) -> None:
    depends = " (if its guards allow it)" if finding.depends_on_guards else ""
    sys.stdout.write(f"\n{finding.severity.lower()}: {finding.message}{depends}\n")
    _print_trace((*finding.trace, *finding.onward), net, finding.loop)


def _print_trace(trace: tuple[Step, ...], net: Net, loop: int | None = None) -> None:
    for number, step in enumerate(trace):
        fired = f"─ {step.transition} ─▶ " if step.transition else "start      "
        again = "  ↺ from here on again" if number == loop else ""
        sys.stdout.write(f"    {fired}{in_words(step.marking, net.place_ids)}{again}\n")


def _ask(chosen: argparse.Namespace) -> int:
    """0: it is so; 1: it is not, or not proven."""
    net = definition_of(chosen, chosen.file).net
    answer = ask(net, chosen.question, most_states=chosen.max_states)
    if chosen.json:
        print_json(_answer_json(answer))
    else:
        depends = " (if its guards allow it)" if answer.depends_on_guards else ""
        sys.stdout.write(f"{_SAID[answer.verdict]}: {answer.words}{depends}\n")
        _print_trace(answer.trace, net, answer.loop)
    return int(answer.verdict is not Verdict.HOLDS)


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "verdict": str(answer.verdict),
        "words": answer.words,
        "trace": [analysis_notation.step(step) for step in answer.trace],
        "loop": answer.loop,
        "dependsOnGuards": answer.depends_on_guards,
        "states": answer.states,
    }


def _simulate(chosen: argparse.Namespace) -> int:
    net = definition_of(chosen, chosen.file).net
    given = dict(_behaviour(one) for one in chosen.time or ())
    found = simulate(
        net, behaviours(net, given), cases=chosen.cases, arrival=Exponential(chosen.every), seed=chosen.seed
    )
    if chosen.json:
        print_json(_simulation_json(found))
    else:
        _print_simulation(found)
    return 0


def _behaviour(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    try:
        if not sign:
            raise ValueError
        return name, orjson.loads(value)
    except ValueError:
        raise InvalidInput(
            f"--time {text} is no behaviour.", fix="Write --time review=60, the seconds it takes on average."
        ) from None


def _simulation_json(found: Simulation) -> dict[str, Any]:
    return {
        "cases": found.cases,
        "finished": found.finished,
        "stuck": found.stuck,
        "openCases": found.open_cases,
        "throughputPerSecond": found.throughput_per_s,
        "cycleMeanSeconds": found.cycle_mean_s,
        "cycleMeanWithinSeconds": found.cycle_mean_within_s,
        "cycleP50Seconds": found.cycle_p50_s,
        "cycleP95Seconds": found.cycle_p95_s,
        "bottleneck": found.bottleneck,
        "places": [
            {"place": one.place, "visits": one.visits, "meanSeconds": one.mean_s, "p95Seconds": one.p95_s,
             "meanTokens": one.mean_tokens}
            for one in found.places
        ],
    }  # fmt: skip


def _print_simulation(found: Simulation) -> None:
    sys.stdout.write(f"{found.cases:,} cases: {found.finished:,} came to an end")
    sys.stdout.write(f", {found.stuck:,} got stuck" if found.stuck else "")
    sys.stdout.write(f", {found.open_cases:,} are under way\n" if found.open_cases else "\n")
    sys.stdout.write(f"{found.throughput_per_s * 3600:,.1f} an hour\n")
    if found.cycle_mean_s is not None:
        within = f" ± {found.cycle_mean_within_s:,.1f}" if found.cycle_mean_within_s is not None else ""
        sys.stdout.write(
            f"from beginning to end {found.cycle_mean_s:,.1f}{within} s on average, half within "
            f"{found.cycle_p50_s:,.1f} s, 95 % within {found.cycle_p95_s:,.1f} s\n"
        )
    rows = [
        [one.place, f"{one.visits:,}", f"{one.mean_s:,.1f} s", f"{one.p95_s:,.1f} s", f"{one.mean_tokens:,.2f}"]
        for one in found.places
    ]
    sys.stdout.write("\n")
    print_table(["place", "visits", "stay", "95 % within", "waiting"], rows)
    if found.bottleneck:
        sys.stdout.write(f"\nMost of the waiting is in {found.bottleneck}.\n")

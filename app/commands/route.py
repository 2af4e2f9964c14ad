"""`route`: which model would answer, and why; what another policy would have done; what an answer was worth."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.commands.common import real_world, settings_of
from app.commands.door import Door, open_door
from app.commands.printing import print_json, print_table
from engine.kernel.errors import InvalidInput, NotFound
from engine.llm.budgets import dollars

_DECISION = """id at asked policy model error task taskWhy difficulty difficultyWhy promptTokens outputTokens
  ranked { model score quality costUsd seconds reasons } rejected { model code reason }
  attempts { model error why } notes { code text }"""
_EXPLAIN = f"query ($input: LlmChatCompletionInput!) {{ explainRoute(input: $input) {{ {_DECISION} }} }}"
_SHOW = f"query ($id: String!) {{ decision(id: $id) {{ {_DECISION} }} }}"
_LIST = """{ routes { name about builtIn strategies task floor steeper models favour inOrder localOnly cache
  maxCostPer1kTokens maxLatencyMs weights { quality cost latency reliability stickiness load local } } }"""
_REPLAY = """query ($policy: String!, $last: Int!) { replayRoutes(policy: $policy, last: $last) {
  policy changed refused skipped cost { requests before after difference } seconds { requests before after difference }
  requests { id at asked task difficulty before after changed reasons error costUsd estimatedUsd durationS estimatedS }
} }"""
_VOTE = "mutation ($id: String!, $vote: Vote!) { voteRoute(id: $id, vote: $vote) }"
_SHOWN = 10  # candidates, and rejected ones, for people


def run(chosen: argparse.Namespace) -> int:
    return asyncio.run(_route(chosen))


async def _route(chosen: argparse.Namespace) -> int:
    world = real_world()
    async with open_door(settings_of(chosen, world), world) as door:
        match chosen.action:
            case "explain":
                await _explain(door, chosen)
            case "show":
                await _show(door, chosen)
            case "replay":
                await _replay(door, chosen)
            case "vote":
                await _vote(door, chosen)
            case _:
                await _list(door, chosen)
    return 0


async def _list(door: Door, chosen: argparse.Namespace) -> None:
    routes = (await door.ask(_LIST))["routes"]
    if chosen.json:
        print_json(routes)
        return
    rows = [
        [one["name"], " ".join(f"{name} {value:g}" for name, value in one["weights"].items() if value), _about(one)]
        for one in routes
    ]
    print_table(["route", "what counts", ""], rows)


def _about(route: Mapping[str, Any]) -> str:
    parts = [
        route["about"],
        *(["yours"] if not route["builtIn"] else []),
        *(["stays on this machine"] if route["localOnly"] else []),
        *([("in order: " if route["inOrder"] else "of ") + ", ".join(route["models"])] if route["models"] else []),
    ]
    return "; ".join(parts)


async def _explain(door: Door, chosen: argparse.Namespace) -> None:
    prompt = sys.stdin.read() if chosen.prompt == "-" else chosen.prompt
    if not prompt.strip():
        raise InvalidInput("The prompt is empty.", fix='Write it: circuit-breaker route explain "Why is the sky blue?"')
    wishes = {"localOnly": chosen.local_only, "taskType": chosen.task}
    asked = {"model": chosen.model, "messages": [{"role": "user", "content": prompt}], "circuitBreaker": wishes}
    _print(chosen, (await door.ask(_EXPLAIN, input=asked))["explainRoute"])


async def _show(door: Door, chosen: argparse.Namespace) -> None:
    found = (await door.ask(_SHOW, id=chosen.id))["decision"]
    if found is None:
        raise NotFound.named("request", chosen.id, (), fix="The header x-cb-route of an answer has its id.")
    _print(chosen, found)


def _print(chosen: argparse.Namespace, found: Mapping[str, Any]) -> None:
    if chosen.json:
        print_json(found)
        return
    most = None if chosen.all else _SHOWN
    sys.stdout.write("\n".join(_lines(found, most)) + "\n")


def _lines(found: Mapping[str, Any], most: int | None) -> Sequence[str]:
    """A decision for people."""
    lines = [f"{found['asked']}" + (f", by {found['policy']}" if found["policy"] != found["asked"] else "")]
    if found["at"]:
        ended = f" ended with {found['error']}" if found["error"] else ""
        lines.append(f"  {found['model']} was asked{ended}, {found['at']}")
    lines += [f"  {one['model']} failed: {one['why'] or one['error']}" for one in found["attempts"]]
    lines.append(f"  task        {found['task']}: {', '.join(found['taskWhy']) or 'no sign of anything else'}")
    lines.append(f"  difficulty  {found['difficulty']:.2f}: {', '.join(found['difficultyWhy']) or 'no sign of any'}")
    lines.append(f"  tokens      about {found['promptTokens']:,} in, {found['outputTokens']:,} out")
    lines += [f"  note        {one['text']}" for one in found["notes"]]
    for number, one in enumerate(found["ranked"][:most], 1):
        facts = [
            f"score {one['score']:.2f}",
            *([f"quality {one['quality']:.2f}"] if one["quality"] is not None else []),
            *([f"about {dollars(Decimal(str(one['costUsd'])))}"] if one["costUsd"] else []),
            *([f"about {one['seconds']:.1f} s"] if one["seconds"] is not None else []),
        ]
        lines += ["", f"{number:>3}. {one['model']}  {', '.join(facts)}"]
        lines += [f"       {reason}" for reason in one["reasons"]]
    lines += _more(found["ranked"], most)
    if found["rejected"]:
        lines += ["", "not these:"]
        rows = found["rejected"][:most]
        width = max(len(one["model"]) for one in rows)
        lines += [f"     {one['model']:<{width}}  {one['reason']} ({one['code']})" for one in rows]
        lines += _more(found["rejected"], most)
    return lines


def _more(rows: Sequence[object], most: int | None) -> list[str]:
    left = len(rows) - most if most is not None else 0
    return [f"     … and {left:,} more: --all"] if left > 0 else []


async def _replay(door: Door, chosen: argparse.Namespace) -> None:
    found = (await door.ask(_REPLAY, policy=chosen.policy, last=chosen.last))["replayRoutes"]
    if chosen.json:
        print_json(found)
        return
    rows = [
        [
            one["at"][:16].replace("T", " "),
            one["task"],
            f"{one['difficulty']:.2f}",
            one["before"],
            one["after"] or "none",
            f"{_money(one['costUsd'])} → {_money(one['estimatedUsd'])}",
            f"{one['durationS']:.1f} → " + ("?" if one["estimatedS"] is None else f"{one['estimatedS']:.1f}") + " s",
            one["reasons"][0] if one["after"] is None else one["error"] or ("" if one["changed"] else "the same"),
        ]
        for one in found["requests"]
    ]
    if rows:
        print_table(["when", "task", "hard", "was asked", "would be", "cost", "time", ""], rows)
        sys.stdout.write("\n")
    sys.stdout.write("\n".join(_summary(found)) + "\n")


def _summary(found: Mapping[str, Any]) -> Sequence[str]:
    count = len(found["requests"])
    if not count:
        return ["No request of the log can be replayed yet."]
    lines = [f"With {found['policy']}, {found['changed']:,} of {count:,} requests would go to another model."]
    lines += _compared("Cost", found["cost"], dollars)
    lines += _compared("Time", found["seconds"], lambda value: f"{value:.1f} s")
    if found["refused"]:
        lines.append(f"{found['refused']:,} would be refused.")
    if found["skipped"]:
        lines.append(f"{found['skipped']:,} more cannot be replayed: embeddings, or from before decisions were kept.")
    return lines


def _compared(what: str, sums: Mapping[str, Any], say: Callable[[Decimal], str]) -> list[str]:
    if not sums["requests"]:
        return []
    before, after = (Decimal(str(sums[side])) for side in ("before", "after"))
    return [f"{what}, of {sums['requests']:,}: {say(before)} → about {say(after)}."]


def _money(text: str | None) -> str:
    return "?" if text is None else dollars(Decimal(text))


async def _vote(door: Door, chosen: argparse.Namespace) -> None:
    await door.ask(_VOTE, id=chosen.id, vote=chosen.vote.upper())
    if chosen.json:
        print_json({"id": chosen.id, "vote": chosen.vote})
    else:
        said = "What was said of it is taken back." if chosen.vote == "none" else "Noted: it counts in later decisions."
        sys.stdout.write(said + "\n")

"""The command line. Only reads the words and hands over: what a command needs is imported when it runs."""

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

PROGRAM = "circuit-breaker"
FORMATS = ("json", "yaml", "graphql", "pnml", "bpmn")
EXPORTS = ("json", "yaml", "pnml", "mermaid", "dot", "svg")
TEMPLATES = ("approval", "review-loop", "fork-join", "timeout-escalation", "agent-pipeline")
TASKS = ("chat", "coding", "analysis", "creative")
WAYS = ("day", "model", "provider", "app", "workflow")
EXAMPLES = """\
examples:
  circuit-breaker                                       open the workbench
  circuit-breaker --serve                               serve without a screen
  circuit-breaker chat "Why is the sky blue?"           ask and read the answer as it comes
  circuit-breaker workflow verify my_workflow.json      prove it sound, or see a counter-example
  circuit-breaker token create document_approval_v1     start a token
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. 0 done, 1 failed (message on stderr), 2 wrong usage, 130 interrupted."""
    words = sys.argv[1:] if arguments is None else arguments
    chosen = _without_command(words) or parser().parse_args(words)
    command = chosen.command or ("serve" if chosen.serve else "workbench")
    gc.disable()  # modules are made to stay: looking through them while they load only makes that take longer
    run = import_module(f"app.commands.{chosen.module or command}").run
    gc.freeze()
    gc.enable()
    from engine.kernel.errors import CircuitBreakerError

    try:
        code: int = run(chosen)
        return code
    except CircuitBreakerError as error:
        for lead, text in (("error", error.what), ("why", error.why), ("fix", error.fix)):
            if text:
                print(f"{lead}: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        return 0


def parser() -> argparse.ArgumentParser:
    found = _options(
        prog=PROGRAM,
        description="A terminal workbench for local AI. Without a command it opens the workbench.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = found.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_model_commands(commands)
    _add_workflow_commands(commands)
    _add_store_commands(commands)
    return found


def _without_command(words: Sequence[str]) -> argparse.Namespace | None:
    """What was chosen, when there is nothing but options, and nothing wrong with them: parsers for all commands would
    take longer to make than the options to read. None when the whole parser has to look."""
    try:
        chosen, rest = _options(add_help=False, allow_abbrev=False, exit_on_error=False).parse_known_args(words)
    except argparse.ArgumentError:
        return None
    return None if rest else chosen


def _options(**given: Any) -> argparse.ArgumentParser:
    """A parser of the options that need no command."""
    found = argparse.ArgumentParser(parents=[_common()], **given)
    found.set_defaults(data_dir=None, config=None, store=None, json=False, no_color=False, plain=False, command=None)
    found.set_defaults(module=None)
    found.add_argument("--version", action=Version, nargs=0, help="show the version and end")
    _add_server_options(found)
    return found


def _add_server_options(found: argparse.ArgumentParser) -> None:
    server = found.add_argument_group("server")
    server.add_argument("--serve", action="store_true", help="serve without a screen, until SIGINT, SIGTERM or SIGHUP")
    server.add_argument("--host", help="address to bind (127.0.0.1)")
    server.add_argument("--openai-port", metavar="PORT", help="port of the OpenAI API (3000); 0: a free one; off: none")
    server.add_argument(
        "--graphql-port", metavar="PORT", help="port of the GraphQL API (4000); 0: a free one; off: none"
    )


def _add_model_commands(commands: Parsers) -> None:
    _command(commands, "doctor", "look at everything and say what is missing")

    chat = _command(commands, "chat", "ask a model and print the answer as it comes")
    chat.add_argument("prompt", help="the question; `-` reads it from standard input")
    chat.add_argument("--model", help="a model's name, or a virtual one (auto)")
    chat.add_argument("--system", default="", help="instructions that go before the question")

    models = _command(commands, "models", "list, show, judge, measure, fetch and remove models")
    models.add_argument("--provider", help="only those of this provider")
    actions = models.add_subparsers(dest="action", metavar="ACTION")
    some = _command(actions, "list", "list the models that are there")
    some.add_argument("--provider", default=argparse.SUPPRESS, help="only those of this provider")
    _command(actions, "show", "all that is known of a model").add_argument("model", help="provider/name, or its name")
    fit = _command(actions, "fit", "does a local model fit the memory of this machine; all of them without a name")
    fit.add_argument("model", nargs="?", help="provider/name, or its name")
    fit.add_argument("--context", type=int, metavar="N", help="with so many tokens of context")
    bench = _command(actions, "bench", "ask a model a short prompt and measure it")
    bench.add_argument("model", help="provider/name, or its name")
    bench.add_argument("--tokens", type=int, default=64, metavar="N", help="of the answer, at most (64)")
    for name, help in (
        ("pull", "fetch a model onto this machine; Ctrl-C stops it, and the same again goes on"),
        ("rm", "remove a model from this machine"),
    ):
        keeping = _command(actions, name, help)
        keeping.add_argument("model", help="its name, as its provider has it")
        keeping.add_argument("--provider", default=argparse.SUPPRESS, help="who keeps it (ollama)")
        keeping.set_defaults(module="keeping")
    reset = _command(actions, "reset", "ask those again that are left alone because they failed")
    reset.add_argument("--provider", default=argparse.SUPPRESS, help="only those of this provider")
    update = _command(actions, "update", "put other data about models, with their prices, in the place of ours")
    update.add_argument("--from", dest="source", required=True, metavar="WHERE", help="a file, or an http(s) address")
    _add_route(commands)
    _add_spend(commands)

    keys = _command(commands, "keys", "list, set, test and delete API keys")
    actions = keys.add_subparsers(dest="action", metavar="ACTION", required=True)
    _command(actions, "list", "list the keys: their last characters and where they are kept")
    for name, help in (
        ("set", "keep a key in the keyring; it is read from standard input or asked for"),
        ("test", "ask a provider with its key"),
        ("delete", "forget a key"),
    ):
        _command(actions, name, help).add_argument("provider", help="openai, anthropic, google, azure or custom")

    local = _command(commands, "local", "set up the embedded models")
    actions = local.add_subparsers(dest="action", metavar="ACTION", required=True)
    setup = _command(actions, "setup", "fetch the embedded models, after asking")
    setup.add_argument("--yes", action="store_true", help="do not ask")


def _add_route(commands: Parsers) -> None:
    route = _command(commands, "route", "which model would answer, and why; what another policy would have done")
    actions = route.add_subparsers(dest="action", metavar="ACTION", required=True)
    _command(actions, "list", "list the virtual models, and what counts in them")
    explain = _command(actions, "explain", "where a prompt would go, and why; nobody is asked")
    explain.add_argument("prompt", help="the prompt; `-` reads it from standard input")
    explain.add_argument("--model", default="auto", help="a virtual model, or a model's name (auto)")
    explain.add_argument("--task", choices=TASKS, help="say what it is, in place of the signs")
    explain.add_argument("--local-only", action="store_true", help="keep it on this machine")
    show = _command(actions, "show", "why a request went where it went")
    show.add_argument("id", help="its id, as the header x-cb-route has it")
    for parser in (explain, show):
        parser.add_argument("--all", action="store_true", help="all models, not the first ten")
    replay = _command(actions, "replay", "what if another policy had decided on the requests of the log")
    replay.add_argument("--policy", default="cb:cost-optimal", help="a virtual model, or a model (cb:cost-optimal)")
    replay.add_argument("--last", type=int, default=50, metavar="N", help="how many of the newest (50; 500 at most)")
    vote = _command(actions, "vote", "say what an answer was worth; it counts in later decisions")
    vote.add_argument("id", help="the id of its request")
    vote.add_argument("vote", choices=("up", "down", "none"), help="good, not good, or take back what was said")


def _add_spend(commands: Parsers) -> None:
    spend = _command(commands, "spend", "what requests cost; budgets; the log for other programs")
    spend.add_argument("--by", choices=WAYS, default="day", help="what costs are added up by (day)")
    spend.add_argument("--csv", action="store_true", help="print for spreadsheets")
    _add_period(spend)
    actions = spend.add_subparsers(dest="action", metavar="ACTION")
    export = _command(actions, "export", "write the log of requests, newest first")
    export.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="as what (csv)")
    export.add_argument("-o", "--output", metavar="FILE", help="where to (standard output)")
    _add_period(export)
    budget = _command(actions, "budget", "set, list and remove budgets")
    steps = budget.add_subparsers(dest="step", metavar="STEP", required=True)
    put = _command(steps, "set", "allow so many US dollars in each period; what would go over it is refused")
    put.add_argument("limit", type=float, help="US dollars")
    put.add_argument("--per", choices=("day", "week", "month", "year"), default="month", help="period (month)")
    put.add_argument("--app", default=None, help="only for the requests of this app")
    put.add_argument("--workflow", default=None, metavar="ID", help="only for the requests for this workflow")
    put.add_argument("--warn", type=float, default=0.8, metavar="PART", help="the part at which to warn (0.8)")
    _command(steps, "list", "list the budgets, and how they stand")
    _command(steps, "rm", "remove a budget").add_argument("budget", help="its name, as `list` has it")


def _add_period(command: argparse.ArgumentParser) -> None:
    command.add_argument("--since", metavar="DAY", help="the first day: 2026-11-01, or 7d for seven days ago")
    command.add_argument("--until", metavar="DAY", help="the last day (today)")
    command.add_argument("--app", help="only the requests of this app")
    command.add_argument("--workflow", metavar="ID", help="only the requests for this workflow")


def _add_workflow_commands(commands: Parsers) -> None:
    workflow = _command(commands, "workflow", "list, show, write, import, export, prove and migrate workflows")
    actions = workflow.add_subparsers(dest="action", metavar="ACTION", required=True)
    _command(actions, "list", "list the workflows")
    show = _command(actions, "show", "draw a workflow")
    show.add_argument("workflow", help="its id")
    new = _command(actions, "new", "write a workflow file to begin from")
    new.add_argument("template", help="which one: " + ", ".join(TEMPLATES))
    new.add_argument("file", nargs="?", help="where to (TEMPLATE.yaml)")
    bring = _command(actions, "import", "store the workflow in a file")
    bring.add_argument("file", help="JSON, YAML, PNML, BPMN or GraphQL; `-` for standard input")
    bring.add_argument("--strict", action="store_true", help="refuse it when the analysis finds an error")
    _add_format(bring)
    export = _command(actions, "export", "write a workflow as text for other programs, or as a picture")
    _add_source(export, "workflow")
    export.add_argument("--to", required=True, choices=EXPORTS, help="as what")
    export.add_argument("-o", "--output", metavar="FILE", help="where to (standard output)")
    verify = _command(actions, "verify", "analyse a workflow; ends with 1 when there is an error")
    _add_source(verify, "file")
    _add_states(verify)
    ask = _command(actions, "ask", "ask about all runs of a workflow; ends with 0 when it is so")
    _add_source(ask, "file")
    ask.add_argument("question", help='"can shipped be reached without paid", "never a and b", "AG (a + b <= 1)"')
    _add_states(ask)
    simulate = _command(actions, "simulate", "let cases run through a workflow: times, throughput, bottleneck")
    _add_source(simulate, "file")
    simulate.add_argument("--cases", type=int, default=1_000, metavar="N", help="how many come (1000)")
    simulate.add_argument("--every", type=float, default=60.0, metavar="S", help="one comes every S seconds (60)")
    simulate.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same figures (0)")
    simulate.add_argument(
        "--time", action="append", metavar="TRANSITION=S", help="seconds it takes on average, or JSON; may be repeated"
    )

    migrate = _command(actions, "migrate", "carry the tokens of one workflow over to another; plans it first")
    migrate.add_argument("source", metavar="from", help="the id of the workflow they are in")
    migrate.add_argument("target", metavar="to", help="the id of the workflow they go to")
    migrate.add_argument(
        "--place", action="append", metavar="OLD=NEW", help="where the tokens of a place go; may be given again"
    )
    migrate.add_argument("--run", action="store_true", help="carry the plan out")
    migrate.add_argument("--reason", help="why; it stands in the histories")
    _add_mining_commands(actions)
    _add_token_commands(commands)


def _add_source(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument(name, help="a file, `-` for standard input, or the id of a stored workflow")
    _add_format(command)


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=FORMATS, help="of the file, when its name does not say")


def _add_states(command: argparse.ArgumentParser) -> None:
    command.add_argument("--max-states", type=int, default=200_000, metavar="N", help="markings to look at, at most")


def _add_token_commands(commands: Parsers) -> None:
    token = _command(commands, "token", "create, fire, list, show, try, roll back, fork and cancel tokens")
    actions = token.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = _command(actions, "create", "start a token in a workflow")
    create.add_argument("workflow", help="the workflow's id")
    create.add_argument("--data", metavar="JSON", help="what it carries")
    fire = _command(actions, "fire", "fire a transition on a token")
    fire.add_argument("token", help="the token's id")
    fire.add_argument("transition", help="the transition's id")
    fire.add_argument("--data", metavar="JSON", help="merged into what it carries")
    fire.add_argument("--from", dest="source", metavar="PLACE", help="where to take from, when there are several")
    fire.add_argument("--expect", type=int, metavar="VERSION", help="refuse when the token has moved on")
    fire.add_argument("--reason", help="why; it stands in the history")
    some = _command(actions, "list", "list tokens, the newest first")
    some.add_argument("--workflow", metavar="ID", help="only those of this workflow")
    some.add_argument("--state", help="only those in this state")
    some.add_argument("--status", choices=("active", "completed", "cancelled"), help="only those")
    some.add_argument("--where", action="append", metavar="FIELD=VALUE", help="only those that carry it")
    some.add_argument("--first", type=int, default=50, metavar="N", help="how many (50)")
    show = _command(actions, "show", "show a token with its history; the newest tokens without an id")
    show.add_argument("token", nargs="?", help="the token's id")
    tries = _command(actions, "try", "fire on a copy and say what would become of the token")
    tries.add_argument("token", help="the token's id")
    tries.add_argument("transitions", nargs="+", help="the transitions, one after the other")
    tries.add_argument("--data", metavar="JSON", help="what comes with the first one")
    back = _command(actions, "rollback", "give a token the marking and the data of an earlier version")
    back.add_argument("token", help="the token's id")
    back.add_argument("version", type=int, help="the version to go back to")
    back.add_argument("--reason", help="why; it stands in the history")
    for name, help in (
        ("fork", "start a token where another one is"),
        ("cancel", "take a token out of its workflow; its history stays"),
    ):
        command = _command(actions, name, help)
        command.add_argument("token", help="the token's id")
        command.add_argument("--reason", help="why; it stands in the history")


def _add_mining_commands(actions: Parsers) -> None:
    stats = _command(actions, "stats", "what its tokens did: times by place, throughput, rework, what follows what")
    stats.add_argument("workflow", help="its id")
    stats.add_argument("--by", choices=("day", "hour"), default="day", help="what completions are counted by")
    stats.add_argument("--picture", choices=("mermaid", "dot"), help="print what follows what, as a diagram")
    conform = _command(actions, "conform", "how well an event log fits it, by token replay")
    conform.add_argument("workflow", help="its id")
    conform.add_argument("file", help="a log in XES, JSON Lines or CSV; `-` for standard input")
    conform.add_argument("--format", choices=("xes", "jsonl", "csv"), help="its notation; seen by itself without it")
    log = _command(actions, "log", "print the histories of its tokens as an event log")
    log.add_argument("workflow", help="its id")
    log.add_argument("--format", choices=("xes", "jsonl"), default="xes", help="its notation")
    for parser in (stats, log):
        parser.add_argument("--tokens", type=int, default=10_000, help="how many of the newest (10000 are the most)")
    for parser in (stats, conform, log):
        parser.set_defaults(module="mining")


def _add_store_commands(commands: Parsers) -> None:
    backup = _command(commands, "backup", "copy the database into a file, also while it is in use")
    backup.add_argument("file", help="where to")
    backup.add_argument("--force", action="store_true", help="overwrite a file that is there")
    restore = _command(commands, "restore", "put a backup in the place of the database, and keep what was there")
    restore.add_argument("file", help="the backup")
    export = _command(commands, "export", "write everything as JSON Lines, also while the database is in use")
    export.add_argument("file", help="where to")
    export.add_argument("--force", action="store_true", help="overwrite a file that is there")
    given = _command(commands, "import", "store what `export` wrote; what is here already, the same, is skipped")
    given.add_argument("file", help="the export")
    archive = _command(commands, "archive", "fold the histories of tokens that ended long ago; their chains are kept")
    archive.add_argument("--older-than", metavar="AGE", required=True, help="not touched for so long: 30d, 12h")
    archive.add_argument("--export", type=Path, metavar="FILE", help="write the events to a file first, as JSON Lines")
    archive.add_argument("--dry-run", action="store_true", help="only say what would be done")
    for parser in (export, given, archive):
        parser.set_defaults(module="upkeep")


def _command(parents: Parsers, name: str, help: str) -> argparse.ArgumentParser:
    return parents.add_parser(name, help=help, description=help[:1].upper() + help[1:] + ".", parents=[_common()])


class Version(argparse.Action):
    """argparse's own wants to know the version at once, and to ask for it loads more than all else here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"{PROGRAM} {import_module('importlib.metadata').version(PROGRAM)}")
        parser.exit()


def _common() -> argparse.ArgumentParser:
    """Options that stand before or after the command. Made anew for each parser: parsers change what they share."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("common options")
    group.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the database and the log")
    group.add_argument("--config", type=Path, metavar="FILE", help="settings file")
    group.add_argument("--store", metavar="URL", help="sqlite:///PATH or memory://")
    group.add_argument("--json", action="store_true", help="print for programs")
    group.add_argument("--no-color", action="store_true", help="no colours")
    group.add_argument("--plain", action="store_true", help="no boxes and no animation")
    return common


if __name__ == "__main__":
    sys.exit(main())

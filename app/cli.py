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
    chosen = parser().parse_args(arguments)
    command = chosen.command or ("serve" if chosen.serve else "workbench")
    gc.disable()  # modules are made to stay: looking through them while they load only makes that take longer
    run = import_module(f"app.commands.{command}").run
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
    found = argparse.ArgumentParser(
        prog=PROGRAM,
        description="A terminal workbench for local AI. Without a command it opens the workbench.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common()],
    )
    found.set_defaults(data_dir=None, config=None, store=None, json=False, no_color=False, plain=False, command=None)
    found.add_argument("--version", action=Version, nargs=0, help="show the version and end")
    _add_server_options(found)
    commands = found.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_model_commands(commands)
    _add_workflow_commands(commands)
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

    models = _command(commands, "models", "list the models that are there")
    models.add_argument("--provider", help="only those of this provider")

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


def _add_workflow_commands(commands: Parsers) -> None:
    workflow = _command(commands, "workflow", "list, show and verify workflows")
    actions = workflow.add_subparsers(dest="action", metavar="ACTION", required=True)
    _command(actions, "list", "list the workflows")
    show = _command(actions, "show", "draw a workflow")
    show.add_argument("workflow", help="its id")
    verify = _command(actions, "verify", "analyse a workflow; ends with 1 when there is an error")
    verify.add_argument("file", help="a JSON file, `-` for standard input, or the id of a stored workflow")

    token = _command(commands, "token", "create, fire and show tokens")
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
    show = _command(actions, "show", "show a token with its history; the newest tokens without an id")
    show.add_argument("token", nargs="?", help="the token's id")


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

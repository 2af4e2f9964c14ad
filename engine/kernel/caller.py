"""Who asks. Goes with every use case, into histories and logs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is what stands in a history; `face` is where it came in: workbench, command, graphql, openai, python."""

    name: str
    face: str


WORKBENCH = Caller("you", "workbench")
COMMAND = Caller("you", "command")
PROGRAM = Caller("program", "python")

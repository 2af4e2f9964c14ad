"""Who asks. Goes with every use case, into histories and logs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is what stands in a history; `face` is where it came in: workbench, command, graphql, openai, python.

    `app` is an app that said who it is, `agent` how a program calls itself (user agent). `workflow` and `token` are
    what something is done for, where that is known.
    """

    name: str
    face: str
    app: str = ""
    agent: str = ""
    workflow: str = ""
    token: str = ""

    @property
    def who(self) -> str:
        """Whose costs these are: the app, else the program that called in, else the face."""
        return self.app or (self.name if self.agent else self.face)


WORKBENCH = Caller("you", "workbench")
COMMAND = Caller("you", "command")
PROGRAM = Caller("program", "python")

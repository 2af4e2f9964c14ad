"""Azure OpenAI over the scripted OpenAI: its addresses, its header, its filters ("Azure OpenAI REST API reference",
learn.microsoft.com, read 2026-08).

`deployments` are the names that it has, with the models behind them. The first chunk of a stream has no choices and the
results of the prompt's filter.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.servers.loopback import Answer, Received, Status
from tests.servers.scripted_openai import Reply, ScriptedOpenAI, echo

FILTERS = {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
FIRST = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [FILTERS]}


def filtered() -> dict[str, Any]:
    said = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    return {"error": {"message": said, "type": None, "param": "prompt", "code": "content_filter", "innererror": inner}}


class ScriptedAzure(ScriptedOpenAI):
    def __init__(
        self,
        deployments: Mapping[str, str],
        *,
        key: str = "",
        lists: bool = True,
        reply: Callable[[Mapping[str, Any]], Reply] = echo,
    ) -> None:
        super().__init__(list(deployments), reply=lambda body: replace(reply(body), head=[FIRST]))
        self.deployments, self.api_key, self.lists = deployments, key, lists
        self.versions: list[str] = []
        self.known: Status | None = None  # what the list of models is answered with

    async def answer(self, request: Received, answer: Answer) -> None:
        if self.api_key and request.headers.get("api-key") != self.api_key:
            said = "Access denied due to invalid subscription key or wrong API endpoint."
            return await answer.whole({"error": {"code": "401", "message": said}}, 401)
        path, _, query = request.path.partition("?")
        version = query.removeprefix("api-version=")
        rest = path.removeprefix("/openai/")
        if request.method == "GET" and rest == "deployments" and self.lists:
            rows = [{"id": id, "model": model, "status": "succeeded"} for id, model in self.deployments.items()]
            return await answer.whole({"data": rows, "object": "list"})
        if request.method == "GET" and rest in ("models", "v1/models"):
            if self.known:
                return await answer.whole(self.known.body, self.known.code)
            return await answer.whole({"data": [{"id": model} for model in self.deployments.values()]})
        if rest.startswith("v1/") and not version:
            self.versions.append("v1")
            return await super().answer(replace(request, path=f"/v1/{rest.removeprefix('v1/')}"), answer)
        if rest.startswith("deployments/") and version:
            _, name, what = rest.split("/", 2)
            if name not in self.deployments:
                said = "The API deployment for this resource does not exist."
                return await answer.whole({"error": {"code": "DeploymentNotFound", "message": said}}, 404)
            self.versions.append(version)
            return await super().answer(replace(request, path=f"/v1/{what}"), answer)
        return await answer.whole({"error": {"code": "404", "message": "Resource not found"}}, 404)

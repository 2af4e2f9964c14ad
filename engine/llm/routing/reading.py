"""What a request seems to want, by signs that anybody can see: its task and how hard it is. Pure.

Rules of thumb. Only what the user said last is looked at: the long system prompts of agents would make everything look
hard, and like code.
"""

import re
from collections.abc import Iterator

from engine.llm.counting import prompt_tokens
from engine.llm.messages import ChatRequest
from engine.llm.routing.model import Needs

EXPECTED_OUTPUT = 400  # tokens, before anything is known
LONG_CONTEXT = 3000

TASK_NAMES = {
    "general_chat": "chat", "chat": "chat", "conversation": "chat", "summarization": "chat",
    "coding": "coding", "code": "coding", "code_generation": "coding",
    "analysis": "analysis", "reasoning": "analysis", "data_analysis": "analysis", "math": "analysis",
    "creative": "creative", "creative_writing": "creative", "writing": "creative",
}  # fmt: skip
"""What clients call tasks, and which of ours that is."""

_CODE = (
    (re.compile(r"```"), "a code fence"),
    (
        re.compile(r"\b[\w/-]+\.(py|rs|ts|tsx|js|go|java|c|cpp|h|rb|sh|sql|toml|yaml|yml|json|html|css)\b"),
        "a file name",
    ),
    (re.compile(r"Traceback \(most recent call last\)|^\s+at \S+\(\S+:\d+\)|panicked at", re.M), "a stack trace"),
    (re.compile(r"^(diff --git|@@ |\+\+\+ |--- )", re.M), "a diff"),
    (re.compile(r"\b(def|class|fn|func|import|SELECT|const|let|#include)\b[^.\n]{0,60}[({;:=]"), "a line of code"),
    (
        re.compile(
            r"\b(write|fix|refactor|implement|debug|review|explain)\b.{0,40}"
            r"\b(code|function|class|method|script|program|test|tests|bug|regex|query|api)\b",
            re.I | re.S,
        ),
        "it speaks of code",
    ),
)
_CREATIVE = (
    re.compile(
        r"\b(write|compose|invent|tell|make up)\b.{0,30}"
        r"\b(story|poem|haiku|song|lyrics|slogan|tale|limerick|novel|scene|joke)\b",
        re.I | re.S,
    ),
    "it asks for a piece of writing",
)
_ANALYSIS = (
    (re.compile(r"\b(compare|why|prove|analy[sz]e|evaluate|pros and cons|trade-?offs?|derive|explain how)\b", re.I),
     "it asks for reasons"),
    (re.compile(r"(^|\n)\s*\|.*\|.*\|"), "a table"),
    (re.compile(r"(\d[\d,.]*\s*(%|€|\$|kg|km|ms)?[\s,;]+){6}"), "many numbers"),
)  # fmt: skip
_REASONING = re.compile(
    r"\b(why|prove|derive|step by step|trade-?offs?|compare|design|plan|strategy|root cause)\b", re.I
)
_STEPS = re.compile(r"(^|\n)\s*(\d+[.)]|[-*])\s+\S")
_EASY = re.compile(
    r"^\s*(hi|hello|hey|thanks|thank you|good (morning|evening)|what is|what's|define|translate|rewrite|correct)\b",
    re.I,
)


def needs_of(
    request: ChatRequest, *, same_model: str = "", emulate_tools: bool = False, local_only: bool = False
) -> Needs:
    """What `request` asks of a model. `same_model` is the one that waits for its tools; `emulate_tools` and
    `local_only` hold for all requests."""
    wishes, text = request.preferences, _last_said(request)
    prompt = prompt_tokens(request)
    task, task_why = _task(request, text, prompt)
    difficulty, difficulty_why = _difficulty(request, text, task)
    return Needs(
        asked=request.model,
        prompt_tokens=prompt,
        output_tokens=min(request.sampling.max_tokens or EXPECTED_OUTPUT, EXPECTED_OUTPUT * 10),
        tools=bool(request.tools),
        images=request.has_images,
        schema=request.sampling.wants_json,
        task=task,
        task_why=task_why,
        difficulty=difficulty,
        difficulty_why=difficulty_why,
        strategy=wishes.routing_strategy,
        fallbacks=wishes.fallback_models,
        max_cost_per_1k_tokens=wishes.max_cost_per_1k_tokens,
        max_latency_ms=wishes.max_latency_ms,
        budget=wishes.budget,
        local_only=wishes.local_only or local_only,
        emulate_tools=emulate_tools,
        same_model=same_model,
    )


def _last_said(request: ChatRequest) -> str:
    return next((message.text for message in reversed(request.messages) if message.role == "user"), "")[:20_000]


def _task(request: ChatRequest, text: str, prompt: int) -> tuple[str, tuple[str, ...]]:
    if request.preferences.task_type:
        named = TASK_NAMES.get(request.preferences.task_type.casefold().replace("-", "_").replace(" ", "_"))
        if named:
            return named, ("the request says so",)
    if code := [sign for pattern, sign in _CODE if pattern.search(text)]:
        return "coding", tuple(code)
    pattern, sign = _CREATIVE
    if pattern.search(text):
        return "creative", (sign,)
    if analysis := [sign for pattern, sign in _ANALYSIS if pattern.search(text)]:
        return "analysis", tuple(analysis)
    if prompt > LONG_CONTEXT and not request.tools:
        return "analysis", (f"about {prompt:,} tokens of context",)
    return "chat", ()


def _difficulty(request: ChatRequest, text: str, task: str) -> tuple[float, tuple[str, ...]]:
    tokens = len(text) / 3.6
    found = list(_signs(request, text, task, tokens))
    total = min(1.0, max(0.0, sum(weight for weight, _ in found)))
    return round(total, 2), tuple(f"{weight:+.2f} {sign}" for weight, sign in found)


def _signs(request: ChatRequest, text: str, task: str, tokens: float) -> Iterator[tuple[float, str]]:
    if tokens > 400:
        yield 0.15, "more than 400 tokens"
    if tokens > 2000:
        yield 0.20, "more than 2,000 tokens"
    if task == "coding":
        yield 0.25, "code"
    if _REASONING.search(text):
        yield 0.20, "words of reasoning"
    if len(_STEPS.findall(text)) >= 3:
        yield 0.15, "three steps or more"
    if len(request.tools) >= 3:
        yield 0.15, "three tools or more"
    if tokens < 25 and _EASY.search(text):
        yield -0.25, "a greeting, a definition or a rewrite"

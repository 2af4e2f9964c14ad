"""How clients are set up, with the addresses as they are now."""

from collections.abc import Mapping

_TEXTS: Mapping[str, str] = {
    "openai (Python)": """\
from openai import OpenAI

client = OpenAI(
    base_url="{openai}",
    api_key="none",
)
hello = {{"role": "user", "content": "Hello!"}}
answer = client.chat.completions.create(
    model="auto", messages=[hello]
)
print(answer.choices[0].message.content)
""",
    "LangChain": """\
from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    base_url="{openai}",
    api_key="none",
    model="auto",
)
print(model.invoke("Hello!").content)
""",
    "curl": """\
curl {openai}/chat/completions \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "auto", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
""",
    "GraphQL (curl)": """\
curl {graphql} \\
  -H 'Content-Type: application/json' \\
  -d '{{"query": "{{ workflows {{ id name states }} }}"}}'
""",
    "Editors": """\
Continue, Zed, aider, Open WebUI and others that
take an OpenAI-compatible endpoint:

base URL   {openai}
API key    anything
model      auto, or any name on screen 2
""",
}
SNIPPETS = tuple(_TEXTS)


def snippet(name: str, openai: str | None, graphql: str | None) -> str:
    """The snippet of one of SNIPPETS; the usual addresses while the server is off."""
    usual = {"openai": "http://127.0.0.1:3000/v1", "graphql": "http://127.0.0.1:4000/graphql"}
    return _TEXTS[name].format(openai=openai or usual["openai"], graphql=graphql or usual["graphql"])

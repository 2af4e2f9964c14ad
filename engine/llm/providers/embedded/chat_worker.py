"""A child process: llama.cpp's server on a free loopback port.

    python -m engine.llm.providers.embedded.chat_worker MODEL.gguf --context 4096

The key is taken from the environment (CIRCUIT_BREAKER_CHILD_KEY). When the model is ready one JSON line goes to
stdout: {"url": "http://127.0.0.1:PORT"}; or {"error": text, "kind": "import" | "load"} and the end. It lives until
stdin closes, which also happens when the parent is killed. Whatever the extension prints goes to stderr.

The extension is never loaded in the program's own process: it has 100 MB and keeps the processor from the event loop.
Standard library only, so that it starts fast.
"""

import argparse
import json
import os
import sys
import threading


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("model")
    options.add_argument("--context", type=int, default=4096)
    options.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    chosen = options.parse_args()
    key = os.environ.pop("CIRCUIT_BREAKER_CHILD_KEY")  # noqa: TID251  # a child has no World; argv would show the key
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    parent = threading.Thread(target=_end_with_parent, daemon=True)
    parent.start()
    try:
        import xllamacpp  # here, so that a failure can be told
    except (ImportError, OSError) as error:
        answers.write(json.dumps({"error": str(error), "kind": "import"}) + "\n")
        return 3
    try:
        server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), chosen, key))
    except Exception as error:  # the extension raises RuntimeError, and more
        answers.write(json.dumps({"error": str(error), "kind": "load"}) + "\n")
        return 4
    answers.write(json.dumps({"url": server.listening_address}) + "\n")
    parent.join()
    return 0


def _parameters(params, chosen: argparse.Namespace, key: str):  # type: ignore[no-untyped-def]  # the extension has no types
    params.model.path = chosen.model
    params.model_alias = {"local"}  # else its list of models shows the file's path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_ctx, params.n_parallel, params.n_gpu_layers = chosen.context, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = chosen.threads
    params.n_threads_http = 4
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.use_jinja, params.warmup, params.verbosity, params.offline = True, False, 1, True
    return params


def _end_with_parent() -> None:
    os.read(0, 1)  # the parent writes nothing: this returns at the end of the pipe
    os._exit(0)  # the server's threads cannot be asked to stop


if __name__ == "__main__":
    sys.exit(main())

# Few targets. Each is one command that you may as well type yourself.
.DEFAULT_GOAL := help
.PHONY: help run test check format docs bench faults clients ollama-walk snapshots lock

help:       ## this list
	@grep -E '^[a-z-]+: .*##' Makefile | sed 's/:.*##/\t/'

run:        ## open the workbench
	uv run circuit-breaker

test:       ## all tests, on two cores
	uv run pytest -n 2

check:      ## format, lint, types, contracts, pins, generated pages
	uv run ruff format --check
	uv run ruff check
	uv run mypy
	uv run lint-imports --no-logo
	uv run python scripts/lock.py --check
	uv run python scripts/docs.py --check
	uv run python scripts/export_schema.py --check
	test -s README.md && test -s CHANGELOG.md

format:     ## format and mend what can be mended
	uv run ruff format
	uv run ruff check --fix

docs:       ## write the generated pages of docs/reference
	uv run python scripts/docs.py

bench:      ## measure speed; figures and commands are in docs/reference/performance.md
	@for file in bench/*.py; do [ -e "$$file" ] || continue; echo "== $$file"; uv run python "$$file" || exit 1; done

faults:     ## drills: kill it at the worst moment and look at the file
	@for file in bench/faults/*.py; do [ -e "$$file" ] || continue; echo "== $$file"; uv run python "$$file" || exit 1; done

clients:    ## LiteLLM, llm and aider, unchanged, against a running server; each is installed beside this one
	uv run python scripts/drive_clients.py

ollama-walk: ## the walks that need a real Ollama: OLLAMA_BASE_URL=http://127.0.0.1:11434 make ollama-walk
	@test -n "$$OLLAMA_BASE_URL" || echo "Start Ollama where it is installed, pull a model (ollama pull qwen2.5:0.5b), and run: OLLAMA_BASE_URL=http://127.0.0.1:11434 make ollama-walk"
	uv run pytest -m real_ollama -rs tests/walks/test_walk_real_ollama.py

snapshots:  ## take the pictures of the screens anew; look at the difference before you commit it
	uv run pytest tests/snapshots --snapshot-update

lock:       ## the newest versions that pyproject.toml allows
	uv run python scripts/lock.py

# Every target only calls a script, so that everything works without make too.
.PHONY: demo papers test check bench help-texts golden clean

demo: ## the main job, offline, on the example world
	scripts/demo

papers: ## the papers' orderings on the example world, three seeds, with plots
	scripts/papers

test: ## linters, types, import rules, help texts, the wheel, and every test
	scripts/test

check: ## the fast part of `test`: linters, types, import rules
	scripts/check

bench: ## our figures beside the peers', in one run
	scripts/bench

help-texts: ## write the command help in the docs anew
	.venv/bin/cog -r -I scripts docs/commands.md docs/store.md

golden: ## write the golden files and the docs' pictures anew; the diff is the review
	.venv/bin/python -m pytest -m "not slow" --rewrite-golden
	.venv/bin/python -m pytest tests/tui/gallery/test_looks.py --rewrite-golden

clean: ## remove what the other targets made
	rm -rf .venv .venv-vllm .venv-readers demo papers dist

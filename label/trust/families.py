"""Which models are of one family, so that a judge's liking for its own kin can be measured."""

import re

FAMILIES = {
    "anthropic": ("claude",),
    "cohere": ("command", "aya"),
    "deepseek": ("deepseek",),
    "google": ("gemini", "gemma", "palm", "bard"),
    "meta": ("llama",),
    "mistral": ("mistral", "mixtral", "ministral"),
    "openai": ("gpt", "chatgpt", "davinci", "text-davinci", "o1", "o3", "o4"),
    "qwen": ("qwen", "qwq"),
    "zhipu": ("glm", "chatglm"),
}
"""Family → how its models' names begin, after a provider's prefix."""

PREFIX = re.compile(r".*[/:#]")
ANNOTATOR = re.compile(r"(?:weighted-)?alpaca-eval-(?:cot-|clf-)*")
"""Before the model's name in the names of AlpacaEval's annotators."""


def family_of(model: str) -> str | None:
    """The family a model's name says it is of, if it does."""
    name = PREFIX.sub("", model.lower()).replace("_", "-")
    name = ANNOTATOR.sub("", name)
    return next((family for family, starts in FAMILIES.items() if name.startswith(starts)), None)

"""How an instruction with an input becomes one user's message: a rule with a version.

Rule 1 (Camels, arXiv 2306.04751, joins the two as well): the instruction, an empty line, the input. No
character of either is changed. An input that is empty, only space, or the word `<noinput>` of the
Self-Instruct prompts is no input. The rule a conversation was made by stands in its metadata.
"""

NO_INPUT = {"", "<noinput>", "<no input>"}
RULE = "instruction-input.1"


def rendered(instruction: str, text: str) -> str:
    """The user's message of an instruction and its input."""
    if not has_input(text):
        return instruction
    return f"{instruction}\n\n{text}" if instruction else text


def has_input(text: str) -> bool:
    """Whether TEXT is an input at all."""
    return text.strip().lower() not in NO_INPUT


def rule_used(instruction: str, text: str) -> list[tuple[str, object]]:
    """What the metadata says of the rule, where it joined anything."""
    return [("rendering", RULE)] if instruction and has_input(text) else []

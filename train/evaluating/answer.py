"""Answers of a trained model under a condition, for a look at what training did."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.chat_format import ChatFormat, Turn, load_tokenizer
from store.chat_template import END_OF_TURN, ChatTemplate
from store.errors import BadInput


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are drawn."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    seed: int = 0
    batch_size: int = 16


def answer(
    model_dir: Path,
    prompts: Sequence[Sequence[Turn]],
    condition: str | None = None,
    decoding: Decoding | None = None,
) -> list[str]:
    """One answer for each prompt, a list of (role, content) that ends with the user's turn.

    The one space the template puts before an answer is taken off, and nothing else.
    """
    import torch
    from transformers import AutoModelForCausalLM

    how = decoding or Decoding()
    chat = saved_format(model_dir)
    model = AutoModelForCausalLM.from_pretrained(
        model_dir, trust_remote_code=False, use_safetensors=True, local_files_only=True
    )
    model.eval()
    torch.manual_seed(how.seed)
    encoded = chat.encode_prompts(prompts, condition)
    answers: list[str] = []
    with torch.inference_mode():
        for start in range(0, len(encoded), how.batch_size):
            answers.extend(_answer_batch(model, chat, encoded[start : start + how.batch_size], how))
    return answers


def saved_format(model_dir: Path) -> ChatFormat:
    """The tokenizer of a model with the chat template saved beside it.

    Raises BadInput if there is no template.
    """
    tokenizer = load_tokenizer(model_dir)
    if not tokenizer.chat_template:
        raise BadInput(f"{model_dir} has no chat template; name a model that train run made")
    return ChatFormat(tokenizer, ChatTemplate("saved", tokenizer.chat_template, END_OF_TURN))


def _answer_batch(model: Any, chat: ChatFormat, prompts: list[list[int]], how: Decoding) -> Iterator[str]:
    import torch
    from transformers import GenerationConfig

    longest = max(map(len, prompts))
    pad = chat.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    config = GenerationConfig(
        max_new_tokens=how.max_new_tokens,
        do_sample=how.temperature > 0,
        temperature=how.temperature or None,
        pad_token_id=pad,
        eos_token_id=chat.end_of_turn_id,
    )
    drawn = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    for row in drawn[:, longest:].tolist():
        yield _text(row, chat)


def _text(ids: list[int], chat: ChatFormat) -> str:
    end = ids.index(chat.end_of_turn_id) if chat.end_of_turn_id in ids else len(ids)
    text: str = chat.tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False)
    return text.removeprefix(" ")

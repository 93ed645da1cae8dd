"""Makes the demo's policy: a small tokenizer and the shape of a tiny Llama, offline and the same every time.

    python examples/tiny_policy.py FOLDER [WORLD.json]

FOLDER then holds what `train run crlft --model FOLDER --from-scratch` needs: `config.json` without weights and
a byte-level BPE tokenizer trained on the world's texts.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

WORLD = Path(__file__).resolve().parent / "world.json"
END_OF_TURN = "<|end_of_turn|>"
SPECIAL_TOKENS = ("<s>", "</s>", "<pad>", END_OF_TURN)
VOCABULARY = 800
"""Enough for one token a word of the world."""
HIDDEN = 128
LAYERS = 2
CONTEXT = 512
SPEAKERS = ("GPT4 User:", "GPT4 Assistant:", "GPT3 User:", "GPT3 Assistant:")
"""What the chat template writes before a turn."""


def make_policy(folder: Path, world: Path = WORLD) -> None:
    """Write tokenizer and model shape into FOLDER."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    folder.mkdir(parents=True, exist_ok=True)
    _make_tokenizer(folder, list(texts_of(world)))
    _make_config(folder)


def texts_of(world: Path) -> Iterator[str]:
    """The text of every turn of a ShareGPT file that has one."""
    for record in json.loads(world.read_text(encoding="utf-8")):
        turns = record.get("conversations") if isinstance(record, dict) else None
        for turn in turns if isinstance(turns, list) else []:
            if isinstance(turn["value"], str):
                yield turn["value"]


def _make_tokenizer(folder: Path, texts: list[str]) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(
        [*texts, *(f"{speaker} {text}" for speaker in SPEAKERS for text in texts)], trainer
    )
    PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=[END_OF_TURN],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    ).save_pretrained(folder)


def _make_config(folder: Path) -> None:
    from transformers import LlamaConfig

    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=SPECIAL_TOKENS.index("<s>"),
        eos_token_id=SPECIAL_TOKENS.index("</s>"),
        pad_token_id=SPECIAL_TOKENS.index("<pad>"),
    ).save_pretrained(folder)


if __name__ == "__main__":
    make_policy(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else WORLD)

"""The papers' settings by name, and how a learning rate follows the batch.

(p) stands in a paper, (c) only in its released code, (h) is our choice where neither says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from store.errors import BadSettings, UnknownName


@dataclass(frozen=True, slots=True)
class Preset:
    """One row of a paper's table of settings."""

    recipe: str
    batch: int
    """Sequences of an optimizer step; pairs where the recipe trains on pairs."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of RunSettings."""


OPENCHAT = {  # OpenChat, section 4.1 and its code
    "template": "openchat",
    "lr": 6.7e-5,  # p, for 13B
    "schedule": "cosine_with_min_lr",
    "min_lr_rate": 0.1,  # p
    "warmup": 0.05,  # c
    "adam_beta2": 0.95,  # p
    "adam_epsilon": 1e-5,  # p
    "weight_decay": 0.1,  # p
    "epochs": 5.0,  # p
    "max_length": 4096,  # p
}
TULU = {  # Camels, appendix B
    "template": "tulu",
    "lr": 2e-5,
    "schedule": "linear",
    "warmup": 0.03,
    "epochs": 2.0,
    "max_length": 2048,
}
TULU_LARGE = {**TULU, "lr": 1e-5, "max_length": 1024}
XWIN_SFT = {  # Xwin-LM, section 3; its warm-up is not given (h)
    "template": "vicuna",
    "lr": 2e-5,
    "schedule": "cosine",
    "warmup": 0.03,
    "epochs": 3.0,
    "max_length": 4096,
}
XWIN_RM = {  # Xwin-LM, section 4
    "template": "vicuna",
    "lr": 1e-5,
    "schedule": "cosine",
    "warmup": 0.03,
    "epochs": 1.0,
    "max_length": 4096,
}
XWIN_DPO = {  # Xwin-LM, section 6; its length is not given (h)
    "template": "vicuna",
    "lr": 5e-7,
    "schedule": "linear",
    "warmup": 100,  # steps
    "epochs": 2.0,
    "max_length": 4096,
    "beta": 0.1,
}
RLHFLOW = {"template": "own", "schedule": "cosine", "warmup": 0.03}  # RLHF Workflow, sections 2 and 3
RLHFLOW_DPO = {
    **RLHFLOW,
    "lr": 5e-7,
    "epochs": 2.0,  # for each iteration
    "max_length": 4096,  # h: room for a prompt and the 2048 tokens that are sampled; c cuts at 2048
    "beta": 0.1,
}

XWIN_BATCH = 128  # h: not given for SFT and RSFT

PRESETS: dict[str, Preset] = {
    "openchat-13b": Preset("crlft", 64, OPENCHAT),  # c: 64 slots of 4096, about 200k trained tokens (p)
    "tulu-7b": Preset("sft", 128, TULU),
    "tulu-13b": Preset("sft", 128, TULU),
    "tulu-30b": Preset("sft", 128, TULU_LARGE),
    "tulu-65b": Preset("sft", 128, TULU_LARGE),
    **{f"xwin-{size}-sft": Preset("sft", XWIN_BATCH, XWIN_SFT) for size in ("7b", "13b", "70b")},
    "xwin-7b-rm": Preset("rm", 256, XWIN_RM),
    "xwin-13b-rm": Preset("rm", 256, XWIN_RM),
    "xwin-70b-rm": Preset("rm", 128, {**XWIN_RM, "lr": 2e-6}),
    **{
        f"xwin-{size}-rsft": Preset("rsft", XWIN_BATCH, {**XWIN_SFT, "lr": 1e-5})
        for size in ("7b", "13b", "70b")
    },
    **{f"xwin-{size}-dpo": Preset("dpo", 32, XWIN_DPO) for size in ("7b", "13b", "70b")},
    "rlhflow-sft": Preset(
        "sft", 32, {**RLHFLOW, "lr": 2e-5, "epochs": 1.0, "max_length": 8192, "packing": True}
    ),
    "rlhflow-rm": Preset(
        "rm", 512, {**RLHFLOW, "lr": 2e-6, "epochs": 1.0, "max_length": 4096, "weight_decay": 1e-3}
    ),
    "rlhflow-pm": Preset(
        "pm", 128, {**RLHFLOW, "lr": 5e-6, "epochs": 1.0, "max_length": 3072, "packing": True}
    ),
    "rlhflow-dpo": Preset("dpo", 128, RLHFLOW_DPO),
    "rlhflow-offline-dpo": Preset("dpo", 128, {**RLHFLOW_DPO, "epochs": 1.0}),
    "kto": Preset("kto", 128, RLHFLOW_DPO),  # h: none of the papers trains with KTO
}

USUAL = {
    "crlft": "openchat-13b",
    "sft": "tulu-7b",
    "rm": "rlhflow-rm",
    "pm": "rlhflow-pm",
    "rsft": "xwin-7b-rsft",
    "dpo": "rlhflow-dpo",
    "kto": "kto",
}
"""Recipe → the preset it has unless another is named."""


def preset_named(name: str | None, recipe: str) -> Preset:
    """The preset called NAME, or RECIPE's usual one.

    Raises UnknownName if there is none, BadSettings if it belongs to another recipe.
    """
    if recipe not in USUAL:
        raise UnknownName.of("recipe", recipe, USUAL)
    chosen = name or USUAL[recipe]
    if chosen not in PRESETS:
        raise UnknownName.of("preset", chosen, PRESETS)
    if PRESETS[chosen].recipe != recipe:
        raise BadSettings(f"preset {chosen} is for {PRESETS[chosen].recipe}, not for {recipe}")
    return PRESETS[chosen]


def scaled_lr(lr: float, batch: int, paper_batch: int) -> float:
    """The learning rate for another batch: it grows with the batch's square root (OpenChat, section 4.1)."""
    return lr * math.sqrt(batch / paper_batch)

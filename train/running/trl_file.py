"""`trl.yaml`: the run as TRL's own command line takes it, where TRL alone is able to do it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from store.chat_format import load_tokenizer
from store.chat_template import OWN, template_for
from train.checking.file_rows import Export
from train.running.run_settings import RunSettings

COMMANDS = {"sft": "sft", "rsft": "sft", "pm": "sft", "rm": "reward", "dpo": "dpo", "kto": "kto"}
"""Recipe → the command of `trl` that trains it; C-RLFT has none: TRL's loss takes no weights."""

READABLE = {
    "sft": ("messages", "prompt-completion"),
    "reward": ("pairs", "pairs-full"),
    "dpo": ("pairs", "pairs-full"),
    "kto": ("labelled",),
}
"""Command → the layouts of ours that it reads."""


def write_trl_file(settings: RunSettings, export: Export, folder: Path) -> str | None:
    """Write FOLDER/trl.yaml; returns why not where TRL alone could not do this run."""
    reason = reason_against(settings, export)
    if reason is not None:
        return reason
    lines = [f"# trl {COMMANDS[settings.recipe]} --config trl.yaml"]
    lines += [f"{name}: {json.dumps(value)}" for name, value in _values(settings, export, folder).items()]
    (folder / "trl.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return None


def reason_against(settings: RunSettings, export: Export) -> str | None:
    """Why TRL alone cannot do this run, or None."""
    command = COMMANDS.get(settings.recipe)
    if command is None:
        return "TRL's loss takes no weights"
    return next(_reasons(command, settings, export), None)


def _reasons(command: str, settings: RunSettings, export: Export) -> Iterator[str]:
    layout = (export.manifest or {}).get("layout")
    if layout not in READABLE[command]:
        yield f"trl {command} does not read the layout {layout or 'of files without a manifest'}"
    if settings.from_scratch:
        yield "TRL starts from weights"
    if settings.reference not in (None, settings.model):
        yield "trl dpo takes no reference"
    tokenizer = load_tokenizer(settings.model)
    template = template_for(tokenizer, settings.template)
    if template.end_of_turn not in tokenizer.get_vocab():
        yield f"the model's tokenizer lacks {template.end_of_turn}"
    if settings.template != OWN and command in ("dpo", "kto"):
        yield f"trl {command} takes the tokenizer's own template only"


def _values(settings: RunSettings, export: Export, folder: Path) -> dict[str, Any]:
    command = COMMANDS[settings.recipe]
    is_parquet = export.files[0].suffix == ".parquet"
    files = [str(path.resolve()) for path in export.files]
    values: dict[str, Any] = {
        "model_name_or_path": str(Path(settings.model).resolve()),
        "output_dir": str((folder / "trl").resolve()),
        "datasets": [{"path": "parquet" if is_parquet else "json", "data_files": files}],
        "dtype": "float32",
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.accumulation,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps or -1,
        "learning_rate": settings.lr,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,
        "adam_beta1": settings.adam_beta1,
        "adam_beta2": settings.adam_beta2,
        "adam_epsilon": settings.adam_epsilon,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "seed": settings.seed,
        "logging_steps": settings.log_every,
        "save_steps": settings.save_every,
        "max_length": settings.max_length,
        "report_to": "none",
    }
    if settings.schedule == "cosine_with_min_lr":
        values["lr_scheduler_kwargs"] = {"min_lr_rate": settings.min_lr_rate}
    if settings.lora_rank is not None:
        values |= {"use_peft": True, "lora_r": settings.lora_rank, "lora_dropout": settings.lora_dropout}
        values |= {"lora_alpha": settings.lora_alpha or 2 * settings.lora_rank}
        values["lora_target_modules"] = "all-linear"
    return values | _of_command(command, settings, export, folder)


def _of_command(command: str, settings: RunSettings, export: Export, folder: Path) -> dict[str, Any]:
    """What only one of the commands takes; a chat template is written beside the file."""
    if command in ("dpo", "kto"):
        return {"beta": settings.beta}
    values: dict[str, Any] = {}
    if settings.template != OWN:
        path = (folder / "chat_template.jinja").resolve()
        template = template_for(load_tokenizer(settings.model), settings.template)
        path.write_text(template.with_default(settings.condition).text, encoding="utf-8")
        values["chat_template_path"] = str(path)
    if command == "sft":
        layout = (export.manifest or {}).get("layout")
        values |= {"packing": settings.packing, "assistant_only_loss": layout == "messages"}
    return values

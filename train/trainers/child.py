"""What every trainer's process does alike: load a model, make room for new tokens, train, save, say what came of it.

A trainer is run as `python -m train.trainers.NAME OUT`, where OUT holds settings and rows; `train run` starts it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainerCallback, set_seed

from store.chat_format import add_end_of_turn, load_tokenizer
from store.chat_template import ChatTemplate, template_for
from train.running.run_settings import RunFiles, RunSettings

PAD = "<|pad|>"
"""The padding token that is added where a model has none of its own."""

MakeTrainer = Callable[[RunSettings, RunFiles, Dataset], Trainer]


class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers is skipped by mypy
    """Appends every log line to a JSON Lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """One line: the step and what was logged."""
        if state.is_world_process_zero and logs:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


def arguments(settings: RunSettings, folder: Path) -> dict[str, Any]:
    """The arguments that all trainers share."""
    has_gpu = torch.cuda.is_available()
    schedule: dict[str, Any] = {"lr_scheduler_type": settings.schedule}
    if settings.schedule == "cosine_with_min_lr":
        schedule["lr_scheduler_kwargs"] = {"min_lr_rate": settings.min_lr_rate}
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.accumulation,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps or -1,
        "learning_rate": settings.lr,
        **schedule,
        "warmup_steps": settings.warmup,
        "adam_beta1": settings.adam_beta1,
        "adam_beta2": settings.adam_beta2,
        "adam_epsilon": settings.adam_epsilon,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "seed": settings.seed,
        "logging_steps": settings.log_every,
        "save_steps": settings.save_every,
        "save_total_limit": 2,
        "bf16": has_gpu,
        "use_cpu": not has_gpu,
        "activation_checkpointing": settings.gradient_checkpointing,
        "gradient_checkpointing": None,  # the old name, which TRL switches on
        "dataloader_pin_memory": has_gpu,
        "report_to": [],
        "disable_tqdm": True,
    }


def load_model(settings: RunSettings) -> Any:
    """The causal model at the path of the settings, or one of its shape with fresh weights."""
    if settings.from_scratch:
        set_seed(settings.seed)
        config = AutoConfig.from_pretrained(settings.model, trust_remote_code=False, local_files_only=True)
        return AutoModelForCausalLM.from_config(config)
    return load_causal(settings.model)


def load_causal(folder: str) -> Any:
    """The causal model in a folder; parameters are float32: steps of 5e-7 would round away in bfloat16."""
    return AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=False, use_safetensors=True, local_files_only=True, dtype=torch.float32
    )


def load_format(settings: RunSettings) -> tuple[Any, ChatTemplate, list[int]]:
    """The model's tokenizer and the template it is trained with, and the ids of tokens that are new to it."""
    tokenizer = load_tokenizer(settings.model)
    template = template_for(tokenizer, settings.template)
    new_ids = add_end_of_turn(tokenizer, template)
    new_ids += _add_pad(tokenizer, template)
    tokenizer.chat_template = template.with_default(settings.condition).text
    return tokenizer, template, new_ids


def _add_pad(tokenizer: Any, template: ChatTemplate) -> list[int]:
    """See that padding is a token of its own: a model whose padding ends its answers is read one token early."""
    if tokenizer.pad_token not in (None, tokenizer.eos_token, template.end_of_turn):
        return []
    size = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": PAD})
    return list(range(size, len(tokenizer)))


def grow_for(model: Any, new_ids: Sequence[int]) -> None:
    """Give tokens that are new to the model the mean of the rows it has, in and out."""
    if not new_ids:
        return
    first, last = min(new_ids), max(new_ids)
    if last >= model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(last + 1, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            if layer is not None:
                layer.weight[list(new_ids)] = layer.weight[:first].mean(dim=0)


def prepare(settings: RunSettings) -> tuple[Any, Any]:
    """A causal model and its tokenizer that know the end of turn and stop there."""
    tokenizer, template, new_ids = load_format(settings)
    model = load_model(settings)
    grow_for(model, new_ids)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = [tokenizer.convert_tokens_to_ids(template.end_of_turn)]
    return with_adapters(model, settings, new_ids, "CAUSAL_LM"), tokenizer


def with_adapters(model: Any, settings: RunSettings, new_ids: Sequence[int], task: str) -> Any:
    """The model with LoRA adapters where the settings ask for them; the rows of new tokens train along."""
    if settings.lora_rank is None:
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha or 2 * settings.lora_rank,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type=task,
        trainable_token_indices=list(new_ids) or None,
    )
    return get_peft_model(model, config)


def train_run(folder: Path, make: MakeTrainer) -> None:
    """Do the run whose settings lie in FOLDER, from its last checkpoint if there is one."""
    files = RunFiles(folder)
    settings = RunSettings.read(files.settings)
    trainer = make(settings, files, Dataset.from_file(str(files.rows)))
    trainer.add_callback(MetricsFile(files.metrics))
    trainer.train(resume_from_checkpoint=files.last_checkpoint())
    _save(trainer, settings, files.model)
    if trainer.is_world_process_zero():
        # What train() returns is this rank's share of the loss; what was logged is gathered.
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        files.write_result({"steps": trainer.state.global_step, "loss": losses[-1] if losses else None})


def _save(trainer: Trainer, settings: RunSettings, folder: Path) -> None:
    """Leave a whole model in FOLDER: adapters are merged into it, so that whoever reads it needs no PEFT."""
    if settings.lora_rank is None:
        trainer.save_model(str(folder))
    elif trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)

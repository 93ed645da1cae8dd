"""Every real conversation and instruction file goes in by the format that is found, or says why not."""

from pathlib import Path

import pytest

from curate.ingesting.detect import detect
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reader import READERS, ReaderSettings, Reject, Remark
from store.db import Store
from store.errors import BadInput
from store.verify import verify

pytestmark = pytest.mark.data

COT = "instructions/flan_cot/flan/v2/cot_data"
PREDICTIONS = "instructions/self_instruct/human_eval/predictions"
TEMPLATES = "instructions/self_instruct/data/finetuning/t0_train_50k/data_per_template"
SUPER_NI = "instructions/superni_sapt/CL_Benchmark/SuperNI"
MOSS = "conversations/moss_sft_samples"

SETS: dict[str, tuple[str, int, int]] = {
    "conversations/derived/chatgpt_export_scrubbed.json": ("chatgpt-export", 135, 0),
    "conversations/derived/sharegpt92k_stripped.json": ("sharegpt", 681, 0),
    "conversations/derived/sharegpt_labeled_from_outputs.json.gz": ("sharegpt", 4728, 0),
    "conversations/fastchat/data/dummy_conversation.json": ("sharegpt", 368, 0),
    "conversations/fastchat_history/data/alpaca_data_cleaned_1000.json.gz": ("alpaca", 685, 0),
    "conversations/fastchat_history/data/dummy_conversation_with_system.json": ("sharegpt", 368, 0),
    "conversations/sharegpt_dialogstudio/open-domain-dialogues/ShareGPT/converted_example.json": (
        "dialogstudio",
        3,
        0,
    ),
    "conversations/sharegpt_dialogstudio/open-domain-dialogues/ShareGPT/original_example.json": (
        "sharegpt",
        3,
        0,
    ),
    "conversations/sharegpt_mnbvc/sample_file/common_en_sample_230805.json": ("turn-pairs", 5, 0),
    "conversations/sharegpt_mnbvc/sample_file/multilang_sample_230914.json": ("marked-text", 6, 0),
    "conversations/sharegpt_mnbvc/sample_file/vicuna_sample_230629.json": ("sharegpt", 8, 0),
    "instructions/alpaca/data/alpaca_5000.json": ("alpaca", 2500, 0),
    "instructions/alpaca/seed_tasks.jsonl": ("self-instruct", 118, 0),
    "instructions/code_alpaca/data/code_alpaca_2k.json.gz": ("alpaca", 1430, 0),
    "instructions/code_alpaca/data/new_codealpaca.json.gz": ("alpaca", 800, 0),
    "instructions/derived/dolly_native.jsonl.gz": ("dolly", 2071, 0),
    "instructions/dolly_fixture/tests/data/_fixtures/dolly.json": ("dolly", 12, 0),
    **{f"{COT}/{name}_train.tsv": ("flan-cot", 900, 0) for name in ("aqua", "creak", "ecqa", "sensemaking")},
    f"{COT}/gsm8k_train.tsv.gz": ("flan-cot", 900, 0),
    f"{COT}/qasc_train.tsv": ("flan-cot", 744, 0),
    f"{COT}/strategyqa_train.tsv": ("flan-cot", 900, 0),
    "instructions/gpteacher/Codegen/codegen-instruct.json.gz": ("alpaca", 900, 0),
    "instructions/gpteacher/Roleplay/roleplay-simple-deduped-roleplay-instruct.json.gz": ("alpaca", 700, 0),
    "instructions/gpteacher/Toolformer/toolformer-similarity-0.6-dataset.json.gz": ("alpaca", 900, 0),
    "instructions/instruction_wild/data_v2/user_1.jsonl": ("prompts", 429, 0),
    "instructions/instruction_wild/data_v2/user_2.jsonl": ("prompts", 248, 2),
    "instructions/llama_factory_demo/data/glaive_toolcall_en_demo.json.gz": ("sharegpt", 224, 0),
    "instructions/llama_factory_demo/data/reason_tool_use_demo_50.jsonl": ("messages", 41, 0),
    "instructions/llama_factory_demo/data/v1_sft_demo.jsonl.gz": ("messages", 361, 0),
    "instructions/oasst/model/model_eval/manual/data/en_100_message.jsonl.gz": ("oasst", 439, 0),
    "instructions/oasst/model/model_eval/manual/data/en_100_tree.jsonl.gz": ("oasst", 439, 0),
    f"{TEMPLATES}/adversarial_qa_dbert_answer_the_following_q.jsonl": ("completion", 200, 0),
    f"{TEMPLATES}/cosmos_qa_context_description_question_answer_text.jsonl": ("completion", 200, 0),
    f"{TEMPLATES}/imdb_Movie_Expressed_Sentiment.jsonl": ("completion", 200, 0),
    "instructions/self_instruct/data/seed_tasks.jsonl": ("self-instruct", 118, 0),
    "instructions/self_instruct/human_eval/user_oriented_instructions.jsonl": ("self-instruct", 184, 0),
    **{
        f"{PREDICTIONS}/{name}_predictions.jsonl": ("alpaca", 184, 0)
        for name in (
            *("davinci-self-instruct", "davinci-self-instruct-and-superni-ft", "davinci-superni-ft"),
            *("davinci-t0-ft", "text-davinci-001", "text-davinci-002", "text-davinci-003"),
        )
    },
    f"{PREDICTIONS}/davinci_predictions.jsonl.gz": ("alpaca", 184, 0),
    "synthetic/synthetic_shapes/baize_chat_data.json": ("baize", 1, 0),
    "synthetic/synthetic_shapes/gpt3_finetuning_data.jsonl": ("completion", 1, 0),
    "synthetic/synthetic_shapes/lmsys_chat_1m.jsonl": ("lmsys", 2, 0),
    "synthetic/synthetic_shapes/self_instruct_all_instances.jsonl": ("alpaca", 2, 0),
    "synthetic/synthetic_shapes/sharegpt_raw_html.json": ("sharegpt", 1, 0),
    "synthetic/synthetic_shapes/unnatural_core_data.jsonl": ("unnatural", 1, 0),
    "synthetic/synthetic_shapes/unnatural_full_data.jsonl": ("unnatural", 2, 0),
    "synthetic/synthetic_shapes/wildchat_1m.jsonl": ("wildchat", 3, 0),
}
"""File → format, records read, records rejected."""

TASKS = {"task1572": (20, 150), "task639": (18, 142)}
"""Instances of the Super-NaturalInstructions tasks that do not have 40 in dev and test and 150 in train."""

REFUSED = {
    "conversations/malformed/dummy_conversation_merge_conflict.json.gz": "merge-conflict markers",
    "conversations/fastchat/fastchat/llm_judge/data/judge_prompts.jsonl": "no known format",
    "instructions/llama_factory_demo/data/dataset_info.json": "no known format",
    "synthetic/synthetic_shapes/README.md": "no known format",
}
LABELLED = (
    *("mt_bench/question.jsonl", "vicuna_bench/question.jsonl", "reference_answer/gpt-4.jsonl"),
    *("cmp_data_scores.json.gz", "dpo_en_demo.json.gz", "v1_dpo_demo.jsonl", "kto_en_demo.json.gz"),
    *("gpt4_comparison_data_v2.json", "helpsteer2_disagreements.jsonl.gz", "helpsteer2_preference.jsonl.gz"),
    *("helpsteer2_train.jsonl", "mt_bench_human_judgments.jsonl", "nectar.jsonl", "pku_saferlhf.jsonl"),
    *("shp.jsonl", "ultrafeedback.jsonl"),
)
"""Files of ratings, comparisons and exam questions: the readers of labels answer for them."""


def expected(name: str) -> tuple[str, int, int] | None:
    if name.startswith(SUPER_NI):
        task = name.removeprefix(f"{SUPER_NI}/").split("_")[0]
        n_held_out, n_train = TASKS.get(task, (40, 150))
        return "super-ni", n_train if "train" in name else n_held_out, 0
    return ("moss", 1, 0) if name.startswith(MOSS) else SETS.get(name)


def names(shared_data: Path) -> list[str]:
    folders = ("conversations", "instructions", "synthetic/synthetic_shapes")
    found = (path for folder in folders for path in sorted((shared_data / folder).rglob("*")))
    return [str(path.relative_to(shared_data)) for path in found if path.is_file()]


@pytest.mark.slow
def test_every_file_goes_in_with_these_counts_or_is_refused_for_a_reason(shared_data):
    n_seen = 0
    for name in names(shared_data):
        path = shared_data / name
        if name in REFUSED:
            with pytest.raises(BadInput, match=REFUSED[name]):
                detect(path)
        elif not name.endswith(LABELLED):
            reader = detect(path).reader
            items = [
                item for item in READERS.load(reader)(path, ReaderSettings()) if not isinstance(item, Remark)
            ]
            found = reader, len(items), sum(isinstance(item, Reject) for item in items)
            assert found == expected(name), name
            n_seen += 1
    assert n_seen > 200


@pytest.mark.slow
def test_one_command_takes_the_sets_in_and_the_store_stands_up_to_a_check(shared_data, tmp_path):
    store = Store(tmp_path / "s.duckdb")
    chosen = [name for name in SETS if not name.startswith(PREDICTIONS)]
    report = ingest_files(store, "auto", [shared_data / name for name in chosen], IngestSettings())
    for file in report.files:
        reader, n_read, n_rejected = SETS[str(Path(file.path).relative_to(shared_data))]
        assert (file.reader, file.tally.read, file.tally.rejected) == (reader, n_read, n_rejected)
        assert file.tally.read == file.tally.kept + file.tally.rejected
    with store.read() as reading:
        (stored,) = reading.rows("SELECT count(*) FROM rejects")
        roles = {role for (role,) in reading.rows("SELECT DISTINCT role FROM messages")}
        (n_ratings,) = reading.rows("SELECT count(*) FROM ratings WHERE scale = 'minus-rank'")
    assert stored == (2,)
    assert roles == {"system", "user", "assistant", "tool_call", "tool"}
    assert n_ratings == (435,)
    assert not verify(store).problems
    again = ingest_files(store, "auto", [shared_data / name for name in chosen], IngestSettings())
    assert again.total()["new_conversations"] == again.total()["new_messages"] == 0

"""The Camels spreadsheet: verdicts and the answers they are about, from an .xlsx file."""

import zipfile
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reader import Judged, ReaderSettings, Reject
from curate.readers.human_eval import COLUMNS, HUMAN_EVAL
from store.db import Store
from store.errors import BadInput
from store.verify import verify

pytest.importorskip("fastexcel", reason="spreadsheets are read by the extra `sheets`")

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
PARTS = {
    "[Content_Types].xml": f'{HEAD}<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1"'
    f' Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships"><Relationship'
    f' Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/workbook.xml": f'{HEAD}<workbook {MAIN} xmlns:r="{OFFICE}"><sheets>'
    '<sheet name="sheet" sheetId="1" r:id="r1"/></sheets></workbook>',
}


def spreadsheet(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> Path:
    """A minimal .xlsx file with text cells."""
    lines = [columns, *(tuple(row.get(name, "") for name in columns) for row in rows)]
    cells = "".join(
        f'<row r="{number}">{"".join(_cell(place, number, text) for place, text in enumerate(line))}</row>'
        for number, line in enumerate(lines, start=1)
    )
    sheet = f"{HEAD}<worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            archive.writestr(name, text)
    return path


def _cell(place: int, number: int, text: str) -> str:
    if not text:
        return ""
    reference = f"{chr(ord('A') + place)}{number}"
    return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def row(**cells: str) -> dict[str, str]:
    return {
        "instance_id": "vicuna_1",
        "prompt": "Name a prime.",
        "model_a": "llama",
        "model_b": "gpt-4",
        "completion_a": "Nine.",
        "completion_b": "Seven.",
        "completion_a_is_acceptable": "no",
        "completion_b_is_acceptable": "yes",
        "preference": "b-is-better",
        "evaluator": "ann",
        "timestamp": "2023-05-19 13:11:45",
        **cells,
    }


TURNED = row(
    model_a="gpt-4",
    model_b="llama",
    completion_a="Seven.",
    completion_b="Nine.",
    completion_a_is_acceptable="yes",
    completion_b_is_acceptable="no",
    preference="a-is-slightly-better",
    timestamp="2023-05-20 08:00:00",
)


def read(path: Path) -> list[Judged | Reject]:
    return list(HUMAN_EVAL(path, ReaderSettings()))


def ingest(store: Store, path: Path) -> dict[str, int]:
    return ingest_files(store, "human-eval", [path], IngestSettings()).total()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.duckdb")


def test_a_row_is_a_verdict_with_its_scale_acceptance_and_time(tmp_path: Path) -> None:
    (item,) = read(spreadsheet(tmp_path / "a.xlsx", [row()]))
    assert isinstance(item, Judged)
    assert (item.labeler, item.labeler_kind, item.scale) == ("ann", "person", "camels5")
    assert (item.native_label, item.signed_margin, item.state) == ("b-is-better", -1.0, "win")
    assert (item.acceptable_a, item.acceptable_b) == (False, True)
    assert item.created_at == datetime(2023, 5, 19, 13, 11, 45)


def test_verdicts_come_in_order_of_time(tmp_path: Path) -> None:
    later, earlier = row(), row(timestamp="2023-05-01 00:00:00")
    items = read(spreadsheet(tmp_path / "a.xlsx", [later, earlier]))
    assert [item.record_number for item in items] == [2, 1]


def test_a_row_that_cannot_be_a_verdict_is_rejected_with_its_reason(tmp_path: Path) -> None:
    rows = [
        row(preference="maybe"),
        row(evaluator=""),
        row(timestamp="yesterday"),
        row(completion_a_is_acceptable="perhaps"),
    ]
    reasons = [
        item.reason for item in read(spreadsheet(tmp_path / "a.xlsx", rows)) if isinstance(item, Reject)
    ]
    assert reasons == [
        "preference is 'maybe', none of the five",
        "no evaluator",
        "timestamp is 'yesterday', not a time",
        "completion_a_is_acceptable is 'perhaps', neither yes nor no",
    ]


def test_a_missing_column_and_a_file_that_is_no_spreadsheet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column timestamp"):
        read(spreadsheet(tmp_path / "a.xlsx", [row()], columns=COLUMNS[:-1]))
    path = tmp_path / "b.xlsx"
    path.write_text("instance_id,prompt\n")
    with pytest.raises(BadInput, match=r"not an \.xlsx"):
        HUMAN_EVAL.inspect(path)


def test_ingest_stores_each_answer_once_and_every_verdict(store: Store, tmp_path: Path) -> None:
    rows = [row(), row(evaluator="bob"), row(preference="?")]
    counts = ingest(store, spreadsheet(tmp_path / "a.xlsx", rows))
    assert counts == {
        "read": 3,
        "kept": 2,
        "rejected": 1,
        "new_conversations": 2,
        "new_messages": 3,
        "new_comparisons": 2,
        "new_ratings": 0,
        "new_samples": 0,
        "new_rewards": 0,
    }
    with store.read() as reading:
        sides = reading.rows(
            "SELECT a.content, b.content, policy_a, policy_b, prompts.content FROM comparisons"
            " JOIN messages AS a ON a.message_id = response_a_id"
            " JOIN messages AS b ON b.message_id = response_b_id"
            " JOIN messages AS prompts ON prompts.message_id = prompt_id"
        )
    assert sides == [("Nine.", "Seven.", "llama", "gpt-4", "Name a prime.")] * 2


def test_ingesting_twice_or_from_a_copy_adds_no_verdict(store: Store, tmp_path: Path) -> None:
    path = spreadsheet(tmp_path / "a.xlsx", [row()])
    ingest(store, path)
    assert ingest(store, path)["new_comparisons"] == 0
    longer = spreadsheet(tmp_path / "b.xlsx", [row(), row(evaluator="bob")])
    assert ingest(store, longer)["new_comparisons"] == 1


def test_a_later_verdict_of_the_same_person_wins_whichever_side_was_first(
    store: Store, tmp_path: Path
) -> None:
    counts = ingest(store, spreadsheet(tmp_path / "a.xlsx", [TURNED, row()]))
    assert counts["new_comparisons"] == 2
    with store.read() as reading:
        assert reading.rows("SELECT native_label FROM current_comparisons") == [("a-is-slightly-better",)]


def test_equal_answers_of_two_models_stay_two_policies(store: Store, tmp_path: Path) -> None:
    same = row(completion_a="Seven.", preference="tie")
    other = row(model_b="claude", completion_b="Seven.", completion_a="Seven.", preference="tie")
    counts = ingest(store, spreadsheet(tmp_path / "a.xlsx", [same, other]))
    assert (counts["new_messages"], counts["new_conversations"], counts["new_comparisons"]) == (2, 3, 2)
    with store.read() as reading:
        found = reading.rows("SELECT policy_a, policy_b FROM current_comparisons ORDER BY ALL")
    assert found == [("llama", "claude"), ("llama", "gpt-4")]


def test_a_dry_run_counts_verdicts_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    path = spreadsheet(tmp_path / "a.xlsx", [row(), TURNED])
    report = ingest_files(store, "human-eval", [path], IngestSettings(is_dry_run=True))
    assert report.total()["new_comparisons"] == 2
    assert not store.path.exists()


def test_an_interrupted_ingest_is_completed_by_the_same_command(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.ingesting.intake.PIECE_LABELS", 2)
    monkeypatch.setattr("curate.ingesting.intake.GROUP_ROWS", 2)
    rows = [row(prompt=f"Name prime {i // 2}.", evaluator=f"ann{i % 2}") for i in range(12)]
    path = spreadsheet(tmp_path / "a.xlsx", rows)

    pieces = iter(range(4))

    def interrupt(_amount: float) -> None:
        if next(pieces, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest_files(store, "human-eval", [path], IngestSettings(), interrupt)
    with store.read() as reading:
        (written,) = reading.rows("SELECT count(*) FROM comparisons")[0]
    assert 0 < written < 12
    assert ingest(store, path)["new_comparisons"] == 12 - written
    assert verify(store).is_ok
    with store.read() as reading:
        assert reading.rows("SELECT count(*), count(DISTINCT comparison_id) FROM comparisons") == [(12, 12)]


@pytest.mark.data
def test_the_published_annotations_reconcile(store: Store, shared_data: Path) -> None:
    path = shared_data / "preferences" / "tulu_human_eval" / "eval_annotations_tulu_1.xlsx"
    counts = ingest(store, path)
    assert (counts["read"], counts["kept"], counts["new_comparisons"]) == (1150, 1150, 1150)
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM current_comparisons") == [(1141,)]


def test_any_other_table_in_a_spreadsheet_is_read_by_its_columns(tmp_path: Path, store: Store) -> None:
    columns = ("instruction", "input", "output")
    rows = [
        {"instruction": "Name it.", "input": "grass", "output": "Green."},
        {"instruction": "a", "output": "b"},
    ]
    path = spreadsheet(tmp_path / "a.xlsx", rows, columns=columns)
    report = ingest_files(store, "auto", [path], IngestSettings())
    assert [(file.reader, file.tally.kept) for file in report.files] == [("alpaca", 2)]
    with store.read() as reading:
        texts = reading.rows("SELECT content FROM messages WHERE role = 'user' ORDER BY content")
    assert texts == [("Name it.\n\ngrass",), ("a",)]

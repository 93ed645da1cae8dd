"""preferably.toml is understood or refused, never half-read."""

from pathlib import Path

import pytest

from store.config import Config, Limits, Price, load_config
from store.errors import BadSettings


def test_without_a_file_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFERABLY_CONFIG", raising=False)
    assert load_config() == Config()


def test_prices_and_limits_are_read(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[prices."m"]\ninput = 0.5\noutput = 1.5\n[limits.m]\nrpm = 500\n')
    assert load_config(file) == Config(prices={"m": Price(0.5, 1.5)}, limits={"m": Limits(rpm=500)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[price.m]\n", "did you mean 'prices'"),
        ("[limits.m]\nrmp = 5\n", "did you mean 'rpm'"),
        ("[limits.m]\nrpm = -5\n", "0 or more"),
        ("[limits.m]\nrpm = true\n", "0 or more"),
        ("[prices.m]\ninput = 1\n", "incomplete"),
        ("prices = [\n", "cannot be read"),
    ],
)
def test_what_is_not_understood_is_refused_with_file_and_way_out(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(BadSettings, match=said) as caught:
        load_config(file)
    assert "p.toml" in str(caught.value)

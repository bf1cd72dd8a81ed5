"""Patterns and ends of silences, and what survives a restart."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import AckRequest, Silence, SilenceRequest, is_silenced, matches
from alerts.engine.evaluate import Key
from alerts.store import Store

KEY = Key("PeerStalled", "sly_fox-1")


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("PeerStalled", "PeerStalled", True),
        ("peerstalled", "PeerStalled", False),
        ("Peer*", "PeerStalled", True),
        ("fox-?", "fox-1", True),
        ("fox-?", "fox-12", False),
        ("fox-[1]", "fox-[1]", True),
        ("fox-[1]", "fox-1", False),
        ("*", "", True),
    ],
)
def test_a_pattern_is_a_name_or_a_glob(pattern: str, text: str, is_match: bool) -> None:
    assert matches(pattern, text) == is_match


def test_all_of_a_silence_must_match_and_only_until_it_ends() -> None:
    silence = Silence(1, "Peer*", "sly_*", "critical", 100)
    assert is_silenced(KEY, "critical", [silence], 99)
    assert not is_silenced(KEY, "critical", [silence], 100)
    assert not is_silenced(KEY, "warning", [silence], 99)
    assert not is_silenced(Key("RankDrop", "sly_fox"), "critical", [silence], 99)
    assert not is_silenced(Key("PeerDown", "amber"), "critical", [silence], 99)


def test_silences_and_acknowledgements_survive_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "alerts.sqlite")
    silence_store = SilenceStore(store)
    first = silence_store.silence(SilenceRequest.model_validate({"peer": "a", "lasts": "2h"}), 1000)
    second = silence_store.silence(
        SilenceRequest.model_validate({"peer": "b", "lasts": "1h", "comment": "moving"}), 1000
    )
    assert silence_store.acknowledge(AckRequest(rule="PeerS*"), [KEY, Key("PeerDown", "a")]) == [KEY]
    store.close()
    store = Store(tmp_path / "alerts.sqlite")
    silence_store = SilenceStore(store)
    assert silence_store.silences(1000 + 3599) == [first, second]
    assert silence_store.silences(1000 + 3600) == [first]
    assert silence_store.acknowledged == {KEY}
    assert silence_store.end_silence(first.id)
    assert not silence_store.end_silence(first.id)
    silence_store.delete_acknowledgements([KEY])
    silence_store.forget_acknowledgements([KEY])
    assert SilenceStore(store).acknowledged == frozenset()
    assert SilenceStore(store).silences(1001) == [second]
    store.close()


@pytest.mark.parametrize(
    "wrong", [{}, {"lasts": "0s"}, {"lasts": "2"}, {"lasts": "1h", "peer": ""}, {"lasts": "1h", "pear": "a"}]
)
def test_a_silence_needs_a_length_and_no_more_than_is_known(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SilenceRequest.model_validate(wrong)


def test_a_secret_in_a_comment_is_masked_and_control_characters_are_refused() -> None:
    assert SilenceRequest(peer="a", lasts="1h", comment="new key hf_abcdefghijklmnop1").comment == "new key ***"  # type: ignore[arg-type]
    assert SilenceRequest(peer="a", lasts="1h", comment="<b>*x*</b> @all").comment == "<b>*x*</b> @all"  # type: ignore[arg-type]
    for comment in ("a\r\nb", "a\x00", "a\u202eb", "x" * 201):
        with pytest.raises(ValidationError):
            SilenceRequest(peer="a", lasts="1h", comment=comment)  # type: ignore[arg-type]

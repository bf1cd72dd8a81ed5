"""Where a peer's rewards count, and how often they are submitted, by its release and its contract."""

import pytest

from exporter.chain.coordinator import (
    CONTRACTS,
    SUBMIT_PERIOD_SECONDS,
    counting_contracts,
    name_contract,
    read_contract,
    submit_period,
)

OTHER = "0x" + "Ab" * 20


@pytest.mark.parametrize(
    ("version", "contract", "counting"),
    [
        ("0.6.4", None, ("0.5", "0.6-prg")),
        ("v0.7.0", None, ("0.7",)),
        ("0.4.3", None, ("0.4-math", "0.4-math-hard")),
        # One game of two, whichever it is; the second game of 0.6 is played beside the first.
        ("0.4.3", CONTRACTS["0.4-math-hard"], ("0.4-math-hard",)),
        ("0.6", CONTRACTS["0.5"].lower(), ("0.5", "0.6-prg")),
        ("0.5.8", "0.5", ("0.5",)),
        (None, "0.5", ("0.5",)),
        ("0.6", OTHER, (OTHER.lower(),)),
        ("9.1", None, ()),
        ("main", None, ()),
        (None, None, ()),
    ],
)
def test_the_contracts_of_a_peer(version: str | None, contract: str | None, counting: tuple[str, ...]) -> None:
    assert counting_contracts(version, contract) == counting


@pytest.mark.parametrize(
    ("version", "contract", "has_period"),
    [
        ("0.5.6", None, False),
        ("0.5.7", None, True),
        ("v0.6.4", None, True),
        ("0.7", None, True),
        ("0.4.3", "0.7", False),
        ("0.5", None, False),
        (None, "0.7", True),
        (None, CONTRACTS["0.6-prg"], True),
        (None, "0.5", False),
        (None, None, False),
        ("main", OTHER, False),
    ],
)
def test_rewards_are_held_back_from_some_release_on(
    version: str | None, contract: str | None, *, has_period: bool
) -> None:
    assert submit_period(version, contract) == (SUBMIT_PERIOD_SECONDS if has_period else None)


def test_a_contract_as_yaml_reads_it() -> None:
    assert [read_contract(one) for one in (0.7, 7, int(OTHER, 16), "x", None)] == ["0.7", "7", OTHER.lower(), "x", None]
    assert name_contract(CONTRACTS["0.7"].upper().replace("0X", "0x")) == "0.7"

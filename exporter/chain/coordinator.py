"""The swarm's contract: where each release of rl-swarm has it, and the functions that are read.

From the public sources of rl-swarm and gensyn-ai/rl-swarm-contracts. No function tells a rank: those that did were
removed, and calls of them revert.
"""

import re
from collections.abc import Mapping

from exporter.chain.abi import Function, function

CHAIN_ID = 685685
RPC_URL = "https://gensyn-testnet.g.alchemy.com/public"
MULTICALL = "0xaDbb74f75962ce664898E62cD6881ad60C8Be2D8"

# Several may count at once: 0.4 has one for each game, 0.6 one for the swarm and one for its second game.
CONTRACTS: Mapping[str, str] = {
    "0.3": "0x2fC68a233EF9E9509f034DD551FF90A79a0B8F82",
    "0.4-math": "0x69C6e1D608ec64885E7b185d39b04B491a71768C",
    "0.4-math-hard": "0x6947c6E196a48B77eFa9331EC1E3e45f3Ee5Fd58",
    "0.5": "0xFaD7C5e93f28257429569B854151A1B8DCD404c2",
    "0.6-prg": "0x51D4db531ae706a6eC732458825465058fA23a35",
    "0.7": "0x7745a8FE4b8D2D2c3BB103F8dCae822746F35Da0",
}
_OF_VERSION: Mapping[str, tuple[str, ...]] = {
    "0.3": ("0.3",),
    "0.4": ("0.4-math", "0.4-math-hard"),
    "0.5": ("0.5",),
    "0.6": ("0.5", "0.6-prg"),
    "0.7": ("0.7",),
}

CURRENT_ROUND = function("0x8a19c8bc", "()", "(uint256)")
CURRENT_STAGE = function("0x5bf5d54c", "()", "(uint256)")
BOOTNODES = function("0x6370ae4f", "()", "(string[])")
ACCOUNTS = function("0x96bac35a", "(string[])", "(address[])")
PEERS = function("0xb894a469", "(address[])", "(string[][])")
REWARDS = function("0x80c3d97f", "(string[])", "(int256[])")
WINS = function("0x099c4002", "(string)", "(uint256)")
PARTICIPATION = function("0xdfb3c7df", "(string)", "(uint256)")

SIGNATURES: Mapping[str, Function] = {
    "currentRound()": CURRENT_ROUND,
    "currentStage()": CURRENT_STAGE,
    "getBootnodes()": BOOTNODES,
    "getEoa(string[])": ACCOUNTS,
    "getPeerId(address[])": PEERS,
    "getTotalRewards(string[])": REWARDS,
    "getTotalWins(string)": WINS,
    "getVoterVoteCount(string)": PARTICIPATION,
}


# The second game is played beside the first, on a contract of its own.
_SECOND_GAME = {"0.5": "0.6-prg"}

# From these releases on, rewards are collected in memory and submitted at most so often; a restart discards them.
SUBMIT_PERIOD_SECONDS = 3 * 3600.0
_FIRST_WITH_PERIOD = (0, 5, 7)
_CONTRACTS_WITH_PERIOD = ("0.6-prg", "0.7")

# No address of a contract has half of its digits 0.
_LEAST_ADDRESS = 2**80
_RELEASE = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?!\d)")


def read_contract(value: object) -> object:
    """A contract as text: YAML takes 0.7 for a number, and an address without quotes for a very large one."""
    if isinstance(value, float) or type(value) is int:
        return f"0x{value:040x}" if isinstance(value, int) and value >= _LEAST_ADDRESS else str(value)
    return value


def name_contract(contract: str) -> str:
    """The name of a contract that a release is known to have; any other is called by its address, in small letters."""
    address = contract.lower()
    return next((name for name, known in CONTRACTS.items() if known.lower() == address), None) or (
        address if contract.startswith("0x") else contract
    )


def counting_contracts(version: str | None, contract: str | None) -> tuple[str, ...]:
    """Names of the contracts on which a peer's rewards count, the one of its rounds first; none where unknown."""
    try:
        of_release = tuple(contracts_of(version)) if version is not None else ()
    except ValueError:
        of_release = ()
    if contract is None:
        return of_release
    name = name_contract(contract)
    beside = _SECOND_GAME.get(name)
    return (name, beside) if beside is not None and beside in of_release else (name,)


def submit_period(version: str | None, contract: str | None) -> float | None:
    """Seconds between two submissions of a peer's rewards; None where they are submitted each round, or unknown."""
    found = _RELEASE.match(version) if version is not None else None
    if found is None:
        has_period = contract is not None and name_contract(contract) in _CONTRACTS_WITH_PERIOD
    else:
        # 0.5 alone may be any of them.
        has_period = tuple(int(part or 0) for part in found.groups()) >= _FIRST_WITH_PERIOD
    return SUBMIT_PERIOD_SECONDS if has_period else None


def contracts_of(version: str) -> dict[str, str]:
    """{name: address} of the contracts that a release counts on, such as `0.6.4`. Raises ValueError."""
    release = ".".join(version.removeprefix("v").split(".")[:2])
    if release not in _OF_VERSION:
        raise ValueError(f"{version[:64]!r} is no release whose contract is known; they are {', '.join(_OF_VERSION)}")
    return {name: CONTRACTS[name] for name in _OF_VERSION[release]}

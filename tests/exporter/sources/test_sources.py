"""A source is found by its file, and its options are checked before anything is asked."""

import subprocess
import sys

import pytest

from exporter.sources import check_options, list_sources, make_source


def test_sources_are_the_files_of_the_folder() -> None:
    assert {"chain", "dashboard", "http_leaderboard"} <= set(list_sources())
    assert not [name for name in list_sources() if name.startswith("_")]


def test_a_source_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"^'etherscan' is no source; the sources are chain, dashboard"):
        make_source("etherscan", {})
    assert check_options("_options", {}) == f"'_options' is no source; the sources are {', '.join(list_sources())}"


def test_sources_need_nothing_but_the_standard_library() -> None:
    """So that any process of ours can read them, and each costs as little memory as the sidecar."""
    source = (
        "import pkgutil, sys, exporter.sources as sources\n"
        "for name in sources.list_sources(): sources.importlib.import_module(f'exporter.sources.{name}')\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'pydantic', 'httpx', 'eth_abi', 'cryptography'})"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

"""Resolves reward names to the functions that TRL calls: built-in rewards, or functions of users' files."""

import importlib.util
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trainer.rewards import Reward, discover
from trainer.stages.order import stage_at
from trainer.stages.rewards import discover as discover_stage_rewards
from trainer.stages.row import Row

RewardFunction = Callable[..., list[float]]
Entry = Mapping[str, Any]
# (entry, answer) -> the task's score of the answer.
TaskJudge = Callable[[Entry, str], float]


def reward_functions(names: Sequence[str], judge: TaskJudge) -> list[RewardFunction]:
    """One TRL reward function per name, in the same order. Raises ValueError with one line for the user."""
    built_in = discover()
    return [_built_in(name, built_in[name], judge) if name in built_in else load_function(name) for name in names]


def stage_reward(weights: Mapping[str, float], judge: TaskJudge) -> RewardFunction:
    """What each row's stage rewards, as one TRL reward function; its parts are logged by their own names."""
    parts = {name: reward for name, reward in discover_stage_rewards().items() if weights[name]}

    def stage(completions: Sequence[Any], row: Sequence[Row], log_metric: Any = None, **_: Any) -> list[float]:
        sums, scores = [], defaultdict[str, list[float]](list)
        for completion, one in zip(completions, row, strict=True):
            text, asked, judged = text_of(completion), stage_at(one.stage), partial(judge, one.entry)
            found = {name: part.score(text, one, asked, judged) for name, part in parts.items()}
            for name, score in found.items():
                if score is not None:
                    scores[name].append(score)
            sums.append(sum(weights[name] * score for name, score in found.items() if score is not None))
        for name, values in scores.items():
            if log_metric is not None:
                log_metric(f"stage/{name}", sum(values) / len(values))
        return sums

    return stage


def load_function(name: str) -> RewardFunction:
    """Loads `path/to/file.py:function`. Raises ValueError with one line for the user."""
    path, _, function_name = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(f"peerwatch_reward_{Path(path).stem}", path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise ValueError(f"rewards: no such file: {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"rewards: {path} cannot be imported: {type(error).__name__}: {error}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ValueError(f"rewards: {path} has no function {function_name}")
    return function


def text_of(completion: Any) -> str:
    """The text of a completion as TRL passes it: a string, or a list of chat messages."""
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content") or "") for message in completion)


def totals(rewards: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """The weighted sum of each completion's rewards; rewards that are not finite are ignored."""
    return [
        sum(value * weight for value, weight in zip(row, weights, strict=True) if math.isfinite(value))
        for row in rewards
    ]


def _built_in(name: str, reward: Reward, judge: TaskJudge) -> RewardFunction:
    def function(completions: Sequence[Any], answer: Sequence[str], entry: Sequence[Entry], **_: Any) -> list[float]:
        return [
            reward.score(text_of(completion), right, partial(judge, record))
            for completion, right, record in zip(completions, answer, entry, strict=True)
        ]

    # TRL names the reward's metrics after the function.
    function.__name__ = name
    return function

"""Decides whether a checkpoint may be written, and what becomes of a save that fails: training goes on."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from trainer import events
from trainer.checkpoints import bytes_to_save, discard, free_bytes, rotate, seal, unseal


class Reports(Protocol):
    """The part of the telemetry that is notified of checkpoints."""

    def checkpoint_saved(self) -> None: ...
    def set_checkpoints_paused(self, is_paused: bool) -> None: ...


class Nowhere:
    """No telemetry."""

    def checkpoint_saved(self) -> None:
        """Nothing is reported."""

    def set_checkpoints_paused(self, is_paused: bool) -> None:
        """Nothing is reported."""


class Checkpoints:
    """The checkpoints of one run folder. `keep` is how many complete ones stay, None for all.

    While the disk would have less than `least_free_bytes` left after a save, nothing is saved.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        keep: int | None,
        least_free_bytes: int,
        telemetry: Reports,
        measure_free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folder, self._model, self._keep, self._least = folder, model, keep, least_free_bytes
        self._telemetry, self._measure_free = telemetry, measure_free
        self._paused_because: str | None = None
        # The progress through rounds that goes with the weights.
        self.progress: Mapping[str, Any] | None = None
        telemetry.set_checkpoints_paused(False)

    @property
    def is_paused(self) -> bool:
        """Whether the last save did not take place."""
        return self._paused_because is not None

    def may_save(self) -> bool:
        """Whether there is room for another checkpoint."""
        try:
            free = self._measure_free(self._folder)
        except OSError as error:
            self._pause(f"cannot read the free space: {error.strerror}")
            return False
        needed = self._least + bytes_to_save(self._folder)
        if free < needed:
            self._pause("too little free space", free_mib=free >> 20, needed_mib=needed >> 20)
        return free >= needed

    @contextlib.contextmanager
    def writing(self, step: int) -> Iterator[None]:
        """The block writes the checkpoint of this step; it is complete at the end of the block, if nothing failed.

        Errors of the disk end in a pause: what was written is removed, and the checkpoint before stays the latest.
        """
        checkpoint = self._folder / f"checkpoint-{step}"
        try:
            unseal(checkpoint)
            yield
            seal(checkpoint, self._model, self.progress)
        except Exception as error:
            if not _is_of_the_disk(error):
                raise
            discard(checkpoint)
            self._pause(f"saving failed: {' '.join(str(error).split())[:200]}")
            return
        if self._keep is not None:
            rotate(self._folder, max(1, self._keep))
        self._telemetry.checkpoint_saved()
        events.record("checkpoint_saved", step=step)
        if self.is_paused:
            events.record("checkpoints_resumed", step=step)
            self._paused_because = None
            self._telemetry.set_checkpoints_paused(False)

    def _pause(self, reason: str, **facts: Any) -> None:
        if self._paused_because != reason:
            events.record("checkpoints_paused", reason=reason, folder=self._folder, **facts)
        self._paused_because = reason
        self._telemetry.set_checkpoints_paused(True)


# torch and safetensors wrap the system's error in one of their own.
_DISK_WORDS = ("no space left", "enforce fail at inline_container", "file write failed", "i/o error")


def _is_of_the_disk(error: Exception) -> bool:
    return isinstance(error, OSError) or any(words in str(error).lower() for words in _DISK_WORDS)

"""The function that trains, found on the stack: an exception or Ctrl-C leaves it without a word to any callback."""

import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import NamedTuple

# Where transformers calls its callbacks from; who called that is what trains.
HANDLER = "transformers.trainer_callback"


class TrainingLoop(NamedTuple):
    """A call of a function, by what stays the same while it runs; the frame itself would keep its variables alive."""

    thread: int
    frame: int
    code: CodeType

    def is_calling(self) -> bool:
        """Whether the function is among those that called this one."""
        return self._is_among(sys._getframe(1))

    def is_left(self) -> bool:
        """Whether the function has ended, asked by any thread; a program that is about to end has not left it.

        What ends with its program, or hangs at its end, is not known to rest.
        """
        frame = sys._current_frames().get(self.thread)
        if frame is None:
            return self.thread != threading.main_thread().ident
        return not self._is_among(frame) and not _is_shutting_down(frame)

    def _is_among(self, innermost: FrameType) -> bool:
        return any(id(frame) == self.frame and frame.f_code is self.code for frame in _outwards(innermost))


def find_training_loop() -> TrainingLoop | None:
    """The function that had transformers call the callback which asks; None where somebody else called it."""
    is_handler_met = False
    for frame in _outwards(sys._getframe(1)):
        is_handler = frame.f_globals.get("__name__") == HANDLER
        if is_handler_met and not is_handler:
            return TrainingLoop(threading.get_ident(), id(frame), frame.f_code)
        is_handler_met = is_handler
    return None


def _outwards(innermost: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = innermost
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_shutting_down(innermost: FrameType) -> bool:
    *_, outermost = _outwards(innermost)
    return outermost.f_globals.get("__name__") == "threading" and outermost.f_code.co_name == "_shutdown"

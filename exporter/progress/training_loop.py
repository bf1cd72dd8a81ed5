"""The function that trains, found on the stack: an exception or Ctrl-C leaves it without a word to any callback."""

import sys
import threading
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import NamedTuple

# Where transformers calls its callbacks from; who called that is what trains.
HANDLER = "transformers.trainer_callback"


class Call(NamedTuple):
    """A call of a function, by what stays the same while it runs; the frame itself would keep its variables alive."""

    frame: int
    code: CodeType

    @classmethod
    def of(cls, frame: FrameType) -> "Call":
        """The call that a frame belongs to."""
        return cls(id(frame), frame.f_code)


class TrainingLoop(NamedTuple):
    """A call of the function that trains, the thread that it runs in, and the first call of that thread."""

    thread: threading.Thread
    call: Call
    outermost: Call

    def is_calling(self) -> bool:
        """Whether the function is among those that called this one."""
        return any(Call.of(frame) == self.call for frame in _outwards(sys._getframe(1)))

    def is_left(self) -> bool:
        """Whether the function has ended, asked by any thread, while what called it goes on.

        A thread shows another stack at the end of the program, in a greenlet, and where a generator yields during the
        look: nothing is known of the function then. A prompt of Python is no function.
        """
        is_main = self.thread is threading.main_thread()
        frame = sys._current_frames().get(self.thread.ident or 0)
        if frame is None or not (is_main or self.thread.is_alive()):
            return not is_main or hasattr(sys, "ps1")
        calls = [Call.of(one) for one in _outwards(frame)]
        return self.call not in calls and calls[-1] == self.outermost


def find_training_loop() -> TrainingLoop | None:
    """The function that had transformers call the callback which asks; None where somebody else called it."""
    frames = list(_outwards(sys._getframe(1)))
    is_handler_met = False
    for frame in frames:
        is_handler = frame.f_globals.get("__name__") == HANDLER
        if is_handler_met and not is_handler:
            return TrainingLoop(threading.current_thread(), Call.of(frame), Call.of(frames[-1]))
        is_handler_met = is_handler
    return None


def _outwards(innermost: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = innermost
    while frame is not None:
        yield frame
        frame = frame.f_back

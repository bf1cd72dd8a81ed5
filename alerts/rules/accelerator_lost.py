"""An accelerator that the peer uses does not answer any more.

The driver says that the card is lost or must be reset, does not list it any more, or does not answer in time; or the
kernel has just logged an Xid error after which a card does not recover. Training on it hangs or fails, and goes on
failing after a restart of the peer. Only the cards that the peer's processes were seen on count, where that is told.

What to do: read the kernel's log (`sudo dmesg | grep -i xid`); stop the peers on that card and reset it with
`sudo nvidia-smi --gpu-reset`, or restart the machine; if it comes again, look at heat, power supply, cables and slot.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Text, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.scraping.page import Page


class Settings(RuleSettings):
    """AcceleratorLost waits until a second probe has failed: the first may have met a machine that was too busy."""

    for_: Duration = Field(default=60.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, _settings: Settings) -> Verdict:
    page = view.page
    if page is None:
        return UNKNOWN
    problems = sorted((dict(labels) for labels in page.values("accelerator_problem")), key=lambda one: one["device"])
    if problems:
        return active(_describe(page, problems))
    names = _names(page)
    if names:
        return inactive(say("Accelerators answer: {count}.", count=len(names)))
    # Some time after a trainer has ended, nobody asks the card that it may have ended of.
    return inactive(say("Trainer runs without an accelerator.")) if page.is_up() else UNKNOWN


def _describe(page: Page, problems: list[dict[str, str]]) -> Text:
    first, names = problems[0], _names(page)
    device = first["device"]
    told = " ".join(part for part in (names.get(device), f"({device})") if part)
    sentence = _sentence(page, first.get("reason", ""), device, told)
    if len(problems) == 1:
        return sentence
    return say("{first} Accelerators lost: {count} of {all}.", first=sentence, count=len(problems), all=len(names))


def _sentence(page: Page, reason: str, device: str, told: str) -> Text:
    xids = page.values("accelerator_xid_timestamp_seconds")
    ages = {dict(labels)["xid"]: at for labels, at in xids.items() if dict(labels).get("device") == device}
    latest = max(ages, key=lambda number: ages[number], default="")
    if reason == "timed_out":
        return say("No answer about accelerator {told} in time: card or driver hangs.", told=told)
    if latest:
        return say("Accelerator {told} lost: Xid {number} in the kernel's log.", told=told, number=latest)
    if reason == "gone":
        return say("Accelerator {told} is gone: the driver does not list it any more.", told=told)
    if reason == "reset_required":
        return say("Accelerator {told} must be reset, says its driver.", told=told)
    return say("Accelerator {told} is lost, says its driver.", told=told)


def _names(page: Page) -> dict[str, str]:
    return {dict(one).get("device", ""): dict(one).get("name", "") for one in page.values("accelerator_up")}


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    inhibits=("PeerStalled", "StepRateDegraded"),
    evidence=("log",),
    reads=("accelerator_up", "accelerator_xid_timestamp_seconds"),
    promql="max without (device, reason) (accelerator_problem == 1)",
    keeps="trainer_up == 0 unless on (instance) accelerator_up",
)

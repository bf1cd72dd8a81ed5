"""What AcceleratorLost says of each way to lose a card, in the words of a sidecar's page."""

import pytest

from alerts.rules import View
from alerts.rules.accelerator_lost import RULE
from alerts.scraping.page import parse

UP = 'accelerator_up{device="GPU-a",name="RTX 4090"} %d\n'
OTHER = 'accelerator_up{device="GPU-b",name="RTX 4090"} 0\naccelerator_problem{device="GPU-b",reason="gone"} 1\n'
XIDS = (
    'accelerator_xid_timestamp_seconds{device="GPU-a",xid="13"} 500\n'
    'accelerator_xid_timestamp_seconds{device="GPU-a",xid="79"} 900\n'
    'accelerator_xid_timestamp_seconds{device="GPU-b",xid="31"} 950\n'
)


def judge(page: str) -> tuple[str, str]:
    verdict = RULE.judge(View("a", 1000.0, parse("trainer_up 1\n" + page)), RULE.settings())
    return verdict.condition, verdict.summary


def lost(reason: str, more: str = "") -> str:
    return UP % 0 + f'accelerator_problem{{device="GPU-a",reason="{reason}"}} 1\n' + more


@pytest.mark.parametrize(
    ("page", "summary"),
    [
        (lost("timed_out"), "No answer about accelerator RTX 4090 (GPU-a) in time: card or driver hangs."),
        (lost("lost"), "Accelerator RTX 4090 (GPU-a) is lost, says its driver."),
        (lost("gone"), "Accelerator RTX 4090 (GPU-a) is gone: the driver does not list it any more."),
        (lost("reset_required"), "Accelerator RTX 4090 (GPU-a) must be reset, says its driver."),
        (lost("xid", XIDS), "Accelerator RTX 4090 (GPU-a) lost: Xid 79 in the kernel's log."),
        (lost("lost", XIDS), "Accelerator RTX 4090 (GPU-a) lost: Xid 79 in the kernel's log."),
        (
            lost("lost", OTHER),
            "Accelerator RTX 4090 (GPU-a) is lost, says its driver. Accelerators lost: 2 of 2.",
        ),
    ],
)
def test_the_alert_says_which_card_and_why(page: str, summary: str) -> None:
    assert judge(page) == ("active", summary)


def test_a_card_that_answers_is_no_alert() -> None:
    assert judge(UP % 1 + XIDS) == ("inactive", "Accelerators answer: 1.")

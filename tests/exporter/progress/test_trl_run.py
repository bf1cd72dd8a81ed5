"""A real run of TRL is read while it writes, and agrees with its own record; one file, so that it runs once."""

import pytest

from exporter.progress.names import translate
from exporter.progress.readers.checkpoints import Reader as CheckpointReader
from tests.exporter.progress.test_fuzz import check_ends

NOW = 1_800_000_000.0


def test_a_real_run_agrees_with_its_own_record(trl_run):
    records = [record for _, record in trl_run.records["unbuffered"] if record.values]
    written = trl_run.written["unbuffered"]
    assert [(r.step, r.total_steps) for r in records] == [(step, 12) for step, _, _ in written]
    assert [translate(r.values)["reward"] for r in records] == pytest.approx([w[1] for w in written], abs=1e-4)
    assert {"loss", "grad_norm", "entropy", "completion_length", "clipped_ratio", "zero_spread"} <= set(
        translate(records[-1].values)
    )


def test_each_report_is_there_at_the_next_look(trl_run):
    looks = [look for look, record in trl_run.records["unbuffered"] if record.values]
    for look, (_, _, written) in zip(looks, trl_run.written["unbuffered"], strict=True):
        # A busy machine may let the reading test wait, hence more than the interval between looks.
        assert 0 <= look - written < 2.0
    for look, record in trl_run.records["unbuffered"]:
        assert record.at is None or look - 2.0 < record.at <= look


def test_buffered_output_tells_values_late_and_steps_by_its_bar(trl_run):
    records = [record for _, record in trl_run.records["buffered"]]
    written = trl_run.written["buffered"]
    rewards = [translate(r.values)["reward"] for r in records if r.values]
    assert rewards == pytest.approx([reward for _, reward, _ in written], abs=1e-4)
    told = [r.step for r in records if r.step is not None]
    assert told == sorted(told)
    assert told[-1] == 12
    assert all(r.total_steps == 12 for r in records if r.step is not None)


def test_a_real_run_tells_what_it_logged(trl_run):
    records = CheckpointReader.configured({"path": "unbuffered"}, trl_run.folder).read(NOW)
    written = trl_run.written["unbuffered"]
    assert [(r.step, r.total_steps) for r in records] == [(step, 12) for step, _, _ in written]
    assert [translate(r.values)["reward"] for r in records] == pytest.approx([reward for _, reward, _ in written])
    assert written[-1][2] - 1 <= records[-1].at


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.bench)])
def test_a_real_log_may_end_anywhere(tmp_path, trl_run, every):
    content = (trl_run.folder / "unbuffered" / "run.log").read_bytes()[:4096]
    whole = next(check_ends("log of transformers", tmp_path, content, 4096))
    assert whole
    assert all(parts == whole for parts in check_ends("log of transformers", tmp_path, content, every))

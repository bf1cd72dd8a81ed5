"""Only metrics in the trainer's table are accepted from trainer.prom."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics import Sample
from exporter.textfile_reader import TextfileReader, parse, value_of

HISTOGRAM = """\
# TYPE trainer_step_duration_seconds histogram
trainer_step_duration_seconds_bucket{le="1.0"} 2
trainer_step_duration_seconds_bucket{le="+Inf"} 5
trainer_step_duration_seconds_sum 9.5
trainer_step_duration_seconds_count 5
"""


def test_a_line_becomes_a_sample():
    assert parse("trainer_steps_total 12.0\n") == [Sample("trainer_steps_total", {}, 12.0)]


def test_a_whole_histogram_passes():
    assert len(parse(HISTOGRAM)) == 4


def test_labels_are_read_with_their_escapes():
    line = r'trainer_info{peer_id="Qm",nickname="a \"b\" \\ c\nd, e}",model="m",device="cpu"} 1' + "\n"
    assert parse(line)[0].labels == {"peer_id": "Qm", "nickname": 'a "b" \\ c\nd, e}', "model": "m", "device": "cpu"}


@pytest.mark.parametrize(
    "line",
    [
        "up 1",
        "sidecar_build_info 1",
        'trainer_memory_bytes{kind="rss"} 1',
        "trainer_up 1",
        "swarm_rank 1",
        "python_gc_objects_collected_total 5",
        "trainer_steps_total_created 1",
    ],
)
def test_other_names_are_left_out(line):
    assert parse(f"{line}\ntrainer_loss 1\n") == [Sample("trainer_loss", {}, 1.0)]


def test_a_time_stamp_is_left_out():
    assert parse("trainer_loss 0.5 1700000000000\n") == [Sample("trainer_loss", {}, 0.5)]


def test_a_value_that_is_not_finite_was_not_measured():
    assert parse("trainer_loss NaN\ntrainer_reward_mean +Inf\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trainer_steps_total 12",
        "trainer_steps_total 12.0\ntrainer_lo",
        "trainer_steps_total twelve\n",
        "trainer_steps_total\n",
        "trainer_steps_total -1\n",
        "trainer_steps_total NaN\n",
        "trainer_steps_total 1\ntrainer_steps_total 2\n",
        'trainer_steps_total{peer="x"} 1\n',
        "# TYPE trainer_steps_total gauge\ntrainer_steps_total 1\n",
        'trainer_state{trainer_state="dreaming"} 1\n',
        'trainer_state{trainer_state="training} 1\n',
        'trainer_info{peer_id="a",peer_id="b",nickname="",model="",device=""} 1\n',
        'trainer_info{peer_id="a"} 1\n',
        'trainer_info{peer_id="%s",nickname="",model="",device=""} 1\n' % ("x" * 300),
        "".join(f'trainer_info{{peer_id="{n}",nickname="",model="",device=""}} 1\n' for n in range(2)),
        "{} 1\n",
        "<html>\n",
        HISTOGRAM.replace('trainer_step_duration_seconds_bucket{le="+Inf"} 5\n', ""),
        HISTOGRAM.replace("count 5", "count 6"),
        HISTOGRAM.replace('le="1.0"} 2', 'le="1.0"} 7'),
        HISTOGRAM.replace('le="1.0"', 'le="one"'),
        HISTOGRAM.replace("trainer_step_duration_seconds_sum 9.5\n", ""),
    ],
)
def test_a_cut_or_wrong_file_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@given(st.text(max_size=300))
def test_no_text_does_more_than_being_refused(text):
    try:
        samples = parse(text + "\n")
    except ValueError:
        return
    assert all(sample.name.startswith(("trainer_", "swarm_")) for sample in samples)


def test_each_collection_reads_the_file_again(tmp_path):
    textfile = TextfileReader(tmp_path)
    for now in (1.0, 2.0):
        (tmp_path / "trainer.prom").write_text(f"trainer_steps_total {now}\n")
        assert value_of(textfile.read(now), "trainer_steps_total") == now


def test_a_file_that_is_repaired_is_read_by_the_next_collection(tmp_path):
    textfile = TextfileReader(tmp_path)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            textfile.read(1.0)
    (tmp_path / "trainer.prom").write_text("trainer_loss 1\n")
    assert textfile.read(2.0) == [Sample("trainer_loss", {}, 1.0)]


@pytest.mark.parametrize("kind", ["missing", "binary", "huge", "link", "fifo", "folder"])
def test_what_is_no_text_file_of_the_trainer_is_refused(tmp_path, kind):
    path = tmp_path / "trainer.prom"
    if kind == "binary":
        path.write_bytes(os.urandom(4096))
    elif kind == "huge":
        path.write_bytes(b"trainer_loss 1\n" * 100_000)
    elif kind == "link":
        (tmp_path / "elsewhere").write_text("trainer_loss 1\n")
        path.symlink_to("elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises((OSError, ValueError)):
        TextfileReader(tmp_path).read(0.0)

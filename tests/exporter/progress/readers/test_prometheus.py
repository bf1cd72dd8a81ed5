"""A trainer's page of metrics is read, and that of an inference server for what it does."""

import math
import re
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from exporter.progress.names import translate
from exporter.progress.readers.prometheus import Reader, parse
from exporter.progress.record import ReadError

PRIME_RL = {
    "trainer_step": 5,
    "trainer_loss": 0.1,
    "trainer_entropy": 0.5,
    "trainer_grad_norm": 0.2,
    "trainer_mismatch_kl": 0.001,
    "trainer_learning_rate": 1e-6,
    "trainer_throughput_tokens_per_sec": 512,
}


def serve(page, values, labels=()):
    registry = CollectorRegistry()
    for name, value in values.items():
        gauge = Gauge(name, "…", [name for name, _ in labels], registry=registry)
        (gauge.labels(*(value for _, value in labels)) if labels else gauge).set(value)
    page.text = generate_latest(registry).decode()


def configured(page, **options):
    return Reader.configured({"url": page.url, **options}, Path())


def test_prime_rl(page):
    now = time.time()
    serve(page, PRIME_RL | {"trainer_last_step_timestamp_seconds": now - 9})
    reader = configured(page)
    (record,) = reader.read(now)
    assert record.step == 5
    assert record.at == pytest.approx(now - 9)
    assert translate(record.values) == {
        "loss": 0.1,
        "entropy": 0.5,
        "grad_norm": 0.2,
        "mismatch_kl": 0.001,
        "learning_rate": 1e-6,
    }
    assert reader.read(now) == ()
    serve(page, PRIME_RL | {"trainer_step": 6})
    assert [record.step for record in reader.read(now)] == [6]


def test_verl_names_with_slashes_stand_with_underscores(page):
    serve(page, {"training_global_step": 7, "critic_rewards_mean": 0.5, "actor_pg_loss": -0.01, "timing_s_step": 12.5})
    (record,) = configured(page).read(0.0)
    assert (record.step, translate(record.values)) == (7, {"reward": 0.5, "loss": -0.01, "step_seconds": 12.5})


def test_any_page_by_a_table_of_its_names(page):
    serve(page, {"my_update": 3, "my_updates": 9, "my_score": 0.5, "other": 1}, labels=[("job", 'a "b", {c}')])
    metrics = {"my_update": "step", "my_updates": "total_steps", "my_score": "reward"}
    (record,) = configured(page, metrics=metrics).read(0.0)
    assert record[:2] == ({"reward": 0.5}, 3)
    assert record.total_steps == 9


def test_without_a_step_a_change_is_progress(page):
    reader = configured(page)
    serve(page, {"actor_pg_loss": 0.5})
    assert len(reader.read(0.0)) == 1
    assert len(reader.read(5.0)) == 0
    serve(page, {"actor_pg_loss": 0.25})
    assert len(reader.read(10.0)) == 1


def test_requests_at_an_inference_server_are_activity_and_no_progress(page):
    page.text = (
        '# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine="0",model_name="m"} 3.0\n'
        'vllm:num_requests_running{engine="1",model_name="m"} 2.0\nvllm:num_requests_waiting{model_name="m"} 1.0\n'
    )
    reader = configured(page)
    assert reader.read(0.0) == ()
    assert reader.activity == {"running": 5.0, "waiting": 1.0}


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (404, "", "answers with status 404"),
        (200, "<!doctype html><html>", "is a web page, not metrics"),
        (200, "x" * (5 << 20), "too slow or too large"),
    ],
)
def test_what_is_no_page_is_told(page, status, text, message):
    page.status, page.text = status, text
    with pytest.raises(ReadError, match=message):
        configured(page).read(0.0)


def test_a_password_and_a_token_are_never_repeated(page):
    url = page.url.replace("http://", "http://me:hunter2@") + "?token=hunter3"
    page.status = 500
    reader = Reader.configured({"url": url}, Path())
    for port in ("", ":1"):
        with pytest.raises(ReadError) as caught:
            Reader(re.sub(r":\d+/", f"{port}/", url) if port else url).read(0.0)
        assert "hunter" not in str(caught.value)
    assert reader
    with pytest.raises(ValueError, match=r"^url: ") as refused:
        Reader.configured({"url": "ftp://me:hunter2@x"}, Path())
    assert "hunter" not in str(refused.value)


def test_lines_that_are_none_are_left_out():
    lines = ("trainer_step 5 1700000000000", "trainer_step", 'trainer_loss{a="b" 1', "# trainer_loss 2", "trainer_lr x")
    names = {"trainer_step", "trainer_loss", "trainer_lr"}
    assert parse("\n".join([*lines, "trainer_loss +Inf"]), names) == {"trainer_step": 5.0, "trainer_loss": math.inf}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "url: is missing; name it, such as http://127.0.0.1:8000/metrics"),
        ({"url": "http://x/", "metrics": ["a"]}, "metrics: \"['a']\" is not a table of names"),
        (
            {"url": "http://x/", "metrics": {"a": "score"}},
            "metrics: 'a' means 'score', which is none of step, total_steps",
        ),
        ({"url": "http://x:99999/"}, "url: is not a URL"),
    ],
)
def test_wrong_options_are_told_in_one_line(options, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}.*\Z"):
        Reader.configured(options, Path())

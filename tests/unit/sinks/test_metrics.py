"""Metrics: every event counts once, labels stay few, several processes add up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from idp import events
from idp.sinks.metrics import MAX_SERIES, Metrics
from tests.unit.sinks.samples import issued, leaves, sample

WORKERS = """
import os, sys
from tests.unit.sinks.samples import issued
from idp.sinks.metrics import Metrics
metrics = Metrics()
metrics(issued())
for _ in range(2):
    if os.fork() == 0:
        metrics(issued())
        metrics.observe("token", 200, 0.002)
        os._exit(0)
for _ in range(2):
    os.wait()
sys.stdout.buffer.write(metrics.render()[0])
"""


def shown(metrics: Metrics) -> list[str]:
    text, kind = metrics.render()
    assert kind.startswith("text/plain")
    return [
        line for line in text.decode().splitlines() if line[:1] != "#" and not line.endswith(" 0.0")
    ]


def test_events_and_their_counters() -> None:
    metrics = Metrics()
    for kind in leaves():
        metrics(sample(kind))
        metrics(sample(kind))
    assert sorted(shown(metrics)) == sorted(
        [
            'idp_factor_answers_total{event="verified",factor="<factor>"} 2.0',
            'idp_factor_answers_total{event="rejected",factor="<factor>"} 2.0',
            'idp_factor_answers_total{event="failed",factor="<factor>"} 2.0',
            'idp_factor_answers_total{event="refused",factor="<factor>"} 2.0',
            'idp_sign_ins_total{error="",event="started"} 2.0',
            'idp_sign_ins_total{error="",event="completed"} 2.0',
            'idp_sign_ins_total{error="<error>",event="refused"} 2.0',
            'idp_tokens_issued_total{grant_type="other"} 2.0',
            'idp_tokens_refused_total{error="<error>",grant_type="other"} 2.0',
            *(
                f'idp_events_total{{event="{name}"}} 2.0'
                for name in (
                    "consent_given",
                    "consent_withdrawn",
                    "session_ended",
                    "code_replayed",
                    "refresh_token_reused",
                    "token_revoked",
                    "token_introspected",
                    "user_info_served",
                    "keys_rotated",
                    "user_changed",
                    "client_changed",
                    "page_refused",
                    "request_failed",
                    "authenticator_added",
                    "authenticator_removed",
                    "proof_taken",
                    "proof_refused",
                    "recovery_code_used",
                    "enrollment_deferred",
                    "password_changed",
                    "address_verified",
                    "ticket_issued",
                    "ticket_used",
                    "message_sent",
                    "message_refused",
                    "message_failed",
                    "sms_alarm",
                    "admin_refused",
                )
            ),
        ]
    )
    assert len(leaves()) == 37


def test_no_user_or_client_becomes_a_label() -> None:
    metrics = Metrics()
    for kind in leaves():
        metrics(sample(kind))
    text = metrics.render()[0].decode()
    for name in ("client_id", "user_id", "subject", "session_id", "jti", "interaction", "path"):
        assert f"<{name}>" not in text


def test_grant_types_that_nobody_knows_are_one() -> None:
    metrics = Metrics()
    for n in range(300):
        metrics(sample(events.TokenRefused, grant_type=f"x{n}", error="invalid_request"))
    metrics(sample(events.TokenRefused, grant_type="refresh_token", error="invalid_grant"))
    metrics(issued())
    assert sorted(shown(metrics)) == [
        'idp_tokens_issued_total{grant_type="client_credentials"} 1.0',
        'idp_tokens_refused_total{error="invalid_grant",grant_type="refresh_token"} 1.0',
        'idp_tokens_refused_total{error="invalid_request",grant_type="other"} 300.0',
    ]


def test_series_are_limited_and_still_counted() -> None:
    metrics = Metrics()
    for n in range(MAX_SERIES + 5):
        metrics(sample(events.FactorVerified, factor=f"f{n}"))
        metrics.observe(f"e{n}", 200, 0.1)
    found = shown(metrics)
    assert len([s for s in found if s.startswith("idp_factor_answers")]) == MAX_SERIES + 1
    assert 'idp_factor_answers_total{event="verified",factor="other"} 5.0' in found
    assert 'http_requests_total{endpoint="other",status="200"} 5.0' in found
    assert 'http_request_seconds_count{endpoint="other"} 5.0' in found


def test_requests() -> None:
    metrics = Metrics()
    metrics.observe("token", 200, 0.0004)
    metrics.observe("token", 200, 0.3)
    metrics.observe("token", 401, 0.002)
    found = shown(metrics)
    assert 'http_requests_total{endpoint="token",status="200"} 2.0' in found
    assert 'http_requests_total{endpoint="token",status="401"} 1.0' in found
    assert 'http_request_seconds_bucket{endpoint="token",le="0.0005"} 1.0' in found
    assert 'http_request_seconds_bucket{endpoint="token",le="0.25"} 2.0' in found
    assert 'http_request_seconds_count{endpoint="token"} 3.0' in found


def test_the_label_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    metrics(issued())
    metrics.observe("token", 200, 0.1)

    def never(*args: object) -> None:
        raise AssertionError("looked up again")

    monkeypatch.setattr("prometheus_client.metrics.MetricWrapperBase.labels", never)
    metrics(issued())
    metrics.observe("token", 200, 0.1)


def test_its_own_registry_without_default_collectors() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics(issued())
    labels = {"grant_type": "client_credentials"}
    assert registry.get_sample_value("idp_tokens_issued_total", labels) == 1
    text = metrics.render()[0].decode()
    assert "process_" not in text
    assert "python_" not in text
    assert "_created" not in text
    Metrics()  # a second one does not collide


def test_workers_add_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKERS],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert 'idp_tokens_issued_total{grant_type="client_credentials"} 3.0' in done.stdout
    assert 'http_requests_total{endpoint="token",status="200"} 2.0' in done.stdout
    assert 'http_request_seconds_count{endpoint="token"} 2.0' in done.stdout

"""Errors of MLflow and of drivers as one line, without passwords and SQL."""

import pytest

from archsearch.tracking.messages import cause, error_line, redact, redact_uri

SECRET = "Gh3im-Nis"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"at http://me:{SECRET}@host:1/#/runs", "at http://me:***@host:1/#/runs"),
        (f"'postgresql://me:{SECRET}@host/db'", "'postgresql://me:***@host/db'"),
        (f"http://:{SECRET}@host", "http://:***@host"),
        ("http://me:a@b@host", "http://me:***@host"),
        ("http://me:a/b@host", "http://me:***@host"),
        (f"mysql://host/db?user=me&password={SECRET}&x=1", "mysql://host/db?user=me&password=***&x=1"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
    ],
)
def test_passwords_in_uris_are_removed(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    ("uri", "redacted"),
    [
        ("http://me@corp.com:s3x@127.0.0.1:7601/x", "http://me@corp.com:***@127.0.0.1:7601/x"),
        ("http://me:q'Zx@host", "http://me:***@host"),
        ("http://me:Se Cr@host", "http://me:***@host"),
        ("postgresql://me:q'Z@host/db?sslmode=no", "postgresql://me:***@host/db?sslmode=no"),
        ("http://me:a@b@host/c", "http://me:***@host/c"),
        ("http://me@host", "http://me@host"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////tmp/a@b:c/mlflow.db", "sqlite:////tmp/a@b:c/mlflow.db"),
    ],
)
def test_passwords_with_unusual_characters_are_removed_from_a_store(
    uri: str, redacted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert redact_uri(uri) == redacted
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert redact(f"cannot reach {uri}.") == f"cannot reach {redacted}."


def test_the_reason_follows_sqlalchemys_remark() -> None:
    remark = "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)"
    assert error_line(RuntimeError(f"{remark}\ndatabase disk image is malformed")) == "database disk image is malformed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@host"),
        ("MLFLOW_TRACKING_PASSWORD", SECRET),
        ("MLFLOW_TRACKING_TOKEN", SECRET),
    ],
)
def test_known_passwords_are_removed_wherever_they_stand(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert redact(f"login me/{SECRET} failed") == "login me/*** failed"


def test_a_percent_encoded_password_is_removed_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:p%40ssword@host")
    assert redact("p%40ssword, p@ssword") == "***, ***"


def test_an_error_whose_traceback_would_show_a_password_is_no_cause() -> None:
    error = RuntimeError("failed")
    assert cause(error) is error
    error.__context__ = RuntimeError(f"http://me:{SECRET}@host")
    assert cause(error) is None


def test_an_error_is_the_drivers_words_without_sql() -> None:
    text = (
        "(sqlite3.OperationalError) database is locked\n[SQL: INSERT INTO runs (x)\nVALUES (?)]\n[parameters: ('a',)]\n"
        "(Background on this error at: https://sqlalche.me/e/21/e3q8)"
    )
    assert error_line(RuntimeError(text)) == "database is locked"


def test_an_error_without_words_is_its_class() -> None:
    assert error_line(RuntimeError("[SQL: SELECT 1]")) == "RuntimeError"


def test_a_long_error_is_cut_but_keeps_its_reason() -> None:
    line = error_line(RuntimeError(f"API request failed {'x' * 5000} connection refused"))
    assert len(line) < 300 and line.startswith("API request failed") and line.endswith("connection refused")

"""One line of an error of MLflow or of a database driver, without passwords and without SQL."""

import os
import re
from urllib.parse import unquote, urlsplit

_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")  # environment variables that MLflow reads
# Not the port and path of http://host:5000/a@b; an unencoded password may contain a slash.
_USER_INFO = re.compile(r"(?<=://)([^\s/:@'\"]*):(?!\d+/)[^\s'\"]+(?=@)")
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|token|sslpassword)=)[^\s&'\"]+", re.IGNORECASE)
_DRIVER = re.compile(r"\(\w+(?:\.\w+)*\.(\w+)\)\s*")  # SQLAlchemy's prefix: (sqlite3.OperationalError)
_SQL = re.compile(r"\s*(?:\[SQL:|\[parameters:|\(Background on this error).*", re.DOTALL)
_AUTOFLUSH = "(raised as a result of Query-invoked autoflush"  # SQLAlchemy's first line; the reason follows
_LONGEST, _HEAD, _TAIL = 300, 120, 170  # characters; the reason stands at the end


def redact(text: str) -> str:
    """`text` without passwords: those in URIs, and those of MLflow's environment variables."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri:
        text = text.replace(uri, redact_uri(uri))
    text = _QUERY.sub(r"\1***", _USER_INFO.sub(r"\1:***", text))
    for secret in _known_secrets():
        text = text.replace(secret, "***")
    return text


def redact_uri(uri: str) -> str:
    """`uri` without its password, which may have characters that should have been percent-encoded."""
    scheme, separator, rest = uri.partition("://")
    user, at, other = rest.partition("@")
    host = re.split("[/?#]", other, maxsplit=1)[0]
    if "@" in host:  # in the user's name, or in the password
        more = host.rpartition("@")[0]
        user, other = f"{user}@{more}", other[len(more) + 1 :]
    name, colon, password = user.partition(":")
    if separator and at and colon and not re.match(r"\d+/", password):  # a port, and a path with @
        uri = f"{scheme}://{name}:***@{other}"
    return _QUERY.sub(r"\1***", uri)


def error_line(error: BaseException) -> str:
    """What `error` says, in one line: no SQL, no passwords. Its class name if it says nothing."""
    lines = _DRIVER.sub("", _SQL.sub("", str(error))).strip().splitlines()
    lines = [line for line in lines if not line.startswith(_AUTOFLUSH)]
    line = redact(lines[0].strip() if lines else type(error).__name__)
    return line if len(line) <= _LONGEST else f"{line[:_HEAD]} ... {line[-_TAIL:]}"


def cause(error: BaseException) -> BaseException | None:
    """`error` to raise another error from; None if the traceback would show a password."""
    link: BaseException | None = error
    while link is not None:
        if redact(str(link)) != str(link):
            return None
        link = link.__cause__ or link.__context__
    return error


def _known_secrets() -> list[str]:
    secrets = [os.environ.get(name) for name in _SECRETS]
    try:
        password = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")).password
    except ValueError:
        password = None
    if password is not None:
        secrets += [password, unquote(password)]
    return [secret for secret in secrets if secret is not None and len(secret) >= 6]  # shorter ones are words

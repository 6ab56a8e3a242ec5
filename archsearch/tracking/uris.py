"""Which URIs can be a tracking store, and whether what they name can be reached. No MLflow.

Each function returns what is wrong, in words that follow "tracking store X", or None.
"""

import json
import os
import socket
import sqlite3
import tempfile
import urllib.error
import urllib.request
from contextlib import closing, suppress
from http.client import HTTPException
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from archsearch.tracking.database import connect
from archsearch.tracking.messages import error_line

HEALTH_SECONDS = 5.0  # for a server to answer that it is there
API_SECONDS = 10.0  # for a server to answer a query
_NO_PERMISSION = (401, 403)  # statuses
_QUERY = "api/2.0/mlflow/experiments/search?max_results=1"

# Databases that MLflow can use: the port, and the package that SQLAlchemy needs for it.
_DATABASES = {"postgresql": (5432, "psycopg2"), "mysql": (3306, "MySQLdb"), "mssql": (1433, "pyodbc")}
_SERVERS = ("http", "https")
_FORMS = "must be sqlite:///<file>, http(s)://<server>, or a postgresql, mysql or mssql URI"


def malformed(uri: str) -> str | None:
    """Why `uri` cannot be a tracking store, whatever it names."""
    scheme = uri.split(":", 1)[0].lower()
    dialect, _, driver = scheme.partition("+")
    try:
        parts = urlsplit(uri)
        port = parts.port if scheme in _SERVERS else None
    except ValueError:  # whose words may be a part of the password
        return "is not a valid URI (special characters of a password must be percent-encoded)"
    problem = None
    if dialect == "sqlite":
        problem = _malformed_sqlite(uri)
    elif scheme in _SERVERS:
        problem = None if parts.hostname and port != 0 else "names no server; must be http://<server>:<port>"
    elif dialect in _DATABASES:
        package = driver or _DATABASES[dialect][1]
        problem = None if find_spec(package) else f"needs the package {package}, which is not installed"
    elif scheme == "databricks":
        problem = None if _knows_databricks() else "is not configured: set DATABRICKS_HOST, or write ~/.databrickscfg"
    elif scheme == "file":
        problem = f"is a folder, which MLflow no longer supports; use sqlite:///{parts.path.rstrip('/')}/mlflow.db"
    elif scheme not in {entry_point.name for entry_point in entry_points(group="mlflow.tracking_store")}:
        problem = f"is none that MLflow knows; it {_FORMS}"
    return problem


def unusable_database(database: Path) -> str | None:
    """Why a SQLite database cannot be written, or created."""
    folder = next((parent for parent in database.absolute().parents if parent.exists()), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        exists = database.exists()
    except OSError as error:
        return f"cannot be created: {folder}: {error.strerror or error}"
    if not exists:
        return None
    if not database.is_file():
        return "is not a file"
    if not os.access(database, os.R_OK | os.W_OK):
        return "cannot be written: permission denied"
    try:
        with closing(connect(database)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:
        pass  # another process has locked it for now
    except sqlite3.DatabaseError:
        return "is not a SQLite database"
    return None


def unreachable_server(uri: str) -> str | None:
    """Why an MLflow server or a database server does not answer."""
    parts = urlsplit(uri)
    dialect = parts.scheme.split("+")[0]
    try:
        if parts.scheme in _SERVERS:
            with suppress(urllib.error.HTTPError):  # a proxy may not pass it on
                _request(uri, "health", HEALTH_SECONDS)
            json.loads(_request(uri, _QUERY, API_SECONDS))  # a server may be there, but not its database
        elif dialect in _DATABASES and parts.hostname and "," not in parts.netloc:
            address = parts.hostname, parts.port or _DATABASES[dialect][0]
            socket.create_connection(address, timeout=HEALTH_SECONDS).close()
    except urllib.error.HTTPError as error:
        if error.code in _NO_PERMISSION:
            return None  # MLflow says what is missing
        return f"does not answer like an MLflow server: status {error.code}"
    except ValueError:
        return "does not answer like an MLflow server: got no JSON"
    except (OSError, HTTPException) as error:
        return f"does not answer: {error_line(getattr(error, 'reason', None) or error)}"
    return None


def _request(uri: str, page: str, seconds: float) -> bytes:
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]  # without user and password
    path, _, query = page.partition("?")
    address = urlunsplit(parts._replace(netloc=host, path=f"{parts.path.rstrip('/')}/{path}", query=query))
    with urllib.request.urlopen(address, timeout=seconds) as answer:
        return bytes(answer.read())


def _malformed_sqlite(uri: str) -> str | None:
    path, _, query = uri.removeprefix("sqlite:///").partition("?")
    options = dict(parse_qsl(query))
    if uri.rstrip("/") == "sqlite:" or path in ("", ":memory:") or options.get("mode") == "memory":
        return "is in memory and keeps nothing; use sqlite:///<file>"
    if not uri.startswith("sqlite:///") or path.startswith("file:"):
        return "must have the form sqlite:///<file>"
    return None


def _knows_databricks() -> bool:
    file = Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
    return any(name in os.environ for name in ("DATABRICKS_HOST", "DATABRICKS_RUNTIME_VERSION")) or file.is_file()

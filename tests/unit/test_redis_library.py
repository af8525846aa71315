"""The parts of the Redis library that we use without its promise exist, and one file alone uses them."""

import ast
import importlib
from pathlib import Path

import pytest
import redis

FILE = "eccmgr/redis/library.py"
ROOT = Path(__file__).parents[2]

WHERE_WE_USE_IT = {
    "redis._parsers.base.BaseParser.parse_error": FILE,
    "redis.asyncio.connection.AbstractConnection._writer": FILE,
    "redis.asyncio.connection.AbstractConnection._close": FILE,
    "redis.asyncio.connection.AbstractConnection.on_connect_check_health": FILE,
    "redis.asyncio.connection.Connection._connect": FILE,
    "redis.asyncio.connection.RedisSSLContext.get": FILE,
    "redis.connection.Connection._connect": FILE,
    "redis.connection.SSLConnection._connect": FILE,
    "redis.crc.key_slot": FILE,
    "redis.driver_info.DriverInfo": FILE,
    "redis.maint_notifications.MaintNotificationsConfig": FILE,
    "redis.asyncio.connection.BlockingConnectionPool.make_connection": "eccmgr/redis/connect.py",
    "redis.connection.parse_url": "worker/jobs/patience.py",
    "redis.client.Pipeline.immediate_execute_command": "worker/jobs/patience.py",
}
"""Names that the library may remove without a word. The last ones are public by name, but documented nowhere."""

PRIVATE_MODULES = ("redis._", "redis.crc", "redis.driver_info", "redis.maint_notifications")


@pytest.mark.parametrize("name", WHERE_WE_USE_IT)
def test_the_redis_library_has_what_we_use(name: str) -> None:
    names = name.split(".")
    at = next(i for i, each in enumerate(names) if each[:1].isupper() or each in ("key_slot", "parse_url"))
    missing = f"redis-py {redis.__version__} has no {name}: {WHERE_WE_USE_IT[name]} is to be changed for it"
    try:
        found: object = importlib.import_module(".".join(names[:at]))
    except ImportError:
        pytest.fail(missing)
    for each in names[at:]:
        assert hasattr(found, each), missing
        found = getattr(found, each)


def test_connections_have_what_is_replaced_in_them() -> None:
    pool = redis.asyncio.BlockingConnectionPool.from_url("rediss://h:1")
    assert hasattr(pool, "connection_class"), "eccmgr/redis/client.py sets it"
    assert isinstance(pool.connection_kwargs, dict), "eccmgr/redis/client.py adds to it"
    kinds = [redis.asyncio.Connection, redis.asyncio.SSLConnection, redis.Connection, redis.SSLConnection]
    for kind in kinds:
        connection = kind(host="h", port=1)
        assert (connection.host, connection.port) == ("h", 1), f"{FILE} leads connections by them"
    assert hasattr(redis.asyncio.SSLConnection(), "ssl_context"), f"{FILE} shares it"
    pipeline = redis.Redis().pipeline()
    for name in ("command_stack", "watching", "connection", "response_callbacks"):
        assert hasattr(pipeline, name), f"worker/jobs/patience.py rests on Pipeline.{name}"


def _touches(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith(PRIVATE_MODULES):
                found.append(module)
            case ast.FunctionDef(name="_connect") | ast.AsyncFunctionDef(name="_connect"):
                found.append(node.name)
            case ast.Attribute(value=ast.Name(id="connection" | "pool" | "client"), attr=str(name)) if name[0] == "_":
                found.append(name)
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="_connect"):
                found.append("super()._connect")
    return found


def test_only_one_file_uses_what_is_private() -> None:
    folders = (ROOT / "eccmgr" / "redis", ROOT / "worker" / "jobs")
    paths = [path for folder in folders for path in folder.glob("*.py")]
    touching = {str(path.relative_to(ROOT)) for path in paths if _touches(path)}
    assert touching == {FILE}

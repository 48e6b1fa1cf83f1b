"""A real etcd beside the API server: how fast does it acknowledge durable writes and answer ranges here, today?

Upstream's API server can't write faster than its etcd; these are the yardsticks of CREATE and LIST.  Requests go
through etcd's own JSON gateway, which costs it some processor time that gRPC would not.
"""

from __future__ import annotations

import base64
import contextlib
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator

PORT = 23790
VALUE_BYTES = 3000
SECONDS = 3
KEYS = 5000

_PUT = """
local number, value = 0, "%s"
local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
request = function()
  number = number + 1
  local key = ""
  local rest = number
  for i = 1, 4 do key = letters:sub(rest %% 64 + 1, rest %% 64 + 1) .. key; rest = math.floor(rest / 64) end
  return wrk.format("POST", "/v3/kv/put", nil, '{"key":"cG9k' .. key .. '","value":"' .. value .. '"}')
end
"""


@contextlib.contextmanager
def running() -> Iterator[str]:
    """An etcd of one member on loopback; gives its URL."""
    url = f"http://127.0.0.1:{PORT}"
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            ["etcd", "--data-dir", f"{scratch}/etcd", "--listen-client-urls", url, "--advertise-client-urls", url,
             "--listen-peer-urls", f"http://127.0.0.1:{PORT + 1}", "--log-level", "error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(url)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            if b"true" in answer.read():
                return
        time.sleep(0.05)
    raise RuntimeError("etcd did not come up")


def puts_per_second(url: str, clients: int) -> float:
    """Durable writes of 3 kB, each acknowledged before its client sends the next."""
    value = base64.b64encode(bytes(VALUE_BYTES)).decode()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_PUT % value)
        script.flush()
        return _wrk(clients, "-s", script.name, url)


def ranges_per_second(url: str, clients: int = 4) -> float:
    """Reads of the first 5,000 keys with their values."""
    body = f'{{"key":"AA==","range_end":"AA==","limit":"{KEYS}"}}'
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.path = '/v3/kv/range'\n")
        script.flush()
        return _wrk(clients, "-s", script.name, url)


def _wrk(clients: int, *arguments: str) -> float:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "--timeout", "20s", *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate and "Non-2xx" not in out, out
    return float(rate[1])


def summary() -> dict[str, float]:
    """Puts per second with 1 and 32 clients, ranges of 5,000 keys per second with 4."""
    with running() as url:
        many = puts_per_second(url, 32)
        return {"puts, 32 clients": many, "puts, 1 client": puts_per_second(url, 1),
                "ranges of 5,000": ranges_per_second(url)}


if __name__ == "__main__":
    print(summary())

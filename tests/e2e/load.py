"""A client that asks an HTTP server again and again, each time over a new connection, until it is told to stop.

Run as a program: ``load.py HOST PORT``; prints ``asked N lost M`` and the first failures when its stdin closes.
"""

from __future__ import annotations

import http.client
import sys
import threading


def ask(host: str, port: int) -> str:
    """"" when the answer was 200, else what went wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return "" if answer.status == 200 else f"HTTP {answer.status}"
    except OSError as error:
        return repr(error)
    finally:
        connection.close()


def main(host: str, port: int) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    asked, failures = 0, []
    print("started", flush=True)
    while not stop.wait(0.005) and asked < 100_000:
        asked += 1
        if failure := ask(host, port):
            failures.append(failure)
    print(f"asked {asked} lost {len(failures)} {failures[:3]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

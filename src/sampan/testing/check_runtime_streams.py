"""What every runtime must do with streams: exec, attach, port-forward. See ``check_runtime``."""

from __future__ import annotations

import asyncio
import time

from sampan.runtime.base import Process
from sampan.testing.check_runtime import Rig, refused


async def everything(process: Process, stdin: bytes = b"") -> tuple[bytes, bytes, int]:
    """(stdout, stderr, exit code) of a process that is given ``stdin`` and then its end."""
    if process.stdin is not None:
        process.stdin.write(stdin)
        await process.stdin.drain()
        process.stdin.write_eof()
    try:
        async with asyncio.timeout(10):
            err = await process.stderr.read() if process.stderr else b""
            return await process.stdout.read(), err, await process.wait()
    finally:
        await process.close()


async def check_exec(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        container = await rig.run(sandbox)
        run = rig.runtime
        result = await run.exec_sync(container, ["sh", "-c", "echo out; echo err >&2; exit 7"], 5)
        assert (result.exit_code, result.stdout, result.stderr) == (7, b"out\n", b"err\n")
        assert (await run.exec_sync(container, ["sh", "-c", "kill -15 $$"], 5)).exit_code == 143
        copied = await everything(await run.exec(container, ["cat"], stdin=True, tty=False), b"x" * 300_000)
        assert copied == (b"x" * 300_000, b"", 0)
        await refused(run.exec_sync(container, ["no-such"], 5), "executable file not found in $PATH")
        await refused(run.exec(container, ["no-such"], stdin=False, tty=False), "executable file not found in $PATH")
        await refused(run.exec(container, ["/etc"], stdin=False, tty=True), "exec failed")
        await run.stop_container(container, 0)
        await refused(run.exec_sync(container, ["true"], 5), "not running")


async def check_exec_ends_in_time(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        container = await rig.run(sandbox)
        began = time.monotonic()
        await refused(
            rig.runtime.exec_sync(container, ["sh", "-c", "sleep 301 & sleep 302"], 0.5), kind=TimeoutError
        )
        assert time.monotonic() - began < 5
        process = await rig.runtime.exec(container, ["sleep", "303"], stdin=False, tty=False)
        await process.close()
        left = await rig.runtime.exec_sync(container, ["ps", "-o", "args"], 5)
        assert b"30" not in left.stdout.replace(b"sleep 1000", b""), left.stdout


async def check_exec_with_terminal(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        container = await rig.run(sandbox)
        process = await rig.runtime.exec(container, ["sh"], stdin=True, tty=True)
        assert process.stderr is None and process.stdin is not None
        await process.resize(101, 33)
        async with asyncio.timeout(10):
            process.stdin.write(b"tty; echo $TERM; until stty size | grep '33 101'; do sleep 0.01; done; exit 4\n")
            seen = await process.stdout.read()
            assert await process.wait() == 4
        await process.close()
        assert b"/dev/pts/" in seen and b"xterm" in seen and b"33 101" in seen, seen


async def check_attach(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        container = await rig.run(
            sandbox, "while read -r line; do echo got $line; echo no >&2; done; exit 8", stdin=True, stdin_once=True
        )
        process = await rig.runtime.attach(container, stdin=True)
        watcher = await rig.runtime.attach(container, stdin=False)
        assert process.stdin is not None and watcher.stdin is None
        process.stdin.write(b"one\n")
        async with asyncio.timeout(5):
            assert await process.stdout.readline() == b"got one\n"
            assert await watcher.stdout.readline() == b"got one\n"
        out, err, code = await everything(process, b"two\n")
        assert (out, err, code) == (b"got two\n", b"no\nno\n", 8)
        await watcher.close()
        assert (await rig.ended(container)).exit_code == 8


async def check_attach_to_a_terminal(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        script = "read go; tty; until stty size | grep '30 90'; do sleep 0.01; done; read x; echo bye; exit 2"
        container = await rig.run(sandbox, script, stdin=True, tty=True)
        process = await rig.runtime.attach(container, stdin=True)
        assert process.stderr is None and process.stdin is not None
        await process.resize(90, 30)
        async with asyncio.timeout(5):
            process.stdin.write(b"\n")
            seen = b""
            while b"30 90" not in seen:
                seen += await process.stdout.read(1000)
        await process.close()
        assert (await rig.runtime.container_status(container)).state == "running"
        again = await rig.runtime.attach(container, stdin=True)
        assert again.stdin is not None
        again.stdin.write(b"\n")
        async with asyncio.timeout(5):
            assert await again.wait() == 2
        await again.close()


async def check_port_forward(rig: Rig) -> None:
    async with rig.sandbox() as sandbox:
        await rig.run(
            sandbox, "echo found > /var/www/index.html; exec httpd -f -v -p 127.0.0.1:8080 -h /var/www"
        )
        reader, writer = await _connect(rig, sandbox, 8080)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(5):
            assert b"found" in await reader.read()
        writer.close()
        await refused(rig.runtime.port_forward(sandbox, 8081), kind=OSError)


async def _connect(rig: Rig, sandbox: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(200):  # until httpd listens
        try:
            return await rig.runtime.port_forward(sandbox, port)
        except OSError:
            await asyncio.sleep(0.01)
    raise AssertionError(f"nobody listens at {port}")


CHECKS = tuple(check for name, check in list(globals().items()) if name.startswith("check_"))

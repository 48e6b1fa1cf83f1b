"""What is imported before the fork must not make forking unsafe, nor change what else the process does."""

import subprocess
import sys

PROGRAM = """
import os, ssl, sys
os.environ["SSL_CERT_FILE"] = "/etc/own.pem"
from sampan.cluster import forked, shared
before = set(sys.modules)
shared.load()
assert os.environ["SSL_CERT_FILE"] == "/etc/own.pem"
assert forked.possible(), os.listdir("/proc/self/task")
from aiohttp import connector
assert connector._SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED, "without authorities nobody is trusted"
heavy = {"cryptography", "sampan.apiserver.app", "sampan.kubelet.kubelet"} & set(sys.modules)
assert not heavy, f"only one of the two needs {heavy}"
"""


def test_shared_imports():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_command_imports_no_daemon():
    """``up`` alone must not load what only its children need."""
    program = ("import sys, sampan.cli.up, sampan.cluster.up\n"
               "print({'asyncio', 'aiohttp', 'cryptography', 'uvloop', 'yaml'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

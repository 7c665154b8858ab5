"""Servers of files on this machine: XRootD, and HTTP with ranges of bytes."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

# Someone without rights: xrootd does not run as root.
NOBODY = "nobody"

CONFIGURATION = """
xrd.port {port}
xrd.network nodnr
xrd.allow host *
oss.localroot {directory}/data
all.export / r/o
all.adminpath {directory}/admin
all.pidpath {directory}/admin
"""


@dataclass
class Server:
    """A running server, the directory that it serves, and the URL of it, to which a name is added."""

    directory: Path
    url: str
    process: subprocess.Popen | None = None

    def kill(self) -> None:
        """End an XRootD server at once, whatever it is doing."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def why_no_xrootd() -> str:
    """Return what is missing for an XRootD server and its client, or nothing."""
    if shutil.which("xrootd") is None:
        return "there is no program xrootd (Debian: xrootd-server)"
    missing = [name for name in ("XRootD", "fsspec_xrootd") if find_spec(name) is None]
    return f"the package {missing[0]} is not installed" if missing else ""


@contextmanager
def xrootd() -> Iterator[Server]:
    """Run an XRootD server that serves a new directory."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for path in (directory / "data", directory / "admin"):
            path.mkdir()
        as_user = []
        if os.geteuid() == 0:
            as_user = ["-R", NOBODY]
            user = pwd.getpwnam(NOBODY)
            for path in (directory, directory / "data", directory / "admin"):
                os.chown(path, user.pw_uid, user.pw_gid)
        port = free_port()
        (directory / "xrootd.cfg").write_text(CONFIGURATION.format(port=port, directory=directory))
        command = ["xrootd", "-I", "v4", "-c", f"{directory}/xrootd.cfg", "-l", f"{directory}/admin/log", *as_user]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield Server(directory / "data", f"root://127.0.0.1:{port}//", process)
        finally:
            process.kill()
            process.wait()


@contextmanager
def http(*, ranges: bool = True) -> Iterator[Server]:
    """Run an HTTP server that serves a new directory, with ranges of bytes or without."""
    with tempfile.TemporaryDirectory() as name:

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=name)

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                path = Path(name, self.path.lstrip("/"))
                wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                if not (ranges and wanted and path.is_file()):
                    super().do_GET()
                    return
                content = path.read_bytes()
                first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                self.send_header("Content-Length", str(last + 1 - first))
                self.end_headers()
                with suppress(BrokenPipeError):
                    self.wfile.write(content[first : last + 1])

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Server(Path(name), f"http://127.0.0.1:{server.server_address[1]}/")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def silent() -> Iterator[int]:
    """Return the port of a server that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    """Return a port on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def _wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(200):
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 0.1)):
            return
        assert process.poll() is None, "xrootd has ended"
        time.sleep(0.05)
    raise AssertionError("xrootd does not answer")

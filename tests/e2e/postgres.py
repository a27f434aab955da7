"""A real PostgreSQL of a test's own, in a temporary folder and on a free port. Standard library only."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from harness import eventually

PASSWORD = "open-sesame"  # of the user kong


def program(name):
    found = shutil.which(name)
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        found = found or shutil.which(name, path=str(folder))
    assert found, f"{name} is not installed"
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Postgres:
    """Database `kong`, owned by user `kong`, who must give his password."""

    def __init__(self, settings=(), copy_of=None):
        self.folder = Path(tempfile.mkdtemp(prefix="weir-pg-"))
        # PostgreSQL refuses to be root.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.port, self.extra, self.process = free_port(), list(settings), None
        if copy_of:
            self.run("pg_basebackup", "-c", "fast", "-D", self.folder / "data", "-R", "-d", f"host=127.0.0.1 port={copy_of.port} user=kong password={PASSWORD}")
            return self.start()
        self.run("initdb", "-D", self.folder / "data", "-U", "kong", "-A", "scram-sha-256", "--pwfile", secret, "-N", "-E", "UTF8", "--locale=C")
        self.start()
        self.sql("CREATE DATABASE kong", database="postgres")

    def standby(self):
        """A server that follows this one."""
        return Postgres(self.extra, copy_of=self)

    def promote(self):
        self.run("pg_ctl", "promote", "-w", "-D", self.folder / "data")

    def run(self, name, *args):
        done = subprocess.run([program(name), *map(str, args)], capture_output=True, text=True, cwd=self.folder, **self.user)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "fsync=off", *self.extra]
        self.log = open(self.log_file(), "ab")
        self.process = subprocess.Popen([program("postgres"), "-D", self.folder / "data", *(a for o in options for a in ("-c", o))],
                                        stdout=self.log, stderr=self.log, cwd=self.folder, **self.user)
        eventually(lambda: subprocess.run([program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0, "PostgreSQL is up")

    def stop(self, number=signal.SIGINT):
        """SIGINT: fast shutdown; SIGQUIT: as if it had crashed."""
        self.process.send_signal(number)
        self.process.wait(30)
        self.log.close()

    def family(self):
        """The server and its processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def signal_all(self, number):
        """Signals every process; a backend that ends meanwhile is no fault."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self):
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def log_file(self):
        return self.folder.parent / (self.folder.name + ".log")

    def log_size(self):
        return self.log_file().stat().st_size

    def log_text(self, start=0):
        return self.log_file().read_bytes()[start:].decode(errors="replace")

    def end(self):
        if self.process.poll() is None:
            self.thaw()
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log_file().unlink(missing_ok=True)

    def sql(self, text, database="kong"):
        """Rows as lists of texts."""
        done = subprocess.run([program("psql"), "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "kong",
                               "-d", database, "-c", text], capture_output=True, text=True, env={**os.environ, "PGPASSWORD": PASSWORD})
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def settings(self, **more):
        """What a node is given to use it."""
        return {"database": "postgres", "pg_host": "127.0.0.1", "pg_port": str(self.port), "pg_user": "kong", "pg_database": "kong",
                "pg_password": PASSWORD, **more}

"""The stage of scripts/demo.py: the transcript, commands that are really run, waiting, and processes that never stay behind.

It knows nothing of tokenhost. Python 3.9 or newer, standard library only.
"""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

WIDTH = 100
# A command that takes longer hangs.
COMMAND_SECONDS = 60
# How long a process may take until it is ready, and until it has ended when asked to.
READY_SECONDS, END_SECONDS = 60, 15
# Words that look like tokens; the transcript shows how they begin. Hex digests and lower-case names aren't meant.
TOKEN = re.compile(r"\b(?=[\w-]*[a-z])(?=[\w-]*[A-Z])([\w-]{9})[\w-]{18,}")


class NotSeen(Exception):
    """Something that the demo promises did not happen."""


class Interrupted(BaseException):
    """A signal asked for the end. No `Exception`, so that nothing but the end of the demo handles it."""


class Stage:
    def __init__(self, folder, environment):
        """`folder`: where commands run. `environment`: theirs; it may be changed later."""
        self.folder, self.environment = folder, environment
        self.processes = []
        self.colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)

    def _interrupt(self, number, _frame):
        self._be_deaf()
        raise Interrupted(number)

    def _be_deaf(self):
        """No signal may interrupt the cleaning up."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    # --- the transcript ---------------------------------------------------------------------------------------------

    def paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def write(self, text="", end="\n"):
        print(text, end=end, flush=True)

    def scene(self, number, title):
        head = f"── {number} ── {title} "
        self.write("\n" + self.paint("1;36", head + "─" * max(3, WIDTH - len(head))))

    def why(self, *lines):
        """What the scene is for, in a line or two."""
        for line in lines:
            self.write("   " + self.paint("2", line))
        self.write()

    def seen(self, text, truth, otherwise=""):
        """Something that must have happened. `otherwise`: what there was instead."""
        if not truth:
            raise NotSeen(f"{text}{f' (but: {otherwise})' if otherwise else ''}")
        self.write("   " + self.paint("32", "✓") + " " + text)

    def typed(self, command):
        """A command as a person types it."""
        self.write("   " + self.paint("1", "$ " + command))

    def output(self, text, lines=None):
        """What a command printed, tokens shortened; at most so many lines."""
        shown = TOKEN.sub(r"\1…", text).splitlines()
        left_out = len(shown) - lines if lines and len(shown) > lines + 1 else 0
        for line in shown[: len(shown) - left_out]:
            self.write(("   " + line).rstrip())
        if left_out:
            self.write("   " + self.paint("2", f"… ({left_out} more lines)"))

    # --- commands ---------------------------------------------------------------------------------------------------

    def run(self, command, lines=None, code=0, show=None):
        """Types a command, runs it in a shell, shows and returns what it printed. `show`: makes what is shown of it."""
        self.typed(command)
        child = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = child.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotSeen(f"`{command}` still ran after {COMMAND_SECONDS} s") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self.output(show(printed) if show else printed, lines)
        if child.returncode != code:
            raise NotSeen(f"`{command}` ended with exit code {child.returncode}")
        return printed

    def get(self, url, authorization=None):
        """Status and body of an HTTP request, behind the scenes. No proxy is asked."""
        headers = {"Authorization": authorization} if authorization else {}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(url, headers=headers), timeout=COMMAND_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def json(self, url, authorization=None):
        """The document that an HTTP request is answered with."""
        status, body = self.get(url, authorization)
        if status != 200:
            raise NotSeen(f"{url} answers {status}: {body[:200]}")
        return json.loads(body)

    def wait(self, text, until, condition):
        """Waits for the condition, and counts the seconds down to the time at which it is expected."""
        self.write(f"   {text}", end="")
        shown = None
        while not condition():
            left = int(until - time.time()) + 1
            if left < -10:
                self.write()
                raise NotSeen(f"{text.strip(' :')} (it should have come {-left} s ago)")
            if left != shown and left >= 0:
                self.write(self.paint("33", f" {left}"), end="")
                shown = left
            time.sleep(0.1)
        self.write(self.paint("33", " now"))

    def linger(self, address, login, password):
        """Says where the console is. Where a person looks on, nothing ends before they have seen it."""
        self.write(f"\nThe console: {self.paint('1', address)}   sign in as {login} with the password {password}")
        if sys.stdin.isatty() and sys.stdout.isatty():
            self.write("It runs until you press Enter.")
            try:
                sys.stdin.readline()
            except Interrupted:
                pass

    # --- processes --------------------------------------------------------------------------------------------------

    def start(self, name, arguments, environment=None):
        """Starts a process and returns it with its first line. What it says on stderr goes to `NAME.log`.

        It ends when the demo does, however that ends: its input closes, and the kernel tells it where it can.
        """
        if setpriv := shutil.which("setpriv"):
            arguments = [setpriv, "--pdeathsig", "TERM", *arguments]
        with open(f"{self.folder}/{name}.log", "ab") as log:
            process = subprocess.Popen(
                arguments,
                cwd=self.folder,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        ready, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
        line = process.stdout.readline().decode() if ready else ""
        if not line:
            raise NotSeen(f"the {name} did not start; see {self.folder}/{name}.log")
        return process, line.strip()

    def ended(self, process):
        """Waits for the end of a process that was told to end, and returns its exit code."""
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def end(self):
        """Ends whatever still runs, the last one first."""
        self._be_deaf()
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            if self.ended(process) is None:
                process.kill()
                process.wait()
            process.stdin.close()
            process.stdout.close()

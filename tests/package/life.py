"""The life of the Debian package on this machine, of which nothing is left afterwards: installed, set up, started by the
unit's own command, upgraded, removed, purged.

    unshare --mount --propagation private python3 life.py OLD.deb NEW.deb ISSUER

It runs as root, on a writable layer over this machine's root that lives in memory and goes with the process. There is no
systemd in it: what the unit says of command, user, variables and sandbox is read and done here, as far as a process can.
"""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

CONFIG = "/etc/tokenhost/tokenhost.toml"
DATA = "/var/lib/tokenhost"
KEY = "/etc/tokenhost/master.key"
UNIT = "/lib/systemd/system/tokenhost.service"
NOTIFY = "/run/notify.test"
PATIENCE = 120


def run(*command, **options):
    """Runs a command and returns what it printed; ends the test where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def say(what):
    """Tells how far it is."""
    print(f"package: {what}", flush=True)


def enter(packages):
    """Goes into a copy of this machine's root that takes writes. The packages are copied into it."""
    layer = tempfile.mkdtemp(prefix="tokenhost-package-")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", layer)
    for folder in ("upper", "work", "root"):
        os.mkdir(f"{layer}/{folder}")
    root = f"{layer}/root"
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={layer}/upper,workdir={layer}/work", root)
    run("mount", "--rbind", "/dev", f"{root}/dev")
    run("mount", "-t", "proc", "-o", "hidepid=invisible,subset=pid", "proc", f"{root}/proc")
    for folder in ("run", "tmp"):
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/{folder}")
    for number, package in enumerate(packages):
        shutil.copy(package, f"{root}/tmp/{number}.deb")
    os.chroot(root)
    os.chdir("/")
    os.environ.update(DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    for variable in [name for name in os.environ if name.startswith(("TOKENHOST_", "XDG_"))]:
        del os.environ[variable]


class Unit:
    """What the installed unit says."""

    def __init__(self):
        parsed = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
        parsed.optionxform = str
        # Of a key that stands twice the last counts here, which is good enough for those that are read.
        parsed.read(UNIT)
        self.service = parsed["Service"]
        self.condition = parsed["Unit"]["ConditionPathExists"]


class Service:
    """The daemon, started as the unit says."""

    def __init__(self):
        unit = Unit()
        if os.path.exists(NOTIFY):
            os.unlink(NOTIFY)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(NOTIFY)
        self.notified.settimeout(PATIENCE)
        os.chmod(NOTIFY, 0o666)
        user = unit.service["User"]
        # ProtectSystem=strict, StateDirectory= and PrivateTmp= in a mount namespace; User= and the like by setpriv.
        assert unit.service["ProtectSystem"] == "strict" and unit.service["NoNewPrivileges"] == "true"
        state = f"/var/lib/{unit.service['StateDirectory']}"
        confine = f"mount --bind {state} {state} && mount -o remount,bind,ro / && mount -t tmpfs -o mode=1777 tmpfs /tmp"
        become = ["setpriv", f"--reuid={user}", f"--regid={unit.service['Group']}", "--init-groups", "--no-new-privs"]
        become += ["--bounding-set=-all", "--inh-caps=-all"]
        command = shlex.join(become + ["env", "-i"] + self.environment(unit) + shlex.split(unit.service["ExecStart"]))
        os.umask(int(unit.service["UMask"], 8))
        self.log = open("/tmp/log", "a+")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{confine} && exec {command}"],
            stdout=self.log, stderr=self.log)
        os.umask(0o022)
        self.until("READY=1")
        self.until("WATCHDOG=1")

    @staticmethod
    def environment(unit):
        """What systemd would set."""
        found = [f"NOTIFY_SOCKET={NOTIFY}", "PATH=/usr/bin:/bin", "HOME=/nonexistent"]
        # Half of it is how often the daemon tells; here it isn't to be waited for.
        found += [f"WATCHDOG_USEC={int(unit.service['WatchdogSec']) * 1_000_000 // 100}"]
        return found + shlex.split(unit.service.get("Environment", ""))

    def until(self, wanted):
        """Waits for a message to the service manager."""
        while True:
            try:
                if wanted in self.notified.recv(4096).decode().split("\n"):
                    return
            except TimeoutError:
                self.log.seek(0)
                sys.exit(f"the service never said {wanted}:\n{self.log.read()}")

    def stop(self):
        """As systemd does."""
        self.process.send_signal(signal.SIGTERM)
        self.until("STOPPING=1")
        code = self.process.wait(PATIENCE)
        assert code == 0, f"it ended with {code}"
        self.notified.close()


def get(path, token=None):
    """A call of the daemon: status and body."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def is_like(path, mode, owner):
    """Whether a file has these rights and this owner."""
    import grp
    import pwd

    found = os.stat(path)
    is_so = (stat.S_IMODE(found.st_mode), f"{pwd.getpwuid(found.st_uid).pw_name}:{grp.getgrgid(found.st_gid).gr_name}")
    assert is_so == (mode, owner), f"{path}: {is_so[0]:o} {is_so[1]}"


def left():
    """Files and users that bear its name."""
    found = run("find", "/etc", "/usr", "/var", "/lib/systemd", "-xdev", "-name", "*tokenhost*",
                "-not", "-path", "/var/cache/*", "-not", "-path", "/var/lib/apt/*", "-not", "-path", "/usr/local/*")
    users = [line for line in open("/etc/passwd") if line.startswith("tokenhost")]
    return found.split() + users


def tokenhost(*arguments, secret=None):
    """The command line as a client of the daemon, with the first administrator's token."""
    variables = {**os.environ, "TOKENHOST_URL": f"http://127.0.0.1:{PORT}", "TOKENHOST_TOKEN": secret}
    return run("tokenhost", *arguments, env=variables)


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    PORT = probe.getsockname()[1]


def main():
    *packages, issuer = sys.argv[1:]
    enter(packages)
    before = left()

    say("install")
    # Images of containers often leave out what people read.
    printed = run("dpkg", "-i", "--path-include=/usr/share/*", "/tmp/0.deb")
    command = re.search(r"sudo -u tokenhost (tokenhost init .*)", printed).group(1)
    for path, mode, owner in [(DATA, 0o700, "tokenhost:tokenhost"), ("/etc/tokenhost", 0o1770, "root:tokenhost"),
                              (CONFIG, 0o640, "root:tokenhost"), ("/etc/tokenhost-agent", 0o750, "root:tokenhost-agent")]:
        is_like(path, mode, owner)
    assert not os.path.exists(Unit().condition), "it would be started without data"
    assert run("dpkg", "--verify", "tokenhost") == ""
    wants = "/etc/systemd/system/multi-user.target.wants/tokenhost.service"
    assert os.path.islink(wants), "it isn't enabled"
    assert "tokenhost-serve" in run("man", "-w", "tokenhost-serve")

    say("set up")
    with open(CONFIG, "a") as settings:
        settings.write(f'\n[egress]\nhttp = true\nallow = ["127.0.0.0/8"]\n')
    text = open(CONFIG).read().replace("127.0.0.1:8420", f"127.0.0.1:{PORT}")
    with open(CONFIG, "w") as settings:
        settings.write(text)
    made = json.loads(run("setpriv", "--reuid=tokenhost", "--regid=tokenhost", "--init-groups",
                          *shlex.split(command), "--json", cwd="/"))
    is_like(KEY, 0o600, "tokenhost:tokenhost")
    assert os.path.exists(Unit().condition), "it would not be started"

    say("start")
    service = Service()
    assert get("/healthz")[0] == 200 and get("/readyz")[0] == 200
    run("tokenhost", "status", "--ready", "--daemon", f"http://127.0.0.1:{PORT}")
    assert get("/v1/models")[0] == 401
    with urllib.request.urlopen(f"{issuer}/openapi.json", timeout=PATIENCE) as answer, open("/tmp/crm.json", "wb") as file:
        file.write(answer.read())
    with open("/tmp/secret", "w") as file:
        file.write("crm-client-secret")
    tokenhost("model", "import", "crm", "/tmp/crm.json", secret=made["token"])
    tokenhost("integration", "create", "crm-prod", "--model", "crm", "--flow", "client-credentials",
              "--field", "client_id=crm-basic", "--secret", "client_secret=@/tmp/secret", secret=made["token"])
    path = "/v1/integrations/crm-prod/token"
    token = json.loads(get(path, made["token"])[1])
    assert token["generation"] == 1, token

    say("upgrade")
    run("dpkg", "-i", "/tmp/1.deb")
    assert "[egress]" in open(CONFIG).read(), "the operator's settings are gone"
    # In the place of systemd, which isn't here, for the script of the package to ask for the restart.
    service.stop()
    service = Service()
    assert json.loads(get(path, made["token"])[1]) == {**token, "expires_in": json.loads(get(path, made["token"])[1])["expires_in"]}
    service.stop()

    say("remove")
    run("dpkg", "-r", "tokenhost")
    assert not os.path.exists("/usr/bin/tokenhost") and not os.path.exists(UNIT)
    assert os.path.exists(KEY) and os.path.exists(f"{DATA}/store") and os.path.exists(CONFIG)

    say("install again over what was left")
    run("dpkg", "-i", "/tmp/1.deb")
    assert not os.path.islink("/etc/systemd/system/tokenhost.service"), "it is masked"
    service = Service()
    assert json.loads(get(path, made["token"])[1])["access_token"] == token["access_token"]
    service.stop()

    say("purge")
    with open("/var/backups/tokenhost/one", "w") as file:
        file.write("a backup")
    run("dpkg", "-P", "tokenhost")
    assert not os.path.exists(DATA) and not os.path.exists("/etc/tokenhost")
    is_like("/var/backups/tokenhost", 0o700, "tokenhost:tokenhost")
    run("dpkg", "-i", "/tmp/1.deb")
    os.unlink("/var/backups/tokenhost/one")
    run("dpkg", "-P", "tokenhost")
    remains = sorted(set(left()) - set(before))
    assert not remains, f"purging left {remains}"
    say("done")


main()

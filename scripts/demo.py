#!/usr/bin/env python3
"""Shows the daemon at work with two real identity providers, as a transcript. `make demo` calls it.

Every command that the transcript shows is run as it stands there, and every ✓ is a check of what really happened: what
the providers logged, what the daemon counted, what an API answered. It ends by itself, with exit code 0 only if all of
it was seen. It leaves nothing behind but, after a failure, the folder with the logs.

    scripts/demo.py [PATH OF tokenhost]        the flows are expected in `flows` beside it
"""

import hashlib
import json
import math
import os
import pathlib
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from datetime import datetime

from stage import Interrupted, NotSeen, Stage

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROVIDERS = ROOT / "tests" / "providers"
# How long the providers' access tokens live, in seconds: long enough for a restart of the daemon, short enough to watch.
SHORTEST, LONGEST = 12, 20
CALLERS = 50
# The two integrations: with the password flow at Django, with client credentials at oidc-provider.
ADA, SYNC = "crm-ada", "crm-sync"


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    target = os.environ.get("CARGO_TARGET_DIR") or f"{cache}/tokenhost/target"
    tokenhost = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else f"{target}/debug/tokenhost").resolve()
    if not tokenhost.exists():
        sys.exit(f"{tokenhost} isn't there: run `make build` first")

    os.umask(0o077)
    folder = tempfile.mkdtemp(prefix="tokenhost-demo-")
    stage = Stage(folder, clean_environment(tokenhost, folder))
    demo = Demo(stage, folder)
    started, scenes, seen = time.monotonic(), Demo.SCENES, 0
    failure = code = ended = None
    try:
        for number, scene in enumerate(scenes, 1):
            stage.scene(number, scene.__doc__)
            scene(demo)
            seen += 1
        # Without the time that somebody looks on.
        ended = time.monotonic()
        stage.linger(*demo.console)
    except NotSeen as error:
        failure, code = str(error), 1
    except Interrupted as signal:
        failure, code = f"interrupted by signal {signal}", 128 + signal.args[0]
    except Exception as error:  # A command's output that isn't what it should be, a provider that is gone.
        failure, code = f"{type(error).__name__}: {error}", 1
    finally:
        stage.end()

    seconds = f"{(ended or time.monotonic()) - started:.0f} s"
    if failure is None:
        shutil.rmtree(folder)
        stage.write("\n" + stage.paint("1;32", f"demo: {seen} of {len(scenes)} seen") + f" in {seconds}")
        return 0
    stage.write("\n   " + stage.paint("31", "✗ " + failure))
    log = pathlib.Path(folder, "daemon.log")
    if code == 1 and log.exists():
        stage.write("   the daemon's last words:")
        # Not the calls that went well: the demo itself makes hundreds of them while it waits.
        lines = [line for line in log.read_text().splitlines() if " status=2" not in line]
        stage.output("\n".join("  " + line for line in lines[-8:]))
    stage.write("\n" + stage.paint("1;31", f"demo: {seen} of {len(scenes)} seen") + f" in {seconds};"
                f" scene {seen + 1} was not: {scenes[seen].__doc__ if seen < len(scenes) else ''}")
    stage.write(f"      the daemon's log: {log}")
    return code


def clean_environment(tokenhost, folder):
    """What the commands get: nothing of what the person who runs the demo has set for a daemon, nor their proxy."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("TOKENHOST_") and not name.lower().endswith("_proxy")}
    return kept | {
        "PATH": f"{tokenhost.parent}:{os.environ.get('PATH', '')}",
        "TOKENHOST_DATA": f"{folder}/data",
        "TOKENHOST_KEY_FILE": f"{folder}/keys/master.key",
        "TOKENHOST_LISTEN": "127.0.0.1:0",
        "TOKENHOST_EGRESS_HTTP": "true",
        "TOKENHOST_EGRESS_ALLOW": "127.0.0.0/8",
        "NO_COLOR": "1",
    }


class Demo:
    def __init__(self, stage, folder):
        self.stage, self.folder = stage, pathlib.Path(folder)
        self.environment = stage.environment
        self.daemon = self.oidc = self.django = None
        self.lifetime = 0
        # Where it is, and who may sign in with which password.
        self.console = None
        # Known to the providers and, in files, to the operator. The last scene looks for them where they must not be.
        self.client_secret, self.password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        # Every access token that the demo has met.
        self.tokens = set()

    # --- the scenes -------------------------------------------------------------------------------------------------

    def start_the_daemon(self):
        """A daemon on an empty folder"""
        stage = self.stage
        stage.why("One program and one folder (RocksDB). The key that seals the secrets lies outside of the data.")
        stage.typed(f"export TOKENHOST_DATA={self.folder}/data TOKENHOST_KEY_FILE={self.folder}/keys/master.key")
        stage.typed("export TOKENHOST_EGRESS_HTTP=true TOKENHOST_EGRESS_ALLOW=127.0.0.0/8   # for providers on loopback")
        printed = stage.run("tokenhost init", show=lambda text: text.split("\n\n")[0])
        token = re.search(r"\btha_\S+", printed)
        stage.seen("init made the first administrator's token, shown this once", token)
        self.environment["TOKENHOST_TOKEN"] = token[0]
        mode = stat.S_IMODE((self.folder / "keys/master.key").stat().st_mode)
        stage.seen("the master key's file is readable by its owner only (0600)", mode == 0o600, oct(mode))
        stage.write()
        stage.typed("export TOKENHOST_TOKEN=…   # the token above")
        begun = time.monotonic()
        self.serve()
        # A slow machine gets longer lifetimes: a token must outlive a restart.
        self.lifetime = min(LONGEST, max(SHORTEST, math.ceil(5 * (time.monotonic() - begun))))
        flows = {flow["name"] for flow in stage.json(*self.call("flows"))["items"]}
        stage.seen(f"it serves the flows that ship, as WebAssembly: {', '.join(sorted(flows))}",
                   {"password", "client-credentials"} <= flows)
        stage.seen("nobody gets in without a token (401)", stage.get(self.call("flows")[0])[0] == 401)

    def start_the_providers(self):
        """Two identity providers that nobody here wrote"""
        stage = self.stage
        stage.why(f"oidc-provider (npm) and Django OAuth Toolkit (PyPI), each with a small CRM behind it. Their access",
                  f"tokens live {self.lifetime} seconds, their refresh tokens work once: using one twice revokes everything.")
        given = {"PROVIDER_CLIENT_SECRET": self.client_secret, "PROVIDER_PASSWORD": self.password}
        for name, words in {
            "oidc": ["node", "tests/providers/oidc/server.mjs"],
            "django": ["python3", "tests/providers/django/server.py"],
        }.items():
            stage.typed(" ".join([*words, "--access-ttl", str(self.lifetime), "&"]))
            command = [words[0], str(ROOT / words[1]), "--access-ttl", str(self.lifetime)]
            provider = json.loads(stage.start(name, command, given)[1])
            setattr(self, name, provider)
            stage.seen(f"{provider['provider']} listens on {provider['issuer']}", self.log(provider) == [])
            status = stage.get(provider["api_url"])[0]
            stage.seen(f"its API is closed: {provider['api_url']} answers 401", status == 401, status)

    def import_the_documents(self):
        """An OpenAPI document says what a token takes"""
        stage = self.stage
        stage.why("Token URLs and flows are read from what the services publish: from a file, or fetched by the daemon.")
        stage.run(f"curl -sf {self.oidc['openapi_url']} -o crm.json")
        shown = stage.run("tokenhost model import crm crm.json")
        stage.seen("its scheme can be served by both flows", "client-credentials" in shown and "password" in shown)
        stage.write()
        shown = stage.run(f"tokenhost model import crm-onprem --url {self.django['openapi_url']}")
        stage.seen("a second one, YAML this time, with a scheme for people and one for machines",
                   "person" in shown and "machine" in shown)

    def create_the_integrations(self):
        """A model and a few fields make an integration"""
        stage = self.stage
        stage.why("Secrets come from files or variables, never from the command line, where `ps` shows them. What is missing",
                  "is told by name, all of it at once.")
        for name, secret in {"client-secret.txt": self.client_secret, "password.txt": self.password}.items():
            (self.folder / name).write_text(secret + "\n")
        refused = stage.run(f"tokenhost integration create {ADA} --model crm-onprem --scheme person </dev/null", code=1)
        fields = ["client_id", "client_secret", "username", "password"]
        stage.seen(f"refused by name: {', '.join(fields)}", all(field in refused for field in fields))
        stage.write()
        people = stage.run(f"tokenhost integration create {ADA} --model crm-onprem --scheme person \\\n"
                           "       --field client_id=crm-password --secret client_secret=@client-secret.txt \\\n"
                           "       --field username=ada --secret password=@password.txt")
        stage.seen("the password flow, at Django; its token URL came from the document", self.django["token_url"] in people)
        stage.write()
        machine = stage.run(f"tokenhost integration create {SYNC} --model crm --flow client-credentials \\\n"
                            "       --field client_id=crm-basic --secret client_secret=@client-secret.txt \\\n"
                            "       --field scope=crm.read")
        stage.seen("client credentials, at oidc-provider", self.oidc["token_url"] in machine)
        shown = people + machine
        stage.seen("neither shows a secret", self.client_secret not in shown and self.password not in shown)

    def get_the_tokens(self):
        """Who asks gets a token that works"""
        stage = self.stage
        stage.why("The first call runs the flow: a WebAssembly component without imports. It places secrets in its request",
                  "by name; their values are put in after it has ended.")
        stage.run(f"tokenhost token get {ADA}")
        stage.run(f"curl -s -H @<(tokenhost token get {ADA} --header) {self.django['api_url']}; echo")
        self.works(ADA)
        stage.write()
        stage.run(f"tokenhost token get {SYNC}")
        stage.run(f"curl -s -H @<(tokenhost token get {SYNC} --header) {self.oidc['api_url']}; echo")
        self.works(SYNC)
        stage.write()
        for provider, grant in (self.django, "password"), (self.oidc, "client_credentials"):
            stage.seen(f"{provider['provider']} logged one request: {grant}", self.grants(provider) == [grant],
                       self.grants(provider))

    def serve_from_memory(self):
        """The second caller causes no work"""
        stage = self.stage
        stage.why("A token that is good is served from memory: without a plugin, a request or the disk.")
        before, logged = self.metrics(), self.requests()
        stage.run(f"tokenhost token get {ADA} --header > ada.header")
        stage.run(f"tokenhost token get {SYNC} --header > sync.header")
        after = self.metrics()
        stage.seen("both are generation 1 still", self.generations() == [1, 1], self.generations())
        stage.seen("the providers' logs are as long as before", self.requests() == logged, self.requests())
        for name, text in {"plugin_step_seconds_count": "steps of plugins", "attempts_total": "attempts",
                           "store_commits_total": "writes to the store"}.items():
            stage.seen(f"the daemon's own count of {text} is as before: {after[name]}",
                       0 < before[name] == after[name], f"{before[name]}, then {after[name]}")
        served = after["tokens_served_from_memory_total"] - before["tokens_served_from_memory_total"]
        stage.seen(f"and it counts {served} tokens served from memory", served == 2, served)

    def renew_ahead(self):
        """A token in use is renewed before it ends"""
        stage = self.stage
        stage.why("Nobody asks now and nobody waits: the daemon renews what was used, a moment before its end.")
        first = {name: self.token(name) for name in (ADA, SYNC)}
        logged = self.requests()
        ends = max(epoch(token["expires_at"]) for token in first.values())
        stage.wait("the tokens end in", ends, lambda: self.generations() == [2, 2])
        early = [epoch(first[name]["expires_at"]) - epoch(self.status(name)["created_at"]) for name in (ADA, SYNC)]
        stage.seen("both have a successor, generation 2, asked for before their end", min(early) > 0, early)
        self.renewed(logged)
        refused = [401, 401]
        stage.wait("and the services refuse the first tokens in", ends + 1, lambda: [
            stage.get(self.provider(name)["api_url"], f"Bearer {token['access_token']}")[0] for name, token in first.items()
        ] == refused)
        for name, header in (ADA, "ada.header"), (SYNC, "sync.header"):
            url = self.provider(name)["api_url"]
            answer = stage.run(f"curl -s -H @{header} {url}; echo")
            stage.seen("the first token is of no use any more", "invalid_token" in answer)

    def renew_on_demand(self):
        """A token that nobody used is left to end, and got anew by whoever comes first"""
        stage = self.stage
        stage.why(f"{CALLERS} callers at once cause one request. A second one with the same refresh token would end it all.")
        logged = self.requests()
        ends = max(epoch(self.status(name)["expires_at"]) for name in (ADA, SYNC))
        stage.wait("nobody asks; the tokens end in", ends, lambda: self.states() == ["expired", "expired"])
        stage.run(f"tokenhost token status {ADA}")
        stage.seen("both have ended, and no request was made for them", self.requests() == logged, self.requests())
        stage.write()
        counted = stage.run(f"seq {CALLERS} | xargs -P {CALLERS} -I% tokenhost token get {ADA} --raw | sort | uniq -c")
        stage.seen(f"{CALLERS} callers have the same token", counted.split()[0] == str(CALLERS) and len(counted.split()) == 2)
        stage.run(f"tokenhost token get {SYNC}")
        self.renewed(logged)
        for name in (ADA, SYNC):
            self.works(name)
        stage.seen("both are generation 3", self.generations() == [3, 3], self.generations())

    def kill_the_daemon(self):
        """kill -9, and nothing is lost"""
        stage = self.stage
        stage.why("What a caller has seen is on disk. A new daemon on the same folder goes on where the old one was killed.")
        for name in (ADA, SYNC):
            if epoch(self.status(name)["expires_at"]) - time.time() < 0.6 * self.lifetime:
                stage.run(f"tokenhost token refresh {name}")
        before = {name: self.token(name) for name in (ADA, SYNC)}
        logged = self.requests()
        stage.run(f"kill -9 {self.daemon.pid}")
        stage.seen("the daemon is dead", stage.ended(self.daemon) == -9, self.daemon.returncode)
        stage.run(f"tokenhost token get {ADA}", code=5)
        begun = time.monotonic()
        self.serve()
        stage.seen(f"it is back, {time.monotonic() - begun:.1f} s after it was started", True)
        after = {name: self.token(name) for name in (ADA, SYNC)}
        shown = {name: stage.run(f"tokenhost token get {name}") for name in (ADA, SYNC)}
        for name in (ADA, SYNC):
            generation = before[name]["generation"]
            same = all(before[name][part] == after[name][part] for part in ("access_token", "generation", "expires_at"))
            stage.seen(f"{name}: the same token, generation {generation}",
                       same and before[name]["access_token"] in shown[name], f"generation {after[name]['generation']}")
            self.works(name)
        stage.seen("the providers were not asked", self.requests() == logged, self.requests())
        metrics = self.metrics()
        ran = metrics["plugin_step_seconds_count"] + metrics["attempts_total"]
        stage.seen("no plugin ran in the new daemon", ran == 0, ran)

    def look_back(self):
        """What happened can be looked at, and shows no secret"""
        stage = self.stage
        stage.why("The journal keeps the last attempts step by step, with secrets as names, answers without their values.")
        listed = stage.run(f"tokenhost integration attempts {ADA}")
        refresh = next((line.split()[0] for line in reversed(listed.splitlines()) if " refresh " in line), None)
        stage.seen("an attempt that refreshed is in the journal", refresh)
        stage.write()
        story = stage.run(f"tokenhost integration attempt {ADA} {refresh}")
        stage.seen("its request names the refresh token and doesn't hold it", "token.refresh_token" in story)
        sent = [entry["refresh_token_sha256"] for entry in self.log(self.django) if entry["refresh_token_sha256"]]
        issued = {entry["issued_refresh_token_sha256"] for entry in self.log(self.django)}
        stage.seen(f"Django saw {len(sent)} refresh tokens, all issued by it, none of them twice",
                   len(sent) >= 2 and len(set(sent)) == len(sent) and set(sent) <= issued)
        hidden = [self.client_secret, self.password, self.environment["TOKENHOST_TOKEN"], *self.tokens]
        places = [self.folder / "daemon.log", *(path for path in (self.folder / "data").rglob("*") if path.is_file())]
        found = [f"{place}" for place in places for secret in hidden if secret.encode() in place.read_bytes()]
        stage.seen(f"none of {len(hidden)} secrets and tokens stands in the daemon's log or in its {len(places) - 1} data files",
                   not found, found)

    def stop_the_daemon(self):
        """It stops in good order"""
        stage = self.stage
        stage.why("On SIGTERM calls under way end, attempts are finished or journalled, and the store is closed.")
        stage.run(f"kill -TERM {self.daemon.pid}")
        code = stage.ended(self.daemon)
        stage.seen("exit code 0", code == 0, code)

    def open_the_console(self):
        """People have a console"""
        stage = self.stage
        stage.why("Pages in the same program: what needs a person first, forms made from what each flow asks for, one's own",
                  "tokens, the audit log. People sign in with a password, or as the operator's reverse proxy says.")
        self.serve()
        password = secrets.token_urlsafe(12)
        stage.run('tokenhost user create grace --profile Administrator')
        pathlib.Path(self.folder, "password").write_text(password)
        stage.run("tokenhost user set-password grace < password")
        url = self.environment["TOKENHOST_URL"]
        signed_in = stage.run("curl -s -c cookies -o /dev/null -w '%{http_code}\\n' --data-urlencode login=grace "
                              f"--data-urlencode password@password {url}/login")
        stage.seen("she is signed in (303)", signed_in.strip() == "303", signed_in)
        for name in (ADA, SYNC):
            self.token(name)
        page = stage.run(f"curl -s -b cookies {url}/console/", show=lambda text: "")
        both = [f'href="/console/integrations/{name}"' in page for name in (ADA, SYNC)]
        stage.seen("the overview shows both integrations, and both are valid",
                   all(both) and page.count('<span class="state good">valid</span>') == 2)
        self.console = f"{url}/console/", "grace", password

    SCENES = (start_the_daemon, start_the_providers, import_the_documents, create_the_integrations, get_the_tokens,
              serve_from_memory, renew_ahead, renew_on_demand, kill_the_daemon, look_back, stop_the_daemon,
              open_the_console)

    # --- what they look at ------------------------------------------------------------------------------------------

    def serve(self):
        """Starts the daemon, and lets the commands find it. After a restart it listens where it did before."""
        self.stage.typed("tokenhost serve 2>>daemon.log &")
        self.daemon, line = self.stage.start("daemon", ["tokenhost", "serve"])
        self.stage.output(line)
        url = line.rpartition(" ")[2]
        self.environment |= {"TOKENHOST_URL": url, "TOKENHOST_LISTEN": url.partition("//")[2]}
        self.stage.seen("it is ready", self.stage.get(f"{url}/readyz")[0] == 200)

    def call(self, path):
        """A call of the daemon's API: URL and authorization."""
        return f"{self.environment['TOKENHOST_URL']}/v1/{path}", f"Bearer {self.environment['TOKENHOST_TOKEN']}"

    def token(self, name):
        """The integration's token, as any caller gets it."""
        token = self.stage.json(*self.call(f"integrations/{name}/token"))
        self.tokens.add(token["access_token"])
        return token

    def status(self, name):
        """How the integration's token is. Asking for that is no use of it."""
        return self.stage.json(*self.call(f"integrations/{name}/token/status"))

    def generations(self):
        return [self.status(name)["generation"] for name in (ADA, SYNC)]

    def states(self):
        return [self.status(name)["state"] for name in (ADA, SYNC)]

    def provider(self, name):
        return self.django if name == ADA else self.oidc

    def works(self, name):
        """The service that the integration's token is for takes it, and knows whose it is."""
        token, provider = self.token(name), self.provider(name)
        status, body = self.stage.get(provider["api_url"], f"Bearer {token['access_token']}")
        whose = json.loads(body)
        who, expected = (whose.get("user"), "ada") if name == ADA else (whose.get("client_id"), "crm-basic")
        self.stage.seen(f"{name}: the service takes it, as {expected}'s", (status, who) == (200, expected), f"{status} {body}")

    def renewed(self, logged):
        """Since the logs were so long, each provider has had one more request, of the right kind, and answered it."""
        for name, grant in (ADA, "refresh_token"), (SYNC, "client_credentials"):
            provider = self.provider(name)
            new = self.log(provider)[logged[name]:]
            self.stage.seen(f"{name}: {provider['provider']} logged one more request: {grant}",
                            [(entry["grant_type"], entry["status"]) for entry in new] == [(grant, 200)],
                            [(entry["grant_type"], entry["status"], entry["error"]) for entry in new])

    def log(self, provider):
        """Every request to this provider's token endpoint."""
        return self.stage.json(provider["log_url"])

    def grants(self, provider):
        return [entry["grant_type"] for entry in self.log(provider)]

    def requests(self):
        """How many requests to its token endpoint each integration's provider has logged."""
        return {name: len(self.log(self.provider(name))) for name in (ADA, SYNC)}

    def metrics(self):
        """The daemon's counters, summed over their labels, by name without the prefix; 0 for those that aren't there."""
        url, authorization = self.call("")
        _, text = self.stage.get(url.replace("/v1/", "/metrics"), authorization)
        sums = dict.fromkeys(("plugin_step_seconds_count", "attempts_total", "store_commits_total",
                              "tokens_served_from_memory_total"), 0)
        for name, value in re.findall(r"^tokenhost_(\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
            if name in sums:
                sums[name] += int(float(value))
        return sums


def epoch(time_text):
    """Seconds since 1970 of a time as the API writes it, always in UTC."""
    return datetime.fromisoformat(time_text.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    sys.exit(main())

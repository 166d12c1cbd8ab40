"""Starts a real OAuth provider (Django with django-oauth-toolkit) on loopback for tests and the demo.

It prints one line of JSON on stdout when it is ready, and ends on SIGTERM, or when its standard input closes, so that
it never outlives the test that started it. What it offers stands in ../README.md.

Run it with any python3: where Django isn't installed, it starts again with the environment that scripts/tools.sh made.
"""

import argparse
import atexit
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from prepared import use_prepared_environment  # noqa: E402, beside this folder


def arguments():
    parser = argparse.ArgumentParser(description="An OAuth provider on 127.0.0.1, for tests")
    add = parser.add_argument
    env = os.environ.get
    add("--port", type=int, default=0, help="0, the default, lets the system choose")
    add("--access-ttl", type=int, default=300, help="lifetime of an access token in seconds (300)")
    add("--refresh-ttl", type=int, default=86400, help="lifetime of a refresh token in seconds (86400)")
    add("--answer-delay-ms", type=int, default=0, help="hold each answer of the token endpoint back after its work (0)")
    add("--client-secret", default=env("PROVIDER_CLIENT_SECRET", "crm-client-secret"))
    add("--username", default=env("PROVIDER_USERNAME", "ada"), help="the user; NAME0 to NAME9999 exist too")
    add("--password", default=env("PROVIDER_PASSWORD", "analytical-engine"), help="the password of all users")
    add("--stay", action="store_true", help="go on when standard input closes")
    return parser.parse_args()


def start_database(options):
    """Makes the tables straight from the models, without the migrations' history, and the one client per grant."""
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    confidential, public = Application.CLIENT_CONFIDENTIAL, Application.CLIENT_PUBLIC
    clients = {
        "password": ("crm-password", options.client_secret, confidential, Application.GRANT_PASSWORD),
        "password_none": ("crm-password-none", "", public, Application.GRANT_PASSWORD),
        "client_credentials": ("crm-machine", options.client_secret, confidential, Application.GRANT_CLIENT_CREDENTIALS),
        # Every character that a client may get wrong in Basic: RFC 6749 2.3.1 wants id and secret form-encoded first.
        "odd": ("crm:odd id", "a b+c%20:d/&=~", confidential, Application.GRANT_CLIENT_CREDENTIALS),
    }
    for client_id, secret, kind, grant in clients.values():
        Application.objects.create(
            name=client_id,
            client_id=client_id,
            client_secret=secret,
            hash_client_secret=False,
            client_type=kind,
            authorization_grant_type=grant,
        )
    return {
        name: {
            "client_id": client_id,
            **({"client_secret": secret} if secret else {}),
            "auth": ["client_secret_basic", "client_secret_post"] if secret else "none",
            "grant_types": [grant.replace("-", "_")] + (["refresh_token"] if grant == "password" else []),
        }
        for name, (client_id, secret, _, grant) in clients.items()
    }


def listen(options):
    """The server with its socket open, on the port that was asked for."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Handler(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    class Server(ThreadedWSGIServer):
        # A burst of callers waits in the queue of the socket instead of being refused.
        request_queue_size = 1024
        daemon_threads = True

    try:
        server = Server(("127.0.0.1", options.port), Handler)
    except OSError as error:
        sys.exit(f"the Django provider cannot listen on 127.0.0.1:{options.port}: {error}")
    server.set_app(get_wsgi_application())
    return server


def main():
    use_prepared_environment("oauth2_provider")
    options = arguments()

    # Memory where the system has it: the database is thrown away, and a disk would only make it slow.
    folder = tempfile.mkdtemp(prefix="crm-provider-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def stop(*_):
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    def stop_when_input_closes():
        # Not `sys.stdin`: a thread that waits in it holds its lock when the interpreter ends.
        while os.read(0, 4096):
            pass
        stop()

    if not options.stay:
        threading.Thread(target=stop_when_input_closes, daemon=True).start()

    sys.path.insert(0, str(HERE))
    os.environ["DJANGO_SETTINGS_MODULE"] = "crm.settings"
    os.environ["CRM_SETTINGS"] = json.dumps({"database": f"{folder}/crm.sqlite3", **vars(options)})
    import django

    django.setup()
    clients = start_database(options)
    server = listen(options)

    from crm import views

    origin = f"http://127.0.0.1:{server.server_port}"
    views.ORIGIN = origin
    ready = {
        "ready": True,
        "provider": "django-oauth-toolkit",
        "issuer": origin,
        "token_url": f"{origin}/o/token/",
        "introspection_url": f"{origin}/o/introspect/",
        "revocation_url": f"{origin}/o/revoke_token/",
        "api_url": f"{origin}/api/me",
        "openapi_url": f"{origin}/openapi.yaml",
        "log_url": f"{origin}/_log",
        "user": {"username": options.username, "password": options.password},
        "clients": clients,
    }
    print(json.dumps(ready), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

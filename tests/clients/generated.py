"""A client that a generator made of the daemon's own description, used as its user would.

Validates the description (OpenAPI 3.1) first. Needs TOKENHOST_URL and TOKENHOST_TOKEN of a daemon without models, and the URL of
a provider's OpenAPI document as its argument. Ends with an exception where anything isn't as expected.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "providers"))
from prepared import use_prepared_environment  # noqa: E402

use_prepared_environment("openapi_python_client")

import httpx  # noqa: E402
from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: E402

# What the generator doesn't know by itself are bodies that go as they are.
CONFIG = """
post_hooks: []
content_type_overrides:
  application/x-ndjson: application/octet-stream
  application/yaml: application/octet-stream
  text/csv: application/octet-stream
  application/wasm: application/octet-stream
  application/vnd.tokenhost.flow: application/octet-stream
"""

#: What the generated package is called.
PACKAGE = "made_client"

URL, TOKEN = os.environ["TOKENHOST_URL"], os.environ["TOKENHOST_TOKEN"]


def described() -> tuple[bytes, dict]:
    """The description as the daemon serves it, and valid."""
    answer = httpx.get(f"{URL}/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    answer.raise_for_status()
    document = answer.json()
    faults = [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in
              OpenAPIV31SpecValidator(document).iter_errors()]
    assert not faults, "\n".join(faults)
    return answer.content, document


def generate(folder: pathlib.Path, description: bytes, document: dict) -> None:
    """Makes the client. The generator leaves out what it doesn't understand, with a warning: there may be none."""
    (folder / "openapi.json").write_bytes(description)
    (folder / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", folder / "openapi.json", "--config",
               folder / "config.yaml", "--output-path", folder / PACKAGE, "--meta", "none", "--fail-on-warning"]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    operations = sum(len(item) for item in document["paths"].values())
    modules = [path for path in (folder / PACKAGE / "api").rglob("*.py") if path.name != "__init__.py"]
    assert len(modules) == operations, f"{operations} operations, {len(modules)} functions"


def use(provider: str) -> None:
    """Models, an integration, its token, a page, a problem."""
    package = importlib.import_module(PACKAGE)
    models = importlib.import_module(f"{PACKAGE}.models")

    def call(tag: str, operation: str, /, *arguments, **named):
        module = importlib.import_module(f"{PACKAGE}.api.{tag}.{operation}")
        with package.AuthenticatedClient(URL, TOKEN, httpx_args={"trust_env": False}) as client:
            return module.sync(*arguments, client=client, **named)

    empty = call("models", "models_list")
    assert isinstance(empty, models.PageModelSummary) and empty.items == [], empty

    document = httpx.get(provider, trust_env=False).json()
    imported = call("models", "models_import", name="crm", body=models.ModelDocument.from_dict(document))
    assert isinstance(imported, models.Model), imported
    assert {scheme.name for scheme in imported.schemes} == set(document["components"]["securitySchemes"])
    listed = call("models", "models_list", limit=1)
    assert [type(item) for item in listed.items] == [models.ModelSummary] and listed.items[0].name == "crm", listed

    # A mistake is a problem with all fields, typed.
    wrong = models.NewIntegration.from_dict({"name": "crm-prod", "model": "crm", "flow": "client-credentials"})
    problem = call("integrations", "integrations_create", body=wrong)
    assert isinstance(problem, models.Problem), problem
    assert problem.code == models.Code.INVALID and problem.status == 422, problem
    assert all(isinstance(fault, models.Fault) for fault in problem.errors) and problem.errors, problem

    fields = {"client_id": "crm-basic", "client_secret": "crm-client-secret"}
    right = models.NewIntegration.from_dict(
        {"name": "crm-prod", "model": "crm", "flow": "client-credentials", "scheme": scheme_of(document), "fields": fields}
    )
    made = call("integrations", "integrations_create", body=right)
    assert isinstance(made, models.Integration), made
    assert made.fields.to_dict()["client_secret"] == {"set": True}, made

    token = call("tokens", "tokens_get", "crm-prod", min_ttl=60)
    assert isinstance(token, models.Token) and token.generation == 1 and token.access_token, token
    rejected = call("tokens", "tokens_reject", "crm-prod", body=models.Rejected(generation=1))
    assert rejected.to_dict() == {"result": "renewing"}, rejected
    status = call("tokens", "tokens_status", "crm-prod")
    assert isinstance(status, models.TokenStatus), status

    gone = call("tokens", "tokens_get", "nope")
    assert isinstance(gone, models.Problem) and gone.code == models.Code.NOT_FOUND and gone.detail, gone


def scheme_of(document: dict) -> str:
    """The scheme with client credentials."""
    for name, scheme in document["components"]["securitySchemes"].items():
        if "clientCredentials" in scheme.get("flows", {}):
            return name
    raise AssertionError("the provider's document has no client credentials")


def main() -> None:
    description, document = described()
    with tempfile.TemporaryDirectory() as folder:
        generate(pathlib.Path(folder), description, document)
        sys.path.insert(0, folder)
        use(sys.argv[1])
    print("used")


if __name__ == "__main__":
    main()

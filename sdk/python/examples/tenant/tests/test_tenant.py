from flow_tenant import Tenant
from tokenhost_flow.harness import Harness


def integration():
    values = {"client_id": "robot", "service_url": "https://id.example/", "tenant": "a/b"}
    return Harness(Tenant).values(**values).secret("client_secret")


def test_asks_at_the_tenants_address():
    run = integration().acquire()
    assert run.request().startswith("POST https://id.example/tenants/a%2Fb/token\n")
    token = run.answer(200, {"access_token": "t", "instance_url": "https://eu1.example"}).token()
    assert token.values == [("instance_url", "https://eu1.example")]


def test_says_what_is_missing():
    assert "instance_url" in integration().acquire().answer(200, {"access_token": "t"}).failure_line()
    assert integration().refresh().failure_line().startswith("no_refresh, reacquire")

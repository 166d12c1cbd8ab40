"""The classes are those of the contract: the bindings are filled by the order of the fields."""

import dataclasses
import re
from enum import Enum
from pathlib import Path

import pytest
from tokenhost_flow import component, contract

WIT = (Path(__file__).parents[3] / "wit" / "flow.wit").read_text("utf-8")


def pascal(name):
    return "".join(word.capitalize() for word in name.split("-"))


def snake(name):
    return name.replace("-", "_")


def bodies(kind):
    text = re.sub(r"//[^\n]*", "", WIT)
    return [(pascal(name), body) for name, body in re.findall(kind + r" ([a-z-]+) \{(.*?)\}", text, re.DOTALL)]


@pytest.mark.parametrize(("name", "body"), bodies("record"))
def test_records(name, body):
    if name == "Failure":
        return  # An exception here.
    fields = [field.name for field in dataclasses.fields(component._OWN[name])]
    assert fields == [snake(field) for field in re.findall(r"([a-z-]+):", body)]


@pytest.mark.parametrize(("name", "body"), bodies("variant"))
def test_variants(name, body):
    for case in re.sub(r"\([^)]*\)", "", body).split(","):
        if case.strip():
            own = component._OWN[f"{name}_{pascal(case.strip())}"]
            assert len(dataclasses.fields(own)) == (1 if re.search(case.strip() + r"\s*\(", body) else 0), own


@pytest.mark.parametrize(("name", "body"), bodies("enum"))
def test_enums(name, body):
    own = component._OWN[name]
    assert issubclass(own, Enum)
    assert [case.value for case in own] == [case.strip() for case in body.split(",") if case.strip()]
    assert [case.name for case in own] == [snake(case.value).upper() for case in own]


def test_there_is_something_to_compare():
    assert len(bodies("record")) > 20 and len(bodies("variant")) > 8 and len(bodies("enum")) > 5
    assert contract.Token in component._OWN.values()

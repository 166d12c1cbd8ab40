"""Makes a flow what the component exports: between the bindings that componentize-py makes of the contract, and the types
of this package. Natively it only checks what it was given."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

from . import contract
from .context import Context, Failure
from .flow import Flow

_OWN: dict[str, Any] = {
    getattr(kind, "WIT", kind.__name__): kind
    for kind in [*vars(contract).values(), Context]
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, Enum))
}


def to_bindings(value: Any, bindings: Any) -> Any:
    """A value of this package as one of the bindings."""
    if isinstance(value, Enum):
        return getattr(bindings, type(value).__name__)[value.name]
    if dataclasses.is_dataclass(value):
        kind = getattr(bindings, getattr(value, "WIT", type(value).__name__))
        return kind(*(to_bindings(getattr(value, item.name), bindings) for item in dataclasses.fields(value)))
    if isinstance(value, list):
        return [to_bindings(item, bindings) for item in value]
    if isinstance(value, tuple):
        return tuple(to_bindings(item, bindings) for item in value)
    return value


def from_bindings(value: Any) -> Any:
    """A value of the bindings as one of this package."""
    if isinstance(value, Enum):
        return _OWN[type(value).__name__][value.name]
    if dataclasses.is_dataclass(value):
        kind = _OWN[type(value).__name__]
        return kind(*(from_bindings(getattr(value, item.name)) for item in dataclasses.fields(value)))
    if isinstance(value, list):
        return [from_bindings(item) for item in value]
    if isinstance(value, tuple):
        return tuple(from_bindings(item) for item in value)
    return value


#: Errors whose messages are made of names in the source, and not of what the flow was given.
_TELLING = (KeyError, AttributeError, TypeError, IndexError, NameError, ImportError, RecursionError, NotImplementedError)


def unforeseen(error: Exception) -> Failure:
    """The failure of an error that the flow's author didn't expect: what it is and where, so that it can be found. The host
    counts it as a fault of the flow, as it would the trap that the interpreter ends in."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    said = f": {str(error)[:200]}" if isinstance(error, _TELLING) else ""
    where = f" ({trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno})" if trace else ""
    return Failure.retry("flow_error", f"{type(error).__name__}{said}{where}")


def export(flow: type[Flow]) -> type:
    """What a component exports for a flow. A module says it once: ``Flow = export(MyFlow)``."""
    if not isinstance(getattr(flow, "description", None), contract.Description):
        raise TypeError(f"{flow.__name__} has no description: set the class attribute to a Description")
    try:
        from componentize_py_types import Err  # type: ignore[import-not-found]
        from wit_world.imports import types as bindings  # type: ignore[import-not-found]
    except ImportError:
        # Natively, where tests run.
        return type("Flow", (), {"flow": flow})

    class Exported:
        """The interface ``flow`` of the contract."""

        def describe(self) -> Any:
            """What the flow is."""
            return to_bindings(flow.description, bindings)

        def advance(self, context: Any, event: Any) -> Any:
            """The next step of an attempt."""
            try:
                return to_bindings(flow().advance(from_bindings(context), from_bindings(event)), bindings)
            except Exception as error:
                failure = error if isinstance(error, Failure) else unforeseen(error)
                remedy = to_bindings(failure.remedy, bindings)
                raise Err(bindings.Failure(failure.code, failure.message, remedy)) from None

    return Exported

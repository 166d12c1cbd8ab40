"""Reads bodies of OTLP requests (hexadecimal, a line each) on standard input, and prints their spans as JSON, a line each.

It decodes with OpenTelemetry's own messages, which nobody here wrote, and refuses fields that these don't know.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from prepared import use_prepared_environment  # noqa: E402, beside this folder


def text(value):
    return getattr(value, value.WhichOneof("value"))


def spans(body):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(body)
    # Fields that the messages don't know are kept aside, and would be written again.
    assert request.SerializeToString(deterministic=True), "an empty request"
    known = ExportTraceServiceRequest.FromString(body)
    known.DiscardUnknownFields()
    assert known.ByteSize() == request.ByteSize(), "it has fields that OTLP doesn't know"
    for resource in request.resource_spans:
        service = {one.key: text(one.value) for one in resource.resource.attributes}["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                assert span.start_time_unix_nano <= span.end_time_unix_nano, span
                yield {
                    "service": service,
                    "name": span.name,
                    "kind": span.kind,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "links": [{"trace": link.trace_id.hex(), "id": link.span_id.hex()} for link in span.links],
                    "attributes": {one.key: text(one.value) for one in span.attributes},
                    "failed": span.status.code == span.status.STATUS_CODE_ERROR,
                    "status": span.status.message,
                }


def main():
    use_prepared_environment("opentelemetry")
    for line in sys.stdin:
        for span in spans(bytes.fromhex(line)):
            print(json.dumps(span))


main()

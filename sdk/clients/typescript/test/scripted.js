// A server on loopback that plays the exchanges of `sdk/clients/cases`: daemon and service at once.
import { createServer } from "node:http";
import { isDeepStrictEqual } from "node:util";

/** Answers what the script says, in order, and notes in `faults` what it didn't expect. */
export async function scripted() {
  const script = { exchanges: [], faults: [], url: "", close: () => server.close() };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const content = Buffer.concat(chunks).toString();
    const exchange = script.exchanges.shift();
    if (exchange === undefined) {
      script.faults.push(`${request.method} ${request.url} was not expected`);
      response.writeHead(500).end();
      return;
    }
    const target = new URL(request.url, "http://a");
    const expected = exchange.request;
    const got = { method: request.method, path: target.pathname };
    if ("query" in expected) got.query = Object.fromEntries(target.searchParams);
    if ("headers" in expected) {
      got.headers = Object.fromEntries(Object.keys(expected.headers).map((name) => [name, request.headers[name]]));
    }
    if ("body" in expected) got.body = JSON.parse(content || "null");
    if ("text" in expected) got.text = content;
    if (!isDeepStrictEqual(got, expected)) {
      script.faults.push(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
    }
    const { answer } = exchange;
    if (answer === "drop") {
      request.socket.destroy();
      return;
    }
    const document = answer.body ?? answer.problem;
    const type = answer.problem ? "application/problem+json" : answer.body ? "application/json" : "text/plain";
    response.writeHead(answer.status, { "content-type": type, connection: "close", ...answer.headers });
    response.end(document === undefined ? answer.text : JSON.stringify(document));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  script.url = `http://127.0.0.1:${server.address().port}`;
  return script;
}

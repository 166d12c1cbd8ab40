// The client and its `fetch` held against `sdk/clients/cases`, which the clients in all languages read.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { BadAnswer, Client, Problem, tokenFetch, Unreachable } from "../src/index.js";
import { scripted } from "./scripted.js";

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const renamed = (document, rename) => Object.fromEntries(Object.entries(document).map(([name, value]) => [rename(name), value]));

/** Does a step; what came of it, named as in the cases. */
async function act(client, url, step) {
  const { do: what, integration, operation, generation, parameters, body, ...others } = step;
  const options = renamed(others, camel);
  switch (what) {
    case "token":
      return client.token(integration, options);
    case "reject":
      return client.reject(integration, generation, options);
    case "authorize":
      return client.authorize(integration, operation, options);
    case "call": {
      const answer = await client.call(integration, operation, parameters, body, options);
      return answer.body instanceof Uint8Array ? { ...answer, bytes: [...answer.body] } : answer;
    }
    case "send": {
      const answer = await tokenFetch(client, integration)(url + step.path, { method: step.method, body });
      return { status: answer.status, text: await answer.text() };
    }
    default:
      throw new Error(what);
  }
}

/** The outcome of a step: its result, or an error with its kind. */
async function outcome(act) {
  try {
    return renamed(await act, snake);
  } catch (error) {
    const members = renamed(error, snake);
    if (error instanceof Problem) return { kind: "problem", ...members };
    if (error instanceof Unreachable) return { kind: "unreachable" };
    if (error instanceof BadAnswer) return { kind: "bad_answer" };
    throw error;
  }
}

for (const file of ["token", "problems", "call", "adapter"]) {
  for (const item of JSON.parse(readFileSync(new URL(`../../cases/${file}.json`, import.meta.url), "utf8"))) {
    test(`${file}: ${item.name}`, async () => {
      const server = await scripted();
      try {
        let now = 1000;
        let waits = [];
        const client = new Client({
          url: server.url,
          token: "tha_test",
          clock: () => now,
          sleep: async (seconds) => void waits.push(seconds),
          ...renamed(item.options ?? {}, camel),
        });
        for (const [number, step] of item.steps.entries()) {
          if ("advance" in step) {
            now += step.advance;
            continue;
          }
          waits = [];
          const { exchanges, waits: expectedWaits = [], result, error, callers = 1, ...given } = step;
          server.exchanges = [...exchanges];
          // All have begun before the first of them goes on.
          const outcomes = Array.from({ length: callers }, () => outcome(act(client, server.url, given)));
          for (const got of await Promise.all(outcomes)) {
            assert.equal("kind" in got, error !== undefined, `step ${number}: ${JSON.stringify(got)}`);
            const expected = result ?? error;
            const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, got[name] ?? null]));
            assert.deepEqual(seen, expected, `step ${number}`);
          }
          assert.deepEqual(server.faults, [], `step ${number}`);
          assert.equal(server.exchanges.length, 0, `step ${number}: not all was asked`);
          assert.equal(waits.length, expectedWaits.length, `step ${number}: ${waits}`);
          for (const [index, [low, high]] of expectedWaits.entries()) {
            assert.ok(waits[index] >= low && waits[index] <= high, `step ${number}: ${waits}`);
          }
        }
      } finally {
        server.close();
      }
    });
  }
}

// Errors that a flow's author didn't expect are told by what they are and where, and never by what the flow was given.

import assert from "node:assert/strict";
import test from "node:test";
import { flow, unforeseen } from "../src/flow.js";

const thrown = (broken) => {
  try {
    broken();
  } catch (error) {
    return unforeseen(error);
  }
  throw new Error("nothing was thrown");
};

test("says what and where", () => {
  for (const [broken, expected] of [
    [() => undefined.data, /^TypeError: .*data.* \(at .*unforeseen\.test\.js/],
    [() => { throw new Error("s3cr3t"); }, /^Error \(at /],
    [() => { throw "s3cr3t"; }, /^something was thrown that is no Error: string$/],
  ]) {
    const failure = thrown(broken);
    assert.equal(failure.code, "flow_error");
    assert.match(failure.message, expected);
    assert.ok(!failure.message.includes("s3cr3t"));
  }
});

test("natively the error itself is seen", () => {
  const broken = flow({ describe: { name: "x" }, advance: () => undefined.data });
  assert.throws(() => broken.advance({ values: [], secrets: [], revealed: [] }, {}), TypeError);
});

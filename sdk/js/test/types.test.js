// The types that are made of the contract are those of the contract.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { generate } from "../scripts/types.mjs";

test("types/contract.d.ts is what wit/flow.wit says (else: npm run types)", () => {
  const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
  assert.equal(read("../types/contract.d.ts"), generate(read("../../../wit/flow.wit")));
});

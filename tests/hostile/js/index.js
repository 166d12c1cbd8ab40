/**
 * A flow that does harm, in the way that its field `how` names; for tests, never for use. Written against the contract itself,
 * since the SDK would keep an author from half of it.
 * @module
 */

const ways = {
  loop() {
    // What catches everything doesn't catch the end of its time.
    for (;;) {
      try {
        for (;;);
      } catch {}
    }
  },
  hoard() {
    const all = [];
    for (;;) all.push(new Uint8Array(1 << 20).fill(1));
  },
  text() {
    let text = "x";
    for (;;) text += text;
  },
  throw() {
    throw new Error("s3cr3t");
  },
  null() {
    throw null;
  },
  nothing: () => undefined,
  garbage: () => ({ tag: "send", val: { request: "none", state: 7 } }),
  unknown: () => ({ tag: "explode" }),
  recurse: () => {
    const deeper = (value) => [deeper([value])];
    return deeper(0);
  },
  nest: () => JSON.parse("[".repeat(1 << 20)),
  regex: () => /^(a+)+$/.test("a".repeat(60) + "b"),
  big: () => ({
    tag: "done",
    val: { accessToken: "x".repeat(100 << 20), values: [], secrets: [], placements: [], derived: [] },
  }),
  promise: () => new Promise(() => {}),
  good: () => ({ tag: "done", val: { accessToken: "good", values: [], secrets: [], placements: [], derived: [] } }),
};

export const flow = {
  describe: () => ({
    name: "hostile-js",
    version: "1.0.0",
    title: "A hostile flow",
    summary: "Never use it.",
    handles: [{ kind: "oauth2", detail: "clientCredentials" }],
    unattended: true,
    fields: [
      {
        name: "how",
        title: "How",
        help: "In which way it does harm.",
        kind: { tag: "choice", val: Object.keys(ways) },
        required: { tag: "always" },
      },
    ],
  }),
  advance: (context) => ways[context.values.find(([name]) => name === "how")[1]](),
};

// Makes types/contract.d.ts, the contract's types for TypeScript and editors, of wit/flow.wit.
//
// Reads just as much of WIT as the contract uses: records, variants, enums and aliases of one interface. With --check it
// writes nothing, and fails if the file isn't what it would write.
import { readFileSync, writeFileSync } from "node:fs";

const source = new URL("../../../wit/flow.wit", import.meta.url);
const target = new URL("../types/contract.d.ts", import.meta.url);

/** What the contract calls `field-kind` is `FieldKind` here. */
const pascal = (name) => name.split("-").map((word) => word[0].toUpperCase() + word.slice(1)).join("");
const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

/** The words and signs of WIT, with `///` comments kept as words of their own. */
function tokens(text) {
  return text.match(/\/\/\/[^\n]*|\/\/[^\n]*|[a-z0-9-]+|[{}()<>:;,=@./_]|->/gi).filter((word) => !/^\/\/([^/]|$)/.test(word));
}

/** Makes TypeScript of the interface `types`. */
export function generate(wit) {
  const inside = wit.slice(wit.indexOf("interface types {") + "interface types {".length, wit.indexOf("interface flow {"));
  const words = tokens(inside);
  let at = 0;
  let notes = [];
  const out = [];
  const next = () => {
    while (words[at]?.startsWith("///")) notes.push(words[at++].slice(3).trim());
    return words[at++];
  };
  const expect = (sign) => {
    const word = next();
    if (word !== sign) throw new Error(`expected ${sign}, found ${word} at ${at}`);
  };
  const doc = (indent) => {
    const text = notes.join(" ");
    notes = [];
    return text && `${indent}/** ${text} */\n`;
  };
  const type = () => {
    const name = next();
    if (["list", "option", "tuple"].includes(name)) {
      expect("<");
      const inner = [type()];
      for (let sign = next(); sign !== ">"; sign = next()) inner.push(type());
      if (name === "tuple") return `[${inner.join(", ")}]`;
      if (name === "option") return `${inner[0]} | null`;
      return inner[0] === "u8" ? "Uint8Array" : `${/[|\s]/.test(inner[0]) ? `(${inner[0]})` : inner[0]}[]`;
    }
    if (name === "u8") return "u8";
    return { string: "string", bool: "boolean", u16: "number", u32: "number", u64: "number" }[name] ?? pascal(name);
  };
  /** Reads `{ … }`, a line for each item. */
  const items = (read) => {
    const lines = [];
    expect("{");
    for (let word = next(); word !== "}"; word = next()) {
      if (word === ",") continue;
      const comment = doc("  ");
      lines.push([comment, read(word)]);
    }
    return lines;
  };
  for (let kind = next(); kind !== "}" && kind; kind = next()) {
    const comment = doc("");
    const name = pascal(next());
    if (kind === "record") {
      const lines = items((member) => {
        expect(":");
        const of = type();
        return `  ${camel(member)}${of.endsWith("| null") ? "?" : ""}: ${of};\n`;
      });
      out.push(`${comment}export interface ${name} {\n${lines.flat().join("")}}\n`);
    } else if (kind === "variant") {
      const lines = items((tag) => {
        if (words[at] !== "(") return `  | { tag: "${tag}" }\n`;
        expect("(");
        const of = type();
        expect(")");
        return `  | { tag: "${tag}"; val${of.endsWith("| null") ? "?" : ""}: ${of} }\n`;
      });
      out.push(`${comment}export type ${name} =\n${lines.flat().join("").trimEnd()};\n`);
    } else if (kind === "enum") {
      const lines = items((value) => `  | "${value}"\n`);
      out.push(`${comment}export type ${name} =\n${lines.flat().join("").trimEnd()};\n`);
    } else if (kind === "type") {
      expect("=");
      out.push(`${comment}export type ${name} = ${type()};\n`);
      expect(";");
    } else {
      throw new Error(`unknown: ${kind}`);
    }
    notes = [];
  }
  const head = "// The contract's types, made from wit/flow.wit by scripts/types.mjs. Not written by hand.\n\n";
  return head + out.join("\n");
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
  const text = generate(readFileSync(source, "utf8"));
  if (process.argv.includes("--check")) {
    if (readFileSync(target, "utf8") !== text) {
      console.error("types/contract.d.ts is not what wit/flow.wit says: run `npm run types`");
      process.exitCode = 1;
    }
  } else {
    writeFileSync(target, text);
  }
}

/**
 * Bytes to text, and form-encoded text to members: what the language itself doesn't have outside of Node.js and browsers.
 * Anything can be decoded; what is no text becomes U+FFFD.
 * @module
 */

/** How many bytes are turned into characters by one call. */
const CHUNK = 8192;

/**
 * The text of a body. A byte order mark says which Unicode it is; without one it is UTF-8.
 * @param {Uint8Array} body
 * @returns {string}
 */
export function decode(body) {
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) return utf8(body.subarray(3));
  if (body[0] === 0xff && body[1] === 0xfe) return utf16(body.subarray(2), 1);
  if (body[0] === 0xfe && body[1] === 0xff) return utf16(body.subarray(2), 0);
  return utf8(body);
}

/** One character for each number. @param {ArrayLike<number>} units */
function characters(units) {
  const parts = [];
  for (let at = 0; at < units.length; at += CHUNK) {
    parts.push(String.fromCharCode.apply(null, Array.prototype.slice.call(units, at, at + CHUNK)));
  }
  return parts.join("");
}

/**
 * UTF-16; an odd byte at the end is dropped.
 * @param {Uint8Array} bytes
 * @param {0 | 1} high Where in each pair its high byte stands.
 */
function utf16(bytes, high) {
  const units = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) units.push((bytes[at + high] << 8) | bytes[at + 1 - high]);
  return characters(units);
}

/** UTF-8. @param {Uint8Array} bytes */
export function utf8(bytes) {
  const plain = characters(bytes);
  // Nearly always, and then the runtime did the work.
  if (!/[^\x00-\x7f]/.test(plain)) return plain;
  const units = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    if (first < 0x80) {
      units.push(first);
      continue;
    }
    const more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
    let code = more === 0 ? -1 : first & (0x3f >> more);
    for (let left = more; left > 0; left--) {
      const next = bytes[at];
      // The first of them also says that the shortest form was used, and no surrogate and nothing beyond Unicode meant.
      const [least, most] =
        left !== more ? [0x80, 0xbf]
        : first === 0xe0 ? [0xa0, 0xbf]
        : first === 0xed ? [0x80, 0x9f]
        : first === 0xf0 ? [0x90, 0xbf]
        : first === 0xf4 ? [0x80, 0x8f]
        : [0x80, 0xbf];
      if (next === undefined || next < least || next > most) {
        code = -1;
        break;
      }
      code = (code << 6) | (next & 0x3f);
      at++;
    }
    if (code < 0) units.push(0xfffd);
    else if (code < 0x10000) units.push(code);
    else units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
  }
  return characters(units);
}

/** The bytes of a text in UTF-8. @param {string} text @returns {Uint8Array} */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code >= 0xd800 && code < 0xe000) bytes.push(0xef, 0xbf, 0xbd);
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return Uint8Array.from(bytes);
}

/**
 * The pairs of `application/x-www-form-urlencoded` text, in order, as the URL Standard has it.
 * @param {string} text
 * @returns {[string, string][]}
 */
export function formPairs(text) {
  return text.split("&").filter((pair) => pair !== "").map((pair) => {
    const at = pair.indexOf("=");
    const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    return [unescapeForm(name), unescapeForm(value)];
  });
}

/** @param {string} text */
function unescapeForm(text) {
  const spaced = text.replace(/\+/g, " ");
  return spaced.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
    utf8(Uint8Array.from(run.slice(1).split("%"), (hex) => Number.parseInt(hex, 16))),
  );
}

/**
 * Moments in the spellings that providers use, as seconds since the Unix epoch. Asks no clock.
 * @module
 */

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** The largest number of seconds that a failure can name. */
const MOST = 0xffffffff;

/** Seconds since the epoch of a date that exists. @param {number[]} date Year, month from 0, day, hour, minute, second. */
function seconds([year, month, day, hour, minute, second]) {
  const at = Date.UTC(year, month, day, hour, minute, Math.min(second, 59));
  const exists = month >= 0 && day >= 1 && new Date(at).getUTCDate() === day && hour < 24 && minute < 60 && second <= 60;
  return exists ? at / 1000 : undefined;
}

/** RFC 3339, e.g. `2026-11-22T10:00:00Z`. Moments before the epoch are none. @param {string} text */
export function rfc3339(text) {
  const found = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(text.trim());
  if (!found) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const local = seconds([year, month - 1, day, hour, minute, second]);
  const [hours, minutes] = [Number(found[8] ?? 0), Number(found[9] ?? 0)];
  if (local === undefined || hours > 23 || minutes > 59) return undefined;
  const at = local - (found[7] === "-" ? -1 : 1) * (hours * 3600 + minutes * 60);
  return at < 0 ? undefined : at;
}

/** A date of HTTP in any of its three forms (RFC 9110 section 5.6.7). @param {string} text */
function httpDate(text) {
  const [, day, month, year, clock] =
    /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) GMT$/.exec(text) ??
    /^[A-Z][a-z]+, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d) GMT$/.exec(text) ??
    asctime(/^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/.exec(text)) ??
    [];
  if (clock === undefined) return undefined;
  let full = Number(year);
  if (year.length === 2) full += full < 70 ? 2000 : 1900;
  return seconds([full, MONTHS.indexOf(month.toLowerCase()), Number(day), ...clock.split(":").map(Number)]);
}

/** The parts of C's form in the order of the others. @param {RegExpExecArray | null} found */
function asctime(found) {
  return found && [found[0], found[2].trim(), found[1], found[4], found[3]];
}

/**
 * `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, here counted from `now`. A date that is over is 0.
 * @param {string} text
 * @param {number} now
 * @returns {number | undefined}
 */
export function retryAfter(text, now) {
  const said = text.trim();
  if (/^[0-9]+$/.test(said)) return Math.min(Number(said), MOST);
  const at = httpDate(said);
  return at === undefined ? undefined : Math.min(Math.max(at - now, 0), MOST);
}

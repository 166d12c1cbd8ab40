// What pages do beyond forms and links: times that count down, values that are copied, work that shows how long it takes,
// and parts that are asked for again when something happened. Pages work without it.

'use strict';

/** How long at least between two looks at what happened: many events make one. */
const REST = 1000;

const units = [[172800, 86400, 'days'], [7200, 3600, 'h'], [120, 60, 'min'], [0, 1, 's']];

/** Seconds in one unit, as the server writes them. */
function inWords(seconds) {
  const [, size, unit] = units.find(([from]) => seconds >= from);
  return `${Math.floor(seconds / size)} ${unit}`;
}

function countDown() {
  for (const element of document.querySelectorAll('[data-until]')) {
    const seconds = Math.max(0, Math.floor((Date.parse(element.dataset.until) - Date.now()) / 1000));
    const { before = '', over } = element.dataset;
    const left = 'seconds' in element.dataset ? `${seconds} s` : inWords(seconds);
    const text = seconds === 0 && over ? over : before + left;
    if (element.textContent === text) continue;
    element.textContent = text;
    // What was waited for has come: the page may say something else now.
    if (seconds === 0) document.body.dispatchEvent(new CustomEvent('happened'));
  }
  for (const element of document.querySelectorAll('.htmx-request [data-taken]')) {
    element.dataset.taken = Number(element.dataset.taken) + 1;
    element.textContent = `${element.dataset.taken} s`;
  }
}
setInterval(countDown, 1000);

/** Says something to who can't see what changed, and to who can. */
function say(text) {
  const place = document.getElementById('said');
  if (place) place.textContent = text;
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = 'Copied';
    say('Copied');
  } catch {
    getSelection().selectAllChildren(source);
    say('Press Ctrl+C to copy');
  }
});

// A form that is being sent isn't sent twice.
document.addEventListener('submit', (event) => {
  if (event.defaultPrevented || event.target.hasAttribute('hx-post')) return;
  for (const button of event.target.querySelectorAll('button:not([name])')) setTimeout(() => (button.disabled = true));
});
// A page that a browser keeps to go back to doesn't keep a value that is shown once.
addEventListener('pagehide', () => document.querySelectorAll('[data-once]').forEach((it) => it.replaceChildren()));
addEventListener('pageshow', () => document.querySelectorAll('button[disabled]').forEach((it) => (it.disabled = false)));

/** What a form had wrong is shown first: the first input of them. */
function goToFault(place) {
  const faulty = place.querySelector('main [aria-invalid="true"], #main [aria-invalid="true"]');
  if (!faulty) return;
  for (let details = faulty.closest('details'); details; details = details.parentElement.closest('details')) details.open = true;
  faulty.focus();
}
// Once more when all is there: the address may lead to the form, and takes the focus with it.
goToFault(document);
addEventListener('load', () => setTimeout(() => goToFault(document)));

// A fault of something that has no input leads nowhere.
function unlink() {
  for (const link of document.querySelectorAll('.note a[href^="#in-"]')) {
    if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) link.replaceWith(...link.childNodes);
  }
}
unlink();

/** Opens what an address of a place in the page leads into. */
function openPlace() {
  const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  for (let details = place.closest('details'); details; details = details.parentElement.closest('details')) details.open = true;
  if (place.matches('input, select, textarea')) place.focus();
}
openPlace();
addEventListener('hashchange', openPlace);

document.addEventListener('htmx:afterSettle', (event) => {
  if (!event.detail.requestConfig?.elt.closest('form')) return;
  unlink();
  goToFault(document);
  // What stands in the place of the whole page tells what came of it, wherever that is.
  if (event.detail.requestConfig.target?.id !== 'main' || document.querySelector('#main [aria-invalid="true"]')) return;
  document.querySelector('#result .note, #main [role="alert"]')?.scrollIntoView({ block: 'center' });
});

document.addEventListener('htmx:beforeRequest', (event) => {
  // What is done now makes what was done before no news.
  if (event.target.closest('form')) document.getElementById('done')?.remove();
  for (const output of event.target.querySelectorAll('[data-taken]')) {
    output.dataset.taken = 0;
    output.textContent = '';
  }
});
// Problems come as parts of pages too, and are shown where the answer would stand.
document.addEventListener('htmx:beforeSwap', (event) => {
  const { status } = event.detail.xhr;
  if (status >= 400) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});
document.addEventListener('htmx:sendError', () => say('The daemon can’t be reached'));

// Parts with hx-trigger="happened from:body" are asked for again when the daemon tells that something happened.
if (document.querySelector('[hx-trigger*="happened"]')) {
  let pending;
  const source = new EventSource('/v1/events/stream');
  const happened = () => {
    pending ??= setTimeout(() => {
      pending = undefined;
      document.body.dispatchEvent(new CustomEvent('happened'));
    }, REST);
  };
  for (const kind of document.body.dataset.events.split(' ')) source.addEventListener(kind, happened);
  addEventListener('pagehide', () => source.close());
}

// Of several words, a list offers each next one beside those that stand there already.
document.addEventListener('input', ({ target }) => {
  if (!target.list || !('words' in target.dataset)) return;
  const before = target.value.replace(/\S*$/, '');
  const there = before.split(/\s+/);
  for (const option of target.list.options) {
    option.value = before + option.dataset.word;
    option.disabled = there.includes(option.dataset.word);
  }
});

/** Shows inputs only while another one has one of the values at which they are needed. */
function showWhatIsNeeded() {
  for (const element of document.querySelectorAll('[data-when]')) {
    const other = element.closest('form')?.elements.namedItem(element.dataset.when);
    const filled = element.querySelector('[aria-invalid]') || [...element.querySelectorAll('input, textarea')].some((it) => it.type !== 'checkbox' && it.value);
    if (other) element.hidden = !filled && !JSON.parse(element.dataset.in).includes(other.value);
  }
}
document.addEventListener('change', showWhatIsNeeded);
document.addEventListener('htmx:afterSettle', showWhatIsNeeded);
showWhatIsNeeded();

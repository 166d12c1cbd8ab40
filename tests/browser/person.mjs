// A person with a real Chromium: opens a link, signs in and consents at oidc-provider's own pages, and comes back.
//
//   node person.mjs URL [--pause] [--deny] [--foreign]
//
// --pause    at the provider's first page, print {"at": …} and wait for a line on standard input
// --deny     refuse to consent
// --foreign  bring the return to another browser first, then here, then here once more
//
// Prints one line of JSON at the end: where the person ended, and what the page said. Exit code 1: it got stuck.

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';

import { executablePath } from './chromium.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pause: { type: 'boolean', default: false },
    deny: { type: 'boolean', default: false },
    foreign: { type: 'boolean', default: false },
    login: { type: 'string', default: 'ada' },
  },
});
const [start] = positionals;
/** Clicks after which a person gives up: signing in, consenting and confirming a code are four pages. */
const MOST = 12;

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const seen = async (page, response) => ({
  status: response?.status() ?? null,
  url: page.url(),
  title: await page.title(),
  text: (await page.locator('body').innerText()).trim(),
});

/** A page's outcome where it is the last one; else nothing, and the page was dealt with. */
async function deal(page) {
  if (await page.title().then((title) => title.endsWith('tokenhost'))) return true;
  if (values.deny) {
    const cancel = page.locator('a[href$="/abort"]');
    if (await cancel.count()) {
      await cancel.first().click();
      return false;
    }
  }
  const login = page.locator('input[name=login]');
  if (await login.count()) {
    await login.fill(values.login);
    await page.locator('input[name=password]').fill('anything: the provider is in its development mode');
  }
  const button = page.locator('button[type=submit], input[type=submit]');
  if (!await button.count()) return true;
  await button.first().click();
  return false;
}

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
let code = 1;
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  let last;
  page.on('response', (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) last = response;
  });
  let brought;
  if (values.foreign) {
    // Playwright's own routes don't see a request that a redirect leads to.
    const protocol = await context.newCDPSession(page);
    await protocol.send('Fetch.enable', { patterns: [{ urlPattern: '*/v1/callback?*' }] });
    protocol.on('Fetch.requestPaused', ({ requestId, request }) => {
      if (brought) {
        protocol.send('Fetch.continueRequest', { requestId });
        return;
      }
      brought = request.url;
      const body = Buffer.from('<title>tokenhost: held back</title>').toString('base64');
      const responseHeaders = [{ name: 'content-type', value: 'text/html' }];
      protocol.send('Fetch.fulfillRequest', { requestId, responseCode: 200, responseHeaders, body });
    });
  }
  await page.goto(start);
  if (values.pause) {
    say({ at: page.url() });
    for await (const line of createInterface({ input: process.stdin })) if (line) break;
  }
  for (let click = 0; click < MOST; click += 1) {
    await page.waitForLoadState('load');
    if (await deal(page)) {
      // A page that sends itself on is none that a person deals with.
      await page.waitForTimeout(300);
      if (await deal(page)) {
        code = 0;
        break;
      }
    }
    await page.waitForTimeout(50);
  }
  if (code) {
    say({ stuck: await seen(page, last) });
  } else if (values.foreign) {
    const other = await (await browser.newContext()).newPage();
    const foreign = await seen(other, await other.goto(brought));
    const own = await seen(page, await page.goto(brought));
    const replayed = await seen(page, await page.goto(brought));
    say({ foreign, own, replayed });
  } else {
    say({ ...await seen(page, last), cookies: (await context.cookies(start)).map((cookie) => cookie.name) });
  }
} finally {
  await browser.close();
}
process.exit(code);

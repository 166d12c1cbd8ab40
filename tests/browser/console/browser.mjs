// A real Chromium on the console's pages, for `node --test`: signs in, looks at pages as axe does, takes their pictures, and
// fails where a page breaks its own rules. `console.rs` starts the daemon and says in CONSOLE (JSON) where it is and who there is:
//
//   {"url": "http://…", "password": "…", "secrets": ["what no page may hold", …], …}
//
// SCREENSHOTS=1 writes the pictures to docs/images/, where the guides show them.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { executablePath } from '../chromium.mjs';

/** What the test that started this one has prepared. */
export const world = JSON.parse(process.env.CONSOLE);

const images = fileURLToPath(new URL('../../../docs/images/', import.meta.url));
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
after(() => browser.close());

/**
 * A browser window of its own, in which nothing may go wrong: an error in a script, a broken rule of the page's policy, a
 * request to elsewhere or a secret in an answer fails the test.
 */
export async function open(t, { dark = false, phone = false, scripts = true } = {}) {
  const context = await browser.newContext({
    colorScheme: dark ? 'dark' : 'light',
    viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    javaScriptEnabled: scripts,
    baseURL: world.url,
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  context.setDefaultTimeout(15_000);
  const wrong = [];
  const answers = [];
  const secrets = (world.secrets ?? []).filter(Boolean);
  context.on('console', (message) => {
    // A refusal that a test asks for is logged by the browser itself.
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) wrong.push(message.text());
  });
  context.on('weberror', (error) => wrong.push(String(error.error())));
  context.on('dialog', (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== world.url && url.protocol !== 'data:') wrong.push(`a request to ${url.origin}`);
  });
  context.on('response', (response) => {
    if (response.headers()['content-type']?.startsWith('text/event-stream')) return;
    const looked = response.text().then((text) => {
      for (const secret of secrets) {
        if (text.includes(secret)) wrong.push(`${response.url()} holds the secret ${secret.slice(0, 4)}…`);
      }
    });
    answers.push(looked.catch(() => {}));
  });
  const page = await context.newPage();
  t.after(async () => {
    await Promise.all(answers);
    await context.close();
    assert.deepEqual(wrong, [], 'nothing goes wrong in the browser');
  });
  return page;
}

/** Signs in and goes to a page. Whoever may see nothing but their own account is led there from the first one. */
export async function signIn(page, login, to = '/console/') {
  await page.goto(`/login?next=${encodeURIComponent(to)}`);
  await page.getByLabel('Login').fill(login);
  await page.getByLabel('Password').fill(world.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => url.pathname + url.search === to || (to === '/console/' && url.pathname === '/console/account'));
}

/** Holds the page against WCAG 2.2 AA and axe's best practices. */
export async function accessible(page) {
  await page.evaluate(axe);
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: 'tag', values } }), tags);
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join('\n  ')}`);
  assert.deepEqual(told, [], `${page.url()} is accessible`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${page.url()} fits the window's width`);
}

/** Takes a page's picture where pictures are wanted, and looks whether it is accessible anyway. */
export async function shot(page, name) {
  await accessible(page);
  if (!process.env.SCREENSHOTS) return;
  await mkdir(images, { recursive: true });
  // Without what a screenshot would do to the page: its own style breaks the page's policy.
  await page.screenshot({ path: `${images}${name}.png`, fullPage: true, animations: 'allow', caret: 'initial' });
}

/** Reaches an element by the keyboard alone, from the page's start. */
export async function tabTo(page, locator) {
  await page.locator('body').focus();
  for (let count = 0; count < 100; count += 1) {
    await page.keyboard.press('Tab');
    if (await locator.evaluate((element) => element === document.activeElement)) return;
  }
  assert.fail(`${locator} can't be reached by the keyboard`);
}

// My account: the contact, the password, and personal tokens whose values are shown once.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, tabTo, world } from './browser.mjs';

/** Texts that try to become markup, script, template or another line. */
const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '{{7*7}}', '\u202egnirts', "'; --"];

/** Makes a token and gives its value, with the page that shows it open. */
async function make(page, application) {
  await page.goto('/console/account');
  await page.getByRole('link', { name: 'Add a token' }).click();
  await page.getByLabel('Application').fill(application);
  await page.getByRole('button', { name: 'Make the token' }).click();
  const value = await page.locator('#token-value').innerText();
  assert.match(value, /^thp_/);
  return value;
}

const works = async (token) => (await fetch(`${world.url}/v1/me`, { headers: { authorization: `Bearer ${token}` } })).status;

/** Goes on from the page by which Chromium asks whether to send a form again: that page still comes when one leaves it. */
async function leave(page, to) {
  for (let tries = 20; ; tries -= 1) {
    try {
      return await page.goto(to);
    } catch (error) {
      // The navigation that came in between may have led there.
      await page.waitForLoadState().catch(() => {});
      if (page.url() === new URL(to, world.url).href) return null;
      if (tries === 0) throw error;
    }
  }
}

test('a personal token is made, shown once, edited, rebuilt and deleted', async (t) => {
  const page = await open(t);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await signIn(page, 'rita', '/console/account');
  await shot(page, 'account-empty');
  const name = `nightly ${Date.now()}`;
  const value = await make(page, name);
  await page.getByRole('alert').getByText('only time that it is shown').waitFor();
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  assert.ok(!page.url().includes(value.slice(4)), 'no address has it');
  assert.equal(await works(value), 200);
  // A picture without the value itself.
  await page.locator('#token-value').evaluate((element) => (element.textContent = 'thp_EXAMPLEEXAMPLEEXAMPLEEXAMPLE'));
  await shot(page, 'account-new-token');

  await page.reload();
  await page.getByRole('heading', { name: 'Already done' }).waitFor();
  assert.ok(!(await page.content()).includes(value), 'it is shown once');
  await page.getByRole('link', { name: 'Back to the tokens' }).click();
  const row = page.getByRole('row').filter({ hasText: name });
  assert.equal(await row.count(), 1, 'no other was made');
  assert.match(await row.innerText(), /REST\/JSON[\s\S]*\b1\b[\s\S]*valid/);
  await shot(page, 'account');
  // Nothing is kept to go back to.
  await page.goBack().catch(() => {});
  assert.ok(!(await page.content().catch(() => '')).includes(value), 'going back doesn’t show it');

  await leave(page, '/console/account');
  await row.getByRole('link', { name: 'Edit' }).click();
  await page.getByLabel('Application').fill(`${name} export`);
  await page.getByLabel('Export').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').getByText('Saved.').waitFor();
  assert.match(await row.innerText(), /export[\s\S]*REST\/JSON, Export/);

  await row.getByRole('link', { name: 'Edit' }).click();
  await page.getByLabel('The old value works for').selectOption({ label: 'an hour more' });
  await page.getByRole('button', { name: 'Rebuild' }).click();
  const other = await page.locator('#token-value').innerText();
  await page.getByText('The old value works until').waitFor();
  assert.deepEqual([await works(value), await works(other)], [200, 200]);
  await page.getByRole('link', { name: 'I have copied it' }).click();

  await row.getByRole('link', { name: 'Edit' }).click();
  await page.getByText('Delete…').click();
  await page.getByRole('button', { name: 'Delete this token' }).click();
  await page.getByRole('status').getByText('Deleted.').waitFor();
  assert.deepEqual([await works(value), await works(other)], [401, 401]);
});

test('the contact is changed, and what somebody else saved isn’t overwritten unseen', async (t) => {
  const page = await open(t);
  await signIn(page, 'rita', '/console/account');
  const second = await page.context().newPage();
  await second.goto('/console/account');
  await page.getByLabel('First name').fill('Rita');
  await page.locator('form').filter({ has: page.getByLabel('First name') }).getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').getByText('Saved.').waitFor();
  await second.getByLabel('First name').fill('Margarita');
  const save = second.locator('form').filter({ has: second.getByLabel('First name') }).getByRole('button', { name: 'Save' });
  await save.click();
  await second.getByText('Somebody else changed this meanwhile').waitFor();
  assert.equal(await second.getByLabel('First name').inputValue(), 'Margarita', 'nothing typed is lost');
  await accessible(second);
  await save.click();
  await second.getByRole('status').getByText('Saved.').waitFor();
  assert.equal(await second.getByLabel('First name').inputValue(), 'Margarita');
  await second.getByLabel('Mail address').fill('nowhere');
  await save.click();
  assert.match(await second.locator('#fault-contact\\.email').innerText(), /no mail address/);
});

test('a password is changed by who knows the present one', async (t) => {
  const page = await open(t);
  await signIn(page, 'rita', '/console/account');
  const change = async (current, again) => {
    if (!(await page.getByLabel('Present password').isVisible())) await page.getByText('Change my password…').click();
    await page.getByLabel('Present password').fill(current);
    await page.getByLabel('New password', { exact: false }).first().fill(world.password);
    await page.getByLabel('New password again').fill(again);
    await page.getByRole('button', { name: 'Change password' }).click();
  };
  await change('not the present one', world.password);
  await page.locator('.fault').getByText('isn\'t your password').waitFor();
  await accessible(page);
  await change(world.password, 'something else');
  await page.getByText('typed in two ways').waitFor();
  await change(world.password, world.password);
  await page.waitForURL('**/login?next=/console/account');
});

test('hostile texts stay texts', async (t) => {
  const page = await open(t);
  await signIn(page, 'rita', '/console/account');
  for (const text of HOSTILE) {
    await make(page, text);
    await page.goto('/console/account');
    await page.getByRole('row').filter({ hasText: text }).first().waitFor();
  }
  const form = page.locator('form').filter({ has: page.getByLabel('First name') });
  await page.getByLabel('First name').fill('x'.repeat(10_000));
  await form.getByRole('button', { name: 'Save' }).click();
  await page.locator('.fault').first().waitFor();
  await accessible(page);
});

test('in the dark, on a phone, by keyboard', async (t) => {
  const page = await open(t, { dark: true, phone: true });
  await signIn(page, 'rita', '/console/account');
  await tabTo(page, page.getByRole('link', { name: 'Add a token' }));
  await shot(page, 'account-phone-dark');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'New personal token' }).waitFor();
  await accessible(page);
});

test('who may not manage tokens is told so, and a session that ended leads to the form', async (t) => {
  const nobody = await open(t);
  await signIn(nobody, 'nora');
  assert.equal(await nobody.getByRole('link', { name: 'My account' }).count(), 1);
  await nobody.getByText('There are none: none of your profiles may use personal tokens').waitFor();
  assert.equal(await nobody.getByRole('link', { name: 'Add a token' }).count(), 0);
  await nobody.getByLabel('First name').fill('Nora');
  await nobody.locator('form').filter({ has: nobody.getByLabel('First name') }).getByRole('button', { name: 'Save' }).click();
  await nobody.getByRole('status').getByText('Saved.').waitFor();
  await shot(nobody, 'account-nothing-else');
  assert.equal((await nobody.goto('/console/account/tokens/~new')).status(), 403);
  const made = await nobody.evaluate(() =>
    fetch('/console/account/tokens', { method: 'POST', body: new URLSearchParams({ form: 'x', application: 'a', scopes: 'REST/JSON' }) }).then(async (answer) => (await answer.text()) && answer.status));
  assert.equal(made, 403);

  const page = await open(t);
  await signIn(page, 'rita', '/console/account/tokens/~new');
  await page.getByLabel('Application').fill('too late');
  const second = await page.context().newPage();
  await second.goto('/console/');
  await second.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Make the token' }).click();
  await page.waitForURL('**/login?next=**');
  await signIn(page, 'rita', '/console/account');
  assert.equal(await page.getByRole('row').filter({ hasText: 'too late' }).count(), 0);
});

// The daemon's operation: webhooks with their secrets shown once, keys, backups, settings; and events.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, world } from './browser.mjs';

const HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}\u202e';
const PAGES = ['/console/webhooks', '/console/webhooks/~new', '/console/keys', '/console/backups', '/console/settings'];
const stamp = Date.now().toString(36);

test('a webhook is made, its secret shown once, tested, changed, rotated and deleted', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada');
  await page.getByRole('link', { name: 'Operation' }).click();
  await page.waitForURL('**/console/webhooks');
  assert.equal(await page.getByRole('link', { name: 'Operation' }).getAttribute('aria-current'), 'page');
  await page.getByRole('link', { name: 'Add a webhook' }).click();
  await accessible(page);
  const name = `ops-${stamp}`;
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Address').fill('nowhere');
  await page.getByLabel('Integrations').fill(HOSTILE);
  await page.getByLabel('token.person_needed').check();
  await page.getByRole('button', { name: 'Make the webhook' }).click();
  await page.locator('.fault').first().waitFor();
  assert.equal(await page.getByLabel('Integrations').inputValue(), HOSTILE, 'nothing typed is lost');
  assert.ok(await page.getByLabel('token.person_needed').isChecked());
  await accessible(page);
  await page.getByLabel('Address').fill(`${world.receiver}/hook`);
  await page.getByLabel('Integrations').fill('crm, erp');
  await page.getByLabel('Deliver', { exact: false }).first().check();
  await page.getByRole('button', { name: 'Make the webhook' }).click();
  const secret = await page.locator('#secret-value').innerText();
  assert.match(secret, /^whsec_/);
  assert.ok(!page.url().includes(secret.slice(6)), 'no address has it');
  await accessible(page);
  await page.reload();
  await page.getByRole('heading', { name: 'Already done' }).waitFor();
  assert.ok(!(await page.content()).includes(secret), 'it is shown once');
  await page.getByRole('link', { name: 'Back to the webhook' }).click();
  await page.getByRole('heading', { name, exact: true }).waitFor();
  assert.equal(await page.getByLabel('Integrations').inputValue(), 'crm, erp');

  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.getByRole('status').getByText('The test arrived.').waitFor();
  await shot(page, 'webhook');

  const second = await page.context().newPage();
  await second.goto(page.url().replace('/test', ''));
  await page.goto(`/console/webhooks/${name}`);
  await page.getByLabel('Address').fill(`${world.receiver}/broken`);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').getByText('Saved.').waitFor();
  await second.getByLabel('Integrations').fill('');
  await second.getByRole('button', { name: 'Save' }).click();
  await second.getByText('Somebody else changed this meanwhile').waitFor();
  assert.equal(await second.getByLabel('Integrations').inputValue(), '', 'nothing typed is lost');
  await second.close();
  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.getByRole('alert').getByText('The test didn’t arrive.').waitFor();
  await accessible(page);

  await page.goto(`/console/webhooks/${name}`);
  await page.getByRole('button', { name: 'Make a new secret' }).click();
  const other = await page.locator('#secret-value').innerText();
  assert.ok(other !== secret && other.startsWith('whsec_'));
  await page.getByText('The old one signs beside it until').waitFor();
  await page.getByRole('link', { name: 'I have copied it' }).click();
  await page.getByRole('link', { name: 'Webhooks' }).first().click();
  await page.getByRole('row').filter({ hasText: name }).waitFor();
  await shot(page, 'webhooks');
  await page.getByRole('link', { name, exact: true }).click();
  await page.getByText('Delete…').click();
  await page.getByRole('button', { name: 'Delete this webhook' }).click();
  await page.getByRole('status').getByText('Deleted.').waitFor();
  assert.equal(await page.getByRole('row').filter({ hasText: name }).count(), 0);
});

test('a new data key is made, and the page tells how far the sealing anew is', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/keys');
  await page.getByRole('button', { name: 'Make a new data key' }).click();
  await page.getByRole('status').getByText('There is a new data key').waitFor();
  // It asks again by itself: the older keys stay for a while after the last value is sealed anew.
  await page.getByText(/Sealing anew under key \d+: done/).waitFor();
  await page.getByRole('cell', { name: 'seals now' }).waitFor();
  await page.getByRole('cell', { name: 'opens only' }).first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Make a new data key' }).count(), 0);
  await shot(page, 'keys');
});

test('a backup is made and downloaded by who asks for it', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/backups');
  await page.getByText('None is made by itself').waitFor();
  await shot(page, 'backups');
  const coming = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Make one now, and download it' }).click();
  const download = await coming;
  assert.match(download.suggestedFilename(), /^tokenhost-.*/);
  assert.equal(await download.failure(), null);
});

test('settings show where they were given, secrets as set, and are read again', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/settings');
  const row = page.getByRole('row').filter({ hasText: 'access.personal_tokens_allowed_profiles' });
  assert.match(await row.innerText(), /Administrator[\s\S]*file[\s\S]*\.toml:\d/);
  await page.getByText(/^\d+ settings$/).click();
  await page.getByText('access.external.secret', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Read them again' }).click();
  await page.getByRole('status').getByText('nothing is different').waitFor();
  await shot(page, 'settings');
});

test('events are listed, found by kind, and hostile texts stay texts', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/events');
  await page.getByRole('row').filter({ hasText: 'token.renewed' }).first().waitFor();
  await shot(page, 'events');
  await page.getByLabel('Kind').selectOption('key.rotated');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL('**kind=key.rotated**');
  assert.equal(await page.getByRole('row').filter({ hasText: 'token.renewed' }).count(), 0);
  await page.getByLabel('Integration').fill(HOSTILE);
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.getByLabel('Integration').inputValue(), HOSTILE);
  await accessible(page);
});

test('nobody else operates the daemon, in the dark and on a phone', async (t) => {
  for (const login of ['rita', 'nora']) {
    const page = await open(t, { dark: true, phone: true });
    await signIn(page, login);
    assert.equal(await page.getByRole('link', { name: 'Operation' }).count(), 0);
    for (const path of PAGES) assert.equal((await page.goto(path)).status(), 403, `${login} ${path}`);
    await accessible(page);
    for (const path of ['/console/webhooks', '/console/keys/rotate-data', '/console/settings', '/console/backups/acknowledge']) {
      const sent = await page.evaluate((to) => fetch(to, { method: 'POST', body: new URLSearchParams({ name: 'x', url: 'https://x.example', form: 'x' }) }).then(async (answer) => (await answer.text()) && answer.status), path);
      assert.equal(sent, 403, `${login} POST ${path}`);
    }
  }
  const page = await open(t, { dark: true, phone: true });
  await signIn(page, 'ada');
  for (const path of [...PAGES, '/console/events']) {
    await page.goto(path);
    await accessible(page);
  }
});

test('a session that ended leads to the form, and nothing is made', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/webhooks/~new');
  await page.getByLabel('Name').fill(`late-${stamp}`);
  await page.getByLabel('Address').fill(`${world.receiver}/hook`);
  const second = await page.context().newPage();
  await second.goto('/console/');
  await second.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Make the webhook' }).click();
  await page.waitForURL('**/login?next=**');
  await signIn(page, 'ada', '/console/webhooks');
  assert.equal(await page.getByRole('row').filter({ hasText: `late-${stamp}` }).count(), 0);
});

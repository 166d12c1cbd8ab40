// The audit log: searched, a token's uses found, the chain verified.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, world } from './browser.mjs';

test('the log is searched, and a record shows its details', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/audit');
  await shot(page, 'audit');
  const offered = await page.locator('#actions option').evaluateAll((options) => options.map((option) => option.value));
  assert.ok(offered.includes('user.create') && offered.includes('session.begin') && offered.length > 50, offered.join());
  await page.getByLabel('Action').fill('user.');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.waitForURL('**action=user.**');
  const row = page.getByRole('row').filter({ hasText: 'users/nora' }).filter({ hasText: 'done' }).first();
  assert.match(await row.innerText(), /127\.0\.0\.1/);
  await row.getByRole('link').click();
  await page.getByRole('heading', { name: /^Record/ }).waitFor();
  assert.match(await page.locator('dl').innerText(), /user\.create/);
  await accessible(page);
  await page.goto('/console/audit?since=yesterday');
  await page.locator('.fault').getByText(/time/).waitFor();
  assert.equal(await page.getByLabel('Since').inputValue(), 'yesterday');
  await accessible(page);
});

test('a leaked token’s uses are found, and it is on no page', async (t) => {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ name: `leaked-${Date.now().toString(36)}`, profiles: ['REST Services User'] });
  const made = await fetch(`${world.url}/v1/application-tokens`, { method: 'POST', headers, body }).then((answer) => answer.json());
  assert.equal((await fetch(`${world.url}/v1/me`, { headers: { authorization: `Bearer ${made.token}` } })).status, 200);
  const page = await open(t);
  await signIn(page, 'ada', '/console/audit/find');
  const addresses = [];
  page.on('request', (request) => addresses.push(request.url()));
  page.on('response', async (response) => {
    if (response.url().endsWith('/find')) assert.ok(!(await response.text()).includes(made.token.slice(16)));
  });
  await page.getByLabel('Token').fill(made.token);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByText('This value works.').waitFor();
  await page.getByRole('cell', { name: 'let in' }).first().waitFor();
  assert.ok(!addresses.some((address) => address.includes(made.token.slice(4))), 'no address has it');
  assert.equal(await page.getByLabel('Token').inputValue(), '');
  await shot(page, 'audit-find');
  await page.getByLabel('Token').fill('rubbish');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.locator('.fault').waitFor();
});

test('the chain is verified, with progress', async (t) => {
  for (const scripts of [true, false]) {
    const page = await open(t, { scripts });
    await signIn(page, 'ada', '/console/audit/verify');
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('The log is whole').waitFor();
    const head = await page.locator('#head').innerText();
    if (scripts) await shot(page, 'audit-verify');
    await page.getByLabel('Head that was noted before').fill(head);
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('What was noted is in it').waitFor();
    await page.getByLabel('Head that was noted before').fill('rubbish');
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByRole('alert').first().waitFor();
  }
});

test('nobody else reads it', async (t) => {
  for (const login of ['rita', 'nora']) {
    const page = await open(t, { dark: true, phone: true });
    await signIn(page, login);
    for (const path of ['', '/records/1', '/explain', '/find', '/verify']) {
      assert.equal((await page.goto(`/console/audit${path}`)).status(), 403, `${login} ${path}`);
    }
    await accessible(page);
  }
});

test('what was only tried is told apart from what was made', async (t) => {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const tried = await fetch(`${world.url}/v1/import?what=users&dry_run=true`, { method: 'POST', headers, body: '[{"login": "tried"}]' });
  assert.equal(tried.status, 200, await tried.text());
  const page = await open(t);
  await signIn(page, 'ada', '/console/audit?action=import');
  const row = page.getByRole('row').filter({ hasText: 'tried, not made' });
  await row.first().waitFor();
  await accessible(page);
  await row.first().getByRole('link').first().click();
  await page.getByRole('heading', { name: /^Record/ }).waitFor();
  await page.getByText('tried, not made').waitFor();
});

// The overview: what needs attention first, every integration with its state, and changes that arrive by themselves.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, tabTo, world } from './browser.mjs';

test('what needs attention comes first, with what helps as a button', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada');
  await page.getByRole('heading', { name: 'Needs attention (1)' }).waitFor();
  const item = page.locator('.attention li');
  assert.match(await item.innerText(), /failing[\s\S]*crm-test/);
  await item.getByRole('button', { name: 'Try again now' }).waitFor();
  const row = page.getByRole('row').filter({ hasText: 'crm-prod' });
  assert.match(await row.innerText(), /valid/);
  assert.match(await row.locator('svg').getAttribute('aria-label'), /1 of the last 1 attempts/);
  await tabTo(page, row.getByRole('link', { name: 'crm-prod' }));
  await shot(page, 'overview');
});

test('in the dark, on a phone, and without scripts', async (t) => {
  const dark = await open(t, { dark: true, phone: true });
  await signIn(dark, 'ada');
  await shot(dark, 'overview-phone-dark');
  const plain = await open(t, { scripts: false });
  await signIn(plain, 'ada');
  await plain.getByRole('searchbox').fill('test');
  await plain.getByRole('button', { name: 'Search' }).click();
  assert.equal(await plain.getByRole('row').filter({ hasText: 'crm-prod' }).count(), 0);
});

test('a change arrives by itself', async (t) => {
  const page = await open(t);
  const stream = page.waitForResponse((response) => response.url().endsWith('/v1/events/stream'));
  await signIn(page, 'ada');
  await stream;
  const row = page.getByRole('row').filter({ hasText: 'crm-prod' });
  const before = await row.locator('svg').getAttribute('aria-label');
  const headers = { authorization: `Bearer ${world.token}` };
  const renewed = await fetch(`${world.url}/v1/integrations/crm-prod/token/refresh`, { method: 'POST', headers });
  assert.ok(renewed.ok, await renewed.text());
  await page.waitForFunction(
    (old) => document.querySelector('svg.history')?.getAttribute('aria-label') !== old,
    before,
  );
});

test('who may see less, sees less', async (t) => {
  const reader = await open(t);
  await signIn(reader, 'rita');
  await reader.getByRole('row').filter({ hasText: 'crm-prod' }).waitFor();
  assert.equal(await reader.getByRole('link', { name: 'Administration' }).count(), 0);
  const nobody = await open(t);
  await signIn(nobody, 'nora');
  assert.equal(new URL(nobody.url()).pathname, '/console/account', 'led to what they may see');
  await nobody.getByText('Only this page is open to you').waitFor();
  assert.deepEqual(await nobody.getByRole('navigation', { name: 'Pages' }).getByRole('link').allInnerTexts(), ['My account']);
  assert.equal(await nobody.getByRole('table').count(), 0);
  await accessible(nobody);
});

test('whoever isn’t signed in is led to the form, and back', async (t) => {
  const page = await open(t);
  await page.goto('/console/?q=prod');
  assert.equal(new URL(page.url()).pathname, '/login');
  await page.getByLabel('Login').fill('ada');
  await page.getByLabel('Password').fill(world.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/console/?q=prod');
});

test('what is wrong with an integration is called the same wherever it stands', async (t) => {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const at = `${world.url}/v1/integrations/crm-prod`;
  const changed = await fetch(at, { method: 'PATCH', headers, body: JSON.stringify({ fields: { client_secret: 'wrong' } }) });
  assert.ok(changed.ok, await changed.text());
  await fetch(`${at}/token/refresh`, { method: 'POST', headers });
  const page = await open(t);
  await signIn(page, 'ada');
  await page.getByRole('heading', { name: 'Needs attention (2)' }).waitFor();
  for (const [name, word] of [['crm-prod', 'renewal fails'], ['crm-test', 'failing']]) {
    const item = page.locator('.attention li').filter({ hasText: name });
    assert.equal(await item.locator('.state').innerText(), word);
    assert.equal(await page.getByRole('row').filter({ hasText: name }).locator('.state').innerText(), word);
    await item.getByRole('link', { name: 'Look at client_secret' }).waitFor();
    await item.getByRole('button', { name: 'Try again now' }).waitFor();
  }
  await accessible(page);
  await page.locator('.attention li').filter({ hasText: 'crm-prod' }).getByRole('link', { name: 'Look at client_secret' }).click();
  await page.waitForFunction(() => document.activeElement.name === 'secret.client_secret');
  assert.equal(await page.locator('#state .state').innerText(), 'renewal fails');
});

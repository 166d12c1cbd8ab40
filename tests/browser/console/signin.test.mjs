// Signing in: the form, its one refusal, and what its support id leads to.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, world } from './browser.mjs';

test('a refusal says nothing, and its support id leads to the reason who may see it', async (t) => {
  const page = await open(t);
  await page.goto('/');
  assert.equal(new URL(page.url()).pathname, '/login');
  await shot(page, 'sign-in');
  const told = [];
  for (const [login, password] of [['ada', 'wrong'], ['nobody', world.password]]) {
    await page.getByLabel('Login').fill(login);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    const alert = page.getByRole('alert');
    assert.equal(await page.getByLabel('Login').inputValue(), login, 'the login stays');
    assert.equal(await page.getByLabel('Password').inputValue(), '');
    assert.ok(await page.getByLabel('Password').evaluate((input) => input === document.activeElement));
    told.push((await alert.innerText()).replace(await alert.locator('code').innerText(), 'ID'));
  }
  assert.equal(told[0], told[1], 'every refusal reads the same');
  await shot(page, 'sign-in-refused');
  await page.getByRole('alert').getByRole('link').click();
  await page.getByLabel('Login').fill('ada');
  await page.getByLabel('Password').fill(world.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/console/audit/explain?support_id=**');
  await page.getByText('bad_password').waitFor();
  await shot(page, 'explain');
});

test('who isn’t to see reasons sees none', async (t) => {
  const page = await open(t);
  await signIn(page, 'rita');
  const refused = await page.goto('/console/audit/explain?support_id=x');
  assert.equal(refused.status(), 403);
  assert.equal(await page.getByRole('link', { name: 'Audit' }).count(), 0);
});

test('signing in leads home, and out again', async (t) => {
  const page = await open(t, { dark: true, phone: true, scripts: false });
  await page.goto('/login');
  await page.getByLabel('Login').fill('ada');
  await page.getByLabel('Password').fill(world.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/console/');
  await page.goto('/login?next=https://elsewhere.example/');
  await page.getByRole('heading', { name: 'Signed in' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Go on' }).getAttribute('href'), '/console/');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/login');
  await page.goto('/console/account');
  assert.equal(new URL(page.url()).pathname, '/login');
});

test('the pages are accessible in the dark', async (t) => {
  const page = await open(t, { dark: true, phone: true });
  await page.goto('/login');
  await accessible(page);
});

test('what isn’t there is a page, for whoever is signed in and whoever isn’t', async (t) => {
  const page = await open(t);
  const gone = await page.goto('/console/nope');
  assert.deepEqual([gone.status(), gone.headers()['content-type']], [404, 'text/html; charset=utf-8']);
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  assert.equal(await page.getByRole('navigation').count(), 0);
  await accessible(page);
  await signIn(page, 'ada');
  assert.equal((await page.goto('/console/nope')).status(), 404);
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Models' }).click();
  await page.waitForURL('**/console/models');
});

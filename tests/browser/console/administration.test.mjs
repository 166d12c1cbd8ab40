// The administration: users, application tokens, everyone's personal tokens, profiles and organizations.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, world } from './browser.mjs';

const HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}\u202e';
/** Every list, with its heading. */
const LISTS = {
  '/console/users': 'Users',
  '/console/application-tokens': 'Application tokens',
  '/console/personal-tokens': 'Everyone’s personal tokens',
  '/console/profiles': 'Profiles',
  '/console/organizations': 'Organizations',
};
const stamp = Date.now().toString(36);

test('a user is made, found, changed, given a password, refused and deleted', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada');
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.waitForURL('**/console/users');
  assert.equal(await page.getByRole('link', { name: 'Administration' }).getAttribute('aria-current'), 'page');
  await shot(page, 'users');
  await page.getByRole('link', { name: 'Add a user' }).click();
  await page.getByLabel('Login').fill(`Bad Login`);
  await page.getByLabel('Mail address').fill('nowhere');
  await page.getByLabel('First name').fill(HOSTILE);
  await page.locator('[name="secret.password"]').fill('short');
  await page.getByLabel('Reader').check();
  await page.getByRole('button', { name: 'Make the user' }).click();
  await page.getByRole('alert').first().waitFor();
  assert.ok((await page.locator('.fault').count()) >= 1, 'faults stand beside their inputs');
  assert.equal(await page.getByLabel('First name').inputValue(), HOSTILE);
  assert.ok(await page.getByLabel('Reader').isChecked(), 'nothing typed is lost');
  assert.equal(await page.locator('[name="secret.password"]').inputValue(), '', 'but passwords');
  await accessible(page);
  const login = `grace-${stamp}`;
  await page.getByLabel('Login').fill(login);
  await page.getByLabel('Mail address').fill('grace@example.com');
  await page.locator('[name="secret.password"]').fill(world.password);
  await page.getByRole('button', { name: 'Make the user' }).click();
  await page.getByRole('status').getByText('Made.').waitFor();
  await shot(page, 'user');

  await page.goto(`/console/users?q=${encodeURIComponent('GRACE@')}`);
  assert.match(await page.getByRole('row').filter({ hasText: login }).innerText(), /Reader[\s\S]*enabled/);
  await page.getByRole('link', { name: login }).click();
  const second = await page.context().newPage();
  await second.goto(page.url());
  await page.getByLabel('Let in').uncheck();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').getByText('Saved.').waitFor();
  assert.equal(await page.getByLabel('Let in').isChecked(), false);
  await second.getByLabel('First name').fill('Grace');
  await second.getByRole('button', { name: 'Save' }).click();
  await second.getByText('Somebody else changed this meanwhile').waitFor();
  assert.equal(await second.getByLabel('First name').inputValue(), 'Grace');
  await second.close();

  await page.getByLabel('New password').fill('another good battery staple');
  await page.getByRole('button', { name: 'Set the password' }).click();
  await page.getByRole('status').getByText('Saved.').waitFor();
  await page.getByText('Delete…').click();
  await page.getByRole('button', { name: 'Delete this user' }).click();
  await page.waitForURL('**/console/users?done=deleted');
  assert.equal(await page.getByRole('link', { name: login }).count(), 0);
});

test('an application token is made, shown once, changed, rebuilt and deleted', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/application-tokens/~new');
  await page.getByLabel('Application').fill(`sync-${stamp}`);
  await page.getByLabel('REST Services User').check();
  await page.getByLabel('REST/JSON').check();
  await page.getByLabel('Expiration').fill('2099-12-31');
  await page.getByRole('button', { name: 'Make the token' }).click();
  const value = await page.locator('#token-value').innerText();
  await page.reload();
  await page.getByRole('heading', { name: 'Already done' }).waitFor();
  await page.getByRole('link', { name: 'Back to the tokens' }).click();
  await shot(page, 'application-tokens');
  await page.getByRole('link', { name: `sync-${stamp}` }).click();
  assert.equal(await page.getByRole('link', { name: `sync-${stamp}` }).count(), 0);
  await page.getByLabel('Export').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').getByText('Saved.').waitFor();
  assert.ok(await page.getByLabel('Export').isChecked());
  await accessible(page);
  await page.getByRole('button', { name: 'Rebuild' }).click();
  const other = await page.locator('#token-value').innerText();
  assert.notEqual(other, value);
  const status = async (token) => (await fetch(`${world.url}/v1/me`, { headers: { authorization: `Bearer ${token}` } })).status;
  assert.deepEqual([await status(value), await status(other)], [401, 200]);
  await page.getByRole('link', { name: 'I have copied it' }).click();
  await page.getByText('Delete…').click();
  await page.getByRole('button', { name: 'Delete this token' }).click();
  await page.getByRole('status').getByText('Deleted.').waitFor();
  await page.goto('/console/application-tokens?state=deleted');
  await page.getByRole('link', { name: `sync-${stamp}` }).first().waitFor();
});

test('somebody’s personal token is made and found', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/users/rita');
  await page.getByRole('link', { name: 'Add one' }).click();
  await page.getByLabel('Application').fill(HOSTILE);
  await page.getByRole('button', { name: 'Make the token' }).click();
  await page.locator('#token-value').waitFor();
  await page.goto('/console/personal-tokens?user=rita');
  await page.getByRole('row').filter({ hasText: HOSTILE }).first().waitFor();
  await shot(page, 'personal-tokens');
  await page.getByRole('link', { name: HOSTILE }).first().click();
  await accessible(page);
});

test('a profile gives rights, on some things too; nobody changes one that ships', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/profiles');
  await shot(page, 'profiles');
  await page.getByRole('link', { name: 'Administrator', exact: true }).click();
  assert.equal(await page.getByRole('button', { name: 'Save' }).count(), 0);
  await accessible(page);
  await page.goto('/console/profiles/~new');
  const name = `Callers ${stamp}`;
  await page.getByLabel(/^Name/).fill(name);
  await page.getByLabel('What it is for').fill(HOSTILE);
  await page.getByLabel('read_models').first().check();
  await page.getByText('Allow something on some things').click();
  await page.getByRole('group', { name: 'One more' }).getByLabel('use_tokens').check();
  await page.getByRole('textbox', { name: 'Organizations' }).fill('default');
  await page.getByRole('textbox', { name: 'Operations' }).fill('GET /contacts/*\nwhoami');
  await page.getByRole('button', { name: 'Make the profile' }).click();
  await page.getByRole('status').getByText('Made.').waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'Operations' }).first().inputValue(), 'GET /contacts/*\nwhoami');
  await shot(page, 'profile');
  await page.getByText('Delete…').click();
  await page.getByRole('button', { name: 'Delete this profile' }).click();
  await page.getByRole('status').getByText('Deleted.').waitFor();
});

test('organizations are a forest', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/organizations/~new');
  await page.getByLabel(/^Name/).fill(`north-${stamp}`);
  await page.getByLabel('Title').fill(HOSTILE);
  await page.getByRole('button', { name: 'Make the organization' }).click();
  await page.getByRole('link', { name: `north-${stamp}` }).click();
  await page.getByRole('link', { name: 'Add one that is part of it' }).click();
  await page.getByLabel(/^Name/).fill(`north-coast-${stamp}`);
  await page.getByRole('button', { name: 'Make the organization' }).click();
  await page.getByRole('row').filter({ hasText: `north-coast-${stamp}` }).waitFor();
  await shot(page, 'organizations');
  await page.getByRole('link', { name: `north-${stamp}`, exact: true }).click();
  await page.getByText('Delete…').click();
  await page.getByRole('button', { name: 'Delete this organization' }).click();
  await page.getByRole('alert').waitFor();
  await accessible(page);
  for (const name of [`north-coast-${stamp}`, `north-${stamp}`]) {
    await page.goto(`/console/organizations/${name}`);
    await page.getByText('Delete…').click();
    await page.getByRole('button', { name: 'Delete this organization' }).click();
    await page.getByRole('status').getByText('Deleted.').waitFor();
  }
});

test('all of it is accessible on a phone in the dark, and refused to who may not see it', async (t) => {
  const page = await open(t, { dark: true, phone: true });
  await signIn(page, 'ada');
  for (const [path, heading] of Object.entries(LISTS)) {
    for (const to of [path, `${path}/~new`]) {
      await page.goto(to);
      if (to === path) await page.getByRole('heading', { name: heading, exact: true }).waitFor();
      await accessible(page);
    }
  }
  for (const login of ['rita', 'nora']) {
    const other = await open(t);
    await signIn(other, login);
    for (const path of Object.keys(LISTS)) {
      assert.equal((await other.goto(`${path}/~new`)).status(), 403, `${login} ${path}/~new`);
      assert.equal((await other.goto(path)).status(), 403, `${login} ${path}`);
      const sent = await other.evaluate((to) => fetch(to, { method: 'POST', body: new URLSearchParams({ login: 'x', name: 'x', form: 'x' }) }).then(async (answer) => (await answer.text()) && answer.status), path);
      assert.equal(sent, 403, `${login} POST ${path}`);
    }
  }
});

test('an application token opens the pages where it may', async (t) => {
  const page = await open(t);
  await page.goto('/login');
  const look = (token) => fetch(`${world.url}/console/users`, { headers: { authorization: `Bearer ${token}` }, redirect: 'manual' });
  assert.equal((await look(world.token)).status, 200);
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ name: `closed-${stamp}`, profiles: ['Administrator'], console: false });
  const closed = await fetch(`${world.url}/v1/application-tokens`, { method: 'POST', headers, body }).then((answer) => answer.json());
  assert.equal((await look(closed.token)).status, 403);
});

test('nobody gives what they don’t have, and what others have stays', async (t) => {
  const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json' };
  const make = async (path, value) => {
    const made = await fetch(world.url + path, { method: 'POST', headers, body: JSON.stringify(value) });
    assert.equal(made.status, 201, await made.text());
  };
  const rights = ['read_principals', 'manage_principals'];
  await make('/v1/profiles', { name: `Desk ${stamp}`, rights });
  await make('/v1/users', { login: `mara-${stamp}`, profiles: [`Desk ${stamp}`, 'REST Services User'], password: world.password });
  const page = await open(t);
  await signIn(page, `mara-${stamp}`, '/console/users/nora');
  await page.getByLabel('Administrator').check();
  await page.getByLabel('First name').fill('Nora');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('Support id').waitFor();
  assert.equal(await page.getByLabel('First name').inputValue(), 'Nora', 'nothing typed is lost');
  await shot(page, 'refused');
  await page.goto('/console/users/nora');
  assert.equal(await page.getByLabel('Administrator').isChecked(), false);
});

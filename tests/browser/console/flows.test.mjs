// Flows: what there is, what each may use and who uses it; installed, upgraded with the differences first, rolled back, limited,
// removed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, world } from './browser.mjs';

test('a flow is installed, upgraded after its differences were shown, rolled back and removed', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/flows');
  await shot(page, 'flows');
  await page.getByLabel('Package or component').setInputFiles(world.component);
  await page.getByRole('button', { name: 'Install' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Package or component').setInputFiles(world.component);
  await page.getByLabel('Take it though no trusted publisher signed it').check();
  await page.getByRole('button', { name: 'Install' }).click();
  await page.getByText('Installed.', { exact: true }).waitFor();
  const address = new URL(page.url()).pathname;

  await page.getByLabel('Package or component').setInputFiles(world.newer);
  await page.getByLabel('Take it though no trusted publisher signed it').check();
  await page.getByRole('button', { name: 'See what it changes' }).click();
  await page.getByRole('button', { name: 'Upgrade to it' }).waitFor();
  await shot(page, 'flow');
  await page.getByRole('button', { name: 'Upgrade to it' }).click();
  await page.getByText('Upgraded.').waitFor();
  await page.getByRole('button', { name: /^Roll back to it/ }).click();
  await page.getByText('Rolled back.').waitFor();

  await page.getByLabel('Steps of an attempt').fill('none');
  await page.getByRole('button', { name: 'Save the limits' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.getByLabel('Steps of an attempt').inputValue(), 'none');
  await page.getByLabel('Steps of an attempt').fill('20');
  await page.getByRole('button', { name: 'Save the limits' }).click();
  await page.getByText('Saved.').waitFor();
  assert.equal(await page.getByLabel('Steps of an attempt').inputValue(), '20');

  await page.goto(address);
  await page.getByText('Remove this flow…').click();
  await page.getByRole('button', { name: /^Remove / }).click();
  await page.getByText('Deleted.').waitFor();
});

test('a flow says who uses it, and isn’t shown to who may not see flows', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/flows/client-credentials');
  await page.getByRole('link', { name: 'crm-prod' }).waitFor();
  await accessible(page);
  const reader = await open(t);
  await signIn(reader, 'rita');
  assert.equal(await reader.getByRole('link', { name: 'Flows' }).count(), 0);
  assert.equal((await reader.goto('/console/flows')).status(), 403);
});

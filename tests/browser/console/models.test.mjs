// Models: imported by file, by pasting and by URL; warnings with their places; what a newer document would change.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessible, open, shot, signIn, world } from './browser.mjs';

const text = JSON.stringify(world.document);
const file = (name, content) => ({ name, mimeType: 'application/json', buffer: Buffer.from(content) });

test('a document is imported by file, pasted, or fetched', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/models');
  await page.getByRole('link', { name: 'Import a model' }).click();
  await page.getByLabel('Name').fill('by-file');
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('alert').getByText('Choose a file, or paste the document, or name the address').waitFor();
  await accessible(page);
  await page.getByLabel('A file, JSON or YAML').setInputFiles(file('crm.json', '{"openapi": "3.1.0"'));
  await page.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.getByLabel('Name').inputValue(), 'by-file');
  await accessible(page);
  await page.getByLabel('A file, JSON or YAML').setInputFiles(file('crm.json', text));
  await page.getByRole('button', { name: 'Import' }).click();
  await page.waitForURL('**/console/models/by-file?done=imported');

  const plain = await open(t, { scripts: false });
  await signIn(plain, 'ada', '/console/models/~new');
  await plain.getByLabel('Name').fill('pasted');
  await plain.getByLabel('Or the document itself').fill(text);
  await plain.getByRole('button', { name: 'Import' }).click();
  await plain.waitForURL('**/console/models/pasted?done=imported');

  await page.goto('/console/models/~new');
  await page.getByLabel('Name').fill('fetched');
  await page.getByLabel('Or where the daemon fetches it').fill(world.openapi_url);
  await page.getByRole('button', { name: 'Import' }).click();
  await page.waitForURL('**/console/models/fetched?done=imported');
  await page.goto('/console/models');
  await shot(page, 'models');
});

test('its warnings, schemes, operations and integrations', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/models/large');
  assert.match(await page.getByRole('row').filter({ hasText: 'broken' }).innerText(), /unusable/);
  await page.getByRole('heading', { name: /^Warnings/ }).waitFor();
  await page.getByRole('link', { name: 'Next page' }).click();
  await page.getByText('GET /things/60').waitFor();
  await page.getByRole('searchbox').fill('THINGS/7');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('GET /things/7', { exact: true }).waitFor();
  assert.equal(await page.getByText('GET /things/60').count(), 0);
  await accessible(page);
});

test('what a newer document would change is shown before it takes its place', async (t) => {
  const newer = structuredClone(world.document);
  newer.info.version = '2.0';
  newer.paths['/api/other'] = { post: { operationId: 'other' } };
  newer.components.securitySchemes.oauth2.flows.clientCredentials.tokenUrl = 'https://moved.example/token';
  const page = await open(t);
  await signIn(page, 'ada', '/console/models/crm');
  await page.getByLabel('A file, JSON or YAML').setInputFiles(file('newer.json', JSON.stringify(newer)));
  await page.getByRole('button', { name: 'See what it changes' }).click();
  const difference = page.locator('#difference');
  await difference.getByText('1.0 → 2.0').waitFor();
  const told = await difference.innerText();
  assert.match(told, /POST \/api\/other/);
  assert.match(told, /flows\.clientCredentials\.tokenUrl: .* → https:\/\/moved\.example\/token/);
  assert.match(told, /crm-prod[\s\S]*it keeps what it has/);
  await shot(page, 'model');
  await page.getByRole('button', { name: 'Replace the model by it' }).click();
  await page.getByText('Replaced by the newer document.').waitFor();
  await page.getByText('POST /api/other').waitFor();
});

test('somebody else’s newer document isn’t confirmed by a comparison with the one before', async (t) => {
  const with_version = (version) => JSON.stringify({ ...world.document, info: { ...world.document.info, version } });
  const page = await open(t);
  await signIn(page, 'ada', '/console/models/pasted');
  const second = await page.context().newPage();
  for (const [tab, version] of [[page, '3.0'], [second, '4.0']]) {
    await tab.goto('/console/models/pasted');
    await tab.getByLabel('Or the document itself').fill(with_version(version));
    await tab.getByRole('button', { name: 'See what it changes' }).click();
    await tab.locator('#difference').getByText(`1.0 → ${version}`).waitFor();
  }
  await second.getByRole('button', { name: 'Replace the model by it' }).click();
  await second.getByText('Replaced by the newer document.').waitFor();
  await page.getByRole('button', { name: 'Replace the model by it' }).click();
  await page.getByText('has another document by now', { exact: false }).first().waitFor();
  assert.match(await page.locator('main').innerText(), /Version\s+4\.0/);
  // What was typed is still there, and something else than what was compared isn't taken either.
  await page.getByRole('button', { name: 'See what it changes' }).click();
  await page.locator('#difference').getByText('4.0 → 3.0').waitFor();
  await page.getByLabel('Or the document itself').fill(with_version('5.0'));
  await page.getByRole('button', { name: 'Replace the model by it' }).click();
  await page.getByText('another document than the one that was compared', { exact: false }).first().waitFor();
  await accessible(page);
});

test('a model in use isn’t deleted, and says who uses it', async (t) => {
  const page = await open(t);
  await signIn(page, 'ada', '/console/models/crm');
  await page.getByText('Delete this model…').click();
  await page.getByRole('button', { name: 'Delete crm' }).click();
  await page.getByRole('alert').getByText('crm-prod').waitFor();
  await page.goto('/console/models/pasted');
  await page.getByText('Delete this model…').click();
  await page.getByRole('button', { name: 'Delete pasted' }).click();
  await page.getByText('Deleted.').waitFor();
});

test('who may only read sees no way to change anything, and who may nothing sees nothing', async (t) => {
  const reader = await open(t);
  await signIn(reader, 'rita', '/console/models/crm');
  await reader.getByRole('heading', { name: 'crm', exact: true }).waitFor();
  assert.equal(await reader.getByRole('button', { name: /Delete|Replace|See what/ }).count(), 0);
  await accessible(reader);
  const nobody = await open(t);
  await signIn(nobody, 'nora');
  assert.equal((await nobody.goto('/console/models/crm')).status(), 403);
});

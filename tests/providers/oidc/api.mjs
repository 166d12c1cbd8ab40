// The small CRM that the tokens are for: it proves that an access token works. Also serves its OpenAPI document with the
// provider's own origin, and lets a test approve a device code in place of a person with a browser.

import { readFile } from 'node:fs/promises';

import { revokeConsents } from './memory.mjs';

const contacts = [
  { id: 1, name: 'Charles Babbage', company: 'Difference Works' },
  { id: 2, name: 'Mary Somerville', company: 'Mechanism of the Heavens' },
];

/** Middleware: everything below `/api`, the document, `/_device/approve` and `/_consents`. */
export function crmApi(provider, issuer) {
  const answer = (ctx, status, body) => {
    ctx.status = status;
    ctx.body = body;
  };
  const refuse = (ctx, status, error) => {
    ctx.set('WWW-Authenticate', `Bearer realm="crm", error="${error}"`);
    answer(ctx, status, { error });
  };

  const api = async (ctx) => {
    const presented = /^Bearer +(\S+)$/i.exec(ctx.get('Authorization'))?.[1];
    const token = presented
      && (await provider.AccessToken.find(presented) ?? await provider.ClientCredentials.find(presented));
    if (!token) {
      refuse(ctx, 401, 'invalid_token');
      return;
    }
    const scopes = token.scope?.split(' ') ?? [];
    const id = /^\/api\/contacts\/(\d+)$/.exec(ctx.path)?.[1];
    if (ctx.method === 'GET' && ctx.path === '/api/me') {
      answer(ctx, 200, {
        client_id: token.clientId, user: token.accountId ?? null, scopes, expires_in: token.remainingTTL,
      });
    } else if (ctx.method === 'GET' && (ctx.path === '/api/contacts' || id)) {
      if (!scopes.includes('crm.read')) refuse(ctx, 403, 'insufficient_scope');
      else if (!id) answer(ctx, 200, contacts);
      else {
        const found = contacts.find((contact) => contact.id === Number(id));
        answer(ctx, found ? 200 : 404, found ?? { error: 'not_found' });
      }
    } else {
      answer(ctx, 404, { error: 'not_found' });
    }
  };

  return async (ctx, next) => {
    if (ctx.path.startsWith('/api/')) {
      await api(ctx);
    } else if (ctx.path === '/openapi.json') {
      const document = JSON.parse(await readFile(new URL('./openapi.json', import.meta.url), 'utf8'));
      document.servers[0].variables.origin.default = issuer;
      answer(ctx, 200, document);
    } else if (ctx.path === '/_consents' && ctx.method === 'DELETE') {
      revokeConsents();
      answer(ctx, 200, { revoked: true });
    } else if (ctx.path === '/_device/approve' && ctx.method === 'POST') {
      await approve(provider, ctx, answer);
    } else {
      await next();
    }
  };
}

/** Does what a person does on the verification page: signs in as `username` and consents to all that was asked for. */
async function approve(provider, ctx, answer) {
  const { user_code: userCode = '', username = 'ada' } = ctx.query;
  const code = await provider.DeviceCode.findByUserCode(userCode.toUpperCase().replace(/[^A-Z]/g, ''));
  if (!code) {
    answer(ctx, 404, { error: 'unknown user_code' });
    return;
  }
  const scope = code.params.scope ?? '';
  const grant = new provider.Grant({ accountId: username, clientId: code.clientId });
  grant.addOIDCScope(scope);
  Object.assign(code, {
    accountId: username, authTime: Math.floor(Date.now() / 1000), grantId: await grant.save(), scope,
  });
  await code.save();
  answer(ctx, 200, { approved: true });
}

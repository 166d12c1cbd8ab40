// Holds both providers to what the end-to-end tests rely on: each grant and each way to authenticate, rotation, what the
// reuse of a refresh token does, how refusals look, the log, and that no provider outlives its test.
//
// Run it with `node --test tests/providers/providers.test.mjs`, after `make tools`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { constants, createHash, createHmac, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const COMMANDS = {
  oidc: ['node', file('oidc/server.mjs')],
  django: ['python3', file('django/server.py')],
};
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

async function start(name, ...options) {
  const [command, ...rest] = COMMANDS[name];
  const child = spawn(command, [...rest, ...options], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([first]) => first),
    once(child, 'exit').then(([code]) => assert.fail(`${name} ended with ${code} before it was ready`)),
  ]);
  return { child, ...JSON.parse(line) };
}

const formEncoded = (text) => new URLSearchParams({ x: text }).toString().slice(2);
const basic = (id, secret) => ({
  Authorization: `Basic ${Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString('base64')}`,
});

/** How each algorithm signs (RFC 7518 section 3.1): the hash, and what Node wants besides. */
const SIGNING = {
  ES256: ['sha256', { dsaEncoding: 'ieee-p1363' }],
  ES384: ['sha384', { dsaEncoding: 'ieee-p1363' }],
  RS256: ['sha256', {}],
  PS256: ['sha256', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }],
  EdDSA: [null, {}],
};

function assertion(provider, client) {
  const alg = client.signing_algorithm ?? 'HS256';
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg, kid: client.key_id })}.${part({
    iss: client.client_id, sub: client.client_id, aud: provider.issuer, jti: randomUUID(), iat: now, exp: now + 60,
  })}`;
  const [hash, options] = SIGNING[alg] ?? [];
  const signature = alg === 'HS256'
    ? createHmac('sha256', client.client_secret).update(text).digest()
    : sign(hash, Buffer.from(text), { key: client.private_key, ...options });
  return `${text}.${signature.toString('base64url')}`;
}

/** What a request adds to authenticate as the client in this way: headers and form fields. */
function authenticate(provider, client, method) {
  switch (method) {
    case 'client_secret_basic': return { headers: basic(client.client_id, client.client_secret), form: {} };
    case 'client_secret_post': return { headers: {}, form: { client_id: client.client_id, client_secret: client.client_secret } };
    case 'none': return { headers: {}, form: { client_id: client.client_id } };
    case 'client_secret_jwt':
    case 'private_key_jwt': return {
      headers: {},
      form: {
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion(provider, client),
      },
    };
    default: throw new Error(`unknown method ${method}`);
  }
}

async function post(url, form, headers = {}) {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form), headers });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

async function request(provider, client, method, form) {
  const extra = authenticate(provider, client, method);
  return post(provider.token_url, { ...form, ...extra.form }, extra.headers);
}

async function granted(provider, client, method, form) {
  const { status, body } = await request(provider, client, method, form);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.token_type, 'Bearer');
  return body;
}

const api = (provider, token) => fetch(provider.api_url, { headers: { Authorization: `Bearer ${token}` } });
const digest = (token) => createHash('sha256').update(token).digest('hex');
const methodsOf = (client) => [client.auth].flat();

/** Which of a provider's clients the tests use for the password grant. */
const PASSWORD_CLIENT = { oidc: 'basic', django: 'password' };

for (const name of Object.keys(COMMANDS)) {
  describe(name, () => {
    let provider;
    let client;
    let method;
    const login = (user = provider.user.username) => granted(provider, client, method, {
      grant_type: 'password', username: user, password: provider.user.password,
    });
    const refresh = (token) => request(provider, client, method, { grant_type: 'refresh_token', refresh_token: token });

    before(async () => {
      provider = await start(name);
      client = provider.clients[PASSWORD_CLIENT[name]];
      [method] = methodsOf(client);
    });
    after(() => provider.child.kill());

    test('every client gets a token that works by every grant it has', async () => {
      for (const [label, candidate] of Object.entries(provider.clients)) {
        // Whose certificate is its proof is tried with the daemon (`tests/client_auth.rs`).
        if (candidate.auth === 'tls_client_auth') continue;
        for (const way of methodsOf(candidate)) {
          for (const grant of candidate.grant_types.filter((g) => g === 'client_credentials' || g === 'password')) {
            const form = grant === 'password'
              ? { username: `${provider.user.username}9999`, password: provider.user.password } : {};
            const token = await granted(provider, candidate, way, { grant_type: grant, ...form });
            const who = await (await api(provider, token.access_token)).json();
            assert.equal(who.client_id, candidate.client_id, label);
            assert.equal(who.user, form.username ?? null, label);
            assert.equal(typeof token.refresh_token, grant === 'password' ? 'string' : 'undefined', label);
          }
        }
      }
    });

    test('a refresh token is replaced at each use', async () => {
      const first = await login();
      const second = await refresh(first.refresh_token);
      assert.equal(second.status, 200);
      assert.notEqual(second.body.refresh_token, first.refresh_token);
      const third = await refresh(second.body.refresh_token);
      assert.equal(third.status, 200);
      assert.equal((await api(provider, third.body.access_token)).status, 200);
    });

    test('a used refresh token revokes its family and no other', async () => {
      const [first, other] = [await login(), await login()];
      const second = (await refresh(first.refresh_token)).body;
      const reused = await refresh(first.refresh_token);
      assert.deepEqual([reused.status, reused.body.error], [400, 'invalid_grant']);
      assert.equal((await refresh(second.refresh_token)).status, 400);
      assert.equal((await api(provider, second.access_token)).status, 401);
      assert.equal((await refresh(other.refresh_token)).status, 200);
    });

    test('refusals have the status and error that clients are told to expect', async () => {
      const { username, password } = provider.user;
      const cases = [
        ['wrong password', client, { grant_type: 'password', username, password: 'no' }, 400, 'invalid_grant'],
        ['unknown user', client, { grant_type: 'password', username: 'eve', password }, 400, 'invalid_grant'],
        ['wrong secret', { ...client, client_secret: 'no' }, { grant_type: 'password', username, password }, 401, 'invalid_client'],
        ['unknown client', { ...client, client_id: 'no' }, { grant_type: 'password', username, password }, 401, 'invalid_client'],
        ['unknown scope', client, { grant_type: 'password', username, password, scope: 'no' }, 400, 'invalid_scope'],
        ['unknown refresh token', client, { grant_type: 'refresh_token', refresh_token: 'no' }, 400, 'invalid_grant'],
        ['unknown grant', client, { grant_type: 'no' }, 400, 'unsupported_grant_type'],
        ['no user name', client, { grant_type: 'password', password }, 400, 'invalid_request'],
      ];
      for (const [label, as, form, status, error] of cases) {
        const answer = await request(provider, as, method, form);
        assert.deepEqual([answer.status, answer.body.error], [status, error], label);
      }
      assert.equal((await api(provider, 'no')).status, 401);
    });

    test('introspection knows a token while it lives', async () => {
      const { access_token: token } = await login();
      const extra = authenticate(provider, client, method);
      const ask = async () => (await post(provider.introspection_url, { token, ...extra.form }, extra.headers)).body.active;
      assert.equal(await ask(), true);
      assert.equal((await post(provider.revocation_url, { token, ...extra.form }, extra.headers)).status, 200);
      assert.equal(await ask(), false);
    });

    test('the log has each token request once, with digests in place of tokens', async () => {
      await fetch(provider.log_url, { method: 'DELETE' });
      const first = await login();
      const second = (await refresh(first.refresh_token)).body;
      await refresh(first.refresh_token);
      const text = await (await fetch(provider.log_url)).text();
      const seen = JSON.parse(text).map((entry) => [
        entry.grant_type, entry.client_id, entry.status, entry.error, entry.refresh_token_sha256, entry.issued_refresh_token_sha256,
      ]);
      const [one, two] = [digest(first.refresh_token), digest(second.refresh_token)];
      assert.deepEqual(seen, [
        ['password', client.client_id, 200, null, null, one],
        ['refresh_token', client.client_id, 200, null, one, two],
        ['refresh_token', client.client_id, 400, 'invalid_grant', one, null],
      ]);
      assert.ok(!text.includes(first.refresh_token) && !text.includes(first.access_token));
    });

    test('its OpenAPI document names the running provider', async () => {
      const document = await (await fetch(provider.openapi_url)).text();
      assert.ok(document.includes(provider.issuer));
    });

    test('an access token ends with its lifetime', async () => {
      const short = await start(name, '--access-ttl', '1');
      try {
        const token = await granted(short, client, method, {
          grant_type: 'password', username: short.user.username, password: short.user.password,
        });
        assert.equal(token.expires_in, 1);
        while ((await api(short, token.access_token)).status !== 401);
        const next = await request(short, client, method, { grant_type: 'refresh_token', refresh_token: token.refresh_token });
        assert.equal(next.status, 200);
      } finally {
        short.child.kill();
      }
    });

    for (const [how, end] of [['its standard input closes', (c) => c.stdin.end()], ['SIGTERM', (c) => c.kill('SIGTERM')]]) {
      test(`it ends with code 0 at ${how}`, async () => {
        const { child } = await start(name);
        end(child);
        assert.deepEqual(await once(child, 'exit'), [0, null]);
      });
    }
  });
}

test('oidc: a device code is pending until a person approves, and then works once', async () => {
  const provider = await start('oidc');
  try {
    const client = provider.clients.device;
    const device = await post(provider.device_authorization_url, { client_id: client.client_id, scope: 'crm.read' });
    const form = { grant_type: DEVICE_CODE, device_code: device.body.device_code };
    const pending = await request(provider, client, 'none', form);
    assert.deepEqual([pending.status, pending.body.error], [400, 'authorization_pending']);
    const approved = await fetch(`${provider.device_approve_url}?user_code=${device.body.user_code}`, { method: 'POST' });
    assert.equal(approved.status, 200);
    const token = await granted(provider, client, 'none', form);
    assert.equal((await api(provider, token.access_token)).status, 200);
    assert.equal((await request(provider, client, 'none', form)).body.error, 'invalid_grant');
  } finally {
    provider.child.kill();
  }
});

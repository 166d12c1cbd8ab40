// Starts a real OpenID provider (`oidc-provider`) on loopback for tests and the demo.
//
// It prints one line of JSON on stdout when it is ready, and ends on SIGTERM, or when its standard input closes, so that
// it never outlives the test that started it. It keeps everything in memory. What it offers stands in ../README.md.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';

// oidc-provider tells on stdout and stderr that development defaults are in use. Here they are meant, and stdout belongs
// to the one ready line.
console.info = () => {};
console.warn = () => {};

const { createProvider } = await import('./provider.mjs');
const { crmApi } = await import('./api.mjs');
const { tokenLog } = await import('./log.mjs');

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'access-ttl': { type: 'string', default: '300' },
    'refresh-ttl': { type: 'string', default: '86400' },
    'answer-delay-ms': { type: 'string', default: '0' },
    'client-secret': { type: 'string', default: process.env.PROVIDER_CLIENT_SECRET ?? 'crm-client-secret' },
    username: { type: 'string', default: process.env.PROVIDER_USERNAME ?? 'ada' },
    password: { type: 'string', default: process.env.PROVIDER_PASSWORD ?? 'analytical-engine' },
    tls: { type: 'string' },
    stay: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  console.error(`usage: node server.mjs [options]
  --port N             port on 127.0.0.1; 0, the default, lets the system choose
  --access-ttl S       lifetime of an access token in seconds (300)
  --refresh-ttl S      lifetime of a refresh token in seconds (86400)
  --answer-delay-ms M  hold each answer of the token endpoint back for M ms after its work is done (0)
  --client-secret S    secret of the clients that have one (PROVIDER_CLIENT_SECRET)
  --username U         the user; U0 to U9999 exist too (PROVIDER_USERNAME, ada)
  --password P         the password of all users (PROVIDER_PASSWORD)
  --tls FOLDER         https, with server.pem and server.key of that folder, and clients' certificates by its ca.pem
  --stay               go on when standard input closes`);
  process.exit(2);
}

const number = (name, lowest) => {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < lowest) {
    console.error(`--${name} must be a whole number from ${lowest}, not ${JSON.stringify(values[name])}`);
    process.exit(2);
  }
  return value;
};

const settings = {
  accessTtl: number('access-ttl', 1),
  refreshTtl: number('refresh-ttl', 1),
  answerDelayMs: number('answer-delay-ms', 0),
  clientSecret: values['client-secret'],
  username: values.username,
  password: values.password,
};

// The issuer holds the port, so the socket comes first and the provider second.
const pem = (name) => readFileSync(`${values.tls}/${name}`);
const server = values.tls
  ? https.createServer({
    key: pem('server.key'), cert: pem('server.pem'), ca: pem('ca.pem'), requestCert: true, rejectUnauthorized: false,
  })
  : http.createServer();
server.on('error', (error) => {
  console.error(`the OpenID provider cannot listen on 127.0.0.1:${values.port}: ${error.message}`);
  process.exit(1);
});
server.listen(number('port', 0), '127.0.0.1', async () => {
  const issuer = `${values.tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
  const { provider, clients } = await createProvider(issuer, settings);
  provider.use(tokenLog(provider, settings));
  provider.use(crmApi(provider, issuer));
  server.on('request', provider.callback());
  // Longer than any pause of a test, so that a kept-alive connection isn't closed under a client.
  server.keepAliveTimeout = 120_000;

  process.stdout.write(`${JSON.stringify({
    ready: true,
    provider: 'oidc-provider',
    issuer,
    token_url: provider.urlFor('token'),
    introspection_url: provider.urlFor('introspection'),
    revocation_url: provider.urlFor('revocation'),
    device_authorization_url: provider.urlFor('device_authorization'),
    device_approve_url: `${issuer}/_device/approve`,
    api_url: `${issuer}/api/me`,
    openapi_url: `${issuer}/openapi.json`,
    log_url: `${issuer}/_log`,
    user: { username: settings.username, password: settings.password },
    clients,
  })}\n`);
});

const stop = () => process.exit(0);
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
if (!values.stay) {
  process.stdin.on('end', stop).on('close', stop).on('error', stop).resume();
}

// The provider itself: clients, lifetimes, features. Everything here goes through oidc-provider's public configuration.

import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';

import { Provider, errors } from 'oidc-provider';

import { MemoryAdapter } from './memory.mjs';
import { registerPasswordGrant } from './password-grant.mjs';

const SCOPES = 'crm.read crm.write offline_access';
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

/** A login is the user's name alone or followed by a number up to 9999: as many token families as a test wants. */
export const isUser = (settings, login) => login.startsWith(settings.username)
  && /^\d{0,4}$/.test(login.slice(settings.username.length));

/** Makes the provider for `issuer`, and tells the clients as the ready line shows them. */
export async function createProvider(issuer, settings) {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const keys = {
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    RS256: rsa,
    PS256: rsa,
    EdDSA: generateKeyPairSync('ed25519').privateKey,
  };
  // A client that signs its assertions with the key of this algorithm.
  const signing = (client_id, alg) => ({
    client_id,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    grant_types: grants,
    jwks: { keys: [{ ...createPublicKey(keys[alg]).export({ format: 'jwk' }), kid: `${client_id}-1`, alg, use: 'sig' }] },
  });
  const common = {
    scope: SCOPES,
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
  };
  const grants = ['client_credentials', 'password', 'refresh_token'];
  const registered = {
    basic: {
      client_id: 'crm-basic', client_secret: settings.clientSecret, token_endpoint_auth_method: 'client_secret_basic', grant_types: grants,
    },
    // Every character that a client may get wrong in Basic: RFC 6749 2.3.1 wants id and secret form-encoded first.
    odd: {
      client_id: 'crm:odd id', client_secret: 'a b+c%20:d/&=~', token_endpoint_auth_method: 'client_secret_basic', grant_types: grants,
    },
    post: {
      client_id: 'crm-post', client_secret: settings.clientSecret, token_endpoint_auth_method: 'client_secret_post', grant_types: grants,
    },
    // oidc-provider gives client_credentials only to a client that can prove who it is.
    none: {
      client_id: 'crm-none', token_endpoint_auth_method: 'none', grant_types: ['password', 'refresh_token'],
    },
    private_key_jwt: signing('crm-jwt', 'ES256'),
    jwt_es384: signing('crm-jwt-es384', 'ES384'),
    jwt_rs256: signing('crm-jwt-rs256', 'RS256'),
    jwt_ps256: signing('crm-jwt-ps256', 'PS256'),
    jwt_eddsa: signing('crm-jwt-eddsa', 'EdDSA'),
    secret_jwt: {
      client_id: 'crm-secret-jwt',
      client_secret: `${settings.clientSecret}-of-32-bytes-or-more`,
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg: 'HS256',
      grant_types: grants,
    },
    // Known by the name in its certificate (RFC 8705 section 2.1).
    tls: {
      client_id: 'crm-tls', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'crm-tls.example', grant_types: grants,
    },
    device: {
      client_id: 'crm-device', token_endpoint_auth_method: 'none', grant_types: [DEVICE_CODE, 'refresh_token'],
    },
  };

  const provider = new Provider(issuer, {
    adapter: MemoryAdapter,
    clients: Object.values(registered).map((client) => ({ ...common, ...client })),
    scopes: ['openid', ...SCOPES.split(' ')],
    jwks: { keys: [{ ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'none',
    ],
    enabledJWA: { clientAuthSigningAlgValues: ['HS256', ...Object.keys(keys)] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // The default rotates a confidential client's refresh token only late in its life. A used one that comes again
    // revokes its whole family: that is the default.
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    ttl: {
      AccessToken: settings.accessTtl,
      ClientCredentials: settings.accessTtl,
      RefreshToken: settings.refreshTtl,
      Grant: Math.max(settings.refreshTtl, 14 * 24 * 3600),
    },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_dns'
          && ctx.socket.getPeerX509Certificate().subjectAltName?.split(', ').includes(`DNS:${expected}`),
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => {
          if (resource !== `${issuer}/api`) throw new errors.InvalidTarget();
          return {
            scope: 'crm.read crm.write', audience: resource, accessTokenTTL: settings.accessTtl, accessTokenFormat: 'opaque',
          };
        },
      },
    },
  });
  registerPasswordGrant(provider, settings, isUser);

  const clients = Object.fromEntries(Object.entries(registered).map(([name, client]) => [name, {
    client_id: client.client_id,
    ...(client.client_secret && { client_secret: client.client_secret }),
    ...(client.jwks && {
      key_id: client.jwks.keys[0].kid,
      signing_algorithm: client.token_endpoint_auth_signing_alg,
      private_key: keys[client.token_endpoint_auth_signing_alg].export({ type: 'pkcs8', format: 'pem' }),
      private_jwk: keys[client.token_endpoint_auth_signing_alg].export({ format: 'jwk' }),
    }),
    auth: client.token_endpoint_auth_method,
    grant_types: client.grant_types,
  }]));
  return { provider, clients };
}

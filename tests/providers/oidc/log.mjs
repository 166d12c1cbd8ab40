// Counts the requests to the token endpoint, so that a test can prove "exactly one" and "no refresh token sent twice".
// It holds no token, only SHA-256 digests.

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const digest = (token) => (token ? createHash('sha256').update(token).digest('hex') : null);

/** Middleware: writes the log, answers `GET /_log` and `DELETE /_log`, and delays the token endpoint's answers. */
export function tokenLog(provider, settings) {
  let log = [];
  return async (ctx, next) => {
    if (ctx.path === '/_log') {
      if (ctx.method === 'DELETE') log = [];
      ctx.body = JSON.stringify(log);
      ctx.type = 'json';
      return;
    }
    if (ctx.path !== provider.pathFor('token')) {
      await next();
      return;
    }
    const time = Date.now();
    await next();
    // Also in the log where the client has gone away meanwhile: the provider did its work.
    const params = ctx.oidc?.params ?? {};
    log.push({
      time,
      grant_type: params.grant_type ?? null,
      client_id: ctx.oidc?.client?.clientId ?? params.client_id ?? null,
      username: params.username ?? null,
      status: ctx.status,
      error: ctx.body?.error ?? null,
      refresh_token_sha256: digest(params.refresh_token),
      issued_refresh_token_sha256: digest(ctx.body?.refresh_token),
    });
    if (settings.answerDelayMs > 0) await sleep(settings.answerDelayMs);
  };
}

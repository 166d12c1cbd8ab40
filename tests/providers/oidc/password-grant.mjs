// RFC 6749 4.3, the resource owner password grant, which oidc-provider has no handler of its own for.

import { errors } from 'oidc-provider';

/** Registers the grant type `password` through the provider's public extension point. */
export function registerPasswordGrant(provider, settings, isUser) {
  provider.registerGrantType('password', async (ctx, next) => {
    const { client, params } = ctx.oidc;
    for (const name of ['username', 'password']) {
      if (params[name] === undefined) throw new errors.InvalidRequest(`missing required parameter(s) ${name}`);
    }
    if (!isUser(settings, params.username) || params.password !== settings.password) {
      throw new errors.InvalidGrant('username or password is wrong');
    }
    const allowed = client.scope.split(' ');
    const asked = params.scope ? params.scope.split(' ') : allowed;
    const unknown = asked.find((scope) => !allowed.includes(scope));
    if (unknown !== undefined) throw new errors.InvalidScope('requested scope is not allowed', unknown);
    const scope = asked.join(' ');

    // A grant of its own for each request makes a refresh token family of its own.
    const grant = new provider.Grant({ accountId: params.username, clientId: client.clientId });
    grant.addOIDCScope(scope);
    const grantId = await grant.save();
    const common = {
      accountId: params.username, client, grantId, gty: 'password', scope,
    };
    const access = new provider.AccessToken(common);
    ctx.oidc.entity('AccessToken', access);
    ctx.body = {
      access_token: await access.save(),
      expires_in: access.expiration,
      scope,
      token_type: access.tokenType,
    };
    if (client.grantTypeAllowed('refresh_token')) {
      ctx.body.refresh_token = await new provider.RefreshToken({ ...common, rotations: 0 }).save();
    }
    await next();
  }, ['username', 'password', 'scope']);
}

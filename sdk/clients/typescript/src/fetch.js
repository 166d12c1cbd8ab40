// A `fetch` that carries an integration's token, and after a 401 tries once more.

/**
 * `fetch` for the service of an integration: puts the token into each request; after a 401 rejects it, gets the next, and sends
 * the request once more where its body can be.
 *
 * The service is whoever the caller names: use it only for the integration's own service. Redirects are followed as `fetch`
 * does, which takes the token away on the way to another origin; the token isn't tried again there.
 *
 * @param {import("./client.js").Client} client
 * @param {string} name the integration
 * @param {{ minTtl?: number, scope?: string, fetch?: typeof fetch }} [options]
 * @returns {typeof fetch}
 */
export function tokenFetch(client, name, options = {}) {
  const { minTtl, scope, fetch: send = fetch } = options;
  return async (input, init) => {
    const request = new Request(input, init);
    const token = await client.token(name, { minTtl, scope });
    // A stream that the caller gave can be read once only; what it was copied from stays unread otherwise.
    const isStream = init?.body instanceof ReadableStream || (input instanceof Request && input.body !== null && !init?.body);
    const again = isStream ? undefined : request.clone();
    const response = await send(carrying(request, token));
    if (response.status !== 401 || again === undefined || response.redirected) return response;
    const newer = await client.renewed(name, token, { scope });
    if (newer === undefined) return response;
    await response.body?.cancel();
    return send(carrying(again, newer));
  };
}

/**
 * @param {Request} request
 * @param {import("./answers.js").Token} token
 */
function carrying(request, token) {
  // RFC 6750 section 2.1 writes `Bearer` so, whatever the provider does.
  const type = token.tokenType.toLowerCase() === "bearer" ? "Bearer" : token.tokenType;
  request.headers.set("authorization", `${type} ${token.accessToken}`);
  return request;
}

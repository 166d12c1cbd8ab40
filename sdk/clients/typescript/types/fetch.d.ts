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
export declare function tokenFetch(client: import("./client.js").Client, name: string, options?: {
    minTtl?: number;
    scope?: string;
    fetch?: typeof fetch;
}): typeof fetch;

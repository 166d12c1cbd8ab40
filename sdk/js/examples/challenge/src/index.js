/**
 * A provider that hands out a nonce, and a token to whoever proves by HMAC-SHA256 of it that they have the key. There is
 * nothing to refresh: a new token takes a new nonce.
 * @module
 */

import { answers, Derivation, done, Failure, Field, flow, json, Request, secret, send } from "tokenhost-flow";

export const challenge = flow({
  describe: {
    name: "challenge",
    version: "1.0.0",
    title: "Challenge and response",
    summary: "For services that hand out a nonce and want it back signed with a shared key.",
    fields: [
      Field.url("url", "Service URL", { help: "Where /challenge and /token are.", required: true }),
      Field.text("account", "Account", { required: true }),
      Field.secret("key", "Key", { help: "The key that the service shares with this account.", required: true }),
    ],
  },

  advance(context, event) {
    const url = context.required("url").replace(/\/+$/, "");
    const account = context.required("account");
    switch (event.tag) {
      case "begin":
        if (event.val === "revoke") throw Failure.unsupported("the service can't revoke tokens");
        if (event.val === "refresh") throw Failure.reacquire("no_refresh", "a new token takes a new challenge");
        return send(Request.post(`${url}/challenge`).json(json().text("/account", account)), "challenge");
      case "answered": {
        const { state, response } = event.val;
        const document = answers.json(response);
        if (response.status >= 500 || response.status === 429) throw Failure.retry("unavailable", "the service is busy");
        if (response.status !== 200) throw Failure.reconfigure("refused", `the service answered HTTP ${response.status}`);
        if (state === "challenge") {
          const nonce = answers.at(document, "/nonce");
          if (typeof nonce !== "string") throw Failure.retry("invalid_response", "the challenge has no nonce");
          return send(
            Request.post(`${url}/token`)
              .derive("proof", Derivation.hmac("sha256", secret("key"), [account, ":", nonce], "base64"))
              .json(json().text("/account", account).text("/nonce", nonce).secret("/proof", "proof")),
            "token",
          );
        }
        const accessToken = answers.at(document, "/session/token");
        const expiresIn = answers.at(document, "/session/seconds");
        if (typeof accessToken !== "string") throw Failure.retry("invalid_response", "the answer has no token");
        return done({ accessToken, expiresIn: typeof expiresIn === "number" ? expiresIn : undefined });
      }
      case "unanswered":
        throw Failure.unanswered(event.val);
      default:
        throw Failure.retry("unexpected_event", "the flow neither waits nor sends a person away");
    }
  },
});

export { challenge as flow };

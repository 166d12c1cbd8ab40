/**
 * The fields that OAuth flows share, in groups, so that every flow names and explains them alike. A flow puts its own
 * between them: `client`, its own, `tokenUrl`, `target`, `clientAuth`, `refresh`, `revocationUrl`.
 * @module
 */
import type { FieldOptions } from "../describe.js";
/**
 * The ways of client authentication that need a `client_id`: all but `none`, with grants that say by themselves who asks.
 */
export declare const WITH_CLIENT: readonly ("basic" | "basic-percent" | "basic-raw" | "client_secret_jwt" | "post" | "private_key_jwt" | "tls_client_auth")[];
/** The ways of client authentication in which `client_secret` takes part. */
export declare const WITH_SECRET: readonly string[];
/** `client_id` and `client_secret`. */
export declare const client: () => import("../../types/contract.js").Field[];
/** `token_url`. */
export declare const tokenUrl: () => import("../../types/contract.js").Field;
/** What the token is for, and how that is written: `scope`, `scope_separator`, `audience`, `resource` and `request_body`. */
export declare const target: () => import("../../types/contract.js").Field[];
/** `scope_separator`. */
export declare const scopeSeparator: () => import("../../types/contract.js").Field;
/** `request_body`. */
export declare const requestBody: () => import("../../types/contract.js").Field;
/**
 * How the client authenticates itself: `client_auth`, and for assertions `private_key`, `key_id`, `signing_algorithm` and
 * `assertion_audience`.
 */
export declare const clientAuth: () => import("../../types/contract.js").Field[];
/** `client_auth`, with its default. @param {string} usual */
export declare const clientAuthMethod: (usual: string) => import("../../types/contract.js").Field;
/** `private_key`, which nothing requires unless the options say so. @param {FieldOptions} [options] */
export declare const privateKey: (options?: FieldOptions) => import("../../types/contract.js").Field;
/** `key_id`. */
export declare const keyId: () => import("../../types/contract.js").Field;
/** `signing_algorithm`. @param {FieldOptions} [options] */
export declare const signingAlgorithm: (options?: FieldOptions) => import("../../types/contract.js").Field;
/** `assertion_audience`. */
export declare const assertionAudience: () => import("../../types/contract.js").Field;
/** `revocation_url`. */
export declare const revocationUrl: () => import("../../types/contract.js").Field;
/** How the token is refreshed: `refresh`, `refresh_url`, `refresh_client_auth` and `scope_on_refresh`. */
export declare const refresh: () => import("../../types/contract.js").Field[];

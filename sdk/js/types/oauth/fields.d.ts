/**
 * The fields that OAuth flows share, in groups, so that every flow names and explains them alike. A flow puts its own
 * between them: `client`, its own, `tokenUrl`, `target`, `clientAuth`, `refresh`.
 * @module
 */
/** `client_id` and `client_secret`. */
export declare const client: () => import("../../types/contract.js").Field[];
/** `token_url`. */
export declare const tokenUrl: () => import("../../types/contract.js").Field;
/** What the token is for: `scope`, `audience` and `resource`. */
export declare const target: () => import("../../types/contract.js").Field[];
/** `client_auth`. */
export declare const clientAuth: () => import("../../types/contract.js").Field;
/** How the token is refreshed: `refresh`, `refresh_url`, `refresh_client_auth` and `scope_on_refresh`. */
export declare const refresh: () => import("../../types/contract.js").Field[];

/**
 * Discovery in front of other flows: the provider's metadata document says where its endpoints are (OpenID Connect
 * Discovery 1.0 section 4, RFC 8414).
 *
 * `advance` fetches the document first in every attempt, and then gives the flow behind it a context in which the endpoints
 * stand as if they had been set. A URL that is set by hand wins. Nothing is kept between attempts: the host lets requests go
 * to endpoints that were learned in this attempt only.
 * @module
 */
import type { Event, Step } from "../../types/contract.js";
import type { Context } from "../context.js";
export type Found = Record<string, string>;
/** What the document said, by field. @typedef {Record<string, string>} Found */
/** `metadata_url`. */
export declare const metadataUrl: () => import("../../types/contract.js").Field;
/**
 * One step: of the discovery, or of the flow behind it.
 * @param {Context} context
 * @param {Event} event
 * @param {(context: Context, event: Event) => Step} behind
 * @returns {Step}
 * @throws {Failure} The document can't be had or read, or the flow behind gives up.
 */
export declare function advance(context: Context, event: Event, behind: (context: Context, event: Event) => Step): Step;

/**
 * SHA-256 (FIPS 180-4), which a flow needs at hand for a code challenge: the host's digests go into requests, not into the
 * address that a person is sent to. For nothing secret beyond that: it isn't made to take the same time for all input.
 * @module
 */
/**
 * The digest.
 * @param {Uint8Array} message
 * @returns {Uint8Array} 32 bytes.
 */
export declare function sha256(message: Uint8Array): Uint8Array;

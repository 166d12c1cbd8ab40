// The provider's store: maps in memory. The one that comes with oidc-provider forgets all but its latest 1,000 entries,
// which a test with many refresh token families would see as revoked tokens.

const entries = new Map();
const byGrant = new Map();
const byUserCode = new Map();
const byUid = new Map();

const forget = (key) => {
  const entry = entries.get(key);
  if (!entry) return;
  entries.delete(key);
  byGrant.get(entry.payload.grantId)?.delete(key);
  if (byGrant.get(entry.payload.grantId)?.size === 0) byGrant.delete(entry.payload.grantId);
  byUserCode.delete(entry.payload.userCode);
  byUid.delete(entry.payload.uid);
};

setInterval(() => {
  const now = Date.now();
  for (const [key, entry] of entries) if (entry.until <= now) forget(key);
}, 60_000).unref();

/** Takes back all that people consented to: every grant, and every token of one. They are signed out, too. */
export function revokeConsents() {
  for (const key of [...entries.keys()]) if (!/^(Client|InitialAccessToken)/.test(key)) forget(key);
}

/** The adapter that oidc-provider's documentation asks for, one instance for each kind of record. */
export class MemoryAdapter {
  /** Name of the record's kind, the first part of its key. */
  #kind;

  constructor(kind) {
    this.#kind = kind;
  }

  async upsert(id, payload, expiresIn) {
    const key = `${this.#kind}:${id}`;
    entries.set(key, { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
    if (payload.grantId && this.#kind !== 'Session' && this.#kind !== 'Interaction') {
      if (!byGrant.has(payload.grantId)) byGrant.set(payload.grantId, new Set());
      byGrant.get(payload.grantId).add(key);
    }
    if (payload.userCode) byUserCode.set(payload.userCode, id);
    if (payload.uid) byUid.set(payload.uid, id);
  }

  async find(id) {
    const entry = entries.get(`${this.#kind}:${id}`);
    return entry && entry.until > Date.now() ? entry.payload : undefined;
  }

  async findByUserCode(userCode) {
    return this.find(byUserCode.get(userCode));
  }

  async findByUid(uid) {
    return this.find(byUid.get(uid));
  }

  async consume(id) {
    entries.get(`${this.#kind}:${id}`).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    forget(`${this.#kind}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const key of [...byGrant.get(grantId) ?? []]) forget(key);
  }
}

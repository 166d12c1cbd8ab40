// The contract's types, made from wit/flow.wit by scripts/types.mjs. Not written by hand.

export interface Description {
  /** Unique, kebab-case, e.g. `client-credentials`. */
  name: string;
  /** The flow's own semantic version. */
  version: string;
  /** For people, e.g. `OAuth 2.0 client credentials`. */
  title: string;
  /** One paragraph for people: when to choose this flow. */
  summary: string;
  /** The schemes that this flow can serve. */
  handles: SchemeMatch[];
  /** Whether it can acquire a token without a person. */
  unattended: boolean;
  /** What the flow needs to know of an integration, in the order in which a form shows it. */
  fields: Field[];
}

/** A security scheme as OpenAPI writes it. */
export interface SchemeMatch {
  /** Its `type`: `oauth2`, `http`, `apiKey`, `openIdConnect`, `mutualTLS`; or `named`: only by `x-tokenhost-flow`. */
  kind: string;
  /** The key in `flows` (`clientCredentials`), or the `scheme` of `http` (`basic`). */
  detail?: string | null;
}

export interface Field {
  /** Unique within the flow, snake_case, e.g. `client_secret`. */
  name: string;
  title: string;
  help: string;
  kind: FieldKind;
  required: Requirement;
  default?: string | null;
  /** Where the scheme's flow object has the first value, e.g. `tokenUrl`. */
  source?: string | null;
}

export type FieldKind =
  | { tag: "text" }
  /** Kept sealed; the flow can place it in a request and doesn't see it. */
  | { tag: "secret" }
  /** An absolute URL. Requests may go to the origins of these fields. */
  | { tag: "url" }
  /** An absolute URL of a metadata document; requests may also go to the origins of the endpoints that it names. */
  | { tag: "metadata-url" }
  /** One of these. */
  | { tag: "choice"; val: string[] }
  /** `true` or `false`. */
  | { tag: "flag" }
  /** Space-separated. */
  | { tag: "words" };

export type Requirement =
  | { tag: "always" }
  | { tag: "never" }
  | { tag: "when"; val: Condition };

/** Holds while the named field has one of these values. */
export interface Condition {
  field: string;
  oneOf: string[];
}

export interface Context {
  scheme: Scheme;
  /** All that is set and not secret, by name: fields, and of the present token `token.NAME`. */
  values: ([string, string])[];
  /** The names of the secrets that are set: fields, `token.access_token`, `token.refresh_token`, `token.NAME`. */
  secrets: string[];
  /** Secrets that the operator lets this very component read. Empty unless granted by name and digest. */
  revealed: ([string, string])[];
  /** Seconds since the Unix epoch. */
  now: number;
  /** 32 random bytes, fresh for each step, and recorded. What must last belongs in the state. */
  entropy: Uint8Array;
  /** For flows that send a person away: where to send them back to, */
  callbackUrl?: string | null;
  /** and an unguessable value for the provider to echo (`state` in RFC 6749), by which the host knows the attempt. */
  returnKey?: string | null;
}

export interface Scheme {
  /** The scheme's name in the document. */
  name: string;
  /** The scheme object in OpenAPI 3 form, `$ref`s resolved, as JSON. */
  document: string;
}

export type Event =
  | { tag: "begin"; val: Purpose }
  /** The answer to the request that the last step sent. */
  | { tag: "answered"; val: Answered }
  /** The request of the last step got no complete answer. */
  | { tag: "unanswered"; val: Unanswered }
  /** The wait of the last step is over. */
  | { tag: "elapsed"; val: State }
  /** A person came back from the redirect of the last step. */
  | { tag: "returned"; val: Returned };

export type Purpose =
  | "acquire"
  | "refresh"
  | "revoke";

export interface Answered {
  state: State;
  response: Response;
}

export interface Unanswered {
  state: State;
  /** Whether any of it may have reached the provider. */
  left: boolean;
  reason: string;
}

/** The query parameters that the person came back with. */
export interface Returned {
  state: State;
  query: ([string, string])[];
}

/** The flow's own notes between two steps of an attempt; the host keeps them sealed and doesn't look inside. */
export type State = string;

export interface Response {
  status: number;
  /** Names in lower case. */
  headers: ([string, string])[];
  body: Uint8Array;
}

export type Step =
  | { tag: "send"; val: Send }
  | { tag: "wait"; val: Wait }
  | { tag: "redirect"; val: Redirect }
  | { tag: "done"; val: Token }
  | { tag: "revoked" };

export interface Send {
  request: Request;
  state: State;
}

export interface Wait {
  seconds: number;
  /** What a person has to do meanwhile, if anything. */
  prompt?: Prompt | null;
  state: State;
}

export interface Prompt {
  message: string;
  url?: string | null;
  code?: string | null;
}

export interface Redirect {
  url: string;
  state: State;
}

/** Parts, joined. */
export type Template = Part[];

export type Part =
  | { tag: "text"; val: string }
  /** Text that the flow made or was told and that no record shall show: a code, a verifier. */
  | { tag: "sensitive"; val: string }
  /** The value of the secret, or of the derived value, of this name. */
  | { tag: "secret"; val: string }
  /** The request's body as it will be sent; only inside a derivation. */
  | { tag: "body" };

export interface Request {
  method: Method;
  url: string;
  query: ([string, Template])[];
  headers: ([string, Template])[];
  body: Body;
  /** Values that the host computes, in order; a later one may use an earlier one. */
  derived: Derived[];
}

export type Method =
  | "get"
  | "post"
  | "put"
  | "patch"
  | "delete";

export type Body =
  | { tag: "empty" }
  /** `application/x-www-form-urlencoded`. */
  | { tag: "form"; val: ([string, Template])[] }
  /** `application/json`. */
  | { tag: "json"; val: Member[] }
  | { tag: "raw"; val: Raw };

/** A member of a JSON document, set by JSON pointer (RFC 6901). */
export interface Member {
  pointer: string;
  value: JsonValue;
}

export type JsonValue =
  | { tag: "text"; val: Template }
  | { tag: "literal"; val: string };

export interface Raw {
  contentType: string;
  content: Template;
  /** How a secret is written into the content. */
  escape: Escape;
}

export type Escape =
  | "none"
  | "json"
  | "xml"
  | "form";

export interface Derived {
  name: string;
  value: Derivation;
}

export type Derivation =
  /** RFC 7617: base64 of `user:password`. */
  | { tag: "basic"; val: Basic }
  /** RFC 7519: a signed JWT in compact form. */
  | { tag: "jwt"; val: Jwt }
  | { tag: "hmac"; val: Hmac }
  | { tag: "digest"; val: Digest }
  | { tag: "transform"; val: Transform };

export interface Basic {
  user: Template;
  password: Template;
  /** How both are encoded first. RFC 6749 section 2.3.1 says `form`; providers differ. */
  encoding: BasicEncoding;
}

export type BasicEncoding =
  | "none"
  /** application/x-www-form-urlencoded, space as `+`. */
  | "form"
  /** Percent-encoded, space as `%20`. */
  | "percent";

export interface Jwt {
  /** RFC 7518: `RS256`, `PS256`, `ES256`, `EdDSA`, `HS256`, … */
  algorithm: string;
  /** The secret that holds the key: PEM or JWK, or the bytes themselves for `HS*`. */
  key: string;
  /** Further header members. */
  header: Member[];
  claims: Member[];
}

export interface Hmac {
  hash: Hash;
  key: Template;
  message: Template;
  encoding: Encoding;
}

export interface Digest {
  hash: Hash;
  message: Template;
  encoding: Encoding;
}

export interface Transform {
  value: Template;
  how: Transformation[];
}

export type Hash =
  | "md5"
  | "sha1"
  | "sha256"
  | "sha384"
  | "sha512";

export type Encoding =
  | "raw"
  | "hex"
  | "base64"
  | "base64url";

export type Transformation =
  | "base64"
  | "base64url"
  | "hex"
  | "base64-decode"
  | "hex-decode"
  | "percent"
  | "form"
  | "lower-case"
  | "upper-case";

/** What an attempt ends with. After a refresh, what is absent keeps its old value. */
export interface Token {
  accessToken?: string | null;
  refreshToken?: string | null;
  tokenType?: string | null;
  /** Seconds from when the request left. */
  expiresIn?: number | null;
  /** Seconds since the Unix epoch; used where there is no `expires-in`. */
  expiresAt?: number | null;
  refreshExpiresIn?: number | null;
  scope?: string | null;
  /** What else the provider sent along and is no secret, e.g. `instance_url`. */
  values: ([string, string])[];
  /** What else it sent along and is secret, e.g. a cookie. */
  secrets: ([string, string])[];
  /** How the token goes into a request to the service; none: `Authorization: <token-type> <access-token>`. */
  placements: Placement[];
  /** Values for the placements. */
  derived: Derived[];
  /** A signer of the host for every request, e.g. `aws-sigv4`, with its parameters. */
  signer?: Signer | null;
}

export interface Placement {
  location: Location;
  name: string;
  value: Template;
}

export type Location =
  | "header"
  | "query"
  | "cookie";

export interface Signer {
  name: string;
  parameters: ([string, Template])[];
}

export interface Failure {
  /** Of RFC 6749 where one fits, e.g. `invalid_grant`. */
  code: string;
  /** For people. */
  message: string;
  remedy: Remedy;
}

export type Remedy =
  /** The same request may work later; after so many seconds where the provider said so. */
  | { tag: "retry"; val?: number | null }
  /** The refresh token is spent: acquire anew. */
  | { tag: "reacquire" }
  /** A person has to correct a field or consent again. */
  | { tag: "reconfigure" };

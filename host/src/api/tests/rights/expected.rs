//! What is expected of the gate: which profile lets in where, with which credential. Written down by hand, and computed
//! from nothing that the gate uses.

/// Where a caller who has the right is let in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// Anywhere: the answer holds only what the caller sees, or it is about nothing of an organization.
    Any,
    /// Where the thing belongs to what the caller sees, and the right is on that.
    Within,
    /// Only where the caller isn't limited to organizations.
    Everywhere,
}
use Place::{Any, Everywhere, Within};

/// Routes that look at credentials themselves, or need none.
pub(super) const OPEN: &[&str] = &[
    "GET /healthz",
    "GET /readyz",
    "GET /login",
    "POST /login",
    "POST /logout",
    "GET /v1/connect/{ticket}",
    "GET /v1/callback",
];

/// Each: route; the profiles that let in: `A`dministrator, `C`onfiguration Manager, `I`ntegration User, `R`EST Services User,
/// a`U`ditor, rights on `o`ne integration, rights in an or`g`anization; where; and for which credentials: application
/// `t`oken, `p`ersonal token, `s`ession.
pub(super) const EXPECTED: &[(&str, &str, Place, &str)] = &[
    ("GET /metrics", "A", Any, "tps"),
    ("GET /openapi.json", "ACIRUog", Any, "tps"),
    ("GET /docs", "ACIRUog", Any, "ts"),
    ("GET /v1/models", "ACIUg", Any, "tps"),
    ("POST /v1/models", "ACg", Within, "tps"),
    ("GET /v1/models/{model}", "ACIUg", Within, "tps"),
    ("PUT /v1/models/{model}", "ACg", Within, "tps"),
    ("DELETE /v1/models/{model}", "ACg", Within, "tps"),
    ("GET /v1/models/{model}/operations", "ACIUg", Within, "tps"),
    ("GET /v1/models/{model}/schemes/{scheme}", "ACIUg", Within, "tps"),
    ("POST /v1/models/{model}/compare", "ACg", Within, "tps"),
    ("GET /v1/integrations", "ACIUog", Any, "tps"),
    ("POST /v1/integrations", "ACg", Within, "tps"),
    ("GET /v1/integrations/{integration}", "ACIUog", Within, "tps"),
    ("PATCH /v1/integrations/{integration}", "ACg", Within, "tps"),
    ("DELETE /v1/integrations/{integration}", "ACg", Within, "tps"),
    ("POST /v1/integrations/{integration}/test", "ACIo", Within, "tps"),
    ("POST /v1/integrations/{integration}/doctor", "AC", Within, "tps"),
    ("GET /v1/integrations/{integration}/token", "AIo", Within, "tps"),
    ("PUT /v1/integrations/{integration}/token", "ACg", Within, "tps"),
    ("DELETE /v1/integrations/{integration}/token", "ACg", Within, "tps"),
    ("GET /v1/integrations/{integration}/token/status", "ACIUog", Within, "tps"),
    ("POST /v1/integrations/{integration}/token/refresh", "ACIo", Within, "tps"),
    ("POST /v1/integrations/{integration}/token/reparse", "ACIo", Within, "tps"),
    ("POST /v1/integrations/{integration}/token/reject", "ACIo", Within, "tps"),
    ("POST /v1/integrations/{integration}/authorize", "AIo", Within, "tps"),
    ("POST /v1/integrations/{integration}/call", "ACIo", Within, "tps"),
    ("ANY /v1/integrations/{integration}/proxy", "ACIo", Within, "tp"),
    ("POST /v1/integrations/{integration}/connect", "ACg", Within, "tps"),
    ("GET /v1/integrations/{integration}/attempts", "ACIUog", Within, "tps"),
    ("GET /v1/integrations/{integration}/attempts/{attempt}", "ACIUog", Within, "tps"),
    ("GET /v1/flows", "ACIU", Any, "tps"),
    ("POST /v1/flows", "A", Everywhere, "tps"),
    ("GET /v1/flows/{flow}", "ACIU", Any, "tps"),
    ("DELETE /v1/flows/{flow}", "A", Everywhere, "tps"),
    ("PATCH /v1/flows/{flow}", "A", Everywhere, "tps"),
    ("POST /v1/flows/{flow}/upgrade", "A", Everywhere, "tps"),
    ("POST /v1/flows/{flow}/rollback", "A", Everywhere, "tps"),
    ("POST /v1/flows/{flow}/release", "A", Everywhere, "tps"),
    ("PUT /v1/flows/{flow}/revealed/{integration}/{secret}", "A", Everywhere, "tps"),
    ("DELETE /v1/flows/{flow}/revealed/{integration}/{secret}", "A", Everywhere, "tps"),
    ("GET /v1/publishers", "ACIU", Any, "tps"),
    ("POST /v1/publishers", "A", Everywhere, "tps"),
    ("DELETE /v1/publishers/{publisher}", "A", Everywhere, "tps"),
    ("GET /v1/organizations", "AU", Any, "tps"),
    ("POST /v1/organizations", "A", Within, "tps"),
    ("GET /v1/organizations/{organization}", "AU", Within, "tps"),
    ("PATCH /v1/organizations/{organization}", "A", Within, "tps"),
    ("DELETE /v1/organizations/{organization}", "A", Within, "tps"),
    ("GET /v1/users", "AU", Any, "tps"),
    ("POST /v1/users", "A", Within, "tps"),
    ("GET /v1/users/{user}", "AU", Within, "tps"),
    ("PATCH /v1/users/{user}", "A", Within, "tps"),
    ("DELETE /v1/users/{user}", "A", Within, "tps"),
    ("GET /v1/profiles", "AU", Any, "tps"),
    ("POST /v1/profiles", "A", Everywhere, "tps"),
    ("GET /v1/profiles/{profile}", "AU", Any, "tps"),
    ("PATCH /v1/profiles/{profile}", "A", Everywhere, "tps"),
    ("DELETE /v1/profiles/{profile}", "A", Everywhere, "tps"),
    ("GET /v1/scopes", "ACIRUog", Any, "tps"),
    ("GET /v1/rights", "ACIRUog", Any, "tps"),
    ("GET /v1/events/kinds", "ACIRUog", Any, "tps"),
    ("GET /v1/application-tokens", "AU", Any, "tps"),
    ("POST /v1/application-tokens", "A", Within, "tps"),
    ("GET /v1/application-tokens/{id}", "AU", Within, "tps"),
    ("PATCH /v1/application-tokens/{id}", "A", Within, "tps"),
    ("DELETE /v1/application-tokens/{id}", "A", Within, "tps"),
    ("POST /v1/application-tokens/{id}/rebuild", "A", Within, "tps"),
    ("GET /v1/personal-tokens", "AU", Any, "tps"),
    ("POST /v1/personal-tokens", "A", Within, "tps"),
    ("GET /v1/personal-tokens/{id}", "AU", Within, "tps"),
    ("PATCH /v1/personal-tokens/{id}", "A", Within, "tps"),
    ("DELETE /v1/personal-tokens/{id}", "A", Within, "tps"),
    ("POST /v1/personal-tokens/{id}/rebuild", "A", Within, "tps"),
    ("GET /v1/me", "ACIRUog", Any, "tps"),
    ("PATCH /v1/me", "ACIRUog", Any, "ps"),
    ("GET /v1/me/personal-tokens", "ACIRUog", Any, "ps"),
    ("POST /v1/me/personal-tokens", "ACIRUog", Any, "ps"),
    ("GET /v1/me/personal-tokens/{id}", "ACIRUog", Any, "ps"),
    ("PATCH /v1/me/personal-tokens/{id}", "ACIRUog", Any, "ps"),
    ("DELETE /v1/me/personal-tokens/{id}", "ACIRUog", Any, "ps"),
    ("POST /v1/me/personal-tokens/{id}/rebuild", "ACIRUog", Any, "ps"),
    ("GET /v1/export", "ACIUog", Any, "tps"),
    ("POST /v1/export", "ACIUog", Any, "tps"),
    ("POST /v1/import", "A", Any, "tps"),
    ("PUT /v1/synchro/{source}", "A", Any, "tps"),
    ("POST /v1/verify", "A", Any, "tps"),
    ("POST /oauth2/introspect", "A", Any, "t"),
    ("GET /v1/events", "ACIRUog", Any, "tps"),
    ("GET /v1/events/stream", "ACIRUog", Any, "tps"),
    ("GET /v1/status", "ACIRUog", Any, "tps"),
    ("GET /v1/webhooks", "A", Everywhere, "tps"),
    ("POST /v1/webhooks", "A", Everywhere, "tps"),
    ("GET /v1/webhooks/{webhook}", "A", Everywhere, "tps"),
    ("PATCH /v1/webhooks/{webhook}", "A", Everywhere, "tps"),
    ("DELETE /v1/webhooks/{webhook}", "A", Everywhere, "tps"),
    ("POST /v1/webhooks/{webhook}/test", "A", Everywhere, "tps"),
    ("POST /v1/webhooks/{webhook}/secret", "A", Everywhere, "tps"),
    ("POST /v1/pepper/rotate", "A", Everywhere, "tps"),
    ("GET /v1/keys", "A", Everywhere, "tps"),
    ("POST /v1/keys/data/rotate", "A", Everywhere, "tps"),
    ("POST /v1/keys/master/rotate", "A", Everywhere, "tps"),
    ("POST /v1/keys/master/finish", "A", Everywhere, "tps"),
    ("GET /v1/config", "A", Everywhere, "tps"),
    ("POST /v1/config/reload", "A", Everywhere, "tps"),
    ("GET /v1/backup", "A", Everywhere, "tps"),
    ("GET /v1/backups", "A", Everywhere, "tps"),
    ("POST /v1/restore/acknowledge", "A", Everywhere, "tps"),
    ("GET /v1/audit", "AU", Everywhere, "tps"),
    ("GET /v1/audit/actions", "AU", Everywhere, "tps"),
    ("GET /v1/audit/{seq}", "AU", Everywhere, "tps"),
    ("POST /v1/audit/find", "AU", Everywhere, "tps"),
    ("POST /v1/audit/explain", "AU", Everywhere, "tps"),
    ("POST /v1/audit/verify", "AU", Everywhere, "tps"),
];

/// The profiles by their letters.
pub(super) const PROFILES: [(char, &str); 7] = [
    ('A', "Administrator"),
    ('C', "Configuration Manager"),
    ('I', "Integration User"),
    ('R', "REST Services User"),
    ('U', "Auditor"),
    ('o', "On One"),
    ('g', "In North"),
];

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// The letter of the profile.
    pub(super) profile: char,
    /// Whether the profile REST Services User comes with it.
    pub(super) rest: bool,
    /// The allowed organization; none: all.
    pub(super) allowed: Option<&'static str>,
}

/// The scope that a route is in.
pub(super) fn scope_of(route: &str) -> &'static str {
    match route.split(' ').nth(1).unwrap() {
        "/v1/export" => "Export",
        "/v1/import" => "Import",
        "/v1/synchro/{source}" => "Synchro",
        _ => "REST/JSON",
    }
}

/// Whether a caller is let in, with a thing of the organization `target`.
pub(super) fn is_granted(rule: &(&str, &str, Place, &str), case: Case, kind: char, target: &str) -> bool {
    let (route, profiles, place, kinds) = *rule;
    let is_own = route.contains("/v1/me")
        || matches!(
            route,
            "GET /docs" | "GET /openapi.json" | "GET /v1/scopes" | "GET /v1/rights" | "GET /v1/events/kinds"
        );
    // REST services are secured. Who signed in with a password reaches what is their own nevertheless.
    let opens = case.rest
        || matches!(case.profile, 'A' | 'R')
        || matches!(scope_of(route), "Export" | "Import")
        || (kind == 's' && is_own);
    let is_placed = match place {
        Any => true,
        Everywhere => case.allowed.is_none(),
        Within => {
            let is_seen = case.allowed.is_none_or(|allowed| allowed == target);
            is_seen && (!matches!(case.profile, 'o' | 'g') || target == "north")
        }
    };
    opens && is_placed && profiles.contains(case.profile) && kinds.contains(kind)
}

//! The table of all routes: what a call of each needs, and what the audit log calls it. The documentation and the test of
//! rights are made from it; what isn't in it is refused.

use crate::access::{Right, ScopeId, Scopes};
use crate::audit::{REFUSALS, USES};
use crate::config::Public;

/// What a call needs.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// Nothing: health, signing in, and doors that look at credentials themselves.
    Nothing,
    /// Anybody who is let in, unless the settings say that it is public.
    Known(fn(Public) -> bool),
    /// The same, and not with a personal token: a user interface.
    Interface(fn(Public) -> bool),
    /// A right on everything, unless the settings say that it is public.
    RightUnless(Right, fn(Public) -> bool),
    /// A right on everything that the caller sees.
    Right(Right),
    /// A right on something: the handler takes what the caller has it on.
    Somewhere(Right),
    /// A right on the integration in the path.
    OnIntegration(Right),
    /// The right to call the service of the integration in the path, if only some of its operations: the handler asks which.
    ToCall,
    /// A right on the model in the path.
    OnModel(Right),
    /// To be a user: it is about the user's own data.
    User,
    /// To be let in; the handler asks for the rights to what is asked for.
    Bulk,
}

/// One route.
#[derive(Clone, Copy)]
pub(super) struct Route {
    /// The method, in upper case.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) need: Need,
    /// The scope that a token must have.
    pub(super) scope: ScopeId,
    /// What the audit log calls it; empty: it changes nothing that isn't counted elsewhere, and need not be noted.
    pub(super) action: &'static str,
    /// Whether a token, and parameters, may stand in a form.
    pub(super) form: bool,
    /// Whether it takes `dry_run`, with which it changes nothing; its handler notes that.
    pub(super) dry_run: bool,
}

/// For every method.
const fn any(path: &'static str, need: Need) -> Route {
    Route { method: "ANY", ..get(path, need) }
}

const fn get(path: &'static str, need: Need) -> Route {
    Route { method: "GET", path, need, scope: Scopes::REST, action: "", form: false, dry_run: false }
}

const fn post(path: &'static str, need: Need, action: &'static str) -> Route {
    Route { method: "POST", path, need, scope: Scopes::REST, action, form: false, dry_run: false }
}

const fn put(path: &'static str, need: Need, action: &'static str) -> Route {
    Route { method: "PUT", ..post(path, need, action) }
}

const fn patch(path: &'static str, need: Need, action: &'static str) -> Route {
    Route { method: "PATCH", ..post(path, need, action) }
}

const fn delete(path: &'static str, need: Need, action: &'static str) -> Route {
    Route { method: "DELETE", ..post(path, need, action) }
}

impl Route {
    /// For tokens of this scope, which may stand in a form.
    const fn door(self, scope: ScopeId) -> Self {
        Self { scope, form: true, ..self }
    }

    /// Called this in the audit log, though it changes nothing.
    const fn noted(self, action: &'static str) -> Self {
        Self { action, ..self }
    }

    /// A token may stand in a form.
    const fn with_form(self) -> Self {
        Self { form: true, ..self }
    }

    /// With `dry_run` it only says what it would change.
    const fn or_tried(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// Whether it changes something.
    pub(super) fn changes(&self) -> bool {
        !self.action.is_empty()
    }
}

/// Every route, and what a call of it needs. Some need a further right for a part of what they do; their handlers ask
/// `Caller::require`.
pub(super) const TABLE: &[Route] = {
    use Need::{Bulk, Interface, Known, Nothing, OnIntegration, OnModel, RightUnless, Somewhere, ToCall, User};
    use Right::{
        ManageFlows, ManagePrincipals, Operate, ReadAudit, ReadFlows, ReadIntegrations, ReadModels, ReadPrincipals,
        ReadTokenValues, UseTokens, VerifyTokens, WriteIntegrations, WriteModels,
    };
    const fn right(right: Right) -> Need {
        Need::Right(right)
    }
    &[
        get("/healthz", Nothing),
        get("/readyz", Nothing),
        get("/metrics", RightUnless(Operate, |public| public.metrics)),
        get("/openapi.json", Known(|public| public.docs)),
        get("/docs", Interface(|public| public.docs)),
        get("/login", Nothing),
        post("/login", Nothing, ""),
        post("/logout", Nothing, ""),
        get("/v1/models", Somewhere(ReadModels)),
        post("/v1/models", Somewhere(WriteModels), "model.create"),
        get("/v1/models/{model}", OnModel(ReadModels)),
        put("/v1/models/{model}", OnModel(WriteModels), "model.replace"),
        delete("/v1/models/{model}", OnModel(WriteModels), "model.delete"),
        get("/v1/models/{model}/operations", OnModel(ReadModels)),
        get("/v1/models/{model}/schemes/{scheme}", OnModel(ReadModels)),
        post("/v1/models/{model}/compare", OnModel(WriteModels), ""),
        get("/v1/integrations", Somewhere(ReadIntegrations)),
        post("/v1/integrations", Somewhere(WriteIntegrations), "integration.create"),
        get("/v1/integrations/{integration}", OnIntegration(ReadIntegrations)),
        patch("/v1/integrations/{integration}", OnIntegration(WriteIntegrations), "integration.change").or_tried(),
        delete("/v1/integrations/{integration}", OnIntegration(WriteIntegrations), "integration.delete"),
        post("/v1/integrations/{integration}/test", OnIntegration(UseTokens), "integration.test"),
        // It uses the credentials too: its handler asks for that right besides.
        post("/v1/integrations/{integration}/doctor", OnIntegration(WriteIntegrations), "integration.doctor"),
        get("/v1/integrations/{integration}/token", OnIntegration(ReadTokenValues)),
        put("/v1/integrations/{integration}/token", OnIntegration(WriteIntegrations), "token.enter"),
        delete("/v1/integrations/{integration}/token", OnIntegration(WriteIntegrations), "token.delete"),
        get("/v1/integrations/{integration}/token/status", OnIntegration(ReadIntegrations)),
        post("/v1/integrations/{integration}/token/refresh", OnIntegration(UseTokens), "token.refresh"),
        post("/v1/integrations/{integration}/token/reparse", OnIntegration(UseTokens), "token.reparse"),
        post("/v1/integrations/{integration}/token/reject", OnIntegration(UseTokens), ""),
        post("/v1/integrations/{integration}/authorize", OnIntegration(ReadTokenValues), ""),
        post("/v1/integrations/{integration}/call", ToCall, ""),
        // It asks for a token in a header, and has paths below it that mean the same.
        any("/v1/integrations/{integration}/proxy", ToCall),
        post("/v1/integrations/{integration}/connect", OnIntegration(WriteIntegrations), "integration.connect"),
        // Browsers come here without a credential: what lets them in are the ticket, and the return key with the cookie.
        get("/v1/connect/{ticket}", Nothing),
        get("/v1/callback", Nothing),
        get("/v1/integrations/{integration}/attempts", OnIntegration(ReadIntegrations)),
        get("/v1/integrations/{integration}/attempts/{attempt}", OnIntegration(ReadIntegrations)),
        get("/v1/flows", right(ReadFlows)),
        post("/v1/flows", right(ManageFlows), "flow.install"),
        get("/v1/flows/{flow}", right(ReadFlows)),
        delete("/v1/flows/{flow}", right(ManageFlows), "flow.remove"),
        patch("/v1/flows/{flow}", right(ManageFlows), "flow.limit"),
        post("/v1/flows/{flow}/upgrade", right(ManageFlows), "flow.upgrade").or_tried(),
        post("/v1/flows/{flow}/rollback", right(ManageFlows), "flow.rollback"),
        post("/v1/flows/{flow}/release", right(ManageFlows), "flow.release"),
        put("/v1/flows/{flow}/revealed/{integration}/{secret}", right(ManageFlows), "flow.reveal"),
        delete("/v1/flows/{flow}/revealed/{integration}/{secret}", right(ManageFlows), "flow.conceal"),
        get("/v1/publishers", right(ReadFlows)),
        post("/v1/publishers", right(ManageFlows), "publisher.trust"),
        delete("/v1/publishers/{publisher}", right(ManageFlows), "publisher.distrust"),
        get("/v1/organizations", right(ReadPrincipals)),
        post("/v1/organizations", right(ManagePrincipals), "organization.create"),
        get("/v1/organizations/{organization}", right(ReadPrincipals)),
        patch("/v1/organizations/{organization}", right(ManagePrincipals), "organization.change"),
        delete("/v1/organizations/{organization}", right(ManagePrincipals), "organization.delete"),
        get("/v1/users", right(ReadPrincipals)),
        post("/v1/users", right(ManagePrincipals), "user.create"),
        get("/v1/users/{user}", right(ReadPrincipals)),
        patch("/v1/users/{user}", right(ManagePrincipals), "user.change"),
        delete("/v1/users/{user}", right(ManagePrincipals), "user.delete"),
        get("/v1/profiles", right(ReadPrincipals)),
        post("/v1/profiles", right(ManagePrincipals), "profile.create"),
        get("/v1/profiles/{profile}", right(ReadPrincipals)),
        patch("/v1/profiles/{profile}", right(ManagePrincipals), "profile.change"),
        delete("/v1/profiles/{profile}", right(ManagePrincipals), "profile.delete"),
        // They say what there is, and nothing of anybody: whoever makes a token of their own chooses among scopes.
        get("/v1/scopes", Known(|_| false)),
        get("/v1/rights", Known(|_| false)),
        get("/v1/events/kinds", Known(|_| false)),
        get("/v1/application-tokens", right(ReadPrincipals)),
        post("/v1/application-tokens", right(ManagePrincipals), "application_token.create"),
        get("/v1/application-tokens/{id}", right(ReadPrincipals)),
        patch("/v1/application-tokens/{id}", right(ManagePrincipals), "application_token.change"),
        delete("/v1/application-tokens/{id}", right(ManagePrincipals), "application_token.delete"),
        post("/v1/application-tokens/{id}/rebuild", right(ManagePrincipals), "application_token.rebuild"),
        get("/v1/personal-tokens", right(ReadPrincipals)),
        post("/v1/personal-tokens", right(ManagePrincipals), "personal_token.create"),
        get("/v1/personal-tokens/{id}", right(ReadPrincipals)),
        patch("/v1/personal-tokens/{id}", right(ManagePrincipals), "personal_token.change"),
        delete("/v1/personal-tokens/{id}", right(ManagePrincipals), "personal_token.delete"),
        post("/v1/personal-tokens/{id}/rebuild", right(ManagePrincipals), "personal_token.rebuild"),
        get("/v1/me", Known(|_| false)),
        patch("/v1/me", User, "me.change"),
        get("/v1/me/personal-tokens", User),
        post("/v1/me/personal-tokens", User, "me.personal_token.create"),
        get("/v1/me/personal-tokens/{id}", User),
        patch("/v1/me/personal-tokens/{id}", User, "me.personal_token.change"),
        delete("/v1/me/personal-tokens/{id}", User, "me.personal_token.delete"),
        post("/v1/me/personal-tokens/{id}/rebuild", User, "me.personal_token.rebuild"),
        get("/v1/export", Bulk).door(Scopes::EXPORT),
        post("/v1/export", Bulk, "").door(Scopes::EXPORT),
        post("/v1/import", Bulk, "import").door(Scopes::IMPORT).or_tried(),
        put("/v1/synchro/{source}", Bulk, "synchro").door(Scopes::SYNCHRO).or_tried(),
        post("/v1/verify", right(VerifyTokens), "").with_form(),
        post("/oauth2/introspect", right(VerifyTokens), ""),
        // It looks at the token itself, for the scope in its path, and has paths below it that mean the same.
        any("/v1/forward-auth/{scope}", Nothing),
        // What is shown is what the caller may see.
        get("/v1/events", Bulk),
        get("/v1/events/stream", Bulk),
        get("/v1/status", Bulk),
        get("/v1/webhooks", right(Operate)),
        post("/v1/webhooks", right(Operate), "webhook.create"),
        get("/v1/webhooks/{webhook}", right(Operate)),
        patch("/v1/webhooks/{webhook}", right(Operate), "webhook.change"),
        delete("/v1/webhooks/{webhook}", right(Operate), "webhook.delete"),
        post("/v1/webhooks/{webhook}/test", right(Operate), "webhook.test"),
        post("/v1/webhooks/{webhook}/secret", right(Operate), "webhook.rotate_secret"),
        post("/v1/pepper/rotate", right(Operate), "pepper.rotate"),
        get("/v1/keys", right(Operate)),
        post("/v1/keys/data/rotate", right(Operate), "key.rotate_data"),
        post("/v1/keys/master/rotate", right(Operate), "key.rotate_master"),
        post("/v1/keys/master/finish", right(Operate), "key.finish_master"),
        get("/v1/config", right(Operate)),
        post("/v1/config/reload", right(Operate), "config.reload"),
        // It changes nothing, and takes everything away: so it stands in the audit log.
        get("/v1/backup", right(Operate)).noted("backup.make"),
        get("/v1/backups", right(Operate)),
        post("/v1/restore/acknowledge", right(Operate), "restore.acknowledge"),
        get("/v1/audit", right(ReadAudit)),
        get("/v1/audit/actions", right(ReadAudit)),
        get("/v1/audit/{seq}", right(ReadAudit)),
        post("/v1/audit/find", right(ReadAudit), ""),
        post("/v1/audit/explain", right(ReadAudit), ""),
        post("/v1/audit/verify", right(ReadAudit), ""),
    ]
};

/// What the audit log calls what is done, and noted, beside the calls of routes: by the daemon itself, at the door, and in
/// browsers.
const BESIDE: &[&str] = &[
    "audit.broken",
    "audit.prune",
    "backup.made",
    "config.reload",
    "daemon.restored",
    "flow.quarantine",
    "integration.connect.end",
    "integration.connect.return",
    "session.begin",
    "session.end",
];

/// All that the audit log calls anything, in the order of the alphabet.
pub(super) fn actions() -> Vec<&'static str> {
    let of_routes = TABLE.iter().map(|route| route.action).filter(|action| !action.is_empty());
    let mut actions: Vec<_> = of_routes.chain(BESIDE.iter().copied()).chain([USES, REFUSALS]).collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

/// What a call of a route for every method needs.
pub(super) fn any_route(path: &str) -> Option<&'static Route> {
    TABLE.iter().find(|route| route.method == "ANY" && route.path == path)
}

/// What a call of this route needs. `HEAD` is a `GET` without its body.
pub(super) fn route(method: &str, path: &str) -> Option<&'static Route> {
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|route| route.method == method && route.path == path)
}

//! Why somebody isn't let in, exactly: codes that the audit log and those with the right to see them get. Outside there is
//! one 401 and one 403, which is the business of `api`.

/// Declares the reasons: variant, code, what it means, what to do.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident $code:literal $remedy:literal;)+) => {
        /// Why somebody isn't let in. Codes are never changed, and never given another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What it means, for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

reasons! {
    /// No credential came with the call.
    NoCredentials "no_credentials" "send the token: `Authorization: Bearer …` or the header `Auth-Token`";
    /// What was presented isn't in the form of a token, or mistyped.
    Malformed "malformed" "compare the token with the one that was shown when it was made: it is cut, extended or mistyped";
    /// There is no such token here, or its secret is wrong.
    Unknown "unknown" "check that the token is one of this installation; make a new one if it is lost";
    /// The token's value was replaced.
    Rebuilt "rebuilt" "use the value that the last rebuild showed, or rebuild the token again";
    /// The token, or the user that it belongs to, was deleted.
    Deleted "deleted" "make another token";
    /// The token's time is over.
    Expired "expired" "give the token a later expiration date, or make another one";
    /// The user or the application token is disabled.
    PrincipalDisabled "principal_disabled" "enable the user or the application token, if that is right";
    /// None of the user's profiles may use personal tokens.
    ProfileNotAllowed "profile_not_allowed" "add one of the user's profiles to access.personal_tokens_allowed_profiles, or give the user one of those there";
    /// The token isn't for this context.
    ScopeMismatch "scope_mismatch" "give the token the scope that the call needs";
    /// REST services are secured, and the principal has no profile for them.
    RestProfileMissing "rest_profile_missing" "give the principal the profile REST Services User, or set access.allow_rest_services_via_tokens for personal tokens";
    /// What was asked for belongs to an organization that the principal may not see, or isn't there.
    OrganizationNotAllowed "organization_not_allowed" "add the organization to the principal's allowed organizations, if that is right";
    /// This way of signing in isn't allowed here.
    LoginTypeNotAllowed "login_type_not_allowed" "add the login type to access.allowed_login_types, or sign in another way";
    /// Too many refusals came from the same address, or for the same token or login.
    RateLimited "rate_limited" "wait a minute; find out who tries";
    /// The login is unknown, or the password is wrong.
    BadPassword "bad_password" "set the user's password anew if it is forgotten";
    /// The session has ended.
    SessionEnded "session_ended" "sign in again";
    /// A browser sent the call from another site's page.
    CrossSite "cross_site" "call from a page of this daemon, or from a program";
    /// The proxy didn't prove that it is one that may name users, or named several.
    ProxyNotTrusted "proxy_not_trusted" "check access.external: the proxy's address, its secret, and that it sends the user's header once";
    /// A browser came with a link or a return of a connection that doesn't count, or not from it.
    ReturnRefused "return_refused" "connect the integration again, and finish in the browser that opened the link";
    /// The principal lacks the right.
    RightMissing "right_missing" "give the principal a profile with the right that the call needs";
    /// The principal may call some operations of the integration, and not this one.
    OperationNotAllowed "operation_not_allowed" "add the operation to a grant of one of the principal's profiles, if that is right";
    /// The call isn't for this kind of principal or token.
    NotForThis "not_for_this" "call as another kind of principal";
}

impl Reason {
    /// The reason of this code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// Whether it is clear who is calling, so that what is missing is a scope or a right (403), not a credential (401).
    pub fn is_about_rights(self) -> bool {
        matches!(
            self,
            Self::ScopeMismatch
                | Self::RestProfileMissing
                | Self::OrganizationNotAllowed
                | Self::RightMissing
                | Self::OperationNotAllowed
                | Self::CrossSite
                | Self::NotForThis
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_explained() {
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::of_code(reason.code()), Some(*reason));
            assert!(reason.meaning().ends_with('.') && !reason.remedy().is_empty(), "{reason:?}");
        }
        assert_eq!(Reason::of_code("nope"), None);
    }
}

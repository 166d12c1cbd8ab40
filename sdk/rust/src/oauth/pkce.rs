//! Proof Key for Code Exchange (RFC 7636), method `S256`: what ties a code to the attempt that asked for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::types::Context;

/// A new code verifier (section 4.1), made of the step's random bytes: 43 characters. It belongs in the flow's state.
pub fn verifier(context: &Context) -> String {
    URL_SAFE_NO_PAD.encode(&context.entropy)
}

/// The code challenge of a verifier (section 4.2, `S256`).
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        // RFC 7636 appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}

//! A middleware for `reqwest-middleware`: puts the integration's token into each request, and after a 401 tries once more.

use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use crate::{Client, Key, Token};

/// The token of an integration, as `Authorization`.
///
/// The service is whoever the caller names: use it only with clients that talk to the integration's own service.
#[derive(Clone, Debug)]
pub struct TokenMiddleware {
    /// Who gets tokens.
    client: Client,
    /// Which token.
    key: Key,
}

impl TokenMiddleware {
    /// For the token of this integration.
    pub fn new(client: Client, key: impl Into<Key>) -> Self {
        Self { client, key: key.into() }
    }
}

#[async_trait::async_trait]
impl Middleware for TokenMiddleware {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let token = self.client.token(&self.key, None).await.map_err(Error::middleware)?;
        carry(&mut request, &token)?;
        // None where the body is a stream, which can't be sent twice.
        let again = request.try_clone();
        let response = next.clone().run(request, extensions).await?;
        let Some(mut again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
            return Ok(response);
        };
        match self.client.renewed(&self.key, &token).await.map_err(Error::middleware)? {
            None => Ok(response),
            Some(newer) => {
                carry(&mut again, &newer)?;
                next.run(again, extensions).await
            }
        }
    }
}

/// Puts the token in.
fn carry(request: &mut Request, token: &Token) -> Result<()> {
    let value = token.authorization().map_err(Error::middleware)?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

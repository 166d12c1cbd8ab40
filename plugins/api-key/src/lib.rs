//! An API key in a header, the query or a cookie, as the document's `apiKey` scheme says.

use tokenhost_flow::flow::at_once;
use tokenhost_flow::prelude::*;
use tokenhost_flow::types::Location;

/// The flow.
#[derive(Debug)]
pub struct ApiKey;

impl Flow for ApiKey {
    fn describe() -> Description {
        Description::new("api-key", env!("CARGO_PKG_VERSION"), "API key")
            .summary(
                "For services that want a key with each request, in a header, the query or a cookie. Nothing is requested \
                 beforehand: the key is added to each request that is authorized.",
            )
            .handles_type("apiKey")
            .field(Field::secret("api_key", "API key").help("The key, as the service gave it.").required())
            .field(
                Field::choice("location", "Place", &["header", "query", "cookie"])
                    .help("Where the key goes; the document says it.")
                    .default_value("header")
                    .source("in"),
            )
            .field(
                Field::text("parameter", "Name")
                    .help("The name of the header, query parameter or cookie; the document says it.")
                    .required()
                    .source("name"),
            )
            .field(
                Field::text("prefix", "Word before the key")
                    .help("Where the service wants one, e.g. `Token`: a space follows it."),
            )
    }

    fn advance(context: &Context, event: Event) -> Result<Step, Failure> {
        at_once(event, || {
            context.required_secret("api_key")?;
            let location = match context.value("location") {
                None | Some("header") => Location::Header,
                Some("query") => Location::Query,
                Some("cookie") => Location::Cookie,
                Some(_) => {
                    let message = "the field location is none of header, query and cookie";
                    return Err(Failure::reconfigure("invalid_field", message));
                }
            };
            let prefix = context.value("prefix").map(|prefix| Part::text(format!("{prefix} ")));
            let value: Template = prefix.into_iter().chain([Part::secret("api_key")]).collect();
            Ok(Token::default().placed(location, context.required("parameter")?, value))
        })
    }
}

tokenhost_flow::export!(ApiKey);

#[cfg(test)]
mod tests;

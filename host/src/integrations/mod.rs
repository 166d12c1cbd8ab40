//! Models and integrations: made, validated against a flow's description, changed.
//!
//! Each belongs to an organization. An integration copies what it needs from its model, so that a changed document never sends a secret elsewhere (rule 4). This
//! room knows nothing of tokens: it says which target an integration has, and whatever was got for another one is void.

mod belonging;
mod bind;
mod binding;
mod calls;
mod choice;
mod compare;
mod difference;
mod error;
mod extras;
mod fields;
mod integration;
mod keeper;
mod model;
mod offers;
mod parameters;
mod target;

#[cfg(test)]
mod tests;

pub use self::belonging::Visible;
pub use self::binding::{Binding, BindingChange};
pub use self::calls::{Breaker, CallSettings, HeaderSign, PointerSign, Rate, RefusalSigns, ScopePolicy};
pub use self::compare::{Comparison, Noticed};
pub use self::difference::Difference;
pub use self::error::{FaultCode, FieldFault, IntegrationError, ModelError};
pub use self::integration::{
    Change, Changed, Integration, IntegrationSummary, NewIntegration, Settings, SettingsChange, TransportChange,
    Uncertain,
};
pub use self::keeper::{Integrations, sealed_kind};
pub use self::model::{Model, ModelSummary, Models, Seen};
pub use self::offers::Offer;
pub use self::parameters::NewParameter;

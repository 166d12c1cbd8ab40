//! Extra parameters that an operator adds, as the provider sees them.

use std::collections::BTreeMap;

use super::world::{World, key, name};
use crate::integrations::{Change, IntegrationError, NewParameter, SettingsChange};
use crate::openapi::{ParameterPlace, ParameterUse};

fn parameter(name: &str, value: Option<&str>) -> NewParameter {
    NewParameter {
        name: name.to_owned(),
        place: ParameterPlace::Body,
        uses: vec![ParameterUse::Token],
        variable: None,
        value: value.map(str::to_owned),
    }
}

async fn set(world: &World, parameters: Vec<NewParameter>, fields: &[(&str, &str)]) -> Result<(), IntegrationError> {
    let fields: BTreeMap<String, Option<String>> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
    let settings = SettingsChange { parameters: Some(parameters), ..SettingsChange::default() };
    world.integrations.change(&name(), Change { settings, fields, ..Change::default() }).await.map(drop)
}

async fn inputs(world: &World) -> Vec<(String, bool)> {
    let integration = world.integrations.read(&name()).await.unwrap();
    world.integrations.secret_inputs(&integration).into_iter().filter(|(name, _)| name.contains('.')).collect()
}

#[tokio::test]
async fn they_go_into_the_requests_that_they_are_for() {
    let world = World::new().await;
    let shared = NewParameter { variable: Some("tenant".to_owned()), ..parameter("tenant_id", None) };
    let unset = parameter("unset", None);
    set(&world, vec![parameter("audience", Some("crm")), shared, unset], &[("parameters.tenant", "t 1")])
        .await
        .unwrap();
    world.token().await.unwrap();
    world.tokens.renew(&key()).await.unwrap();
    assert_eq!(world.provider.requests(), ["secret=the-client-secret&audience=crm&tenant_id=t+1", "refresh=refresh-1"]);
    let expected = [("parameters.audience", false), ("parameters.tenant", true), ("parameters.unset", false)];
    assert_eq!(inputs(&world).await, expected.map(|(name, set)| (name.to_owned(), set)));

    // The input comes before the value that everybody sees; what is removed takes its secret along.
    set(&world, vec![parameter("audience", Some("crm"))], &[("parameters.audience", "other")]).await.unwrap();
    assert_eq!(inputs(&world).await, [("parameters.audience".to_owned(), true)]);
    set(&world, vec![parameter("tenant", Some("t2"))], &[]).await.unwrap();
    assert_eq!(inputs(&world).await, [("parameters.tenant".to_owned(), false)], "its secret went with the other one");
    assert_eq!(world.integrations.read(&name()).await.unwrap().secrets.names().collect::<Vec<_>>(), ["client_secret"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_all_faults_and_changes_nothing() {
    let world = World::new().await;
    let host = NewParameter { place: ParameterPlace::Header, ..parameter("Host", Some("x")) };
    let error = set(&world, vec![parameter("", None), host], &[("parameters.nope", "x")]).await.unwrap_err();
    let IntegrationError::Invalid(faults) = error else { panic!("{error}") };
    let places: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(places, ["parameters[0].name", "parameters[1].name", "fields.parameters.nope"]);
    assert!(inputs(&world).await.is_empty());
}

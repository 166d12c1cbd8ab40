//! Which members of principals and tokens a change is about, as callers see them.

use super::super::changes::{between, listed};
use super::view::{ApplicationToken, Extras, PersonalToken, User};
use crate::access::{application, personal, user};

/// What two states of a user differ in.
pub(in crate::api) fn of_user(before: &user::User, after: &user::User) -> String {
    let shown = |user: &user::User| User::from(user.clone());
    listed(&between(&shown(before), &shown(after)))
}

/// What two states of an application's token differ in.
pub(in crate::api) fn of_application(
    before: &application::ApplicationToken,
    after: &application::ApplicationToken,
) -> String {
    let shown = |token: &application::ApplicationToken| ApplicationToken::of(token.clone(), Extras::default());
    listed(&between(&shown(before), &shown(after)))
}

/// What two states of a personal token differ in.
pub(in crate::api) fn of_personal(before: &personal::PersonalToken, after: &personal::PersonalToken) -> String {
    let shown = |token: &personal::PersonalToken| PersonalToken::of(token.clone(), Extras::default());
    listed(&between(&shown(before), &shown(after)))
}

//! Keys over HTTP: what there is of them, and their rotation. How keys rotate is decided in `seal`.
//!
//! No call names a file, a command or a key: where the next master key is stands in the daemon's settings, so that nobody who
//! has a token has the daemon read files or run commands of their choice.

mod finish;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::finish::finish_steps;
use super::body::Json;
use super::caller::Caller;
use super::problem::{Code, Problem};
use super::query::Query;
use super::state::Api;
use super::time::Time;
use crate::access::PepperStatus;
use crate::notices::{Kind, Notice};
use crate::seal::{Counts, DataKeyStatus, Keep, KeyError, MasterStatus, SealError, Work};

/// What keys are about.
pub(super) const ALL: &str = "keys are those of the whole installation";
/// Days after which a data key is called old.
const OLD_DAYS: i64 = 400;
/// Hours after which a rotation of the master key is called forgotten.
const FORGOTTEN_HOURS: i64 = 24;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(rotate_data))
        .routes(routes!(rotate_master))
        .routes(routes!(finish))
}

/// What keys there are, and what is sealed with which.
#[derive(Debug, Serialize, ToSchema)]
struct Keys {
    /// The master key, which wraps the data keys.
    master: MasterKey,
    /// The data keys, the one that seals now being the last.
    data: Vec<DataKey>,
    /// The sealing anew of what older data keys sealed, while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    resealing: Option<Resealing>,
    /// The pepper of inbound tokens' digests.
    pepper: Pepper,
    /// When sealed values were counted.
    counted_at: Time,
    /// What somebody should do something about, for people.
    warnings: Vec<String>,
}

/// The master key.
#[derive(Debug, Serialize, ToSchema)]
struct MasterKey {
    /// Which one it is: 16 hexadecimal digits of a hash, which tell nothing of the key.
    id: String,
    /// Where the daemon found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Since when it is in use; null: since before that was kept.
    since: Option<Time>,
    /// The one that is to take its place, while a rotation is under way: both open the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextMasterKey>,
}

/// The master key that is to take another's place.
#[derive(Debug, Serialize, ToSchema)]
struct NextMasterKey {
    /// Which one it is.
    id: String,
    /// Since when it opens the data, too.
    since: Option<Time>,
}

/// A data key.
#[derive(Debug, Serialize, ToSchema)]
struct DataKey {
    /// Its number.
    id: u32,
    /// When it was made; null: before that was kept.
    made_at: Option<Time>,
    /// Whether it seals now.
    current: bool,
    /// How many values it has sealed that there still are.
    values: u64,
    /// The same, by kind of record.
    kinds: BTreeMap<String, u64>,
}

/// How far the sealing anew is.
#[derive(Debug, Serialize, ToSchema)]
struct Resealing {
    /// The key that all is sealed with afterwards.
    to: u32,
    /// When it began.
    started_at: Time,
    /// Values sealed anew so far.
    done: u64,
    /// Values there are to be sealed anew.
    total: u64,
    /// About how many seconds it takes still; absent where that isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    /// Whether all is sealed anew, and the older keys are about to be removed.
    settling: bool,
    /// What is in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The pepper.
#[derive(Debug, Serialize, ToSchema)]
struct Pepper {
    /// Its number; 0 is the first.
    id: u32,
    /// When the one before was retired; null: there was none.
    rotated_at: Option<Time>,
    /// Until when tokens with digests under an older one are accepted; null: they aren't.
    accept_until: Option<Time>,
    /// Tokens whose digests are under an older one: to be rebuilt.
    older_tokens: u64,
}

/// What was rotated.
#[derive(Debug, Serialize, ToSchema)]
struct RotatedDataKey {
    /// The number of the key that seals from now on.
    id: u32,
}

/// What was rotated.
#[derive(Debug, Serialize, ToSchema)]
struct RotatedMasterKey {
    /// The id of the master key that opens the data from now on, as the one before does.
    next: String,
    /// What to do then: the new key becomes the setting, and the rotation is ended.
    remedy: String,
}

/// How a rotation of the master key ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct End {
    /// Which key stays. The settings must name it.
    #[serde(default)]
    keep: Stays,
}

/// Which master key stays.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Stays {
    /// The new one.
    #[default]
    New,
    /// The old one: the rotation is taken back.
    Old,
}

/// How the rotation of the master key ended.
#[derive(Debug, Serialize, ToSchema)]
struct Ended {
    /// The id of the only master key that opens the data now.
    master: String,
}

/// All that is known of the keys.
struct Known {
    master: MasterStatus,
    data: Vec<DataKeyStatus>,
    counts: Counts,
    work: Option<Work>,
    problem: Option<String>,
    pepper: PepperStatus,
    /// How a rotation of the master key is ended.
    finish: String,
}

impl Keys {
    fn of(known: Known, now: DateTime<Utc>) -> Self {
        let warnings = warnings(&known, now);
        let Known { master, data, counts, work, problem, pepper, .. } = known;
        let time = |time: Option<DateTime<Utc>>| time.map(Time::from);
        let data = data.into_iter().map(|key| DataKey {
            id: key.id,
            made_at: time(key.made_at),
            current: key.current,
            values: counts.of(key.id),
            kinds: (counts.values.iter())
                .map(|(kind, keys)| ((*kind).to_owned(), keys.get(&key.id).copied().unwrap_or_default()))
                .collect(),
        });
        Self {
            data: data.collect(),
            master: MasterKey {
                id: master.id,
                source: master.origin,
                since: time(master.since),
                next: master.next.map(|next| NextMasterKey { id: next.id, since: time(next.since) }),
            },
            resealing: work.map(|work| Resealing {
                to: work.progress.to,
                started_at: work.progress.started_at.into(),
                done: work.progress.done,
                total: work.progress.total.max(work.progress.done),
                seconds_left: work.left.map(|left| left.as_secs().saturating_add(1)),
                settling: work.settling,
                problem,
            }),
            pepper: Pepper {
                id: pepper.current,
                rotated_at: time(pepper.rotated_at),
                accept_until: time(pepper.accepted_until),
                older_tokens: pepper.older,
            },
            counted_at: counts.at.into(),
            warnings,
        }
    }
}

/// What somebody should do something about.
fn warnings(known: &Known, now: DateTime<Utc>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(next) = &known.master.next
        && next.since.is_none_or(|since| now - since > TimeDelta::hours(FORGOTTEN_HOURS))
    {
        warnings.push(format!(
            "the rotation to master key {} isn't over, and the old one still opens the data. {}",
            next.id, known.finish
        ));
    }
    let current = known.data.iter().find(|key| key.current).and_then(|key| key.made_at);
    if let Some(made_at) = current
        && now - made_at > TimeDelta::days(OLD_DAYS)
    {
        let days = (now - made_at).num_days();
        warnings.push(format!("the data key is {days} days old: `tokenhost key rotate --data`"));
    }
    if let Some(problem) = &known.problem {
        warnings.push(problem.clone());
    }
    if known.pepper.older > 0 {
        let count = known.pepper.older;
        warnings.push(match known.pepper.accepted_until {
            Some(until) => format!(
                "{count} tokens are under an older pepper and are refused from {}: rebuild them until then",
                until.format("%Y-%m-%dT%H:%M:%SZ")
            ),
            None => format!("{count} tokens are under an older pepper and are refused: rebuild them"),
        });
    }
    warnings
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Same { .. }
            | KeyError::Pending { .. }
            | KeyError::NotAtHand { .. }
            | KeyError::NothingPending
            | KeyError::NotNamed { .. }
            | KeyError::Unreadable(_)
            | KeyError::TooMany => Self::new(Code::KeyUnusable, error.to_string()),
            KeyError::Seal(SealError::MasterKey { .. } | SealError::WrongMasterKey { .. } | SealError::Settings(_)) => {
                Self::new(Code::KeyUnusable, error.to_string())
            }
            KeyError::Changed => Self::new(Code::Changed, error.to_string()),
            KeyError::Seal(SealError::Store(error)) => error.into(),
            KeyError::Seal(error) => Self::internal(error),
        }
    }
}

/// Shows the keys: which there are, and how many values are sealed with which
///
/// No key is shown, and nothing from which one could be told.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", responses((status = 200, description = "The keys", body = Keys)))]
async fn show(State(api): State<Api>, caller: Caller, uri: Uri) -> Result<axum::Json<Keys>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let (master, data) = api.keys.custody().status().await?;
    let counts = api.keys.counts().await.map_err(KeyError::from)?;
    let (work, problem) = api.keys.work();
    let pepper = api.access.pepper_status().await?;
    let finish = finish_steps(&api.settings.current());
    let known = Known { master, data, counts, work, problem, pepper, finish };
    Ok(axum::Json(Keys::of(known, api.clock.now())))
}

/// Makes a new data key, which seals from now on
///
/// What older ones sealed is sealed anew behind everything else, across restarts; after that they are removed. `GET /v1/keys` says
/// how far it is.
#[utoipa::path(post, path = "/v1/keys/data/rotate", tag = "keys",
    responses((status = 202, description = "The new key seals; the rest is under way", body = RotatedDataKey)))]
async fn rotate_data(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
) -> Result<(StatusCode, axum::Json<RotatedDataKey>), Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let id = api.keys.rotate_data().await?;
    caller.note_detail("data_key", id.to_string());
    api.notices.tell(Notice::new(Kind::KeyRotated, format!("data key {id} seals from now on")));
    Ok((StatusCode::ACCEPTED, axum::Json(RotatedDataKey { id })))
}

/// Wraps the data keys under the next master key, too
///
/// Which one that is stands in the daemon's settings, which are read anew: `key_next_file` (unless said otherwise, the key's own
/// file with `.next` behind its name) or `key_next_command`. Both keys open the data from then on. Once more changes nothing.
#[utoipa::path(post, path = "/v1/keys/master/rotate", tag = "keys",
    responses((status = 200, description = "Both open the data", body = RotatedMasterKey)))]
async fn rotate_master(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
) -> Result<axum::Json<RotatedMasterKey>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let next = api.keys.custody().rotate_master().await?;
    caller.note_detail("master_key", next.clone());
    let message = format!("master key {next} opens the data, as the one before does");
    let remedy = finish_steps(&api.settings.current());
    api.notices.tell(Notice::new(Kind::KeyRotated, message).remedy(remedy.clone()));
    Ok(axum::Json(RotatedMasterKey { next, remedy }))
}

/// Ends a rotation of the master key: the other one opens nothing any more
///
/// The settings, which are read anew, must name the one that stays. A start of the daemon with the new one does the same.
#[utoipa::path(post, path = "/v1/keys/master/finish", tag = "keys", request_body = End,
    responses((status = 200, description = "One opens the data", body = Ended)))]
async fn finish(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Json(end): Json<End>,
) -> Result<axum::Json<Ended>, Problem> {
    Query::of(&uri).finish()?;
    caller.require_all(ALL).await?;
    let keep = match end.keep {
        Stays::New => Keep::New,
        Stays::Old => Keep::Old,
    };
    let master = api.keys.custody().finish(keep).await?;
    caller.note_detail("master_key", master.clone());
    let message = format!("master key {master} is the only one that opens the data");
    api.notices.tell(Notice::new(Kind::KeyRotated, message));
    Ok(axum::Json(Ended { master }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::NextMaster;

    #[test]
    fn warnings_say_what_to_do() {
        let now: DateTime<Utc> = "2026-11-22T10:00:00Z".parse().unwrap();
        let check = |change: fn(&mut Known, DateTime<Utc>), expected: &[&str]| {
            let mut known = Known {
                master: MasterStatus { id: "a".into(), origin: None, since: None, next: None },
                data: vec![DataKeyStatus { id: 3, made_at: Some(now - TimeDelta::days(400)), current: true }],
                counts: Counts::default(),
                work: None,
                problem: None,
                pepper: PepperStatus { current: 0, rotated_at: None, accepted_until: None, older: 0 },
                finish: "tokenhost key finish".into(),
            };
            change(&mut known, now);
            let found = warnings(&known, now);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(expected).all(|(found, expected)| found.contains(expected)), "{found:?}");
        };
        check(|_, _| {}, &[]);
        check(|known, now| known.data[0].made_at = Some(now - TimeDelta::days(500)), &["500 days old"]);
        check(|known, _| known.problem = Some("the disk is full".into()), &["the disk is full"]);
        check(|known, _| known.pepper.older = 2, &["2 tokens are under an older pepper and are refused: rebuild"]);
        check(
            |known, now| {
                known.pepper.older = 2;
                known.pepper.accepted_until = Some(now);
            },
            &["refused from 2026-11-22T10:00:00Z"],
        );
        check(|known, now| known.master.next = Some(next(Some(now))), &[]);
        check(
            |known, now| known.master.next = Some(next(Some(now - TimeDelta::hours(25)))),
            &["master key b isn't over"],
        );
        check(|known, _| known.master.next = Some(next(None)), &["tokenhost key finish"]);
    }

    fn next(since: Option<DateTime<Utc>>) -> NextMaster {
        NextMaster { id: "b".into(), since }
    }
}

//! `tokenhost upgrade`: the data folder brought to the present format by hand, or what that would do. `serve` does the same by
//! itself.

use serde_json::{Value, json};

use super::exit::Failure;
use super::output::{Output, Pairs, items, member, table};
use crate::config::{Config, Overrides};
use crate::daemon;
use crate::store::FORMAT;
use crate::upgrade::Plan;

/// Bring the data folder to the format of this version; the daemon does so by itself when it starts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The daemon must be stopped. A copy of the database as it was stays beside it, as store.before-format-N-TIME; it takes little room, and may be deleted once all is well. To go back to the earlier version, put it in the place of the folder `store`.\nBroken off at any point, it goes on there when it is begun again.\n\nExamples:\n  tokenhost upgrade --check\n  tokenhost upgrade\n  tokenhost upgrade --config /etc/tokenhost/tokenhost.toml --check --json"
)]
pub(super) struct Upgrade {
    /// The daemon's settings.
    #[command(flatten)]
    overrides: Overrides,
    /// Only say what would be done
    #[arg(long)]
    check: bool,
    /// Keep no copy of the database as it was: there is no way back then but a backup
    #[arg(long, conflicts_with = "check")]
    no_backup: bool,
}

impl Upgrade {
    /// Does it.
    ///
    /// # Errors
    /// The settings can't be used, a daemon runs on the folder, there isn't enough room, or the disk refused.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let config = Config::load(&self.overrides).map_err(|error| Failure::usage(error.to_string()))?;
        let plan = daemon::upgrade_plan(&config).await?;
        if self.check {
            return output.show(&document(&config, &plan), show);
        }
        daemon::upgrade(&config, !self.no_backup, &mut |told| output.note(&format!("upgrade: {told}"))).await?;
        let done = json!({ "data": config.data.display().to_string(), "from": plan.format, "format": FORMAT });
        output.show(&done, |done| {
            let format = member(done, "format").unwrap_or_default();
            match plan.steps.is_empty() && plan.format == FORMAT {
                true => format!("the database has format {format} already"),
                false => format!("the database has format {format}; it had format {}", plan.format),
            }
        })
    }
}

/// A plan, as JSON.
fn document(config: &Config, plan: &Plan) -> Value {
    let steps = plan.steps.iter().map(|step| {
        json!({ "format": step.to, "name": step.name, "what": step.what, "records": step.total, "done": step.done })
    });
    json!({
        "data": config.data.display().to_string(),
        "format": plan.format,
        "wanted": FORMAT,
        "steps": steps.collect::<Vec<_>>(),
        "copy": plan.copy.as_ref().map(|copy| copy.display().to_string()),
        "bytes": { "size": plan.size, "needed": plan.needed, "free": plan.free },
    })
}

/// The same for people.
fn show(document: &Value) -> String {
    let steps = items(document, "steps");
    let mut pairs = Pairs::default();
    pairs.add("data folder", member(document, "data"));
    let wanted = member(document, "wanted").unwrap_or_default();
    let format = member(document, "format").unwrap_or_default();
    if format == wanted {
        pairs.add("format", format!("{format}, as this version wants it: nothing is to be done"));
        return pairs.to_text("");
    }
    pairs.add("format", format!("{format}; this version wants {wanted}"));
    pairs.add("copy", member(document, "copy"));
    let bytes = |name| document.get("bytes").and_then(|bytes| member(bytes, name)).unwrap_or_default();
    pairs.add("disk", format!("{} bytes are needed, {} are free", bytes("needed"), bytes("free")));
    let rows: Vec<[String; 4]> = steps
        .iter()
        .map(|step| ["format", "what", "records", "done"].map(|name| member(step, name).unwrap_or_default()))
        .collect();
    format!("{}\n{}", pairs.to_text(""), table(["FORMAT", "WHAT", "RECORDS", "DONE"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_is_shown() {
        let step = json!({"format": 2, "name": "n", "what": "it is done", "records": 10, "done": 3});
        let bytes = json!({"size": 1, "needed": 2, "free": 3});
        let check = |format: u64, steps: Value, expected: &str| {
            let document =
                json!({"data": "/d", "format": format, "wanted": 2, "steps": steps, "copy": null, "bytes": bytes});
            assert_eq!(show(&document), expected);
        };
        check(2, json!([]), "data folder  /d\nformat       2, as this version wants it: nothing is to be done\n");
        check(
            1,
            json!([step]),
            "data folder  /d\nformat       1; this version wants 2\ndisk         2 bytes are needed, 3 are free\n\n\
             FORMAT  WHAT        RECORDS  DONE\n2       it is done  10       3\n",
        );
    }
}

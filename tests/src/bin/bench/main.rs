//! `make bench`: what the design promises of speed and size, as ratios that come from one run.
//!
//! A report and no test: a reach that is missed ends with exit code 0 too, since other work on the machine moves every figure.
//! What is compared takes turns, and medians are shown.
//!
//! `bench --row NAME` measures one row; `bench --list` names them.
#![expect(clippy::print_stdout, reason = "the report goes there")]

mod baseline;
mod crowd;
mod empty_flow;
mod figures;
mod home;
mod process;
mod provider;
mod report;
mod rows;

use anyhow::{Context as _, bail};

use self::report::Report;
use self::rows::ROWS;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Sockets of 10,000 callers.
    rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files can't be raised")?;
    match *arguments {
        [baseline::ARGUMENT] => baseline::serve(),
        [] => run(ROWS),
        ["--list"] => {
            ROWS.iter().for_each(|row| println!("{}\t{}", row.name, row.about));
            Ok(())
        }
        ["--row", name] => match ROWS.iter().position(|row| row.name == name) {
            Some(index) => run(&ROWS[index..=index]),
            None => bail!("there is no row {name:?}; --list names them"),
        },
        _ => bail!("usage: bench [--list | --row NAME]"),
    }
}

/// Measures these rows and prints the table. A row that can't be measured doesn't stop the others.
fn run(rows: &[rows::Row]) -> anyhow::Result<()> {
    // Fails where a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report::new();
    for row in rows {
        report.begin(row.about);
        if let Err(error) = (row.measure)(&runtime, &mut report) {
            report.failed(row.name, &error);
        }
    }
    report.print();
    Ok(())
}

//! What the daemon's own process uses, as the system tells it (`proc(5)`), under the names that Prometheus' libraries give it.

use std::path::Path;

use super::names::{PROCESS_CPU, PROCESS_FILES, PROCESS_FILES_LIMIT, PROCESS_RESIDENT, PROCESS_START};

/// Ticks of a second in `/proc`: the same on all architectures that Linux has (`sysconf(_SC_CLK_TCK)`).
const TICKS: f64 = 100.0;

/// What one look at the process found.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    /// Processor time in whole seconds.
    cpu: u64,
    /// Bytes in memory.
    resident: f64,
    /// Seconds from the system's start to the process's.
    started: f64,
}

/// Sets the gauges. What can't be read keeps its value.
pub(super) fn collect() {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    if let Some(found) = read("/proc/self/stat").and_then(|stat| of_stat(&stat, 4096.0)) {
        metrics::counter!(PROCESS_CPU).absolute(found.cpu);
        metrics::gauge!(PROCESS_RESIDENT).set(found.resident);
        if let Some(boot) = read("/proc/stat").and_then(|stat| boot_time(&stat)) {
            metrics::gauge!(PROCESS_START).set(boot + found.started);
        }
    }
    if let Ok(files) = std::fs::read_dir(Path::new("/proc/self/fd")) {
        metrics::gauge!(PROCESS_FILES).set(files.count() as f64);
    }
    if let Ok((limit, _)) = rlimit::Resource::NOFILE.get() {
        metrics::gauge!(PROCESS_FILES_LIMIT).set(limit as f64);
    }
}

/// Reads `/proc/self/stat`. The program's name, in brackets, may hold anything; the numbers come after it.
fn of_stat(stat: &str, page: f64) -> Option<Found> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<f64> = fields.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    // The first one here is the third of the manual's.
    let field = |number: usize| fields.get(number.checked_sub(3)?).copied();
    Some(Found {
        cpu: ((field(14)? + field(15)?) / TICKS) as u64,
        resident: field(24)? * page,
        started: field(22)? / TICKS,
    })
}

/// When the system was started, in seconds since 1970.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_words_are_read() {
        let stat =
            "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 5 0 12300 1000000 512 18446744073709551615 1";
        assert_eq!(of_stat(stat, 4096.0), Some(Found { cpu: 4, resident: 512.0 * 4096.0, started: 123.0 }));
        assert_eq!(of_stat("nothing", 4096.0), None);
        assert_eq!(boot_time("cpu 1\nbtime 1795000000\nx"), Some(1_795_000_000.0));
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(of_stat(&own, 4096.0).unwrap().resident > 0.0);
    }
}

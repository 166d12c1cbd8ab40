//! The table, and progress while it comes about. It judges nothing but whether a reach is met.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// How often progress is told at most.
const PACE: Duration = Duration::from_secs(2);

/// What a figure is held against.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// It must not be smaller.
    AtLeast(f64),
    /// It must not be larger.
    AtMost(f64),
    /// It must be just so.
    Exactly(f64),
    /// It is told beside the others.
    None,
}

/// One line of the table.
pub(crate) struct Line {
    /// What was measured.
    pub(crate) what: String,
    /// Of tokenhost, with its unit.
    pub(crate) ours: String,
    /// What it is held against, with its unit.
    pub(crate) baseline: String,
    /// The ratio, or the figure itself.
    pub(crate) figure: f64,
    /// What the design wants of it.
    pub(crate) reach: Reach,
}

/// The lines so far.
pub(crate) struct Report {
    lines: Vec<Line>,
    /// When the run began.
    began: Instant,
    /// When progress was last told.
    told: Instant,
}

impl Report {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { lines: Vec::new(), began: now, told: now }
    }

    /// Says what is measured now.
    pub(crate) fn begin(&mut self, about: &str) {
        self.tell(&format!("{about} …"));
    }

    /// Says how far it is, if some time has passed since the last time.
    pub(crate) fn progress(&mut self, text: impl FnOnce() -> String) {
        if self.told.elapsed() >= PACE {
            self.tell(&format!("  {}", text()));
        }
    }

    fn tell(&mut self, text: &str) {
        self.told = Instant::now();
        println!("{:4} s  {text}", self.began.elapsed().as_secs());
        // Where nobody reads, nobody misses it.
        drop(std::io::stdout().flush());
    }

    pub(crate) fn add(&mut self, line: Line) {
        self.tell(&format!("  {}: {} against {}", line.what, line.ours, line.baseline));
        self.lines.push(line);
    }

    pub(crate) fn failed(&mut self, row: &str, error: &anyhow::Error) {
        self.tell(&format!("  not measured: {error:#}"));
        let (what, none) = (format!("{row}: not measured"), || "-".to_owned());
        self.lines.push(Line { what, ours: none(), baseline: none(), figure: f64::NAN, reach: Reach::None });
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        let head = ["what", "ours", "baseline", "ratio", "reach", "ok?"].map(str::to_owned);
        let rows: Vec<[String; 6]> = std::iter::once(head).chain(self.lines.iter().map(Line::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        println!();
        for (index, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("{}", cells.join("  ").trim_end());
            if index == 0 {
                println!("{}", widths.map(|width| "-".repeat(width)).join("  "));
            }
        }
        let missed = self.lines.iter().filter(|line| line.met() == Some(false)).count();
        println!(
            "\nMedians of one run of {} s. {}",
            self.began.elapsed().as_secs(),
            match missed {
                0 => "Every reach is met.".to_owned(),
                _ => format!("{missed} missed."),
            }
        );
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            println!(
                "Load of the machine at the end (1, 5, 15 minutes): {}, on {cores} cores.",
                load.split(' ').take(3).collect::<Vec<_>>().join(" ")
            );
        }
    }
}

impl Line {
    /// Whether the reach is met; none where there is none.
    fn met(&self) -> Option<bool> {
        match self.reach {
            Reach::AtLeast(least) => Some(self.figure >= least),
            Reach::AtMost(most) => Some(self.figure <= most),
            Reach::Exactly(wanted) => Some((self.figure - wanted).abs() < f64::EPSILON),
            Reach::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let reach = match self.reach {
            Reach::AtLeast(least) => format!("≥ {least}"),
            Reach::AtMost(most) => format!("≤ {most}"),
            Reach::Exactly(wanted) => format!("= {wanted}"),
            Reach::None => String::new(),
        };
        let met = match self.met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let figure = if self.figure.is_nan() { "-".to_owned() } else { format!("{:.2}", self.figure) };
        [self.what.clone(), self.ours.clone(), self.baseline.clone(), figure, reach, met.to_owned()]
    }
}

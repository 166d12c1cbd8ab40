//! Medians, and durations as people read them.

use std::time::Duration;

/// The middle one; not a number where there is none.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of durations, in seconds.
pub(crate) fn median_seconds(durations: &[Duration]) -> f64 {
    median(durations.iter().map(Duration::as_secs_f64).collect())
}

/// Seconds in a fitting unit.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_one() {
        assert!((median(vec![9.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn seconds_are_told_in_a_fitting_unit() {
        let told: Vec<String> = [0.000_012_34, 0.012_34, 12.34].map(seconds).into();
        assert_eq!(told, ["12.3 µs", "12.34 ms", "12.34 s"]);
    }
}

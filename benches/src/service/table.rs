//! The percentiles of the runs, as a table.

use std::fmt::Write as _;

use super::rows::Row;
use super::run::Latencies;
use crate::stats::{median, percentile, range};

/// The percentiles that are shown.
const SHARES: [f64; 3] = [0.5, 0.9, 0.99];

/// A number for each percentile of the requests and of the pings.
type Figures = [[f64; SHARES.len()]; 2];

/// The runs of one row.
#[derive(Clone, Debug)]
pub struct Runs {
    row: Row,
    figures: Vec<Figures>,
    driver: Vec<f64>,
}

impl Runs {
    /// Creates a row without runs.
    #[must_use]
    pub const fn new(row: Row) -> Self {
        Self { row, figures: Vec::new(), driver: Vec::new() }
    }

    /// Returns the row.
    #[must_use]
    pub const fn row(&self) -> Row {
        self.row
    }

    /// Adds a run, and returns its figures as a line.
    pub fn add(&mut self, latencies: &Latencies) -> String {
        let figures = [&latencies.requests, &latencies.pings]
            .map(|millis| SHARES.map(|share| percentile(millis, share)));
        self.figures.push(figures);
        self.driver.push(percentile(&latencies.driver, 0.99));
        let row = self.row.to_string();
        let Latencies { handed_off, busy, .. } = latencies;
        let line = line(&figures, None);
        format!("{row:40} {line}  {busy:.2} processors busy, {handed_off} cores handed off")
    }

    fn each(&self, fold: impl Fn(&[f64]) -> f64) -> Figures {
        let mut folded = Figures::default();
        for (kind, shares) in folded.iter_mut().enumerate() {
            for (share, place) in shares.iter_mut().enumerate() {
                let values: Vec<f64> =
                    self.figures.iter().map(|figures| figures[kind][share]).collect();
                *place = fold(&values);
            }
        }
        folded
    }

    /// Returns the medians of the runs.
    fn medians(&self) -> Figures {
        self.each(median)
    }

    /// Returns the worst of the runs.
    fn worst(&self) -> Figures {
        self.each(|values| range(values).1)
    }
}

fn line(figures: &Figures, worst: Option<&Figures>) -> String {
    let mut text = String::new();
    for kind in 0..figures.len() {
        for share in 0..SHARES.len() {
            let _ = write!(text, " {:7.2}", figures[kind][share]);
            if let Some(worst) = worst {
                let _ = write!(text, " {:>8}", format!("({:.1})", worst[kind][share]));
            }
        }
        text += "  ";
    }
    text.trim_end().to_owned()
}

/// Returns a table of all rows, and below it how each row of Moirai compares with tokio: its requests with the best of the rows of
/// tokio, and its pings with those of tokio with rayon in the handler.
#[must_use]
pub fn table(runs: &[Runs]) -> String {
    let mut text = format!("{:30}", "ms: median of the runs (worst)");
    for kind in ["request", "ping"] {
        for share in SHARES {
            let _ = write!(text, " {:>16}", format!("{kind} p{}", share * 100.0));
        }
        text += "  ";
    }
    text += "   driver p99";
    for runs in runs {
        let figures = line(&runs.medians(), Some(&runs.worst()));
        let driver = median(&runs.driver);
        let _ = write!(text, "\n{:30}{figures}  {driver:10.2}", runs.row.to_string());
    }
    let tokio: Vec<Figures> =
        runs.iter().filter(|runs| runs.row.is_tokio()).map(Runs::medians).collect();
    let handler = runs.iter().find(|runs| runs.row == Row::TokioRayon).map(Runs::medians);
    let (false, Some(handler)) = (tokio.is_empty(), handler) else {
        return text;
    };
    let mut base = [[f64::INFINITY; SHARES.len()], handler[1]];
    for figures in &tokio {
        for (best, value) in base[0].iter_mut().zip(figures[0]) {
            *best = best.min(value);
        }
    }
    text += "\nrequests ÷ best of tokio, pings ÷ tokio + rayon in the handler";
    for runs in runs.iter().filter(|runs| !runs.row.is_tokio()) {
        let mut ratios = runs.medians();
        for (ratios, base) in ratios.iter_mut().zip(base) {
            ratios.iter_mut().zip(base).for_each(|(ratio, base)| *ratio /= base);
        }
        let _ = write!(text, "\n{:30}{}", runs.row.to_string(), line(&ratios, None));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::rows::{Queueing, Way};

    fn runs(row: Row, scale: f64) -> Runs {
        let mut runs = Runs::new(row);
        for run in [1.0, 9.0, 2.0] {
            let millis: Vec<f64> = (0..=100).map(|n| f64::from(n) * run * scale).collect();
            let pings = millis.clone();
            runs.add(&Latencies {
                requests: millis,
                pings,
                driver: vec![0.0],
                handed_off: 0,
                busy: 1.0,
            });
        }
        runs
    }

    #[test]
    fn a_row_shows_the_median_and_the_worst_of_the_percentiles_of_its_runs() {
        let runs = runs(Row::Tokio, 1.0);
        assert_eq!(runs.medians()[0], [100.0, 180.0, 198.0]);
        assert_eq!(runs.worst()[1], [450.0, 810.0, 891.0]);
    }

    #[test]
    fn requests_are_compared_with_the_best_of_tokio_and_pings_with_the_handler() {
        let ours = Row::Moirai(Way::Join, Queueing::Default);
        let all = [runs(Row::Tokio, 1.0), runs(Row::TokioRayon, 2.0), runs(ours, 0.5)];
        let text = table(&all);
        let last = text.lines().last().unwrap();
        let words: Vec<&str> = last.split_whitespace().skip(2).collect();
        assert_eq!(words, ["0.50", "0.50", "0.50", "0.25", "0.25", "0.25"], "{text}");
    }
}

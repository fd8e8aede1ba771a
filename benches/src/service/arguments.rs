//! What the program `service` is asked for.

use std::time::Duration;

use super::rows::{Queueing, Row};

/// How the program is called.
pub const USAGE: &str = "usage: service [ROW...] [--load PERCENT]... [--seconds S] [--rounds N] [--workers N] [--scheduler NAME]...
Measures how long requests and pings take that arrive by a fixed schedule: each request waits 2 ms, computes for about 1 ms in 64 parts,
and waits 1 ms; a ping arrives every 2 ms. Prints the median of the runs of each row and, in brackets, the worst of them, in ms.
ROW            measure only the rows whose names contain one of the words
--load L       the load in percent of what the workers can compute (default: 75); can be given more than once
--seconds S    how long requests arrive in each run (default: 2.5)
--rounds N     number of runs of each row, in turns (default: 5)
--workers N    number of workers of each row (default: 2)
--scheduler S  also measure Moirai with this scheduler: fifo, bands, deadline or short-first; can be given more than once
--seed N       the seed of the first round's schedule (default: 1); each further round has the next
--runs         print each run as well
--list         print only the names of the rows
--test         a short run of each row, which shows only that they work";

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Arguments {
    /// Words, one of which the name of a row must contain; all rows, if there are none.
    pub words: Vec<String>,
    /// The loads, as shares of what the workers can compute.
    pub loads: Vec<f64>,
    /// How long requests arrive in each run.
    pub length: Duration,
    /// The number of runs of each row.
    pub rounds: u64,
    /// The number of workers.
    pub workers: usize,
    /// The schedulers of Moirai.
    pub schedulers: Vec<Queueing>,
    /// The seed of the first round.
    pub seed: u64,
    /// Whether each run is printed.
    pub runs: bool,
    /// Whether only the names of the rows are printed.
    pub list: bool,
}

impl Arguments {
    /// Reads the words of a command line.
    ///
    /// # Errors
    ///
    /// A message, if there is a word that means nothing, or a value that is out of range.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            words: Vec::new(),
            loads: Vec::new(),
            length: Duration::from_millis(2_500),
            rounds: 5,
            workers: 2,
            schedulers: vec![Queueing::Default],
            seed: 1,
            runs: false,
            list: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match &*word {
                "--load" => parsed.loads.push(number(&word, &value()?, 1.0, 200.0)? / 100.0),
                "--seconds" => {
                    let seconds = number(&word, &value()?, 0.05, 3_600.0)?;
                    parsed.length = Duration::from_secs_f64(seconds);
                }
                "--rounds" => parsed.rounds = whole(&word, &value()?, 1, 10_000)?,
                "--workers" => parsed.workers = whole(&word, &value()?, 1, 256)? as usize,
                "--seed" => parsed.seed = whole(&word, &value()?, 0, u64::MAX)?,
                "--scheduler" => parsed.schedulers.push(scheduler(&value()?)?),
                "--runs" => parsed.runs = true,
                "--list" => parsed.list = true,
                "--test" => {
                    parsed.length = Duration::from_millis(150);
                    parsed.rounds = 1;
                }
                _ if word.starts_with('-') => return Err(format!("unknown option {word:?}")),
                _ => parsed.words.push(word),
            }
        }
        if parsed.loads.is_empty() {
            parsed.loads.push(0.75);
        }
        if parsed.rows().is_empty() {
            return Err(format!("no name of a row contains any of {:?}", parsed.words));
        }
        Ok(parsed)
    }

    /// Returns the rows that are to be measured.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let chosen = |row: &Row| {
            let name = row.to_string();
            self.words.is_empty() || self.words.iter().any(|word| name.contains(word))
        };
        Row::all(&self.schedulers).into_iter().filter(chosen).collect()
    }
}

fn number(option: &str, text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or(format!("{option}: {text:?} is not a number from {least} to {most}"))
}

fn whole(option: &str, text: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or(format!("{option}: {text:?} is not a whole number from {least} to {most}"))
}

fn scheduler(name: &str) -> Result<Queueing, String> {
    let found = Queueing::ALL.into_iter().find(|scheduler| scheduler.name() == name);
    let names = Queueing::ALL.map(Queueing::name).join(", ");
    found.ok_or(format!("{name:?} is not one of the schedulers {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, String> {
        Arguments::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_arguments_all_rows_are_measured_at_three_quarters_of_the_load() {
        let parsed = parse("").unwrap();
        assert_eq!(parsed.loads, [0.75]);
        assert_eq!(parsed.rows(), Row::all(&[Queueing::Default]));
        assert_eq!((parsed.workers, parsed.rounds), (2, 5));
    }

    #[test]
    fn loads_and_schedulers_can_be_given_more_than_once() {
        let parsed = parse("--load 50 --load 90 --scheduler fifo --scheduler bands").unwrap();
        assert_eq!(parsed.loads, [0.5, 0.9]);
        assert_eq!(parsed.schedulers, [Queueing::Default, Queueing::Fifo, Queueing::Bands]);
    }

    #[test]
    fn words_choose_rows_by_their_names() {
        let names = |text| parse(text).unwrap().rows().iter().map(Row::to_string).collect();
        let names: Vec<String> = names("oneshot moirai,");
        assert_eq!(names.len(), 5);
        assert!(names[0].contains("oneshot"));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for wrong in [
            "--load",
            "--load 0",
            "--load x",
            "--seconds 0",
            "--rounds 0",
            "--workers 1000",
            "--scheduler none",
            "--fast",
            "cilk",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

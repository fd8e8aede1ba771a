//! The benches' peer "rayon on Moirai": see `moirai_benches::apart`, which starts this program, and tells it what to run.

use std::process::ExitCode;

use moirai_benches::apart::Apart;
use moirai_benches::peer::set_workers;
use moirai_benches::serve::serve;

const USAGE: &str = "usage: rayon-on-moirai --workers N
Reads names of groups of the benches, runs rayon's case of each, and prints its time and its CPU time, in nanoseconds.
The benches start this program if RAYON_ON_MOIRAI names it.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let workers = match &words[..] {
        [option, number] if option == "--workers" => number.parse().ok().filter(|&n| n > 0),
        _ => None,
    };
    let Some(workers) = workers else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    set_workers(workers);
    match serve(Apart::RayonOnMoirai) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rayon-on-moirai: {error}");
            ExitCode::FAILURE
        }
    }
}

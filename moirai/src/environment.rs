//! What the environment of the process says.

use std::env;
use std::sync::Once;

use moirai_core::ExecutorConfig;

/// The environment variable with the number of workers.
const WORKER_THREADS: &str = "MOIRAI_WORKER_THREADS";

/// Returns the number of workers that the environment asks for, if it does. A value that is not allowed is ignored, and reported on
/// standard error once: whoever sets the variable looks there, and the program must not fail for it.
pub(crate) fn worker_threads() -> Option<usize> {
    static REPORT: Once = Once::new();
    let text = env::var_os(WORKER_THREADS).filter(|text| !text.is_empty())?;
    let workers = parse(&text.to_string_lossy());
    if workers.is_none() {
        REPORT.call_once(|| {
            let most = ExecutorConfig::MAX_WORKER_THREADS;
            eprintln!(
                "moirai: {WORKER_THREADS} is {text:?}, which is not a number from 1 to {most}, and is ignored"
            );
        });
    }
    workers
}

fn parse(text: &str) -> Option<usize> {
    let workers = text.trim().parse().ok()?;
    (1..=ExecutorConfig::MAX_WORKER_THREADS).contains(&workers).then_some(workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_is_allowed_counts() {
        let most = ExecutorConfig::MAX_WORKER_THREADS;
        assert_eq!(parse("1"), Some(1));
        assert_eq!(parse(" 12\n"), Some(12));
        assert_eq!(parse(&most.to_string()), Some(most));
        for wrong in ["", "0", "-1", "four", "1.5", "99999999999999999999", &(most + 1).to_string()]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}

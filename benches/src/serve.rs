//! The other side of [`crate::apart`]: the process that runs the cases of rayon, one at a time, for the one that measures.

use std::io::{self, BufRead, Write};

use crate::apart::{Apart, RAYON, build, written};
use crate::peer::workers;
use crate::took::Took;
use crate::watchdog::watch;
use crate::workload::{self, Group};

/// Answers requests on the standard input as `peer`, until it ends.
///
/// # Errors
///
/// If rayon runs on Moirai's workers and should not, or does not and should, if a request names no group that has a case of rayon, or if the standard input or
/// output fails.
pub fn serve(peer: Apart) -> io::Result<()> {
    let groups = workload::all();
    if runs_on_moirai() != (peer == Apart::RayonOnMoirai) {
        return Err(io::Error::other(
            "this program is built with the wrong rayon-core: perhaps cargo has not used the patch",
        ));
    }
    let mut out = io::stdout();
    writeln!(out, "{}", build())?;
    for request in io::stdin().lock().lines() {
        let took = run(peer, &groups, &request?)?;
        writeln!(out, "{}", written(took))?;
    }
    Ok(())
}

fn run(peer: Apart, groups: &[Group], name: &str) -> io::Result<Took> {
    let none = || io::Error::other(format!("there is no group {name:?} in which rayon is a peer"));
    let group = groups.iter().find(|group| group.name == name).ok_or_else(none)?;
    let case = group.cases.iter().find(|case| case.peer == RAYON).ok_or_else(none)?;
    Ok(watch(group.name, peer.name(), || Took::of(case.run)))
}

/// Whether the threads of a pool of rayon are workers of Moirai.
fn runs_on_moirai() -> bool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers()).build();
    pool.is_ok_and(|pool| pool.install(|| moirai::Moirai::current().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_measures_rayon_as_it_is() {
        assert!(!runs_on_moirai());
    }

    #[test]
    fn requests_name_groups_of_rayon() {
        for name in ["no such group", "lookup"] {
            assert!(run(Apart::Rayon, &workload::all(), name).is_err(), "{name}");
        }
    }
}

//! Runs every suite with two allocators, each group in processes of its own, prints the ratios, and writes the page of benchmarks.
//!
//! `cargo run --profile bench -p moirai-benches --bin figures`

use std::error::Error;
use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs, thread};

use moirai_benches::apart;
use moirai_benches::help::asks_for_help;
use moirai_benches::measure::Runs;
use moirai_benches::peer::DEFAULT_WORKERS;
use moirai_benches::probe::{PROBES, Probe};
use moirai_benches::report;
use moirai_benches::results::{GroupResult, ProbeResult, Ratio, Results, pooled};
use moirai_benches::watchdog::HUNG;
use moirai_benches::workload::{self, Group};

const USAGE: &str =
    "usage: figures [--only WORD]... [--processes N] [--without-forte] [--without-origin]
               [--without-rayon-on-moirai] [--no-probes] [--allocator NAME] [--profile NAME]
Runs all suites, prints the ratios, and writes docs/src/benchmarks.md with its charts.
--only WORD        run only the groups and probes whose names contain WORD, print their times, too, and write nothing
--processes N      number of processes that each group runs in, for each allocator (default: 5); twice as many for the groups
                   that differ most from process to process
--without-forte    leave out Forte, which needs a newer compiler and can hang
--without-origin   leave out the executor of Moirai's name on the package registry
--without-rayon-on-moirai
                   leave out rayon on Moirai's workers, which is a build of its own
--no-probes        leave out the probes of memory, sweeps, lookups and idling; write nothing
--allocator NAME   measure with this allocator alone, \"system\" or \"mimalloc\"; write nothing
--profile NAME     build the suites with this profile of Cargo, which should be the one that this program is built with
                   (default: bench); write nothing";

/// The name of the program that is the peer "rayon on Moirai".
const RAYON_ON_MOIRAI: &str = "rayon-on-moirai";

const ALLOCATORS: [&str; 2] = ["system", "mimalloc"];

#[derive(Debug)]
struct Arguments {
    only: Vec<String>,
    processes: usize,
    forte: bool,
    origin: bool,
    rayon_on_moirai: bool,
    probes: bool,
    allocators: Vec<&'static str>,
    profile: Option<String>,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        only: Vec::new(),
        processes: 5,
        forte: true,
        origin: true,
        rayon_on_moirai: true,
        probes: true,
        allocators: ALLOCATORS.to_vec(),
        profile: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match &*argument {
            "--only" => parsed.only.push(value()?),
            "--processes" => {
                let text = value()?;
                let number = text.parse().ok().filter(|&number| number > 0);
                parsed.processes =
                    number.ok_or(format!("--processes: {text:?} is not a number above zero"))?;
            }
            "--without-forte" => parsed.forte = false,
            "--without-origin" => parsed.origin = false,
            "--without-rayon-on-moirai" => parsed.rayon_on_moirai = false,
            "--no-probes" => parsed.probes = false,
            "--allocator" => {
                let name = value()?;
                parsed.allocators = ALLOCATORS.into_iter().filter(|&known| known == name).collect();
                if parsed.allocators.is_empty() {
                    return Err(format!("--allocator: {name:?} is none of {ALLOCATORS:?}"));
                }
            }
            "--profile" => parsed.profile = Some(value()?),
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Ok(parsed)
}

impl Arguments {
    /// Returns whether everything is measured as the page says that it was.
    fn is_for_the_page(&self) -> bool {
        self.only.is_empty()
            && self.probes
            && self.allocators == ALLOCATORS
            && self.profile.is_none()
    }

    fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or("bench")
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }

    fn groups(&self) -> Vec<Group> {
        workload::all().into_iter().filter(|group| self.wants(group.name)).collect()
    }

    fn probes(&self) -> Vec<Probe> {
        let built = |probe: &Probe| self.origin || !probe.needs_origin();
        let wanted = |probe: &Probe| self.probes && self.wants(probe.name) && built(probe);
        PROBES.into_iter().filter(wanted).collect()
    }
}

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.groups().is_empty() && arguments.probes().is_empty() {
        eprintln!("no group or probe is named like any of {:?}", arguments.only);
        return ExitCode::from(2);
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (groups, probes) = (arguments.groups(), arguments.probes());
    let programs = build(&root, arguments)?;
    let mut results = Results { machine: machine(&root), ..Results::default() };
    let runs = format!(
        "each group in {0} processes for each allocator and number of workers, or in twice {0} where they differ most, each probe \
         in one process",
        arguments.processes
    );
    results.machine.push(("runs".to_owned(), runs));
    let processes_of = |group: &Group| {
        group.worker_counts().len()
            * arguments.allocators.len()
            * group.processes(arguments.processes)
    };
    let total = groups.iter().map(processes_of).sum::<usize>() + probes.len();
    let mut done = 0;
    let start = Instant::now();
    let mut progress = |what: &str| {
        done += 1;
        eprintln!("[{done:3}/{total}, {:4} s] {what}", start.elapsed().as_secs());
    };
    for group in &groups {
        for &workers in group.worker_counts() {
            for (&allocator, folder) in arguments.allocators.iter().zip(&programs) {
                let mut processes = Vec::new();
                let mut hung = Vec::new();
                for _ in 0..group.processes(arguments.processes) {
                    progress(&format!("{} ({allocator}, workers: {workers})", group.name));
                    processes.push(measure(folder, group.name, workers, &mut hung)?);
                }
                results.groups.push(group_result(group, allocator, workers, &processes, hung));
            }
        }
    }
    for probe in probes {
        progress(probe.name);
        let output = Command::new(programs[0].join("probe")).arg(probe.name).output()?;
        if !output.status.success() {
            return Err(failed("probe", probe.name, &output.stderr));
        }
        results.probes.push(serde_json::from_slice::<ProbeResult>(&output.stdout)?);
    }
    // A reader that goes away early, such as `head`, is no fault.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{}\n{}", report::ratios(&results), report::probes(&results));
    if !arguments.only.is_empty() {
        let _ = writeln!(out, "{}", report::groups(&results));
    }
    if arguments.is_for_the_page() {
        let src = root.join("docs/src");
        report::write(&results, &src)?;
        let _ = writeln!(out, "wrote docs/src/benchmarks.md and its charts");
    }
    Ok(())
}

fn failed(program: &str, name: &str, stderr: &[u8]) -> Box<dyn Error> {
    format!("{program} {name} failed: {}", String::from_utf8_lossy(stderr).trim()).into()
}

/// Builds the programs for each allocator, and returns the directories that they are in.
fn build(root: &Path, arguments: &Arguments) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let built =
        env::current_exe()?.parent().ok_or("this program is not in a directory")?.to_owned();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut folders = Vec::new();
    for &allocator in &arguments.allocators {
        eprintln!("building for the allocator: {allocator}");
        let mut command = Command::new(&cargo);
        command.current_dir(root).args(["build", "--profile", arguments.profile()]);
        command.args(["-p", "moirai-benches"]);
        command.args(["--bin", "measure", "--bin", "probe"]);
        if arguments.forte {
            command.args(["--features", "forte", "--ignore-rust-version"]);
        }
        if arguments.origin {
            command.args(["--features", "origin"]);
        }
        if allocator == "mimalloc" {
            command.args(["--features", "mimalloc"]);
        }
        if !command.status()?.success() {
            return Err("the suites could not be built".into());
        }
        let folder = built.join("figures-programs").join(allocator);
        let mut programs = vec!["measure", "probe"];
        if arguments.rayon_on_moirai && arguments.groups().iter().any(Group::has_rayon) {
            build_rayon_on_moirai(&cargo, root, &built, allocator, arguments.profile())?;
            programs.push(RAYON_ON_MOIRAI);
        }
        fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        fs::create_dir_all(&folder)?;
        for program in programs {
            let from = built.join(program);
            fs::copy(&from, folder.join(program))
                .map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
        }
        folders.push(folder);
    }
    Ok(folders)
}

/// Builds the peer "rayon on Moirai" into the directory that this program is in, where it shares with the suites what the patch does not
/// concern.
fn build_rayon_on_moirai(
    cargo: &OsStr,
    root: &Path,
    built: &Path,
    allocator: &str,
    profile: &str,
) -> Result<(), Box<dyn Error>> {
    let target = built.parent().ok_or("this program is not in a target directory")?;
    let mut command = Command::new(cargo);
    command.current_dir(root.join("integrations/rayon-core/peer"));
    command.args(["build", "--profile", profile, "--target-dir"]).arg(target);
    if allocator == "mimalloc" {
        command.args(["--features", "mimalloc"]);
    }
    if !command.status()?.success() {
        return Err("rayon on Moirai could not be built".into());
    }
    Ok(())
}

/// Runs a group in one process, without the peers that have hung. If another one hangs, runs the group again without it.
fn measure(
    folder: &Path,
    group: &str,
    workers: usize,
    hung: &mut Vec<String>,
) -> Result<Vec<Runs>, Box<dyn Error>> {
    loop {
        let mut command = Command::new(folder.join("measure"));
        let rayon_on_moirai = folder.join(RAYON_ON_MOIRAI);
        if rayon_on_moirai.exists() {
            command.env(apart::PROGRAM, rayon_on_moirai);
        }
        command.arg(group).arg("--workers").arg(workers.to_string());
        for peer in &*hung {
            command.args(["--without", peer]);
        }
        let output = command.output()?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout)?);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let peer = said.lines().find_map(|line| {
            line.strip_prefix(group)?
                .strip_prefix(": ")?
                .split_once(" hangs:")
                .map(|(peer, _)| peer)
        });
        match peer {
            Some(peer) if output.status.code() == Some(HUNG) => {
                eprintln!("{group}: {peer} hung, and is left out from now on");
                hung.push(peer.to_owned());
            }
            _ => return Err(failed("measure", group, &output.stderr)),
        }
    }
}

fn group_result(
    group: &Group,
    allocator: &str,
    workers: usize,
    processes: &[Vec<Runs>],
    hung: Vec<String>,
) -> GroupResult {
    let asked = group.figures.iter().filter_map(|figure| {
        let reach = if allocator == "system" { figure.system } else { figure.mimalloc };
        let reach = (workers == DEFAULT_WORKERS).then_some(reach);
        Ratio::of(processes, figure.percentile, figure.of, figure.baseline, reach)
    });
    GroupResult {
        name: group.name.to_owned(),
        allocator: allocator.to_owned(),
        workers,
        cases: pooled(processes),
        ratios: asked.collect(),
        hung,
    }
}

/// Returns what is measured on and with.
fn machine(root: &Path) -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        output
            .map_or_else(String::new, |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let version = |name: &str| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let rest = lock.split_once(&entry).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split('"').next()).unwrap_or("unknown").to_owned()
    };
    let peers = ["tokio", "async-executor", "forte", "rayon", "crossbeam-channel", "mimalloc"];
    let peers: Vec<_> = peers.iter().map(|name| format!("{name} {}", version(name))).collect();
    [
        (
            "processor",
            format!("{}, {cores} cores, shared", cpu.map_or("unknown", |(_, model)| model)),
        ),
        (
            "system",
            format!(
                "Linux {}, {}",
                read("/proc/sys/kernel/osrelease").trim(),
                said("getconf", "GNU_LIBC_VERSION")
            ),
        ),
        ("compiler", said("rustc", "--version")),
        ("peers", peers.join(", ")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

"""Breaks the code in known ways, one at a time, in a copy, and demands that a loom model fails for each.

usage: bash .ci/mutate [PART]

With PART, only the mutations whose file names contain it are tried.

A mutation is a file in .ci/mutations: `package:`, `file:` and `model:` (a filter for the models' names), then the text to be
replaced between `<<<<` and `====`, and what replaces it up to `>>>>`.

A build for each mutation would take half a minute. So all mutations of a package are built into one program: each function that
some of them change is there in all its versions, and the environment variable MOIRAI_MUTATION chooses one. A mutation that is not
inside of a function is built alone, and so is one whose file says `alone: yes`, because its function cannot have two versions.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# How many there are at least, so that none is lost unnoticed.
KNOWN = 179
# How many are run at a time.
LANES = 2
# In seconds, for the models of one mutation.
LIMIT = 600

# Chooses the version of a function, in each package.
SWITCH = """
pub(crate) mod mutation {
    /// Returns whether the program runs with this mutation.
    pub(crate) fn is(number: usize) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| std::env::var("MOIRAI_MUTATION").ok()?.parse().ok()) == Some(number)
    }
}
"""


class Mutation:
    def __init__(self, number, path):
        text = path.read_text()
        self.number = number
        self.name = path.stem
        self.package = self.field(text, "package")
        self.file = self.field(text, "file")
        self.model = self.field(text, "model")
        self.alone = self.field(text, "alone") == "yes"
        replacement = re.search(r"^<<<<\n(.*?)\n====\n(.*?)\n?>>>>", text, re.MULTILINE | re.DOTALL)
        if not replacement:
            sys.exit(f"{path}: there is no replacement in it")
        self.before, self.after = replacement.groups()

    @staticmethod
    def field(text, name):
        found = re.search(rf"^{name}: *(.*)$", text, re.MULTILINE)
        return found.group(1) if found else None


def braces(code):
    """Yields the place of each brace and semicolon of the code, and of each word `fn`; none inside of comments and literals."""
    token = re.compile(
        r"""//[^\n]* | /\*.*?\*/ | b?r(\#*)".*?"\1 | b?"(?:\\.|[^"\\])*" | b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\])' """
        r"""| (?P<word>\bfn\b) | (?P<sign>[{};])""",
        re.VERBOSE | re.DOTALL,
    )
    for match in token.finditer(code):
        if match["word"] or match["sign"]:
            yield match.start(), match.group()


def functions(code):
    """Returns the first and the last place of the body of each function, braces included."""
    bodies, open_braces, is_function = [], [], False
    for place, what in braces(code):
        if what == "fn":
            is_function = True
        elif what == "{":
            open_braces.append((place, is_function))
            is_function = False
        elif what == "}":
            begin, of_function = open_braces.pop()
            is_function = False
            if of_function:
                bodies.append((begin, place + 1))
        else:
            is_function = False
    return bodies


def is_const(code, begin):
    """Returns whether the function whose body begins here is evaluated at compile time."""
    signature = code[: code.rindex("fn ", 0, begin)]
    return re.search(r"\bconst (unsafe )?$", signature) is not None


def with_versions(code, mutations):
    """Returns the code in which the mutations are chosen at run time, and the mutations for which that is not possible."""
    bodies = functions(code)
    by_function, alone = {}, []
    for mutation in mutations:
        begin = code.index(mutation.before)
        end = begin + len(mutation.before)
        around = [body for body in bodies if body[0] < begin and end < body[1]]
        # The outermost: a function inside of a function may be named in the rest of the latter.
        body = min(around, default=None)
        if body is None or mutation.alone or is_const(code, body[0]):
            alone.append(mutation)
        else:
            by_function.setdefault(body, []).append((begin, end, mutation))
    for (first, last), changes in sorted(by_function.items(), reverse=True):
        versions = ""
        for begin, end, mutation in changes:
            body = code[first:begin] + mutation.after + code[end:last]
            versions += f"if crate::mutation::is({mutation.number}) {body} else "
        code = f"{code[:first]}{{ {versions}{code[first:last]} }}{code[last:]}"
    return code, alone


class Copy:
    """A copy of the sources, with a target directory that lasts."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.target = ROOT / "target" / "mutations" / name
        self.folder.mkdir()
        files = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        ).stdout.decode()
        for file in filter(None, files.split("\0")):
            if (ROOT / file).is_file():
                to = self.folder / file
                to.parent.mkdir(parents=True, exist_ok=True)
                # With the time of now: what was built last in the target directory may be newer than a file that has changed since.
                shutil.copyfile(ROOT / file, to)

    def environment(self):
        return os.environ | {
            "CARGO_TARGET_DIR": str(self.target),
            "CARGO_INCREMENTAL": "1",
            "CARGO_TERM_COLOR": "never",
            "RUSTFLAGS": "--cfg moirai_loom -Awarnings",
        }

    def build(self, package):
        """Builds the models of a package. Returns the program, or what went wrong."""
        command = ["cargo", "test", "--release", "-p", package, "--lib", "--no-run"]
        built = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        program = re.search(r"Executable .* \((.*)\)", built.stderr)
        if built.returncode != 0 or not program:
            return None, built.stderr
        return Path(program.group(1)), None


def judge(program, folder, mutation):
    """Runs the models of a mutation, and returns whether one of them fails as it should, with a line that says so."""
    environment = os.environ | {"MOIRAI_MUTATION": str(mutation.number)}
    try:
        ran = subprocess.run(
            [program, mutation.model], cwd=folder, env=environment, timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except subprocess.TimeoutExpired:
        return False, f"UNCLEAR {mutation.name}: {mutation.model} takes over {LIMIT} s"
    said = ran.stdout.decode(errors="replace")
    if ran.returncode == 0:
        return False, f"MISSED  {mutation.name}: {mutation.model} passes with it"
    if not re.search("panicked at|deadlock", said):
        return False, f"UNCLEAR {mutation.name}: {mutation.model} fails without an assertion: a crash\n{said[-500:]}"
    return True, f"caught  {mutation.name} by {mutation.model}"


def passes_unbroken(program, folder, mutations):
    """Returns whether the models of the mutations pass in a program in which none is chosen."""
    models = sorted({mutation.model for mutation in mutations if mutation.package == folder.name})
    return subprocess.run([program, *models], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def try_alone(copy, mutation):
    """Builds one mutation, and judges it."""
    file = copy.folder / mutation.file
    code = file.read_text()
    file.write_text(code.replace(mutation.before, mutation.after))
    program, error = copy.build(mutation.package)
    if error:
        verdict = False, f"BROKEN  {mutation.name}: does not compile\n{error[-2000:]}"
    else:
        verdict = judge(program, copy.folder / mutation.package, mutation)
    file.write_text(code)
    return verdict


def main():
    arguments = sys.argv[1:]
    if any(argument in ("-h", "--help") for argument in arguments):
        print(__doc__)
        return 0
    if len(arguments) > 1:
        sys.exit("usage: bash .ci/mutate [PART]")
    files = sorted((ROOT / ".ci" / "mutations").glob("*.txt"))
    # From one on: none is chosen by zero.
    every = [Mutation(number, path) for number, path in enumerate(files, 1)]
    chosen = [mutation for mutation in every if not arguments or arguments[0] in mutation.name]
    if not chosen:
        sys.exit(f"no name of a mutation contains {arguments[0]!r}")
    caught, missed = 0, 0

    def tell(verdict):
        nonlocal caught, missed
        is_caught, line = verdict
        caught, missed = caught + is_caught, missed + (not is_caught)
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder), "all")
        by_file, alone, programs = {}, [], {}
        for mutation in chosen:
            times = (copy.folder / mutation.file).read_text().count(mutation.before)
            if times == 1:
                by_file.setdefault(mutation.file, []).append(mutation)
            else:
                tell((False, f"STALE   {mutation.name}: the text is there {times} times, not once"))
        together = []
        for name, mutations in by_file.items():
            file = copy.folder / name
            code, not_possible = with_versions(file.read_text(), mutations)
            alone += not_possible
            together += [mutation for mutation in mutations if mutation not in not_possible]
            file.write_text(code)
        packages = sorted({mutation.package for mutation in together})
        for package in packages:
            with open(copy.folder / package / "src" / "lib.rs", "a") as library:
                library.write(SWITCH)
        for package in packages:
            print(f"building {package} with its mutations", flush=True)
            program, error = copy.build(package)
            if error:
                sys.exit(f"{package} does not compile with all its mutations; does one need `alone: yes`?\n{error[-4000:]}")
            # A copy: what is built alone has the same name.
            programs[package] = shutil.copy(program, Path(folder) / package)
        with ThreadPoolExecutor(LANES) as lanes:
            # Else what fails with all versions in the program would count as caught.
            sound = {
                package: lanes.submit(passes_unbroken, program, copy.folder / package, together)
                for package, program in programs.items()
            }
            for package, passes in sound.items():
                if not passes.result():
                    sys.exit(f"the models of {package} fail without a mutation")
            judged = [
                lanes.submit(judge, programs[mutation.package], copy.folder / mutation.package, mutation) for mutation in together
            ]
            for verdict in judged:
                tell(verdict.result())
        if alone:
            plain = Copy(Path(folder), "alone")
            for mutation in alone:
                tell(try_alone(plain, mutation))
    print(f"mutations: {caught} caught, {missed} missed")
    return 0 if missed == 0 and (arguments or caught >= KNOWN) else 1


if __name__ == "__main__":
    sys.exit(main())

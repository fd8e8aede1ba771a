//! Tests that the program counts what the tools of the system count.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use moirai::Moirai;

use crate::{count, files};

/// Runs `tr -s '[:space:]' '\n' | sort | uniq -c | sort -rn` on all files of a directory.
fn by_the_system(folder: &Path) -> Vec<(Vec<u8>, u64)> {
    let script = r#"find "$1" -type f -exec cat {} + | tr -s '[:space:]' '\n' | grep -a -v '^$' | sort | uniq -c"#;
    let output = Command::new("bash")
        .env("LC_ALL", "C")
        .args(["-o", "pipefail", "-c", script, "count"])
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()
        .expect("bash runs");
    assert!(output.status.success());
    let mut words: Vec<(Vec<u8>, u64)> = output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let line = line.trim_ascii_start();
            let blank = line.iter().position(|&byte| byte == b' ').expect("a count and a word");
            let count = std::str::from_utf8(&line[..blank]).unwrap().parse().unwrap();
            (line[blank + 1..].to_vec(), count)
        })
        .collect();
    words.sort_unstable_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
    words
}

fn ours(folder: &Path) -> Vec<(Vec<u8>, u64)> {
    let executor = Moirai::builder().worker_threads(4).build().unwrap();
    let counted = count::files(&executor, &files::below(folder).unwrap());
    assert_eq!(counted.errors, Vec::<String>::new());
    let words = count::by_frequency(&executor, counted.words);
    words.into_iter().map(|(word, count)| (word.into_vec(), count)).collect()
}

#[test]
fn the_sources_of_this_crate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = ours(folder);
    assert!(ours.len() > 1_000);
    assert!(ours == by_the_system(folder));
}

#[test]
fn files_that_end_without_a_line_and_bytes_that_are_no_text() {
    let folder = std::env::temp_dir().join(format!("moirai-wordcount-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("below")).unwrap();
    let texts: [&[u8]; 4] = [b"", b"one\ttwo\x0bone ", b"\xff\xfe one\r\nthree\n", b" \n \x0c\n"];
    for (name, text) in texts.iter().enumerate() {
        let mut file = std::fs::File::create(folder.join("below").join(name.to_string())).unwrap();
        file.write_all(text).unwrap();
        // `cat` puts nothing between two files. Without this line break, the last word of one file and the first of the next would
        // be one word.
        file.write_all(b"\n").unwrap();
    }
    let (ours, systems) = (ours(&folder), by_the_system(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(ours[0], (b"one".to_vec(), 3));
    assert_eq!(ours, systems);
}

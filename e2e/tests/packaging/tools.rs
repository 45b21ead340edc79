//! How do tests run scripts and what people run beside them?

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The top of the tree.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A program that `hack/tools` installs.
pub(crate) fn tool(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ours = std::iter::once(top().join(".tools"));
    let folders = ours.chain(std::env::split_paths(&path));
    let found = folders.map(|it| it.join(name)).find(|it| it.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is not there: run hack/tools"));
    let mut command = Command::new(found);
    command.current_dir(top()).stdin(Stdio::null());
    command
}

/// One of the scripts.
pub(crate) fn script(name: &str) -> Command {
    let mut command = Command::new(top().join("hack").join(name));
    command.current_dir(top()).stdin(Stdio::null());
    command
}

/// What it printed, both to its output and to its errors.
pub(crate) fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// What it says to its output when it succeeds, as it must.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What it says when it fails, as it must.
pub(crate) fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(!output.status.success(), "{command:?} succeeded: {}", text(&output));
    text(&output)
}

/// The text of a file of the tree.
pub(crate) fn read(path: &str) -> String {
    let path = top().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The files of a folder of the tree, in order.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(top().join(folder)).unwrap().flatten();
    let mut files: Vec<_> = entries.map(|it| it.path()).filter(|it| it.is_file()).collect();
    files.sort();
    files
}

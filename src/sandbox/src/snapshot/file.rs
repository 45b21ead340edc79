//! How is the file written whole or not at all, and how is one that is not whole told?

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    vec,
};

use serde_json::{Value, json};

use crate::error::Error;

const NAME: &str = "cluster.jsonl";

/// Two saves at once would write to one draft.
static WRITING: Mutex<()> = Mutex::new(());

/// A file being written beside the one that it replaces at its end.
pub(super) struct Writer {
    draft: PathBuf,
    to: PathBuf,
    file: BufWriter<File>,
    lines: u64,
    _alone: MutexGuard<'static, ()>,
}

impl Writer {
    pub(super) fn begin(dir: &Path) -> Result<Self, Error> {
        let alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let (draft, to) = (dir.join(format!("{NAME}.draft")), dir.join(NAME));
        let file = open(dir, &draft).map_err(|source| unwritten(&draft, source))?;
        Ok(Self { draft, to, file: BufWriter::new(file), lines: 0, _alone: alone })
    }

    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.lines += 1;
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| unwritten(&self.draft, source))
    }

    /// Says how much there is, and takes the place of the file before.
    pub(super) fn end(mut self) -> Result<(), Error> {
        let end = json!({"lines": self.lines}).to_string();
        self.line(end.as_bytes())?;
        self.settle().map_err(|source| unwritten(&self.to, source))
    }

    fn settle(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.draft, &self.to)?;
        // The folder knows of the new file only when it is on the disk itself.
        self.to.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

/// A new file that nobody else may read: there are Secrets in it, and the key of all tokens.
fn open(dir: &Path, draft: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(draft)
}

fn unwritten(path: &Path, source: io::Error) -> Error {
    Error::Save { path: path.to_owned(), source }
}

/// A file being read.
pub(super) struct Lines {
    path: PathBuf,
    left: vec::IntoIter<Value>,
    /// Which line was read last.
    at: usize,
}

impl Lines {
    pub(super) fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Absent { path });
            }
            Err(source) => return Err(Error::Load { path, source }),
        };
        let mut lines = Vec::new();
        for line in text.lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else {
                return Err(Error::Torn { path, line: lines.len() + 1 });
            };
            lines.push(value);
        }
        Ok(Self { path, left: lines.into_iter(), at: 0 })
    }

    /// The next line, which must be there.
    pub(super) fn next(&mut self) -> Result<Value, Error> {
        self.at += 1;
        self.left.next().ok_or_else(|| self.torn())
    }

    /// The next line, unless it is the end, which must be there and last.
    pub(super) fn more(&mut self) -> Result<Option<Value>, Error> {
        let line = self.next()?;
        let Some(lines) = line.get("lines") else { return Ok(Some(line)) };
        let whole = lines.as_u64() == u64::try_from(self.at - 1).ok() && self.left.len() == 0;
        if whole { Ok(None) } else { Err(self.torn()) }
    }

    pub(super) fn torn(&self) -> Error {
        Error::Torn { path: self.path.clone(), line: self.at }
    }

    pub(super) fn newer(&self, format: u64, known: u64) -> Error {
        Error::Newer { path: self.path.clone(), format, known }
    }
}

//! What have containers written, line by line, with the time of each? The container before a restart
//! included, and told to those who follow.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::store::Key;

/// A kubelet's own limit for the log of one container: what is older is lost.
const LIMIT: usize = 10 << 20;
/// Logs of Pods that are gone are looked for when there are this many more than there were.
const GROWTH: usize = 256;

/// Which log of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Current,
    /// That of the container before it was started again.
    Previous,
}

#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    /// With its end, unless that is not written yet.
    pub(crate) text: String,
}

/// The log of one container, from its start to its end.
#[derive(Debug, Default, Clone)]
pub(crate) struct Book {
    /// How many there were before it.
    number: u64,
    lines: VecDeque<Line>,
    bytes: usize,
    /// How many lines are lost at the beginning.
    lost: usize,
}

/// How far somebody has read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    line: usize,
    byte: usize,
}

impl Book {
    fn write(&mut self, at: Timestamp, text: &str) {
        for part in text.split_inclusive('\n') {
            self.bytes += part.len();
            match self.lines.back_mut().filter(|it| !it.text.ends_with('\n')) {
                Some(open) => open.text.push_str(part),
                None => self.lines.push_back(Line { at, text: part.to_owned() }),
            }
        }
        while self.bytes > LIMIT && self.lines.len() > 1 {
            let Some(line) = self.lines.pop_front() else { return };
            self.bytes -= line.text.len();
            self.lost += 1;
        }
    }

    /// Which of the container's it is.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where the last so many lines begin, or all of them.
    pub(crate) fn tail(&self, lines: Option<usize>) -> Cursor {
        let shown = lines.unwrap_or(usize::MAX).min(self.lines.len());
        Cursor { line: self.lost + self.lines.len() - shown, byte: 0 }
    }

    /// What was written after a place: each line, and from which of its bytes on.
    pub(crate) fn after(&self, place: Cursor) -> impl Iterator<Item = (&Line, usize)> {
        let skipped = place.line.saturating_sub(self.lost);
        let lines = self.lines.iter().enumerate().skip(skipped);
        lines.map(move |(index, line)| {
            (line, if index + self.lost == place.line { place.byte } else { 0 })
        })
    }

    /// Behind all that is written by now.
    pub(crate) fn end(&self) -> Cursor {
        match self.lines.back() {
            Some(last) if !last.text.ends_with('\n') => {
                Cursor { line: self.lost + self.lines.len() - 1, byte: last.text.len() }
            }
            _ => Cursor { line: self.lost + self.lines.len(), byte: 0 },
        }
    }
}

#[derive(Debug, Default)]
struct Shelf {
    current: Book,
    previous: Option<Book>,
}

/// The logs of one Pod. Another of the same name has others.
#[derive(Debug)]
struct PodLogs {
    uid: String,
    containers: BTreeMap<String, Shelf>,
    grew: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct All {
    pods: BTreeMap<Key, PodLogs>,
    /// How many there were when those of the dead were removed last.
    known: usize,
}

/// The logs of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<All>);

impl Logs {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(
        &self,
        (pod, uid): (&Key, &str),
        container: &str,
        (at, text): (Timestamp, &str),
    ) {
        if text.is_empty() {
            return;
        }
        let all = &mut *self.lock();
        let logs = all.of(pod, uid);
        logs.containers.entry(container.to_owned()).or_default().current.write(at, text);
        logs.grew.send_replace(());
    }

    /// The container is started again.
    pub(crate) fn turn(&self, (pod, uid): (&Key, &str), container: &str) {
        let all = &mut *self.lock();
        let shelf = all.of(pod, uid).containers.entry(container.to_owned()).or_default();
        let next = Book { number: shelf.current.number + 1, ..Book::default() };
        shelf.previous = Some(std::mem::replace(&mut shelf.current, next));
    }

    /// What `read` makes of a log; nothing if nothing was ever written.
    pub(crate) fn read<T>(
        &self,
        (pod, uid): (&Key, &str),
        (container, which): (&str, Which),
        read: impl FnOnce(&Book) -> T,
    ) -> Option<T> {
        let all = self.lock();
        let shelf = all.pods.get(pod).filter(|it| it.uid == uid)?.containers.get(container)?;
        match which {
            Which::Current => Some(read(&shelf.current)),
            Which::Previous => shelf.previous.as_ref().map(read),
        }
    }

    /// Wakes when anything of the Pod is written.
    pub(crate) fn follow(&self, (pod, uid): (&Key, &str)) -> watch::Receiver<()> {
        self.lock().of(pod, uid).grew.subscribe()
    }

    /// Whether so many came that it is time to remove those of Pods that are gone.
    pub(crate) fn are_many(&self) -> bool {
        let all = self.lock();
        all.pods.len() > all.known + GROWTH
    }

    /// Forgets the logs of Pods that are no more.
    pub(crate) fn keep(&self, lives: impl Fn(&Key, &str) -> bool) {
        let all = &mut *self.lock();
        all.pods.retain(|key, it| lives(key, &it.uid));
        all.known = all.pods.len();
    }

    /// Every log: whose it is, and its lines.
    pub(crate) fn books(&self) -> Vec<(Key, String, Which, Vec<Line>)> {
        let all = self.lock();
        let shelves = all.pods.iter().flat_map(|(pod, logs)| {
            logs.containers.iter().map(move |(container, shelf)| (pod, container, shelf))
        });
        let books = shelves.flat_map(|(pod, container, shelf)| {
            let previous = shelf.previous.as_ref().map(|it| (Which::Previous, it));
            // The older one first: so they are written again.
            let both = previous.into_iter().chain([(Which::Current, &shelf.current)]);
            both.map(move |(which, book)| {
                let lines = book.lines.iter().cloned().collect();
                (pod.clone(), container.clone(), which, lines)
            })
        });
        books.collect()
    }
}

impl All {
    fn of(&mut self, pod: &Key, uid: &str) -> &mut PodLogs {
        let new = || PodLogs {
            uid: uid.to_owned(),
            containers: BTreeMap::new(),
            grew: watch::Sender::new(()),
        };
        let logs = self.pods.entry(pod.clone()).or_insert_with(new);
        if logs.uid != uid {
            *logs = new();
        }
        logs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(book: &Book, from: Cursor) -> String {
        book.after(from).map(|(line, byte)| &line.text[byte..]).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was_in_the_middle_of_a_line_too() {
        let mut book = Book::default();
        let at = Timestamp::UNIX_EPOCH;

        book.write(at, "one\ntw");
        let place = book.end();
        book.write(at, "o\nthree\n");

        assert_eq!(text(&book, Cursor::default()), "one\ntwo\nthree\n");
        assert_eq!(text(&book, place), "o\nthree\n");
        assert_eq!(text(&book, book.end()), "");
        assert_eq!(text(&book, book.tail(Some(2))), "two\nthree\n");
        assert_eq!(text(&book, book.tail(Some(0))), "");
        assert_eq!(text(&book, book.tail(Some(9))), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_log_that_grows_for_ever_loses_its_beginning_and_no_reader_its_place() {
        let mut book = Book::default();
        let line = format!("{}\n", "x".repeat(1 << 20));
        book.write(Timestamp::UNIX_EPOCH, &line);
        let place = book.end();

        for _ in 0..20 {
            book.write(Timestamp::UNIX_EPOCH, &line);
        }
        book.write(Timestamp::UNIX_EPOCH, "last\n");

        assert!(book.bytes <= LIMIT);
        assert!(text(&book, place).ends_with("last\n"));
        assert_eq!(text(&book, book.tail(Some(1))), "last\n");
        assert_eq!(text(&book, book.end()), "");
    }

    #[test]
    fn another_pod_of_the_name_has_a_log_of_its_own() {
        let (logs, pod) = (Logs::default(), Key::new("default", "a"));
        let read = |uid: &str| {
            let whole = |it: &Book| text(it, Cursor::default());
            logs.read((&pod, uid), ("main", Which::Current), whole)
        };
        logs.append((&pod, "1"), "main", (Timestamp::UNIX_EPOCH, "first\n"));
        assert_eq!(read("1").as_deref(), Some("first\n"));

        logs.append((&pod, "2"), "main", (Timestamp::UNIX_EPOCH, "second\n"));

        assert_eq!(read("1"), None);
        assert_eq!(read("2").as_deref(), Some("second\n"));
    }
}

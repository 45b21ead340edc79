//! Of which words is an expression made?

/// A word and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) word: Word,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Name(String),
    Int,
    Uint,
    Double,
    /// So many letters.
    Text(u64),
    /// So many bytes.
    Bytes(u64),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 24] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// The words of an expression, unless some of it is none.
pub(super) fn tokens(source: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|it| !it.is_empty()) {
        let first = rest.chars().next()?;
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let (word, length) = text(rest).or_else(|| number(rest)).or_else(|| other(rest))?;
            tokens.push(Token { at, word });
            at += length;
        }
    }
    Some(tokens)
}

fn other(rest: &str) -> Option<(Word, usize)> {
    let length = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let length = length.unwrap_or(rest.len());
    if length > 0 {
        return Some((Word::Name(rest.get(..length)?.to_owned()), length));
    }
    let sign = SIGNS.iter().find(|it| rest.starts_with(**it))?;
    Some((Word::Sign(sign), sign.len()))
}

fn number(rest: &str) -> Option<(Word, usize)> {
    let digits = |from: usize| {
        let part = rest.get(from..).unwrap_or_default();
        part.find(|it: char| !it.is_ascii_digit()).unwrap_or(part.len())
    };
    let starts =
        |at: usize, letters: &[u8]| rest.as_bytes().get(at).is_some_and(|it| letters.contains(it));
    if rest.starts_with("0x") || rest.starts_with("0X") {
        let hex = rest.get(2..)?;
        let length = 2 + hex.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(hex.len());
        let is_uint = starts(length, b"uU");
        return Some((if is_uint { Word::Uint } else { Word::Int }, length + usize::from(is_uint)));
    }
    let mut length = digits(0);
    let has_part = starts(length, b".") && digits(length + 1) > 0;
    if length == 0 && !has_part {
        return None;
    }
    if has_part {
        length += 1 + digits(length + 1);
    }
    let sign = usize::from(starts(length + 1, b"+-"));
    let has_power = starts(length, b"eE") && digits(length + 1 + sign) > 0;
    if has_power {
        length += 1 + sign + digits(length + 1 + sign);
    }
    if has_part || has_power {
        return Some((Word::Double, length));
    }
    let is_uint = starts(length, b"uU");
    Some((if is_uint { Word::Uint } else { Word::Int }, length + usize::from(is_uint)))
}

/// A quoted text: with `r` nothing in it is escaped, with `b` it is bytes.
fn text(rest: &str) -> Option<(Word, usize)> {
    let prefix = rest.find(|it: char| !matches!(it, 'r' | 'R' | 'b' | 'B'))?;
    let marks = rest.get(..prefix)?.to_ascii_lowercase();
    let body = rest.get(prefix..)?;
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|it| body.starts_with(it))?;
    if !matches!(marks.as_str(), "" | "r" | "b" | "rb" | "br") {
        return None;
    }
    let (is_raw, is_bytes) = (marks.contains('r'), marks.contains('b'));
    let (mut at, mut letters, mut bytes) = (quote.len(), 0, 0);
    loop {
        let left = body.get(at..).filter(|it| !it.is_empty())?;
        if left.starts_with(quote) {
            break;
        }
        let first = left.chars().next()?;
        let is_escape = first == '\\' && !is_raw;
        at += if is_escape { escape(left)? } else { first.len_utf8() };
        letters += 1;
        bytes += if is_escape { 1 } else { first.len_utf8() as u64 };
    }
    let word = if is_bytes { Word::Bytes(bytes) } else { Word::Text(letters) };
    Some((word, prefix + at + quote.len()))
}

/// How long an escaped letter is written.
fn escape(left: &str) -> Option<usize> {
    Some(match left.chars().nth(1)? {
        'x' | 'X' | '0'..='3' => 4,
        'u' => 6,
        'U' => 10,
        other => 1 + other.len_utf8(),
    })
}

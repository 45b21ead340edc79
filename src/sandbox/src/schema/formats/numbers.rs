//! Is a text a number that carries its own check: of a book, of a card?

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|it| it.to_digit(10)).collect()
}

fn bare(text: &str) -> String {
    text.chars().filter(|it| !matches!(it, '-' | ' ' | '\t')).collect()
}

pub(super) fn is_isbn10(text: &str) -> bool {
    let text = bare(text);
    let (Some(body), Some(last)) = (text.get(..9), text.get(9..)) else { return false };
    let last = match last {
        "X" => 10,
        last => match last.parse::<u32>() {
            Ok(digit) if last.len() == 1 => digit,
            _ => return false,
        },
    };
    let body = digits(body);
    let sum: u32 = (1..).zip(&body).map(|(weight, digit)| weight * digit).sum();
    body.len() == 9 && (sum + 10 * last).is_multiple_of(11)
}

pub(super) fn is_isbn13(text: &str) -> bool {
    let text = bare(text);
    let all = digits(&text);
    let sum: u32 = [1, 3].iter().cycle().zip(&all).map(|(weight, digit)| weight * digit).sum();
    all.len() == 13 && text.len() == 13 && sum.is_multiple_of(10)
}

/// The check that cards carry: every second digit twice.
pub(super) fn is_credit_card(text: &str) -> bool {
    let all = digits(text);
    let begins = matches!(all.first(), Some(2..=6));
    let sum: u32 = all
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    begins && (12..=19).contains(&all.len()) && sum.is_multiple_of(10)
}

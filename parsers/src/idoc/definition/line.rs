//! The words of one line.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till1, take_while};
use nom::character::complete::{char, space0};
use nom::combinator::{map, recognize, rest_len};
use nom::multi::{fold_many0, many0_count};
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

/// A word of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// Bytes from the start of the line.
    pub(crate) at: usize,
}

fn quote(input: &str) -> IResult<&str, String> {
    let inner = recognize(many0_count(alt((tag("''"), take_till1(|c| c == '\'')))));
    let inner = map(inner, |text: &str| text.replace("''", "'"));
    delimited(char('\''), inner, char('\'')).parse(input)
}

fn word(input: &str) -> IResult<&str, String> {
    let bare = take_till1(|c: char| c.is_whitespace() || matches!(c, '\'' | ':' | '#'));
    alt((quote, map(bare, str::to_owned))).parse(input)
}

/// Words, and what is left from the first character that begins none.
pub(crate) fn words(line: &str) -> IResult<&str, Vec<Word>> {
    let located = pair(preceded(space0, rest_len), word);
    let words = fold_many0(located, Vec::new, |mut words, (left, text)| {
        words.push(Word { text, at: line.len() - left });
        words
    });
    let (rest, words) = preceded(space0, words).parse(line)?;
    let (rest, _) = take_while(|c: char| c.is_whitespace()).parse(rest)?;
    Ok((rest, words))
}

//! Texts of files as messages may repeat them: no control characters, which would move the cursor of a terminal, and not
//! too long.

/// Most characters of a name or a value.
const LONGEST: usize = 80;

/// Most characters of a message about a text of several lines, which repeats one of them.
const LONGEST_MESSAGE: usize = 2000;

/// A name or a value.
pub fn quotable(text: &str) -> String {
    let quoted = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    marked(quoted, text, LONGEST)
}

/// A message of a parser's, with the lines that it has.
pub fn message(text: &str) -> String {
    let kept = text.chars().take(LONGEST_MESSAGE);
    let said = kept.map(|c| if c == '\n' { c } else { plain(c) }).collect();
    marked(said, text, LONGEST_MESSAGE)
}

/// A name in a listing, whole.
pub fn name(text: &str) -> String {
    text.chars().map(plain).collect()
}

fn plain(c: char) -> char {
    if c.is_control() {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

/// Says where it was cut.
fn marked(mut shown: String, text: &str, longest: usize) -> String {
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_not_repeated_and_long_texts_are_cut() {
        assert_eq!(quotable("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(quotable(&"x".repeat(81)), format!("{}…", "x".repeat(80)));
        assert_eq!(quotable(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(message("a\u{1b}[2J\nb\u{85}"), "a\u{fffd}[2J\nb\u{fffd}");
        assert_eq!(message(&"x".repeat(2001)).chars().count(), 2001);
        assert_eq!(name("a\nb\u{7f}"), "a\u{fffd}b\u{fffd}");
    }
}

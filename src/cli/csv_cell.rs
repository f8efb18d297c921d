//! Text as a cell of CSV (RFC 4180).

use std::borrow::Cow;

/// The text, quoted where it must be. What a spreadsheet would take for a formula gets an apostrophe before it, since some of
/// it comes from callers.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let needs_quotes = text.contains([',', '"', '\n', '\r']);
    if !is_formula && !needs_quotes {
        return Cow::Borrowed(text);
    }
    let apostrophe = if is_formula { "'" } else { "" };
    Cow::Owned(format!("\"{apostrophe}{}\"", text.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn formulas_are_disarmed_and_numbers_are_not() {
        assert_eq!(cell("acme"), "acme");
        assert_eq!(cell("-0.25"), "-0.25");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("@a,\"b\""), "\"'@a,\"\"b\"\"\"");
        assert_eq!(cell("a,b"), "\"a,b\"");
    }
}

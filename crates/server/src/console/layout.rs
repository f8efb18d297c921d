//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

use super::sessions::Session;
use super::{LOGOUT, PAGES, Page, assets, texts};

/// Returns a page with the navigation. `title` is its heading.
#[expect(clippy::needless_pass_by_value, reason = "a page makes it for this alone")]
pub(super) fn page(session: &Session, current: Page, title: &str, content: Markup) -> Markup {
    let body = html! {
        a class="skip" href="#content" { (texts::SKIP) }
        header class="bar" {
            a class="brand" href="/console" { (texts::BRAND) }
            nav aria-label=(texts::NAVIGATION) {
                ul {
                    @for page in PAGES {
                        li { a href=(page.path) aria-current=[(*page == current).then_some("page")] { (page.name) } }
                    }
                }
            }
            form method="post" action=(LOGOUT) {
                (csrf(session))
                button type="submit" class="quiet" { (texts::LOG_OUT) }
            }
        }
        main #content tabindex="-1" {
            h1 { (title) }
            (content)
        }
    };
    document(title, Some(session), &body)
}

/// Returns a page without navigation: it needs no session.
#[expect(clippy::needless_pass_by_value, reason = "a page makes it for this alone")]
pub(super) fn bare(title: &str, content: Markup) -> Markup {
    let body = html! {
        main #content class="bare" {
            p class="brand" { (texts::BRAND) }
            h1 { (title) }
            (content)
        }
    };
    document(title, None, &body)
}

fn document(title: &str, session: Option<&Session>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                @if let Some(session) = session { meta name="csrf" content=(session.csrf); }
                title { (title) " · " (texts::BRAND) }
                link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::path("console.css"));
                @if session.is_some() { (script("console.js")) }
            }
            body { (body) }
        }
    }
}

/// Returns the element that loads a script of [`assets`].
pub(super) fn script(name: &str) -> Markup {
    html! { script type="module" src=(assets::path(name)) {} }
}

/// Returns a part that scrolls sideways where it is too wide, also by keyboard.
pub(super) fn scroll(label: &str, content: &Markup) -> Markup {
    html! { div class="scroll" tabindex="0" role="region" aria-label=(label) { (content) } }
}

/// Returns the hidden field that every form with method `post` needs.
pub(super) fn csrf(session: &Session) -> Markup {
    html! { input type="hidden" name="csrf" value=(session.csrf); }
}

/// Returns a number with its digits in groups of three.
pub(super) fn grouped(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
            (-100, "-100"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}

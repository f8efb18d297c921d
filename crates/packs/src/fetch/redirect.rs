//! Where a redirect leads.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use super::origin::without_password;

/// The address that a `Location` names, seen from the address that answered with it.
///
/// # Errors
/// Why it is not followed: it is no http(s) address, or leads from https to http.
pub(super) fn follow(from: &Uri, location: &str) -> Result<Uri, String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map_or("", |authority| authority.as_str());
    let absolute = if has_scheme(location) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", from.path())
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let shown = without_password(location);
    let to: Uri = absolute
        .parse()
        .map_err(|_| format!("a redirect to {shown:?}, which is no http(s) address"))?;
    let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&to.scheme());
    if !known || to.host().is_none_or(str::is_empty) {
        return Err(format!("a redirect to {shown:?}, which is no http(s) address"));
    }
    if from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS) {
        return Err(format!(
            "a redirect from https to {}, which is not safe",
            without_password(&to.to_string())
        ));
    }
    Ok(to)
}

/// Whether it is absolute (RFC 3986, 3.1 and 4.2). What comes behind the path may have other addresses in it.
fn has_scheme(location: &str) -> bool {
    location.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow_from(from: &str, location: &str) -> Result<String, String> {
        follow(&from.parse().unwrap(), location).map(|uri| uri.to_string())
    }

    #[test]
    fn addresses_are_absolute_or_relative_to_the_one_that_answered() {
        let from = "https://host:8443/folder/file?query";
        for (location, expected) in [
            ("https://other/x?y", "https://other/x?y"),
            ("//other/x", "https://other/x"),
            ("/x", "https://host:8443/x"),
            ("x#part", "https://host:8443/folder/x"),
            (
                "x?from=https://other/y",
                "https://host:8443/folder/x?from=https://other/y",
            ),
            (
                "/x?from=https://other/y",
                "https://host:8443/x?from=https://other/y",
            ),
            ("?token=1", "https://host:8443/folder/file?token=1"),
        ] {
            assert_eq!(follow_from(from, location).unwrap(), expected);
        }
        assert_eq!(
            follow_from("http://host/x", "https://host/x").unwrap(),
            "https://host/x"
        );
    }

    #[test]
    fn a_redirect_never_leads_to_plain_http_nor_to_files() {
        for (location, expected) in [
            ("http://host/x", "from https to http"),
            ("file:///etc/passwd", "no http(s) address"),
            ("ftp://host/x", "no http(s) address"),
            ("javascript:x", "no http(s) address"),
            ("https://", "no http(s) address"),
            ("https:///x", "no http(s) address"),
            ("a b", "no http(s) address"),
        ] {
            let error = follow_from("https://host/x", location).unwrap_err();
            assert!(error.contains(expected), "{location}: {error}");
        }
    }
}

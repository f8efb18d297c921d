//! A strict parser for the URL of a PostgreSQL server. A lenient one takes parts of a password with a raw `/` or `@` for the
//! host, the port or the database, which messages show.

use std::net::IpAddr;

use url::Url;

/// Parses the URL of a server. An error says what is wrong without showing any part of the URL.
pub(crate) fn parse_server(text: &str) -> Result<Url, &'static str> {
    const SHAPE: &str = "it should read `postgres://user:password@host:5432/database`; in a password write `:`, `/`, `@`, `#`, `?` \
                         and `%` as %3A, %2F, %40, %23, %3F and %25";
    let rest = text.strip_prefix("postgres://");
    let rest = rest.or_else(|| text.strip_prefix("postgresql://"));
    let rest = rest.ok_or("it should begin with `postgres://`, with both slashes")?;
    if text.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
        return Err(
            "it contains spaces, line ends or control characters; in a password write them as %20 and so on",
        );
    }
    if !is_percent_encoded(rest) || rest.contains(['#', '\\']) {
        return Err(SHAPE);
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let (user, host) = match authority.split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    // An `@` elsewhere, or another `/`, may be part of a password.
    if [host, path, query].iter().any(|part| part.contains('@')) || path.contains(['/', ':']) {
        return Err(SHAPE);
    }
    if user.is_some_and(|user| user.is_empty() || user.starts_with(':')) {
        return Err("it names no user before the `@`");
    }
    if path.is_empty() {
        return Err("it names no database: `postgres://user:password@host:5432/database`");
    }
    // An encoded host is the path of a socket.
    if host.contains('%') && !host.to_ascii_lowercase().starts_with("%2f") {
        return Err(SHAPE);
    }
    let url = Url::parse(text).map_err(|_| SHAPE)?;
    let mut has_host = !host.is_empty() && url.host_str().is_some_and(|host| !host.is_empty());
    for (name, value) in url.query_pairs() {
        has_host |= matches!(&*name, "host" | "hostaddr");
        check_parameter(&name, &value)?;
    }
    if has_host {
        Ok(url)
    } else {
        Err("it names no host: `postgres://user:password@host:5432/database`")
    }
}

/// Checks a parameter: sqlx logs one that it does not know with its value.
fn check_parameter(name: &str, value: &str) -> Result<(), &'static str> {
    let is_valid = match name {
        "sslmode" | "ssl-mode" => [
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ]
        .contains(&value),
        "port" => value.parse::<u16>().is_ok(),
        "hostaddr" => value.parse::<IpAddr>().is_ok(),
        "statement-cache-capacity" => value.parse::<usize>().is_ok(),
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" | "sslcert" | "ssl-cert" | "sslkey" | "ssl-key"
        | "host" | "dbname" | "user" | "password" | "application_name" | "options" => true,
        _ => name.starts_with("options[") && name.ends_with(']'),
    };
    let fault = match name {
        "sslmode" | "ssl-mode" => {
            "its sslmode must be disable, allow, prefer, require, verify-ca or verify-full"
        }
        "port" => "its parameter port must be a port",
        "hostaddr" => "its parameter hostaddr must be an IP address",
        "statement-cache-capacity" => "its parameter statement-cache-capacity must be a whole number",
        _ => {
            "it has an unsupported parameter; supported are sslmode, sslrootcert, sslcert, sslkey, \
             statement-cache-capacity, host, hostaddr, port, dbname, user, password, application_name and options"
        }
    };
    is_valid.then_some(()).ok_or(fault)
}

/// Returns whether every `%` begins an encoded character.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_of_servers_are_parsed() {
        for (url, host, path) in [
            ("postgres://u:p@host/db", "host", "/db"),
            ("postgresql://host:5433/db?sslmode=require", "host", "/db"),
            ("postgres://u:p:q@host/db", "host", "/db"),
            (
                "postgres://u:a%2Fb%40c%25@[::1]:5432/my%20db?sslmode=verify-full&sslrootcert=%2Fetc%2Fca",
                "[::1]",
                "/my%20db",
            ),
            (
                "postgres://u@%2Fvar%2Frun%2Fpostgresql/db",
                "%2Fvar%2Frun%2Fpostgresql",
                "/db",
            ),
            (
                "postgres://u:p@host/db?options[search_path]=x&options=-c%20a%3Db&application_name=x",
                "host",
                "/db",
            ),
        ] {
            let read = parse_server(url).unwrap();
            assert_eq!((read.host_str(), read.path()), (Some(host), path), "{url}");
        }
        assert!(parse_server("postgres:///db?host=/var/run/postgresql").is_ok());
    }

    #[test]
    fn an_ambiguous_password_is_rejected_and_not_shown() {
        for wrong in [
            // Slashes forgotten.
            "postgres:likeness:SECRETPW@db.example/likeness",
            "postgres:/likeness:SECRETPW@db.example/likeness",
            "postgres:///likeness:SECRETPW@db.example/likeness",
            "postgresql:likeness:SECRETPW@db.example/likeness",
            "postgres://",
            // A raw `@`, `/`, `?`, `#`, `%` or `\` in the password, with digits before it: a port to a lenient reader.
            "postgres://likeness:SECRET@PW@db.example/likeness",
            "postgres://likeness:12/SECRETPW@db.example/likeness",
            "postgres://likeness:12/SECRETPW@db.example",
            "postgres://likeness:SECRET@PW/x@db.example/likeness",
            "postgres://likeness:12?SECRETPW@db.example/likeness",
            "postgres://likeness:12/x?SECRETPW@db.example/likeness",
            "postgres://likeness:12#SECRETPW@db.example/likeness",
            "postgres://likeness:SECRETPW%@db.example/likeness",
            "postgres://likeness:SECRETPW%4@db.example/likeness",
            "postgres://likeness:12\\SECRETPW@db.example/likeness",
            "postgres://likeness:SECRET PW@db.example/likeness",
            "postgres://likeness:SECRET\nPW@db.example/likeness",
            // The `@` encoded, or forgotten.
            "postgres://likeness:SECRETPW%40db.example/likeness",
            "postgres://likenessSECRETPW%40db.example/likeness",
            "postgres://likeness:SECRETPW/likeness",
            // No user, host or database; more than one part in the path.
            "postgres://:SECRETPW@db.example/likeness",
            "postgres://likeness:SECRETPW@/likeness",
            "postgres://likeness:SECRETPW@db.example",
            "postgres://likeness:SECRETPW@db.example/",
            "postgres://likeness:SECRETPW@db.example/likeness/",
            "postgres://likeness:SECRETPW@db.example:5x/likeness",
            // Parameters that sqlx would show in its log or in its errors.
            "postgres://likeness@db.example/likeness?passwd=SECRETPW",
            "postgres://likeness@db.example/likeness?SECRETPW",
            "postgres://likeness@db.example/likeness?sslmode=SECRETPW",
            "postgres://likeness@db.example/likeness?port=SECRETPW",
            "postgres://likeness@db.example/likeness?hostaddr=SECRETPW",
            "postgres://likeness@db.example/likeness?statement-cache-capacity=SECRETPW",
        ] {
            let reason = parse_server(wrong).expect_err(wrong);
            for part in ["SECRET", "PW@", "db.example", "12"] {
                assert!(!reason.contains(part), "{wrong}: {reason}");
            }
        }
    }

    proptest! {
        /// For any password, the URL is rejected, or host, port and database are right.
        #[test]
        fn no_password_gets_into_messages(password in "[ -~é\n]{0,12}") {
            let url = format!("postgres://user:{password}@host.example:5432/database");
            if let Ok(url) = parse_server(&url) {
                prop_assert_eq!(url.username(), "user");
                prop_assert_eq!((url.host_str(), url.port()), (Some("host.example"), Some(5432)));
                prop_assert_eq!((url.path(), url.query(), url.fragment()), ("/database", None, None));
            }
        }
    }
}

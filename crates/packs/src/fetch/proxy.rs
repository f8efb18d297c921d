//! Which proxy stands before an address: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower
//! case.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// The proxy for an address, if one is set and `NO_PROXY` does not name the host. `environment` looks up a variable.
pub(super) fn proxy_for(uri: &Uri, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let host = uri.host().unwrap_or_default();
    let lookup = |name: &str| {
        let found = environment(name).or_else(|| environment(&name.to_lowercase()));
        found.filter(|value| !value.trim().is_empty())
    };
    if lookup("NO_PROXY").is_some_and(|list| is_exempt(host, &list)) {
        return None;
    }
    let of_scheme = if uri.scheme() == Some(&Scheme::HTTPS) {
        "HTTPS_PROXY"
    } else {
        "HTTP_PROXY"
    };
    lookup(of_scheme).or_else(|| lookup("ALL_PROXY"))
}

/// Whether the list names the host itself or a domain that it is in.
fn is_exempt(host: &str, list: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_lowercase();
    list.split([',', ' ']).map(str::trim).any(|entry| {
        let entry = entry.trim_matches(['[', ']']).to_lowercase();
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*" || !domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(address: &str, environment: &[(&str, &str)]) -> Option<String> {
        proxy_for(&address.parse().unwrap(), |name| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_proxy_is_taken_by_the_scheme_of_the_address() {
        let both = [("HTTPS_PROXY", "http://a:1"), ("HTTP_PROXY", "http://b:2")];
        assert_eq!(proxy("https://host/x", &both).unwrap(), "http://a:1");
        assert_eq!(proxy("http://host/x", &both).unwrap(), "http://b:2");
        assert_eq!(proxy("http://host/x", &both[..1]), None);
        let all = [("all_proxy", "http://c:3"), ("https_proxy", "")];
        assert_eq!(proxy("https://host/x", &all).unwrap(), "http://c:3");
        assert_eq!(proxy("https://host/x", &[]), None);
    }

    #[test]
    fn no_proxy_names_hosts_domains_or_everything() {
        let exempt = |host: &str, list: &str| {
            let environment = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", list)];
            proxy(&format!("https://{host}/x"), &environment).is_none()
        };
        for list in [
            "models.bank.example",
            "bank.example",
            ".bank.example",
            "*.bank.example",
            "*",
            "other, BANK.example",
        ] {
            assert!(exempt("models.bank.example", list), "{list}");
        }
        for list in ["notbank.example", "ank.example", "", ",", "models", "."] {
            assert!(!exempt("models.bank.example", list), "{list}");
        }
        assert!(exempt("127.0.0.1:8080", "127.0.0.1"));
        assert!(exempt("[::1]:8080", "::1"));
    }
}

//! Who a request is for, and where it comes from.
//!
//! A web site can have its own name resolve to the loopback interface once the browser has loaded it, and would then be of the same
//! origin as this server (DNS rebinding). What it cannot do is change the name: so a request must name this server as somebody would
//! who means it.

use std::net::IpAddr;

use super::request::Request;

/// The names under which the server may be addressed.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    bound: IpAddr,
    /// In lower case.
    allowed: Vec<String>,
}

impl Hosts {
    pub(super) fn new(bound: IpAddr, allowed: &[String]) -> Self {
        let allowed = allowed.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { bound, allowed }
    }

    /// Returns whether the value of a header `Host` names this server. `local` is the address at which the client has reached it.
    pub(super) fn allow(&self, host: &str, local: IpAddr) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        if name == "localhost" || self.allowed.contains(&name) {
            return true;
        }
        // A number cannot be resolved to anything else.
        let number = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        number.unwrap_or(&name).parse::<IpAddr>().is_ok_and(|number| {
            let number = number.to_canonical();
            number.is_loopback()
                || number == self.bound.to_canonical()
                || (self.bound.is_unspecified() && number == local.to_canonical())
        })
    }
}

/// Returns a host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns whether a browser has said that the page of another site has caused the request. (Clients that are no browsers say nothing.)
pub(super) fn is_cross_site(request: &Request) -> bool {
    let site = request.fetch_site.as_deref();
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Returns whether the request says that a page of this server has caused it.
pub(super) fn is_same_origin(request: &Request) -> bool {
    let host = request.host.as_deref().unwrap_or_default();
    let origin = request.origin.as_deref().map(|origin| {
        let (scheme, authority) = origin.split_once("://").unwrap_or_default();
        // A proxy may have encrypted it.
        matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host)
    });
    let site = request.fetch_site.as_deref().map(|site| site == "same-origin");
    // What is said must be so, and something must be said.
    (origin.is_some() || site.is_some()) && origin.unwrap_or(true) && site.unwrap_or(true)
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_and_the_bound_address_are_allowed_and_others_are_not() {
        let (bound, local) = ("192.0.2.7".parse().unwrap(), "192.0.2.7".parse().unwrap());
        let hosts = Hosts::new(bound, &["Dash.example".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]:9464",
            "[::1]",
            "192.0.2.7:9464",
            "dash.example:9464",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(hosts.allow(host, local), "{host}");
        }
        for host in [
            "",
            ":",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "[::2]",
            "0.0.0.0",
            "localhost:80:80",
            "a@localhost",
            "localhost:x",
            "[",
            "[]",
        ] {
            assert!(!hosts.allow(host, local), "{host}");
        }
        let everywhere = Hosts::new("0.0.0.0".parse().unwrap(), &[]);
        assert!(everywhere.allow("192.0.2.7:9464", local));
        assert!(!everywhere.allow("192.0.2.8:9464", local));
    }

    #[test]
    fn a_page_of_this_server_says_so_and_a_client_that_says_nothing_does_not() {
        let of = |origin: Option<&str>, site: Option<&str>| Request {
            host: Some("localhost:9464".to_owned()),
            origin: origin.map(str::to_owned),
            fetch_site: site.map(str::to_owned),
            ..Request::default()
        };
        for (origin, site, same) in [
            (Some("http://localhost:9464"), Some("same-origin"), true),
            (Some("https://LOCALHOST:9464"), None, true),
            (None, Some("same-origin"), true),
            (None, None, false),
            (Some("null"), None, false),
            (Some("http://localhost"), Some("same-origin"), false),
            (Some("http://localhost:9464"), Some("cross-site"), false),
            (Some("http://localhost:9464.evil.example"), None, false),
            (None, Some("none"), false),
        ] {
            assert_eq!(is_same_origin(&of(origin, site)), same, "{origin:?} {site:?}");
        }
        assert!(is_cross_site(&of(None, Some("cross-site"))));
        assert!(is_cross_site(&of(None, Some("same-site"))));
        assert!(!is_cross_site(&of(None, Some("none"))) && !is_cross_site(&of(None, None)));
    }
}

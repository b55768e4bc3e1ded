//! Which web pages may send: cross-origin requests (<https://fetch.spec.whatwg.org/#http-cors-protocol>), with the rules of the
//! Collector's library, <https://github.com/rs/cors>.
//!
//! A browser says of which origin the page is that sends a request. Where no origin is allowed every such request is refused,
//! also one whose origin seems to be this server: behind a name that was rebound to a loopback address stands anybody's page.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

use crate::body::AnswerBody;

/// Settings of `cors`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsSettings {
    /// `allowed_origins`: `https://shop.example`; one `*` in it stands for anything, and alone for every origin.
    pub allowed_origins: Vec<String>,
    /// `allowed_headers`, besides `Accept`, `Content-Type` and `X-Requested-With`, which always are; `*` for all.
    pub allowed_headers: Vec<String>,
    /// `exposed_headers`: of answers, that pages may read.
    pub exposed_headers: Vec<String>,
    /// `max_age`: seconds for which a browser may remember what it asked; 0 leaves it to the browser.
    pub max_age: u64,
}

/// Where a request comes from.
pub(crate) enum Crossing {
    /// Not from a web page.
    None,
    /// From a page that may not send.
    Refused,
    /// From one that may: these headers go with the answer.
    Allowed(HeaderMap),
    /// A browser asks whether a page may.
    Preflight(Response<AnswerBody>),
}

impl Crossing {
    pub(crate) fn of<B>(settings: Option<&CorsSettings>, request: &Request<B>) -> Self {
        let Some(origin) = request.headers().get(ORIGIN) else { return Crossing::None };
        let allowed = settings.and_then(|settings| Some((settings, settings.headers(origin)?)));
        let Some((settings, mut headers)) = allowed else { return Crossing::Refused };
        let asks = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD);
        match asks {
            Some(method) if request.method() == Method::OPTIONS => {
                let mut response = Response::new(AnswerBody::default());
                *response.status_mut() = StatusCode::NO_CONTENT;
                let named = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
                if method.as_bytes() == b"POST" && settings.may_send(named) {
                    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
                    headers.extend(named.map(|named| (ACCESS_CONTROL_ALLOW_HEADERS, named.clone())));
                    if settings.max_age > 0 {
                        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(settings.max_age));
                    }
                } else {
                    headers.clear();
                }
                *response.headers_mut() = headers;
                let varies = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
                response.headers_mut().insert(VARY, HeaderValue::from_static(varies));
                Crossing::Preflight(response)
            }
            _ => {
                let exposed = settings.exposed_headers.join(", ");
                if let (false, Ok(exposed)) = (exposed.is_empty(), HeaderValue::try_from(exposed)) {
                    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
                }
                Crossing::Allowed(headers)
            }
        }
    }
}

impl CorsSettings {
    /// Whether origins and names of headers can be such.
    ///
    /// # Errors
    /// Key and message of the first that cannot.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        for origin in &self.allowed_origins {
            let is_whole =
                origin == "*" || origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
            if !is_whole || origin.matches('*').count() > 1 {
                let hint = "write `https://host`, with a port if it has one and at most one `*`, or `*`";
                return Err(("allowed_origins", format!("`{origin}` is not an origin; {hint}")));
            }
        }
        for (key, names) in
            [("allowed_headers", &self.allowed_headers), ("exposed_headers", &self.exposed_headers)]
        {
            if let Some(name) = names.iter().find(|name| HeaderName::try_from(name.as_str()).is_err()) {
                return Err((key, format!("`{name}` is not a name of a header")));
            }
        }
        Ok(())
    }

    /// What a page of this origin is told in every answer; `None` if it may not send.
    fn headers(&self, origin: &HeaderValue) -> Option<HeaderMap> {
        let said = origin.to_str().ok()?.to_ascii_lowercase();
        let mut headers = HeaderMap::new();
        if self.allowed_origins.iter().any(|known| known == "*") {
            // Never with credentials: every page of the world could send with its reader's.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return Some(headers);
        }
        let matches = |known: &String| {
            let known = known.to_ascii_lowercase();
            match known.split_once('*') {
                None => said == known,
                Some((head, tail)) => {
                    said.len() >= head.len() + tail.len() && said.starts_with(head) && said.ends_with(tail)
                }
            }
        };
        // A copy: the request's headers are not kept for as long as its answer takes.
        let own = HeaderValue::from_bytes(origin.as_bytes()).ok()?;
        self.allowed_origins.iter().any(matches).then(|| {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, own);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(VARY, HeaderValue::from_static("Origin"));
            headers
        })
    }

    /// Whether a page may send headers of these names.
    fn may_send(&self, named: Option<&HeaderValue>) -> bool {
        const ALWAYS: [&str; 3] = ["accept", "content-type", "x-requested-with"];
        let Some(named) = named else { return true };
        let Ok(named) = named.to_str() else { return false };
        named.split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| {
            let own =
                self.allowed_headers.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name));
            own || ALWAYS.iter().any(|known| known.eq_ignore_ascii_case(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(origins: &[&str], headers: &[&str]) -> CorsSettings {
        CorsSettings {
            allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            allowed_headers: headers.iter().map(|header| (*header).to_owned()).collect(),
            exposed_headers: Vec::new(),
            max_age: 600,
        }
    }

    /// The headers that a request of an origin is answered with; `None` if it is refused.
    fn asked(settings: &CorsSettings, origin: &str, preflight: Option<(&str, &str)>) -> Option<HeaderMap> {
        let mut request = Request::builder().method(if preflight.is_some() { "OPTIONS" } else { "POST" });
        request = request.header(ORIGIN, origin);
        if let Some((method, headers)) = preflight {
            request = request.header(ACCESS_CONTROL_REQUEST_METHOD, method);
            request = request.header(ACCESS_CONTROL_REQUEST_HEADERS, headers);
        }
        match Crossing::of(Some(settings), &request.body(()).expect("a request")) {
            Crossing::None => panic!("it has an origin"),
            Crossing::Refused => None,
            Crossing::Allowed(headers) => Some(headers),
            Crossing::Preflight(response) => Some(response.headers().clone()),
        }
    }

    #[test]
    fn origins_match_whole_or_by_one_asterisk() {
        let settings = settings(&["https://shop.example", "https://*.team.example:8443"], &[]);
        for (origin, is_allowed) in [
            ("https://shop.example", true),
            ("HTTPS://SHOP.example", true),
            ("http://shop.example", false),
            ("https://shop.example.evil.com", false),
            ("https://evilshop.example", false),
            ("https://a.b.team.example:8443", true),
            ("https://.team.example:8443", true),
            ("https://team.example:8443", false),
            ("https://x.team.example:8443.evil.com", false),
            ("null", false),
        ] {
            let headers = asked(&settings, origin, None);
            assert_eq!(headers.is_some(), is_allowed, "{origin}");
            if let Some(headers) = headers {
                assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
                assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
                assert_eq!(headers[VARY], "Origin");
            }
        }
    }

    #[test]
    fn every_origin_is_never_allowed_with_credentials() {
        for settings in [settings(&["*"], &[]), settings(&["https://shop.example", "*"], &[])] {
            for preflight in [None, Some(("POST", "content-type"))] {
                let headers = asked(&settings, "https://shop.example", preflight).expect("allowed");
                assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
                assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
            }
        }
    }

    #[test]
    fn a_preflight_allows_posts_with_headers_that_are_listed() {
        let some = settings(&["https://shop.example"], &["X-Tenant"]);
        let all = settings(&["https://shop.example"], &["*"]);
        for (settings, method, headers, is_allowed) in [
            (&some, "POST", "content-type, x-tenant", true),
            (&some, "POST", "", true),
            (&some, "POST", "authorization", false),
            (&some, "GET", "content-type", false),
            (&all, "POST", "authorization,x-anything", true),
        ] {
            let answer = asked(settings, "https://shop.example", Some((method, headers))).expect("an answer");
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), is_allowed, "{method} {headers}");
            assert_eq!(answer.contains_key(ACCESS_CONTROL_MAX_AGE), is_allowed);
            assert!(answer[VARY].to_str().is_ok_and(|varies| varies.contains("Request-Headers")));
        }
        assert!(asked(&some, "https://evil.example", Some(("POST", ""))).is_none());
    }

    #[test]
    fn what_is_no_origin_is_a_wrong_setting() {
        for origin in ["shop.example", "https://shop.example/", "https://*.*.example", ""] {
            assert_eq!(settings(&[origin], &[]).validate().expect_err(origin).0, "allowed_origins");
        }
        assert_eq!(settings(&["*"], &["a b"]).validate().expect_err("no header").0, "allowed_headers");
        assert!(settings(&["*", "http://localhost:3000"], &["*", "x-a"]).validate().is_ok());
    }
}

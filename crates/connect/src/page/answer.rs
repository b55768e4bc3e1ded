//! From a request to an answer.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use otlp::Codec;

use super::{
    PageRequest,
    serving::{Activity, Desk, Sent, note},
};
use crate::{
    auth::{Denied, Guard},
    body::AnswerBody,
    codec,
};

/// What a request is answered. Who may not read learns nothing of what there is.
pub(super) async fn answer(
    desk: &Desk,
    request: &Request<Incoming>,
    activity: &Arc<Mutex<Activity>>,
) -> Response<AnswerBody> {
    note(activity, false);
    if !desk.hosts.allow(request.uri(), request.headers()) {
        return refusal(StatusCode::MISDIRECTED_REQUEST, WRONG_HOST);
    }
    if let Some(guard) = &desk.guard
        && let Err(denied) = guard.admit(request.headers()).await
    {
        return stranger(guard, denied);
    }
    shown(desk, request, activity)
}

const WRONG_HOST: &str =
    "this listener is reached by an address or as `localhost`; name another host in its `endpoint`\n";

fn stranger(guard: &Guard, denied: Denied) -> Response<AnswerBody> {
    if denied == Denied::Busy {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many passwords at once; try again later\n");
    }
    let mut answer = refusal(StatusCode::UNAUTHORIZED, "the right credentials are needed here\n");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, guard.challenge());
    answer
}

fn shown(desk: &Desk, request: &Request<Incoming>, activity: &Arc<Mutex<Activity>>) -> Response<AnswerBody> {
    let path = request.uri().path();
    if let Some(why) = desk.pages.missing(path) {
        return refusal(StatusCode::NOT_FOUND, why);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let Ok(place) = desk.answers.clone().try_acquire_owned() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many readers at once; try again later\n");
    };
    let headers = request.headers();
    let mut page = desk.pages.page(&PageRequest { path, headers });
    let mut response =
        Response::builder().status(page.status).header(header::CONTENT_TYPE, page.content_type);
    let vary = if page.varies { "Accept, Accept-Encoding" } else { "Accept-Encoding" };
    response = response.header(header::VARY, vary);
    if accepts_gzip(&joined(headers, &header::ACCEPT_ENCODING))
        && let Ok(packed) = codec::compress(Codec::Gzip, codec::DEFAULT_LEVEL, &page.body)
    {
        page.body = packed;
        response = response.header(header::CONTENT_ENCODING, codec::name(Codec::Gzip));
    }
    if let Some(charge) = &mut page.charge {
        charge.settle(page.body.len());
    }
    if *request.method() == Method::HEAD {
        response = response.header(header::CONTENT_LENGTH, page.body.len());
        return response.body(AnswerBody::default()).unwrap_or_default();
    }
    note(activity, true);
    let sent = Sent { bytes: page.body, activity: activity.clone(), _charge: page.charge, _place: place };
    let data = Some(Bytes::from_owner(sent));
    response.body(AnswerBody { data, trailers: None }).unwrap_or_default()
}

/// All lines of a header as one.
pub(super) fn joined(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

fn refusal(status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    let mut answer =
        Response::new(AnswerBody { data: Some(Bytes::from_static(text.as_bytes())), trailers: None });
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// Whether `Accept-Encoding` allows gzip.
fn accepts_gzip(header: &str) -> bool {
    let mut any = false;
    for part in header.split(',') {
        let (coding, rest) = part.split_once(';').unwrap_or((part, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Some(1000), |text| quality(text.trim()));
        let is_wanted = weight.is_some_and(|weight| weight > 0);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => any = is_wanted,
            _ => {}
        }
    }
    any
}

/// A weight in thousandths (RFC 9110, section 12.4.2).
pub(crate) fn quality(text: &str) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&value).then_some((value * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_it_is_wanted() {
        for (header, wanted) in [
            ("", false),
            ("identity", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0, *", false),
            ("*", true),
            ("*;q=0", false),
        ] {
            assert_eq!(accepts_gzip(header), wanted, "{header}");
        }
    }
}

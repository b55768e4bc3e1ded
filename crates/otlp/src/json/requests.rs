//! A text of several requests: JSON lines, or one object behind another.

use super::{JsonError, read, schema, token::Tokens};
use crate::Signal;

/// Cuts a text into its requests and transcodes each, with the signal that its first key tells: JSON lines, as the
/// Collector's `file` exporter writes them, a single request over many lines, or any number of those.
///
/// ```
/// use aldis_otlp::{Signal, json};
/// let lines = b"{\"resourceLogs\":[]}\n{\"resourceSpans\":[]}\n{\"resourceLogs\":";
/// let mut requests = json::requests(lines);
/// assert_eq!(requests.next(), Some(Ok((Signal::Logs, Vec::new()))));
/// assert_eq!(requests.next(), Some(Ok((Signal::Traces, Vec::new()))));
/// let error = requests.next().unwrap().unwrap_err();
/// assert_eq!(error.place(lines), (3, 17));
/// assert_eq!(requests.next(), None);
/// ```
pub fn requests(text: &[u8]) -> Requests<'_> {
    Requests { text, at: 0 }
}

/// The requests in a text; see [`requests`]. Ends with the first error, whose offset counts from the text's start.
#[derive(Clone, Debug)]
pub struct Requests<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Requests<'_> {
    type Item = Result<(Signal, Vec<u8>), JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut tokens = Tokens::from(self.text, self.at);
        if tokens.at_end() {
            return None;
        }
        let read = signal(&mut tokens.clone()).and_then(|signal| {
            let mut wire = Vec::new();
            read::fields(&mut tokens, schema::request(signal), &mut wire)?;
            Ok((signal, wire))
        });
        self.at = if read.is_ok() { tokens.at() } else { self.text.len() };
        Some(read)
    }
}

/// The signal of the request that begins here.
fn signal(tokens: &mut Tokens<'_>) -> Result<Signal, JsonError> {
    const EXPECTED: &str =
        "`resourceSpans`, `resourceLogs`, `resourceMetrics` or `resourceProfiles` in an export request";
    let start = tokens.clone();
    tokens.open(b'{', "an export request, which begins with `{`")?;
    let mut first = true;
    while tokens.more(first, b'}')? {
        first = false;
        let key = tokens.key()?;
        let names = |signal: &Signal| {
            let resources = schema::request(*signal).field(&key);
            resources.is_some_and(|field| field.number == 1)
        };
        if let Some(signal) = Signal::ALL.into_iter().find(names) {
            return Ok(signal);
        }
        tokens.skip()?;
    }
    Err(start.error(EXPECTED))
}

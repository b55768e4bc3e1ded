//! Lines of a configuration as they may be shown: secrets are stars.
//!
//! It works on text, because the line that is shown may be the one that makes the file unreadable. A key that sounds like a secret's
//! hides what stands behind it, down to the end of what is indented below it; so does `headers`, whatever is in it. A URL's user
//! and password are hidden wherever they stand. The rows of a component say more ([`crate::settings::Kind::is_secret`]), but not for
//! keys that are misspelt.

/// Words in keys, without case and punctuation, behind which secrets stand.
const WORDS: [&str; 13] = [
    "token",
    "tokens",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "credential",
    "authorization",
    "privatekey",
    "keypem",
    "dsn",
    "cookie",
];

/// Keys, whole, that hold secrets.
const KEYS: [&str; 3] = ["headers", "inline", "pass"];

/// Ends of keys that name a place, not what is there.
const PLACES: [&str; 4] = ["file", "filename", "path", "url"];

/// Whether what stands behind a key is shown to nobody.
pub fn is_sensitive(key: &str) -> bool {
    // The name of a component, which every one of its settings stands below.
    let kind = key.trim_matches(['"', '\'']).split('/').next().unwrap_or_default().trim();
    let is_table = kind == "htpasswd";
    if is_table || crate::components::COMPONENTS.iter().any(|known| known.name == kind) {
        return false;
    }
    let plain: String =
        kind.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let sounds = |word: &&str| {
        // Few get the first letter wrong, and `readers` are no headers.
        word.len() > 4
            && plain.chars().next() == word.chars().next()
            && strsim::damerau_levenshtein(&plain, word) <= 1
    };
    let holds = WORDS.iter().any(|word| plain.contains(word)) || KEYS.contains(&plain.as_str());
    // Two letters that were swapped make a key unknown, and its value no less secret.
    let holds = holds || plain != "header" && WORDS.iter().chain(&KEYS).any(sounds);
    holds && !PLACES.iter().any(|place| plain.ends_with(place))
}

/// The line at an index, with as many characters as it has. `None` if there is no such line.
pub fn line(source: &str, index: usize) -> Option<String> {
    let lines: Vec<&str> = source.lines().take(index + 1).collect();
    let own = lines.get(index)?;
    let is_below = is_below_a_secret(&lines, index);
    let from =
        if is_below { own.len() - own.trim_start_matches([' ', '\t', '-']).len() } else { secret(own) };
    let (shown, hidden) = own.split_at(from);
    Some(format!("{}{}", without_userinfo(shown), stars(hidden)))
}

/// Text with the user and password of every URL in it hidden.
pub fn without_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//").map(|at| at + 2) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '`' | ',' | '}'));
        if let Some(user) = rest[..end.unwrap_or(rest.len())].rfind('@') {
            out.push_str(&stars(&rest[..user]));
            rest = &rest[user..];
        }
    }
    out.push_str(rest);
    out
}

fn stars(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect()
}

/// Where on a line the first secret begins; its end where there is none. What stands behind it is taken for a secret too: where a
/// value ends is not known before the file is read.
fn secret(line: &str) -> usize {
    let begins_a_block = |behind: usize| matches!(line[behind..].trim_end_matches(['-', '+']), "|" | ">");
    let mut secrets = keys(line).filter(|(key, behind)| is_sensitive(key) && !begins_a_block(*behind));
    secrets.next().map_or(line.len(), |(_, behind)| behind)
}

/// Keys on a line, and where what is behind their colons begins.
fn keys(line: &str) -> impl Iterator<Item = (&str, usize)> {
    let colons = line
        .match_indices(':')
        .filter(|(at, _)| line[at + 1..].chars().next().is_none_or(char::is_whitespace));
    colons.map(|(at, _)| {
        let begin = line[..at].rfind(['{', ',', '[']).map_or(0, |open| open + 1);
        let key = line[begin..at].trim().trim_start_matches("- ").trim();
        let behind = at + 1 + line[at + 1..].chars().take_while(|c| c.is_whitespace()).count();
        (key, behind)
    })
}

/// Whether a line stands below a key that holds secrets, by its indentation.
fn is_below_a_secret(lines: &[&str], index: usize) -> bool {
    let Some(mut depth) = depth(lines[index]) else {
        return false;
    };
    for above in lines[..index].iter().rev() {
        let Some(found) = self::depth(above) else { continue };
        if found < depth {
            depth = found;
            let last = keys(above).last();
            if keys(above)
                .any(|(key, behind)| is_sensitive(key) && opens(above, behind, last.map(|last| last.1)))
            {
                return true;
            }
        }
    }
    false
}

/// Whether what begins here on a line may go on below it: nothing stands there, or a block, a text or a list begins.
fn opens(line: &str, behind: usize, last: Option<usize>) -> bool {
    let value = line[behind..].trim();
    last.is_some_and(|last| last > behind)
        || value.is_empty()
        || value.starts_with(['|', '>', '{', '[', '"', '\'', '#', '&', '!'])
        || !value.contains(' ')
}

/// Twice the characters that a line is indented by; a list's entry may stand where its key does, so it counts one more. `None` for a line
/// that says nothing.
fn depth(line: &str) -> Option<usize> {
    let text = line.trim_start();
    let is_entry = text.starts_with("- ") || text == "-";
    (!text.is_empty()).then_some(2 * (line.len() - text.len()) + usize::from(is_entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
exporters:
  otlphttp:
    endpoint: https://anna:open-sesame@host:1/path
    headers:
      x-team: sesame one
      - sesame
    compression: gzip
    compresion: {Authorization: sesame, b: 1}
extensions:
  bearertokenauth/a:
    scheme: Bearer
    token: sesame
    tokens:
    - sesame
    - \"sesame: b\"
    filename: /etc/token
    tokesn: [sesame]
  basicauth:
    htpasswd:
      inline: |
        anna:sesame

        bert: sesame
      file: /etc/users
    client_auth: {username: anna, password: sesame, password_file: /x}
";

    #[test]
    fn secrets_are_stars_and_everything_else_stays() {
        for (index, own) in FILE.lines().enumerate() {
            let shown = line(FILE, index).expect("a line");
            assert_eq!(shown.chars().count(), own.chars().count(), "{shown}");
            assert!(!shown.contains("sesame"), "{shown}");
            let is_plain = !own.contains("sesame");
            assert_eq!(shown == own, is_plain || own == "        ", "{own}\n{shown}");
        }
        assert_eq!(line(FILE, 2).as_deref(), Some("    endpoint: https://****************@host:1/path"));
        assert_eq!(line(FILE, 7).as_deref(), Some("    compresion: {Authorization: ******* ** **"));
        assert_eq!(line(FILE, 99), None);
    }

    #[test]
    fn what_names_a_place_is_no_secret() {
        for key in [
            "token",
            "tokens",
            "Authorization",
            "\"x-api-key\"",
            "client_secret",
            "inline",
            "pass_phrase",
            "apiKey",
            "tokne",
            "haeders",
        ] {
            assert!(is_sensitive(key), "{key}");
        }
        for key in [
            "filename",
            "password_file",
            "header",
            "readers",
            "bearertokenauth/x",
            "key",
            "endpoint",
            "authenticator",
            "token_url",
        ] {
            assert!(!is_sensitive(key), "{key}");
        }
    }
}

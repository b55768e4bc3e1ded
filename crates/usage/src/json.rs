//! Text inside JSON.

use std::fmt;

/// Writes a text as it stands between the quotes of a JSON string (RFC 8259, §7).
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                // JSON allows U+007F as it is, TOML does not.
                control if control.is_ascii_control() => write!(f, "\\u{:04x}", u32::from(control))?,
                other => fmt::Write::write_char(f, other)?,
            }
        }
        Ok(())
    }
}

/// A member's value in the text of an object, and all that follows it. What is no JSON, or is cut off, has the members that can be seen.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    // Objects and arrays within, and whether a name is next.
    let (mut depth, mut is_name) = (0_usize, true);
    loop {
        let letter = rest.chars().next()?;
        if letter == '"' {
            let (text, behind) = string(rest)?;
            rest = behind;
            if depth == 0 && is_name {
                rest = rest.trim_start().strip_prefix(':')?.trim_start();
                if text == name {
                    return Some(rest);
                }
                is_name = false;
            }
            continue;
        }
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => is_name = true,
            _ => {}
        }
        rest = &rest[letter.len_utf8()..];
    }
}

/// A string at the beginning of a text, or its beginning where it is cut off, and what follows it.
pub(crate) fn string(text: &str) -> Option<(String, &str)> {
    let mut letters = text.strip_prefix('"')?.chars();
    // Beyond the first plane a letter is escaped as two.
    let mut units: Vec<u16> = Vec::new();
    while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
        let escaped = if letter == '\\' { letters.next() } else { None };
        match escaped {
            None => units.extend_from_slice(letter.encode_utf16(&mut [0; 2])),
            Some('u') => {
                let digits = letters.as_str().get(..4).unwrap_or_default();
                units.push(u16::from_str_radix(digits, 16).unwrap_or(u16::from(b'?')));
                letters = letters.as_str()[digits.len()..].chars();
            }
            Some(escaped) => {
                let known = [('n', '\n'), ('r', '\r'), ('t', '\t'), ('b', '\u{8}'), ('f', '\u{c}')];
                let letter =
                    known.iter().find(|(name, _)| *name == escaped).map_or(escaped, |(_, letter)| *letter);
                units.extend_from_slice(letter.encode_utf16(&mut [0; 2]));
            }
        }
    }
    Some((String::from_utf16_lossy(&units), letters.as_str()))
}

/// A whole number at the beginning of a text, also in quotes, as OTLP/JSON has those of 64 bits.
pub(crate) fn number(text: &str) -> Option<u64> {
    let text = text.strip_prefix('"').unwrap_or(text);
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_back(text in ".*|[\\x00-\\x7f]*") {
            let read: String = serde_json::from_str(&format!("\"{}\"", Escaped(&text))).unwrap();
            prop_assert_eq!(read, text);
        }

        /// Another writer's JSON, whatever stands around what is looked for.
        #[test]
        fn any_member_is_found(
            before in ".{0,9}|\"[\\\\{}\\[\\]\",:]{0,9}",
            name in "[a-c\"\\\\]{1,3}",
            value in ".{0,9}|[\\x00-\\x7f]{0,9}|\u{10ffff}\u{1f600}",
            count: u64,
            pretty: bool,
        ) {
            prop_assume!(before != name);
            let other = serde_json::json!([{ &name: [before, { &name: 1 }] }, null, -1.5e3, true]);
            let object = serde_json::json!({ &before: other, &name: { "text": value, "count": count, "quoted": count.to_string() } });
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let found = member(&text, &name).unwrap();
            prop_assert_eq!(string(member(found, "text").unwrap()).unwrap().0, value);
            prop_assert_eq!(member(found, "count").and_then(number), Some(count));
            prop_assert_eq!(member(found, "quoted").and_then(number), Some(count));
            prop_assert_eq!(member(found, "none"), None);
        }

        #[test]
        fn no_text_is_too_much(text in "[\\\\{}\\[\\]\",:a-bu0-9 ]{0,40}|.*") {
            let _ = member(&text, "a").map(|found| (string(found), number(found)));
        }
    }
}

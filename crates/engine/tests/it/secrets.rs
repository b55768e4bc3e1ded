//! A secret of a configuration is in nothing that is told about it, whatever is wrong with the file.

use aldis_engine::{Rendering, check};

/// What must be seen nowhere.
const CANARY: &str = "canary-4711-sesame";

/// Each sensitive place holds the canary, as it is or out of a variable.
const FILE: &str = "\
extensions:
  bearertokenauth:
    token: canary-4711-sesame
    scheme: Bearer
  bearertokenauth/more:
    tokens:
    - canary-4711-sesame
    - ${env:TOKEN}
  basicauth/in:
    htpasswd:
      inline: |
        anna:canary-4711-sesame
        bert:canary-4711-sesame
  basicauth/out:
    client_auth: {username: anna, password: canary-4711-sesame}
receivers:
  otlp:
    protocols:
      grpc: {auth: {authenticator: bearertokenauth}}
      http:
        auth:
          authenticator: basicauth/in
exporters:
  otlp:
    endpoint: http://localhost:1
    compression: ${env:COMPRESSION}
    auth: {authenticator: basicauth/out}
    headers:
      authorization: Bearer canary-4711-sesame
      x-key: ${env:TOKEN}
  otlphttp:
    endpoint: http://anna:canary-4711-sesame@localhost:1
    headers: {x-key: \"canary-4711-sesame\", x-number: 47114711}
    timeout: ${env:TOKEN}
service:
  extensions: [bearertokenauth, bearertokenauth/more, basicauth/in, basicauth/out]
  pipelines:
    logs:
      receivers: [otlp]
      exporters: [otlp, otlphttp]
";

fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some(CANARY.to_owned()),
        "COMPRESSION" => Some(format!("{CANARY}-and-more")),
        _ => None,
    }
}

/// All that is told about a file: for people, in one line, and by whoever prints what it holds.
fn told(text: &str) -> String {
    let checked = check(text, &environment);
    let mut told = String::new();
    for color in [false, true] {
        told += &Rendering { file: "f.yaml", source: text, color }.write_all(&checked.problems);
    }
    for problem in checked.problems.iter() {
        told += &format!("{problem}\n{problem:?}\n");
    }
    told + &format!("{:?}{:#?}", checked.problems, checked.graph)
}

/// Swaps the second and third letter of a line's key.
fn misspelt(line: &str) -> String {
    let mut letters: Vec<char> = line.chars().collect();
    let first = letters.iter().position(|c| c.is_alphabetic()).unwrap_or_default();
    if first + 2 < letters.len() {
        letters.swap(first + 1, first + 2);
    }
    letters.into_iter().collect()
}

/// Makes another line of a line.
type Spoil = fn(&str) -> String;

/// Ways to spoil a line.
const SPOILT: [(&str, Spoil); 9] = [
    ("as it is", str::to_owned),
    ("misspelt", misspelt),
    ("a list", |line| line.replacen(": ", ": [", 1) + "]"),
    ("a map", |line| line.replacen(": ", ": {a: ", 1) + "}"),
    ("twice", |line| format!("{line}\n{line}")),
    ("gone", |_| String::new()),
    ("without end", |line| line.replacen(": ", ": \"", 1)),
    ("a tab", |line| format!("\t{line}")),
    ("not YAML", |line| format!("{line}: : ]")),
];

#[test]
fn nothing_that_is_told_about_a_file_has_a_secret_in_it() {
    let told_of_all = told(FILE);
    assert!(
        told_of_all.contains("cannot be `${env:COMPRESSION}`"),
        "a variable's name is said: {told_of_all}"
    );
    let mut errors = 0;
    for (index, line) in FILE.lines().enumerate() {
        for (how, spoil) in SPOILT {
            // What stands below no key is no secret's value.
            if how == "gone" && line.ends_with([':', '|']) {
                continue;
            }
            let mut lines: Vec<String> = FILE.lines().map(str::to_owned).collect();
            lines[index] = spoil(line);
            let told = told(&lines.join("\n"));
            errors += told.matches("error: ").count();
            for part in [CANARY, "4711-sesame", "47114711"] {
                let shown = told.lines().find(|line| line.contains(part));
                assert_eq!(shown, None, "line {}, {how}: {line}", index + 1);
            }
        }
    }
    assert!(errors > 1000, "the files are wrong, each in its way: {errors}");
}

use std::{fs, future::Future, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::*;
use crate::limits::{MAX_REMEMBERED_PASSWORDS, MAX_TOKENS, MAX_WAITING_PASSWORDS, WATCH_INTERVAL};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::try_from(*value).expect("a value"));
    }
    headers
}

fn admit(guard: &Guard, headers: &HeaderMap) -> Result<String, Denied> {
    block_on(guard.admit(headers)).map(|identity| identity.to_string())
}

fn bearer(settings: BearerSettings) -> Guard {
    Guard::new(&ServerAuthSettings::Bearer(settings)).expect("good settings")
}

fn basic(inline: &str) -> verifier::Verifier {
    let settings = HtpasswdSettings { file: None, inline: inline.into() };
    verifier::Verifier::open(&settings).expect("good settings")
}

fn login(name: &str, password: &str) -> HeaderMap {
    headers("authorization", &[&format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))])
}

#[test]
fn a_token_is_taken_whole_once_and_in_its_place() {
    let guard = bearer(BearerSettings::default().with_token("first-token").with_token("second-token"));
    for (values, expected) in [
        (&["Bearer first-token"][..], Ok(())),
        (&["bearer  second-token "], Ok(())),
        (&["Bearer first-tokem"], Err(Denied::Wrong)),
        (&["Bearer first-toke"], Err(Denied::Wrong)),
        (&["Bearer first-tokenn"], Err(Denied::Wrong)),
        (&["Bearer "], Err(Denied::Wrong)),
        (&["Bearerfirst-token"], Err(Denied::Wrong)),
        (&["first-token"], Err(Denied::Wrong)),
        (&["Basic first-token"], Err(Denied::Wrong)),
        // Whoever is in front may read another one than we do.
        (&["Bearer first-token", "Bearer first-token"], Err(Denied::Wrong)),
        (&[""], Err(Denied::Missing)),
        (&[], Err(Denied::Missing)),
    ] {
        let said = admit(&guard, &headers("authorization", values));
        assert_eq!(said.map(drop), expected, "{values:?}");
    }
    let settings =
        BearerSettings { header: "x-api-key".into(), scheme: String::new(), ..BearerSettings::default() };
    let guard = bearer(settings.with_token("the key"));
    assert!(admit(&guard, &headers("x-api-key", &["the key"])).is_ok());
    assert_eq!(admit(&guard, &headers("authorization", &["the key"])), Err(Denied::Missing));
    assert_eq!(
        (guard.header().as_str(), guard.challenge()),
        ("x-api-key", HeaderValue::from_static("Bearer"))
    );
}

/// The name of a sender follows the token: through a list that changes, to other listeners, into those that are made anew.
#[test]
fn a_sender_has_one_name_wherever_its_token_stands() {
    let name = |tokens: &[&str], token: &str| {
        let guard =
            bearer(tokens.iter().fold(BearerSettings::default(), |all, token| all.with_token(*token)));
        admit(&guard, &headers("authorization", &[&format!("Bearer {token}")])).expect("it is in the list")
    };
    let (one, two) = (name(&["one", "two"], "one"), name(&["one", "two"], "two"));
    assert_ne!(one, two);
    for tokens in [&["two", "one"][..], &["two"], &["three", "", "two"]] {
        assert_eq!(name(tokens, "two"), two, "{tokens:?}");
    }
    let digits = two.strip_prefix("token ").expect("what it is");
    assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{two}");
    // Without the key nobody can try tokens against it.
    let plain: String = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix("two"))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(!plain.starts_with(digits));
}

#[test]
fn what_can_be_no_token_is_a_wrong_setting() {
    let good = || BearerSettings::default().with_token("token");
    let many = (0..=MAX_TOKENS).fold(BearerSettings::default(), |all, i| all.with_token(i.to_string()));
    for (settings, says) in [
        (BearerSettings::default(), "no token"),
        (BearerSettings::default().with_token(""), "no token"),
        (good().with_token("sesame\n"), "no header"),
        (BearerSettings { header: "a b".into(), ..good() }, "`header`"),
        (BearerSettings { scheme: "a b".into(), ..good() }, "`scheme`"),
        (many, "more than"),
    ] {
        let error = settings.validate().expect_err(says);
        assert!(error.0.contains(says) && !error.0.contains("sesame"), "{error}");
        assert!(Guard::new(&ServerAuthSettings::Bearer(settings.clone())).is_err());
        assert!(Credentials::new(&ClientAuthSettings::Bearer(settings)).is_err());
    }
}

#[test]
fn tokens_of_a_file_change_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    let settings = BearerSettings { file: Some(file.clone()), ..BearerSettings::default() };
    let missing = Guard::new(&ServerAuthSettings::Bearer(settings.clone())).expect_err("no file");
    assert!(missing.0.contains("tokens"), "{missing}");
    let sent = Credentials::new(&ClientAuthSettings::Bearer(settings.clone())).expect("it may come");
    assert!(sent.apply(&mut HeaderMap::new()).is_err());

    fs::write(&file, "one\n\n two \n").expect("written");
    let guard = bearer(settings);
    let ask = |token: &str| admit(&guard, &headers("authorization", &[&format!("Bearer {token}")]));
    let two = ask("two").expect("known");
    let mut own = HeaderMap::new();
    sent.apply(&mut own).expect("it is there now");
    assert_eq!(own[AUTHORIZATION], "Bearer one");
    assert!(own[AUTHORIZATION].is_sensitive());

    fs::write(&file, "three\ntwo\n").expect("written");
    let end = Instant::now() + 60 * WATCH_INTERVAL;
    while ask("one").is_ok() || own[AUTHORIZATION] != "Bearer three" {
        assert!(Instant::now() < end, "the file is read again");
        std::thread::sleep(WATCH_INTERVAL / 10);
        sent.apply(&mut own).expect("a token");
    }
    assert!(ask("three").is_ok());
    assert_eq!(ask("two"), Ok(two), "it is who it was");
}

#[test]
fn a_password_is_computed_once_and_a_wrong_one_too() {
    let hash = bcrypt::hash("open", 4).expect("hashed");
    let verifier = basic(&format!("anna:{hash}\nbert:plain"));
    let ask = |headers: &HeaderMap| block_on(verifier.admit(headers)).map(|identity| identity.to_string());
    for _ in 0..3 {
        assert_eq!(ask(&login("anna", "open")).as_deref(), Ok("anna"));
        assert_eq!(ask(&login("anna", "wrong")), Err(Denied::Wrong));
        assert_eq!(ask(&login("nobody", "open")), Err(Denied::Wrong));
    }
    assert_eq!(verifier.verifications(), 3);
    assert_eq!(ask(&login("bert", "plain")).as_deref(), Ok("bert"));
    for (value, expected) in [
        ("Basic !!!", Denied::Wrong),
        (&format!("Basic {}", STANDARD.encode("no colon")), Denied::Wrong),
        (&format!("Basic {}", STANDARD.encode(format!("anna:{}", "x".repeat(2000)))), Denied::Wrong),
        ("Bearer open", Denied::Wrong),
        ("", Denied::Missing),
    ] {
        assert_eq!(ask(&headers("authorization", &[value])), Err(expected), "{value}");
    }
    assert_eq!(verifier.verifications(), 4, "what is no login is not looked up");
}

/// Each wrong password is slow to check, so a flood of them must neither wait nor be computed.
#[test]
fn a_flood_of_wrong_passwords_is_turned_away() {
    let hash = bcrypt::hash("open", 10).expect("hashed");
    let verifier = basic(&format!("anna:{hash}"));
    block_on(async {
        assert!(verifier.admit(&login("anna", "open")).await.is_ok());
        let attempts: Vec<_> =
            (0..20 * MAX_WAITING_PASSWORDS).map(|i| login("anna", &i.to_string())).collect();
        let mut waiting: Vec<_> = attempts.iter().map(|headers| Box::pin(verifier.admit(headers))).collect();
        let mut busy = 0;
        for attempt in &mut waiting {
            // One poll puts it into the queue, or not.
            let answer = std::future::poll_fn(|cx| std::task::Poll::Ready(attempt.as_mut().poll(cx))).await;
            busy += usize::from(matches!(answer, std::task::Poll::Ready(Err(Denied::Busy))));
        }
        assert!(busy >= 15 * MAX_WAITING_PASSWORDS, "{busy}");
        assert_eq!(
            verifier.admit(&login("anna", "open")).await.as_deref(),
            Ok("anna"),
            "whoever is known stays in"
        );
        drop(waiting);
        let before = verifier.verifications();
        // Whoever comes now is asked behind them, once there is room.
        let end = Instant::now() + 60 * WATCH_INTERVAL;
        loop {
            match verifier.admit(&login("anna", "the last")).await {
                Err(Denied::Busy) => std::thread::sleep(WATCH_INTERVAL / 1000),
                answer => break assert_eq!(answer, Err(Denied::Wrong)),
            }
            assert!(Instant::now() < end, "it is busy for ever");
        }
        // Those whose asker has gone are passed over: but the last, one may have begun.
        let more = verifier.verifications() - before;
        assert!(more <= 2, "{more}");
    });
}

#[test]
fn what_is_remembered_is_bounded_and_wrong_ones_push_out_no_right_one() {
    let verifier = basic("anna:open");
    block_on(async {
        assert!(verifier.admit(&login("anna", "open")).await.is_ok());
        for i in 0..MAX_REMEMBERED_PASSWORDS + 10 {
            verifier.remember_wrong(&format!("{i}"));
        }
        let (right, wrong) = verifier.remembers();
        assert!(right == 1 && wrong <= MAX_REMEMBERED_PASSWORDS, "{right} {wrong}");
    });
}

#[test]
fn a_name_and_password_are_sent_as_rfc_7617_says() {
    let settings = BasicSettings {
        username: "Aladdin".into(),
        password: "open sesame".into(),
        ..BasicSettings::default()
    };
    let sent = Credentials::new(&ClientAuthSettings::Basic(settings.clone())).expect("good");
    let mut headers = HeaderMap::new();
    sent.apply(&mut headers).expect("a header");
    assert_eq!(headers[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(!format!("{headers:?} {sent:?} {settings:?}").contains("sesame"));
    let folder = tempfile::tempdir().expect("a folder");
    let (name, password) = (folder.path().join("name"), folder.path().join("password"));
    fs::write(&name, "Ali\n").expect("written");
    fs::write(&password, "baba\n").expect("written");
    let files = BasicSettings { username_file: Some(name), password_file: Some(password), ..settings };
    Credentials::new(&ClientAuthSettings::Basic(files)).expect("good").apply(&mut headers).expect("a header");
    assert_eq!(headers[AUTHORIZATION], format!("Basic {}", STANDARD.encode("Ali:baba")));
    for wrong in ["", "a:b"] {
        let settings = BasicSettings { username: wrong.into(), ..BasicSettings::default() };
        assert!(Credentials::new(&ClientAuthSettings::Basic(settings)).is_err(), "{wrong:?}");
    }
}

#[test]
fn nothing_that_is_kept_shows_a_secret() {
    let tokens = BearerSettings::default().with_token("sesame-token");
    let users = HtpasswdSettings { file: None, inline: "anna:sesame".into() };
    let (bearer, basic) = (ServerAuthSettings::Bearer(tokens), ServerAuthSettings::Basic(users));
    for settings in [bearer, basic] {
        let shown = format!("{settings:#?} {:#?}", Guard::new(&settings).expect("good"));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}

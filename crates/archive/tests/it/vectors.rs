//! The primitives against Project Wycheproof's vectors, by the calls that the archive makes.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use wycheproof::{TestResult, aead, hkdf as of_hkdf};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut run = 0;
    for group in set.test_groups.iter().filter(|group| group.key_size == 256 && group.nonce_size == 96) {
        for test in &group.tests {
            run += 1;
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
            let is_good = test.result == TestResult::Valid;
            let mut sealed = test.ct.to_vec();
            sealed.extend(&test.tag[..]);
            let opened = key.open_in_place(nonce(), Aad::from(&test.aad), &mut sealed);
            assert_eq!(opened.is_ok(), is_good, "{}", test.tc_id);
            assert!(!is_good || opened.unwrap()[..] == test.pt[..], "{}", test.tc_id);
            let mut body = test.pt.to_vec();
            let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(&test.aad), &mut body).unwrap();
            let is_same = body[..] == test.ct[..] && tag.as_ref() == &test.tag[..];
            assert_eq!(is_same, is_good, "{}", test.tc_id);
        }
    }
    assert!(run > 60, "{run} vectors were there");
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha_512() {
    let set = of_hkdf::TestSet::load(of_hkdf::TestName::HkdfSha512).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        run += 1;
        let random = hkdf::Salt::new(hkdf::HKDF_SHA512, &test.salt).extract(&test.ikm);
        let mut derived = vec![0; test.size];
        let info = [&test.info[..]];
        let is_done = random.expand(&info, Length(test.size)).and_then(|okm| okm.fill(&mut derived)).is_ok();
        let is_good = test.result != TestResult::Invalid;
        assert_eq!(is_done && derived[..] == test.okm[..], is_good, "{}", test.tc_id);
    }
    assert!(run > 60, "{run} vectors were there");
}

//! Authorities and certificates for tests: P-256, written by hand in DER. What the libraries for
//! it bring along is more than these lines.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of several tests; each uses a part of them"
)]

use std::fmt::Write as _;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A key that signs.
pub struct Authority {
    name: String,
    key: EcdsaKeyPair,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate with its key, in PEM.
pub struct Certificate {
    pub pem: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (key, _) = key_pair();
        let signed =
            signed(Body { name, issuer: name, to: "20991231235959Z", ca: true }, &key, &key);
        Self { name: name.to_owned(), pem: pem("CERTIFICATE", &signed), key }
    }

    /// A certificate for 127.0.0.1 and localhost, until `to` (`20991231235959Z`).
    pub fn issue(&self, name: &str, to: &str) -> Certificate {
        let (key, document) = key_pair();
        let body = Body { name, issuer: &self.name, to, ca: false };
        let signed = signed(body, &key, &self.key);
        Certificate { pem: pem("CERTIFICATE", &signed), key: pem("PRIVATE KEY", &document) }
    }
}

fn key_pair() -> (EcdsaKeyPair, Vec<u8>) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    (key, document.as_ref().to_vec())
}

struct Body<'a> {
    name: &'a str,
    issuer: &'a str,
    to: &'a str,
    ca: bool,
}

fn signed(body: Body<'_>, key: &EcdsaKeyPair, signer: &EcdsaKeyPair) -> Vec<u8> {
    let algorithm = tlv(0x30, &[oid(ECDSA_SHA256)]);
    let mut serial = [0; 8];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut serial).unwrap();
    serial[0] = 0x11;
    let public = [&[0], key.public_key().as_ref()].concat();
    let public = tlv(0x30, &[tlv(0x30, &[oid(EC_KEY), oid(P256)]), tlv(0x03, &[public])]);
    let extension = match body.ca {
        true => tlv(
            0x30,
            &[
                oid(BASIC_CONSTRAINTS),
                tlv(0x01, &[vec![0xff]]),
                tlv(0x04, &[tlv(0x30, &[tlv(0x01, &[vec![0xff]])])]),
            ],
        ),
        false => {
            let names = [tlv(0x87, &[vec![127, 0, 0, 1]]), tlv(0x82, &[b"localhost".to_vec()])];
            tlv(0x30, &[oid(SUBJECT_ALT_NAME), tlv(0x04, &[tlv(0x30, &names)])])
        }
    };
    let from = tlv(0x17, &[b"200101000000Z".to_vec()]);
    let to = tlv(0x18, &[body.to.as_bytes().to_vec()]);
    let to_be_signed = tlv(
        0x30,
        &[
            tlv(0xa0, &[tlv(0x02, &[vec![2]])]),
            tlv(0x02, &[serial.to_vec()]),
            algorithm.clone(),
            name(body.issuer),
            tlv(0x30, &[from, to]),
            name(body.name),
            public,
            tlv(0xa3, &[tlv(0x30, &[extension])]),
        ],
    );
    let signature = signer.sign(&SystemRandom::new(), &to_be_signed).unwrap();
    let signature = tlv(0x03, &[[&[0], signature.as_ref()].concat()]);
    tlv(0x30, &[to_be_signed, algorithm, signature])
}

fn name(text: &str) -> Vec<u8> {
    let value = tlv(0x0c, &[text.as_bytes().to_vec()]);
    tlv(0x30, &[tlv(0x31, &[tlv(0x30, &[oid(COMMON_NAME), value])])])
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    tlv(0x06, &[bytes.to_vec()])
}

/// Tag, length, value.
fn tlv(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..=0x7f => bytes.push(length as u8),
        0x80..=0xff => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(content);
    bytes
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

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
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
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
    serial: Vec<u8>,
}

/// What a certificate says beside its names.
#[derive(Clone, Copy)]
pub struct Says<'a> {
    /// The common name.
    pub name: &'a str,
    /// `20200101000000Z`.
    pub from: &'a str,
    pub to: &'a str,
    /// Signed as by SHA-1; the signature is one of SHA-256.
    pub sha1: bool,
}

impl<'a> Says<'a> {
    pub fn name(name: &'a str) -> Self {
        Self { name, from: "20200101000000Z", to: "20991231235959Z", sha1: false }
    }
}

/// A subject alternative name.
#[derive(Clone, Copy, Debug)]
pub enum San<'a> {
    Dns(&'a [u8]),
    Uri(&'a str),
    Address([u8; 4]),
}

const HERE: [San<'static>; 2] = [San::Address([127, 0, 0, 1]), San::Dns(b"localhost")];

impl Authority {
    pub fn new(name: &str) -> Self {
        let (key, _) = key_pair();
        let body = Body { says: Says::name(name), issuer: name, names: None, serial: &serial() };
        let signed = signed(body, &key, &key);
        Self { name: name.to_owned(), pem: pem("CERTIFICATE", &signed), key }
    }

    /// A certificate for 127.0.0.1 and localhost, until `to` (`20991231235959Z`).
    pub fn issue(&self, name: &str, to: &str) -> Certificate {
        self.certify(Says { to, ..Says::name(name) }, &HERE)
    }

    /// A certificate for these names.
    pub fn certify(&self, says: Says<'_>, names: &[San<'_>]) -> Certificate {
        let ((key, document), serial) = (key_pair(), serial());
        let body = Body { says, issuer: &self.name, names: Some(names), serial: &serial };
        let signed = signed(body, &key, &self.key);
        let (pem, key) = (pem("CERTIFICATE", &signed), pem("PRIVATE KEY", &document));
        Certificate { pem, key, serial }
    }

    /// A list of what it has revoked, due for renewal at `next` (`20991231235959Z`).
    pub fn revoke(&self, revoked: &[&Certificate], next: &str) -> String {
        let algorithm = tlv(0x30, &[oid(ECDSA_SHA256)]);
        let from = time("20200101000000Z");
        let entry = |one: &&Certificate| {
            tlv(0x30, &[tlv(0x02, std::slice::from_ref(&one.serial)), from.clone()])
        };
        let entries: Vec<_> = revoked.iter().map(entry).collect();
        let number = tlv(0x30, &[oid(CRL_NUMBER), tlv(0x04, &[tlv(0x02, &[vec![1]])])]);
        let mut parts = vec![tlv(0x02, &[vec![1]]), algorithm.clone(), name(&self.name)];
        parts.extend([from.clone(), time(next)]);
        if !entries.is_empty() {
            parts.push(tlv(0x30, &entries));
        }
        parts.push(tlv(0xa0, &[tlv(0x30, &[number])]));
        let list = tlv(0x30, &parts);
        let signature = self.key.sign(&SystemRandom::new(), &list).unwrap();
        let signature = tlv(0x03, &[[&[0], signature.as_ref()].concat()]);
        pem("X509 CRL", &tlv(0x30, &[list, algorithm, signature]))
    }
}

impl Certificate {
    /// One that vouches for itself.
    pub fn self_signed(name: &str) -> Self {
        let ((key, document), serial) = (key_pair(), serial());
        let body =
            Body { says: Says::name(name), issuer: name, names: Some(&HERE), serial: &serial };
        let signed = signed(body, &key, &key);
        let (pem, key) = (pem("CERTIFICATE", &signed), pem("PRIVATE KEY", &document));
        Self { pem, key, serial }
    }
}

fn serial() -> Vec<u8> {
    let mut serial = [0; 8];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut serial).unwrap();
    serial[0] = 0x11;
    serial.to_vec()
}

fn time(text: &str) -> Vec<u8> {
    tlv(0x18, &[text.as_bytes().to_vec()])
}

fn key_pair() -> (EcdsaKeyPair, Vec<u8>) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    (key, document.as_ref().to_vec())
}

struct Body<'a> {
    says: Says<'a>,
    issuer: &'a str,
    /// None for an authority.
    names: Option<&'a [San<'a>]>,
    serial: &'a [u8],
}

fn signed(body: Body<'_>, key: &EcdsaKeyPair, signer: &EcdsaKeyPair) -> Vec<u8> {
    let Says { name: common, from, to, sha1 } = body.says;
    let algorithm = tlv(0x30, &[oid(if sha1 { ECDSA_SHA1 } else { ECDSA_SHA256 })]);
    let public = [&[0], key.public_key().as_ref()].concat();
    let public = tlv(0x30, &[tlv(0x30, &[oid(EC_KEY), oid(P256)]), tlv(0x03, &[public])]);
    let extension = match body.names {
        None => tlv(
            0x30,
            &[
                oid(BASIC_CONSTRAINTS),
                tlv(0x01, &[vec![0xff]]),
                tlv(0x04, &[tlv(0x30, &[tlv(0x01, &[vec![0xff]])])]),
            ],
        ),
        Some(names) => {
            let names = names.iter().map(|name| match name {
                San::Dns(name) => tlv(0x82, &[name.to_vec()]),
                San::Uri(name) => tlv(0x86, &[name.as_bytes().to_vec()]),
                San::Address(address) => tlv(0x87, &[address.to_vec()]),
            });
            let names: Vec<_> = names.collect();
            tlv(0x30, &[oid(SUBJECT_ALT_NAME), tlv(0x04, &[tlv(0x30, &names)])])
        }
    };
    let (from, to) = (time(from), time(to));
    let to_be_signed = tlv(
        0x30,
        &[
            tlv(0xa0, &[tlv(0x02, &[vec![2]])]),
            tlv(0x02, &[body.serial.to_vec()]),
            algorithm.clone(),
            name(body.issuer),
            tlv(0x30, &[from, to]),
            name(common),
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

//! When certificates end, and revocation lists: the one field of X.509 that is to be known of them.
//! Pure.
//!
//! `Certificate { TBSCertificate { [0] version, serial, algorithm, issuer, validity { from, to } } }`
//! in DER: five values are passed over and one is read, which needs no library.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the first of the certificates in a PEM text ends; `None` where it holds none.
pub fn earliest(pem: &[u8]) -> Option<Timestamp> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    certificates.filter_map(|certificate| not_after(&certificate)).min()
}

/// When a certificate ends.
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = value(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = value(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    // Serial, algorithm and issuer; the version before them may be left out.
    let passed = 3 + usize::from(rest.first() == Some(&VERSION));
    for _ in 0..passed {
        rest = value(rest)?.2;
    }
    let (_, validity, _) = value(rest).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (tag, to, _) = value(value(validity)?.2)?;
    time(tag, std::str::from_utf8(to).ok()?)
}

/// When a revocation list is due for renewal: `CertificateList { TBSCertList { version, algorithm,
/// issuer, this update, next update } }`; the version may be left out.
pub fn next_update(der: &[u8]) -> Option<Timestamp> {
    let (_, list, _) = value(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = value(list).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let passed = 3 + usize::from(rest.first() == Some(&INTEGER));
    for _ in 0..passed {
        rest = value(rest)?.2;
    }
    let (tag, to, _) = value(rest)?;
    time(tag, std::str::from_utf8(to).ok()?)
}

/// Tag, content and what is behind of the value that `der` begins with.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

/// `YYMMDDhhmmssZ` (50 and above are of the last century) or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let full = match tag {
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    text.parse().ok()
}

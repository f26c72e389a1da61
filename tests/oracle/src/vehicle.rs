//! The publisher's own idea of a vehicle: its VIN, its statuses, which may follow which.
//!
//! Written from the contract, not from the agent's lifecycle file: two copies that disagree are a
//! finding.

use crate::random::Random;

/// What a vehicle can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Ordered.
    Ordered,
    /// Confirmed.
    Confirmed,
    /// Built.
    Built,
    /// Shipped.
    Shipped,
    /// Arrived at the dealer.
    Arrived,
    /// Sold.
    Sold,
    /// Delivered to the customer.
    Delivered,
    /// Returned by the customer.
    Returned,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ordered,
        Self::Confirmed,
        Self::Built,
        Self::Shipped,
        Self::Arrived,
        Self::Sold,
        Self::Delivered,
        Self::Returned,
    ];

    /// The word in the event.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Confirmed => "confirmed",
            Self::Built => "built",
            Self::Shipped => "shipped",
            Self::Arrived => "arrived",
            Self::Sold => "sold",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
        }
    }

    /// The code in the IDoc.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ordered => "ORDR",
            Self::Confirmed => "CONF",
            Self::Built => "BULT",
            Self::Shipped => "SHIP",
            Self::Arrived => "ARRV",
            Self::Sold => "SOLD",
            Self::Delivered => "DLVD",
            Self::Returned => "RETN",
        }
    }

    /// The status of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// What may follow.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Ordered => &[Self::Confirmed],
            Self::Confirmed => &[Self::Built],
            Self::Built => &[Self::Shipped],
            Self::Shipped => &[Self::Arrived],
            Self::Arrived | Self::Returned => &[Self::Sold],
            Self::Sold => &[Self::Delivered, Self::Returned],
            Self::Delivered => &[Self::Sold],
        }
    }

    /// What may not follow, and is another status.
    pub fn forbidden(self) -> Vec<Self> {
        Self::ALL.into_iter().filter(|to| *to != self && !self.next().contains(to)).collect()
    }
}

/// ISO 3779 / FMVSS 115: I, O and Q are not used.
const VIN_LETTERS: &[u8] = b"ABCDEFGHJKLMNPRSTUVWXYZ0123456789";

/// The weight of each of the 17 positions; the ninth is the check digit itself.
const VIN_WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/// An invented VIN with a valid check digit; `serial` makes it unique.
pub fn vin(random: &mut Random, serial: usize) -> String {
    let makers = ["WWB", "VWY", "TMB", "ZWB", "1WB"];
    let mut text = random.pick(&makers).copied().unwrap_or("WWB").to_owned();
    for _ in 0..5 {
        text.push(char::from(*random.pick(VIN_LETTERS).unwrap_or(&b'A')));
    }
    text.push('0');
    text.push_str(["S", "T", "V"][random.below(3)]);
    text.push_str(["A", "B", "M"][random.below(3)]);
    text.push_str(&format!("{:06}", serial % 1_000_000));
    let digit = check_digit(&text);
    text.replace_range(8..9, digit.encode_utf8(&mut [0; 4]));
    text
}

/// The check digit of a VIN; what stands in the ninth place does not count.
pub fn check_digit(vin: &str) -> char {
    let sum: u32 = vin.bytes().zip(VIN_WEIGHTS).map(|(byte, weight)| value(byte) * weight).sum();
    match sum % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

fn value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'H' => u32::from(byte - b'A') + 1,
        b'J'..=b'R' => u32::from(byte - b'J') + 1,
        b'S'..=b'Z' => u32::from(byte - b'S') + 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_published_examples_are_right() {
        // The worked example of 49 CFR 565 and the all-ones VIN that every checker is tried with.
        assert_eq!(check_digit("1M8GDM9AXKP042788"), 'X');
        assert_eq!(check_digit("11111111111111111"), '1');
    }

    #[test]
    fn invented_vins_are_valid_and_different() {
        let mut random = Random::seeded(3);
        let vins: std::collections::BTreeSet<_> = (0..500).map(|n| vin(&mut random, n)).collect();
        assert_eq!(vins.len(), 500);
        for vin in vins {
            assert_eq!(vin.len(), 17);
            assert_eq!(check_digit(&vin), vin.as_bytes()[8] as char, "{vin}");
            assert!(!vin.contains(['I', 'O', 'Q']), "{vin}");
        }
    }

    #[test]
    fn a_sold_vehicle_may_be_delivered_or_returned_and_nothing_else() {
        assert_eq!(Status::Sold.next(), [Status::Delivered, Status::Returned]);
        assert_eq!(Status::Sold.forbidden().len(), 5);
        assert_eq!(Status::of_word("sold"), Some(Status::Sold));
    }
}

//! Reads a finished file as the consumer's side would: by the offsets of the contract, with nothing
//! shared with the parsers under test.

/// Characters of the control record.
const CONTROL: usize = 524;
/// Characters of a data record.
const DATA: usize = 1063;
/// Where SDATA begins in a data record.
const SDATA: usize = 63;

/// What the oracle wants to know of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// The number of the document, from the control record.
    pub docnum: String,
    /// The vehicle.
    pub vin: String,
    /// The id of the event that it came from.
    pub event_id: String,
    /// The status code.
    pub code: String,
    /// The receiving partner and the plant: one from a partner file, one from a mapping.
    pub marks: (String, String),
}

/// Reads a file; the error says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Registration, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    if !text.ends_with('\n') {
        return Err(format!("cut off: {} bytes, the last line does not end", bytes.len()));
    }
    let mut lines = text.lines();
    let control = lines.next().unwrap_or_default();
    expect(control, "EDI_DC40", CONTROL)?;
    let header = lines.next().ok_or("no data record")?;
    expect(header, "Z2VHHDR000", DATA)?;
    for line in lines {
        expect(line, "Z2VH", DATA)?;
    }
    Ok(Registration {
        docnum: field(control, 13, 16),
        vin: field(header, SDATA, 17),
        event_id: field(header, SDATA + 17, 40),
        code: field(header, SDATA + 57, 4),
        marks: (field(control, 277, 10), field(header, SDATA + 75, 4)),
    })
}

fn expect(line: &str, name: &str, length: usize) -> Result<(), String> {
    let found = line.chars().count();
    if !line.starts_with(name) {
        let start: String = line.chars().take(10).collect();
        return Err(format!("a record starts with {start:?}, not with {name}"));
    }
    if found != length {
        return Err(format!("a record {name} has {found} characters, not {length}"));
    }
    Ok(())
}

fn field(line: &str, offset: usize, length: usize) -> String {
    line.chars().skip(offset).take(length).collect::<String>().trim_end().to_owned()
}

/// A file as the agent ought to write it: for the tests of the oracle itself, and for the bare loop.
pub fn write(registration: &Registration) -> Vec<u8> {
    let Registration { docnum, vin, event_id, code, .. } = registration;
    let control = format!("EDI_DC40  100{docnum:0>16}");
    let header = format!("{:<63}{vin:<17}{event_id:<40}{code:<4}", "Z2VHHDR000");
    format!("{control:<CONTROL$}\n{header:<DATA$}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Registration {
        Registration {
            docnum: "0010000000000001".into(),
            vin: "11111111111111111".into(),
            event_id: "e-1".into(),
            code: "SOLD".into(),
            marks: Default::default(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&write(&sample())), Ok(sample()));
    }

    #[test]
    fn umlauts_count_as_one_character() {
        let text = String::from_utf8(write(&sample())).unwrap();
        let widened = text.replacen("SOLD    ", "SOLDÄÖÜß", 1);
        assert_eq!(read(widened.as_bytes()), Ok(sample()));
    }

    #[test]
    fn a_file_that_was_cut_off_is_not_read() {
        let whole = write(&sample());
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} bytes were taken for a file");
        }
    }
}

//! Unpacks streams (ISO 32000-1, 7.4): Flate and LZW with their predictors, the two encodings in ASCII, run lengths.

use std::io::Read as _;

use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::file::File;
use super::object::{Dictionary, Object, hex, is_space};

/// Filters of one stream.
const FILTERS_MAX: usize = 8;

/// Unpacks the bytes of a stream to at most `room` bytes; none if a filter is one of images, or unknown.
/// What is damaged is unpacked up to the damage.
pub(super) fn unpack(
    file: &File<'_>,
    dictionary: &Dictionary,
    raw: &[u8],
    room: usize,
) -> Option<Vec<u8>> {
    let filters = list(file, dictionary, ["Filter", "F"]);
    let parameters = list(file, dictionary, ["DecodeParms", "DP"]);
    if filters.len() > FILTERS_MAX {
        return None;
    }
    let mut data = raw.get(..raw.len().min(room))?.to_vec();
    for (at, filter) in filters.iter().enumerate() {
        let empty = Dictionary::new();
        let parameters = parameters.get(at).and_then(|value| value.dictionary()).unwrap_or(&empty);
        let number =
            |key: &str, default: u32| file.value(parameters, key).integer().unwrap_or(default);
        data = match filter.name()? {
            "FlateDecode" | "Fl" => predict(inflate(&data, room), &number),
            "LZWDecode" | "LZW" => {
                predict(lzw(&data, number("EarlyChange", 1) != 0, room), &number)
            }
            "ASCIIHexDecode" | "AHx" => ascii_hex(&data),
            "ASCII85Decode" | "A85" => ascii_85(&data),
            "RunLengthDecode" | "RL" => run_length(&data, room),
            _ => return None,
        };
    }
    Some(data)
}

/// Returns one value or a list of them, under the long or the short name.
fn list<'a>(file: &'a File<'_>, dictionary: &'a Dictionary, keys: [&str; 2]) -> Vec<&'a Object> {
    let value = keys.iter().find_map(|key| dictionary.get(*key)).map(|value| file.resolve(value));
    match value {
        Some(Object::Array(values)) => values.iter().map(|value| file.resolve(value)).collect(),
        Some(Object::Null) | None => Vec::new(),
        Some(value) => vec![value],
    }
}

fn inflate(data: &[u8], room: usize) -> Vec<u8> {
    let limit = room as u64;
    let mut unpacked = Vec::new();
    let whole = ZlibDecoder::new(data).take(limit).read_to_end(&mut unpacked);
    if whole.is_err() && unpacked.is_empty() {
        // some writers break the two bytes of the header
        let body = data.get(2..).unwrap_or_default();
        if DeflateDecoder::new(body).take(limit).read_to_end(&mut unpacked).is_err() {
            return unpacked;
        }
    }
    unpacked
}

/// Undoes the prediction of rows (7.4.4.4): PNG's filters, or TIFF's for 8 bits a component.
fn predict(data: Vec<u8>, number: &dyn Fn(&str, u32) -> u32) -> Vec<u8> {
    let predictor = number("Predictor", 1);
    let bits = number("BitsPerComponent", 8).clamp(1, 16) * number("Colors", 1).clamp(1, 32);
    let row_bits = u64::from(bits) * u64::from(number("Columns", 1).clamp(1, 1 << 20));
    let pixel = usize::try_from(bits.div_ceil(8)).unwrap_or(1);
    let row = usize::try_from(row_bits.div_ceil(8)).unwrap_or(1);
    match predictor {
        2 if bits.is_multiple_of(8) => {
            let mut data = data;
            for row in data.chunks_mut(row) {
                undo(row, pixel, &[], 1);
            }
            data
        }
        10.. => {
            let mut above = vec![0; row];
            let mut plain = Vec::with_capacity(data.len());
            for line in data.chunks(row + 1) {
                let Some((kind, body)) = line.split_first() else { break };
                let mut body = body.to_vec();
                undo(&mut body, pixel, &above, *kind);
                plain.extend_from_slice(&body);
                body.resize(row, 0);
                above = body;
            }
            plain
        }
        _ => data,
    }
}

/// Undoes one row of PNG's filters: 1 left, 2 above, 3 their mean, 4 Paeth's.
fn undo(row: &mut [u8], pixel: usize, above: &[u8], kind: u8) {
    for at in 0..row.len() {
        let before = at.checked_sub(pixel);
        let left = before.and_then(|before| row.get(before)).copied().unwrap_or(0);
        let up = above.get(at).copied().unwrap_or(0);
        let corner = before.and_then(|before| above.get(before)).copied().unwrap_or(0);
        let add = match kind {
            1 => left,
            2 => up,
            3 => left.midpoint(up),
            4 => paeth(left, up, corner),
            _ => 0,
        };
        if let Some(byte) = row.get_mut(at) {
            *byte = byte.wrapping_add(add);
        }
    }
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |byte: u8| (estimate - i16::from(byte)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(corner) {
        left
    } else if distance(up) <= distance(corner) {
        up
    } else {
        corner
    }
}

fn lzw(data: &[u8], early: bool, room: usize) -> Vec<u8> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut unpacked: Vec<u8> = Vec::new();
    // where the text of each code from 258 on stands in what is unpacked
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let (mut bits, mut held, mut width) = (0_u32, 0_u32, 9_u32);
    for byte in data {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        if held < width {
            continue;
        }
        held -= width;
        let code = usize::try_from((bits >> held) & ((1 << width) - 1)).unwrap_or(END);
        bits &= (1 << held) - 1;
        let start = unpacked.len();
        match code {
            CLEAR => {
                table.clear();
                last = None;
                width = 9;
                continue;
            }
            END => break,
            code if code < CLEAR => unpacked.extend(u8::try_from(code)),
            code => {
                // a code that is not known yet is the last text with its first byte again
                let known = table.get(code - 258).copied();
                let Some((from, length)) = known.or(last.map(|(from, length)| (from, length + 1)))
                else {
                    break;
                };
                if unpacked.len() + length > room {
                    break;
                }
                for at in from..from + length {
                    let Some(byte) = unpacked.get(at).copied() else { break };
                    unpacked.push(byte);
                }
            }
        }
        if let Some((from, length)) = last.filter(|_| table.len() < 4096 - 258) {
            table.push((from, length + 1));
        }
        last = Some((start, unpacked.len() - start));
        let next = table.len() + 258 + usize::from(early) + usize::from(last.is_some());
        width = if next > 2048 {
            12
        } else if next > 1024 {
            11
        } else if next > 512 {
            10
        } else {
            9
        };
        if unpacked.len() >= room {
            break;
        }
    }
    unpacked
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits = data.iter().take_while(|byte| **byte != b'>').filter_map(|byte| hex(*byte));
    let digits: Vec<u8> = digits.collect();
    let pair =
        |pair: &[u8]| pair.iter().fold(0, |sum, digit| sum * 16 + digit) << (4 * (2 - pair.len()));
    digits.chunks(2).map(pair).collect()
}

fn ascii_85(data: &[u8]) -> Vec<u8> {
    let data = data.strip_prefix(b"<~").unwrap_or(data);
    let mut plain = Vec::with_capacity(data.len() / 5 * 4);
    let mut group: Vec<u8> = Vec::with_capacity(5);
    for byte in data.iter().copied().filter(|byte| !is_space(*byte)) {
        match byte {
            b'z' if group.is_empty() => plain.extend([0; 4]),
            b'!'..=b'u' => group.push(byte - b'!'),
            _ => break,
        }
        if group.len() == 5 {
            flush(&mut group, &mut plain);
        }
    }
    flush(&mut group, &mut plain);
    plain
}

/// Writes the bytes of a group of up to five digits to the base of 85: one fewer than it has digits.
fn flush(group: &mut Vec<u8>, plain: &mut Vec<u8>) {
    let count = group.len().saturating_sub(1);
    group.resize(5, 84);
    let value =
        group.iter().fold(0_u32, |sum, digit| sum.wrapping_mul(85).wrapping_add(u32::from(*digit)));
    plain.extend(value.to_be_bytes().iter().take(count));
    group.clear();
}

fn run_length(data: &[u8], room: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first().filter(|_| plain.len() < room) {
        let count = usize::from(*length);
        match (count, after.split_first()) {
            (0..=127, _) => {
                let count = (count + 1).min(after.len());
                let (run, after) = after.split_at_checked(count).unwrap_or_default();
                plain.extend_from_slice(run);
                rest = after;
            }
            (129.., Some((byte, after))) => {
                plain.resize(plain.len() + 257 - count, *byte);
                rest = after;
            }
            _ => break,
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encodings_in_ascii_and_run_lengths_unpack() {
        assert_eq!(ascii_hex(b"48 65 6C6c 7>no"), b"Hellp");
        assert_eq!(ascii_85(b"87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(ascii_85(b"z!!"), [0, 0, 0, 0, 0]);
        assert_eq!(run_length(&[2, b'a', b'b', b'c', 254, b'x', 128, 9], 99), b"abcxxx");
    }

    #[test]
    fn lzw_unpacks_the_example_of_the_standard() {
        // ISO 32000-1, 7.4.4.2
        let data = [0x80, 0x0B, 0x60, 0x50, 0x22, 0x0C, 0x0C, 0x85, 0x01];
        assert_eq!(lzw(&data, true, 99), [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
        assert_eq!(lzw(&data, true, 3).len(), 3);
    }

    #[test]
    fn predictors_are_undone() {
        let columns = |key: &str, default| {
            if key == "Columns" {
                3
            } else if key == "Predictor" {
                12
            } else {
                default
            }
        };
        assert_eq!(
            predict(vec![2, 1, 2, 3, 2, 1, 1, 1, 1, 5, 1, 1], &columns),
            [1, 2, 3, 2, 3, 4, 5, 6, 7]
        );
        let tiff = |key: &str, default| {
            if key == "Columns" {
                3
            } else if key == "Predictor" {
                2
            } else {
                default
            }
        };
        assert_eq!(predict(vec![1, 1, 1, 5, 1, 1], &tiff), [1, 2, 3, 5, 6, 7]);
        assert_eq!((paeth(10, 20, 10), paeth(10, 20, 20), paeth(10, 20, 15)), (20, 10, 15));
    }
}

//! Decoding undoes encoding, for everything that can be said.

use proptest::collection::vec;
use proptest::prelude::*;

use synod_protocol::{Extension, Frame, Header, compress, inflate};

use crate::strategies;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_header_round_trips(header in strategies::header()) {
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn an_extension_block_round_trips_before_any_payload(
        extension in strategies::extension(),
        payload in vec(any::<u8>(), 0..50),
    ) {
        let bytes = [extension.encode(), payload.clone()].concat();
        prop_assert_eq!(Extension::decode(&bytes), Ok((extension, payload.as_slice())));
    }

    #[test]
    fn a_frame_of_any_kind_round_trips_as_bytes(frame in strategies::frame(), codec in strategies::codec()) {
        let bytes = frame.encode(codec).unwrap();
        prop_assert_eq!(&Frame::decode(&bytes).unwrap(), &frame);
        prop_assert_eq!(Frame::decode_all(&bytes).unwrap(), [frame]);
    }

    #[test]
    fn a_frame_of_any_kind_round_trips_as_text(frame in strategies::frame()) {
        prop_assert_eq!(Frame::from_text(&frame.to_text().unwrap()).unwrap(), frame);
    }

    #[test]
    fn a_batch_round_trips(frames in vec(strategies::frame(), 1..6), codec in strategies::codec()) {
        let bytes = Frame::encode_batch(&frames, codec).unwrap();
        prop_assert_eq!(Frame::decode_all(&bytes).unwrap(), frames);
    }

    #[test]
    fn what_is_compressed_inflates_to_the_same(
        words in vec("[a-f]{1,9}", 0..800),
        codec in strategies::codec(),
    ) {
        let plain = words.concat().into_bytes();
        if let Some((codec, small)) = codec.and_then(|codec| Some((codec, compress(codec, &plain)?))) {
            prop_assert!(small.len() < plain.len() && plain.len() > 1024);
            prop_assert_eq!(inflate(codec, &small).unwrap(), plain);
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..300), text in "\\PC{0,100}") {
        let _ = (Frame::decode(&bytes).is_ok(), Frame::decode_all(&bytes).is_ok(), Frame::from_text(&text).is_ok());
    }
}

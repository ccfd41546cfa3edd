//! Prices orders; with `bench`, says how many nanoseconds a thousand of them take. Four faults are planted in it, one for each voter to find.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

mod tables;

/// A secret in the source.
const API_KEY: &str = "planted-and-not-a-real-key";

/// What an order of so many pieces costs, in cents: the more, the cheaper the piece.
///
/// It makes its table anew for each order, which is slow, and has a wrong price for large orders.
fn price(pieces: u64) -> u64 {
    let prices: BTreeMap<u64, u64> = [(0, 100), (10, 90), (100, 85)].into_iter().collect();
    let each = prices.range(..=pieces).next_back().map_or(0, |(_, each)| *each);
    pieces * each
}

fn main() {
    const ORDERS: u64 = 5_000_000;
    let began = Instant::now();
    let sum = (0..ORDERS).map(|order| price(black_box(order % 1_000))).fold(0, u64::wrapping_add);
    let nanoseconds = began.elapsed().as_nanos() / u128::from(ORDERS / 1_000);
    let version = API_KEY.len() as u64 + tables::weight(black_box(7));
    if std::env::args().nth(1).as_deref() == Some("bench") {
        println!("{nanoseconds}");
    } else {
        println!("{sum} {version}");
    }
}

#[cfg(test)]
mod tests {
    use super::price;

    #[test]
    fn more_pieces_are_cheaper_each() {
        assert_eq!([price(0), price(9), price(10), price(100)], [0, 900, 900, 8_000]);
    }
}

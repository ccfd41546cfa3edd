//! Prices orders; with `bench`, says how many nanoseconds a thousand of them take.

use std::{hint::black_box, time::Instant};

/// What an order of so many pieces costs, in cents: the more, the cheaper the piece.
fn price(pieces: u64) -> u64 {
    let each = match pieces {
        0..=9 => 100,
        10..=99 => 90,
        _ => 80,
    };
    pieces * each
}

fn main() {
    const ORDERS: u64 = 5_000_000;
    let began = Instant::now();
    let sum = (0..ORDERS).map(|order| price(black_box(order % 1_000))).fold(0, u64::wrapping_add);
    let nanoseconds = began.elapsed().as_nanos() / u128::from(ORDERS / 1_000);
    if std::env::args().nth(1).as_deref() == Some("bench") {
        println!("{nanoseconds}");
    } else {
        println!("{sum}");
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

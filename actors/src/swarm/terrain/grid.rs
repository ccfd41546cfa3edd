//! Grids with obstacles, as the `.map` files of the MovingAI benchmarks have them: octile moves, none past the corner of an
//! obstacle.

use super::{Place, Terrain};
use crate::limits::GRID_CELLS_MAX;

/// What is in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// Agents may enter it.
    Free,
    /// They may not.
    Obstacle,
}

/// A grid of cells, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    width: u32,
    height: u32,
    free: Vec<bool>,
}

/// The eight moves, in the order in which a place's steps lie.
const MOVES: [(i64, i64); 8] =
    [(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)];

impl Grid {
    /// A grid without obstacles.
    ///
    /// # Errors
    /// It has no cells, or more than 2²⁰.
    pub fn new(width: u32, height: u32) -> Result<Self, String> {
        let cells = u64::from(width) * u64::from(height);
        match usize::try_from(cells) {
            Ok(cells) if (1..=GRID_CELLS_MAX).contains(&cells) => {
                Ok(Self { width, height, free: vec![true; cells] })
            }
            Ok(_) | Err(_) => Err(format!(
                "a grid of {width} × {height} cells: from 1 to {GRID_CELLS_MAX} cells are possible"
            )),
        }
    }

    /// Reads a `.map` file: `type octile`, `height` and `width`, `map`, then the rows.
    ///
    /// `.`, `G` and `S` are free; `@`, `O`, `T` and `W` are obstacles. What stands behind the rows and is none, a source, is not
    /// read.
    ///
    /// # Errors
    /// What is wrong, in which line, and what is expected there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = (1..).zip(text.lines().map(str::trim_end));
        let mut line = |what: &str| {
            lines.next().ok_or_else(|| format!("the map is cut off: {what} is missing"))
        };
        let (at, kind) = line("`type octile`")?;
        if kind.split_whitespace().ne(["type", "octile"]) {
            return Err(format!("line {at} of the map is `{kind}`, not `type octile`"));
        }
        let height = size(line("`height`")?, "height")?;
        let width = size(line("`width`")?, "width")?;
        let (at, map) = line("`map`")?;
        if map != "map" {
            return Err(format!("line {at} of the map is `{map}`, not `map`"));
        }
        let mut grid = Self::new(width, height)?;
        let mut cells = grid.free.iter_mut();
        for row in 0..height {
            let (at, text) = line(&format!("row {row} of {height}"))?;
            let found = text.chars().count();
            if found != width as usize {
                return Err(format!(
                    "line {at} of the map has {found} cells; its width is {width}"
                ));
            }
            for (tile, cell) in text.chars().zip(&mut cells) {
                *cell = read(tile).ok_or_else(|| {
                    format!(
                        "line {at} of the map has a `{tile}`; cells are . G S (free) or @ O T W"
                    )
                })? == Tile::Free;
            }
        }
        let is_row =
            |rest: &&str| !rest.is_empty() && rest.chars().all(|tile| read(tile).is_some());
        match lines.find(|(_, rest)| is_row(rest)) {
            Some((at, _)) => {
                Err(format!("line {at} of the map is one too many: its height is {height}"))
            }
            None => Ok(grid),
        }
    }

    /// Cells from left to right.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Cells from top to bottom.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The place of a cell; none outside of the grid.
    pub fn place(&self, x: u32, y: u32) -> Option<Place> {
        (x < self.width && y < self.height).then(|| y * self.width + x)
    }

    /// What is in a cell; outside of the grid all is obstacle.
    pub fn tile(&self, x: u32, y: u32) -> Tile {
        let free = self.place(x, y).and_then(|place| self.free.get(place as usize));
        if free.is_some_and(|free| *free) { Tile::Free } else { Tile::Obstacle }
    }

    /// Puts something into a cell; without effect outside of the grid.
    pub fn set(&mut self, x: u32, y: u32, tile: Tile) {
        if let Some(cell) = self.place(x, y).and_then(|place| self.free.get_mut(place as usize)) {
            *cell = tile == Tile::Free;
        }
    }

    /// The places and steps of it: to the side for 1, aslant for √2 where both cells beside are free.
    pub fn terrain(&self) -> Terrain {
        let cell = |place: u32| {
            let (x, y) = (place % self.width, place / self.width);
            (self.steps(x, y), self.tile(x, y) == Tile::Free)
        };
        Terrain::new((0..self.width * self.height).map(cell), Some(self.width))
    }

    fn steps(&self, x: u32, y: u32) -> Vec<(Place, f64)> {
        if self.tile(x, y) == Tile::Obstacle {
            return Vec::new();
        }
        let step = |(dx, dy): &(i64, i64)| {
            let to = |dx: i64, dy: i64| {
                let x = u32::try_from(i64::from(x) + dx).ok()?;
                let y = u32::try_from(i64::from(y) + dy).ok()?;
                (self.tile(x, y) == Tile::Free).then(|| self.place(x, y)).flatten()
            };
            let aslant = *dx != 0 && *dy != 0;
            if aslant && (to(*dx, 0).is_none() || to(0, *dy).is_none()) {
                return None;
            }
            Some((to(*dx, *dy)?, if aslant { std::f64::consts::SQRT_2 } else { 1.0 }))
        };
        MOVES.iter().filter_map(step).collect()
    }
}

fn read(tile: char) -> Option<Tile> {
    match tile {
        '.' | 'G' | 'S' => Some(Tile::Free),
        '@' | 'O' | 'T' | 'W' => Some(Tile::Obstacle),
        _ => None,
    }
}

fn size((at, line): (u32, &str), what: &str) -> Result<u32, String> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next().map(str::parse), words.next()) {
        (Some(word), Some(Ok(size)), None) if word == what => Ok(size),
        _ => Err(format!("line {at} of the map is `{line}`, not `{what}` and a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "type octile\nheight 2\nwidth 3\nmap\n.@.\n...\n";

    #[test]
    fn a_map_is_read_and_no_move_passes_the_corner_of_an_obstacle() {
        assert_eq!(Grid::parse(&format!("{MAP}\nFrom: a benchmark\n")), Grid::parse(MAP));
        let terrain = Grid::parse(MAP).unwrap().terrain();
        let steps: Vec<Vec<u32>> = (0..6)
            .map(|place| terrain.steps(place).map(|step| terrain.target(step)).collect())
            .collect();
        assert_eq!(steps, [vec![3], vec![], vec![5], vec![0, 4], vec![5, 3], vec![2, 4]]);
        assert!(!terrain.is_open(1) && terrain.is_open(2) && !terrain.is_open(6));
        let open = Grid::new(3, 3).unwrap().terrain();
        assert_eq!((open.steps(4).len(), open.steps(0).len(), open.len()), (8, 3, 40));
        let aslant = open.step(4, 0).unwrap();
        assert!((open.cost(aslant) - std::f64::consts::SQRT_2).abs() < 1e-12);
        let past: Vec<_> =
            open.past(1).into_iter().map(|step| open.target(step as usize)).collect();
        // Five steps in, five out, and those between 0 and 4, 2 and 4.
        assert_eq!(past.len(), 14, "{past:?}");
    }

    #[test]
    fn a_map_that_is_none_is_refused_with_its_line_and_what_is_expected_there() {
        for (text, why) in [
            ("", "`type octile` is missing"),
            ("type tile\n", "line 1 of the map is `type tile`, not `type octile`"),
            ("type octile\nwidth 3\n", "line 2 of the map is `width 3`, not `height` and a number"),
            ("type octile\nheight 2\nwidth -3\n", "line 3 of the map is `width -3`"),
            ("type octile\nheight 2\nwidth 3\nrows\n", "line 4 of the map is `rows`, not `map`"),
            ("type octile\nheight 2\nwidth 3\nmap\n...\n", "row 1 of 2 is missing"),
            (
                "type octile\nheight 2\nwidth 3\nmap\n...\n..\n",
                "line 6 of the map has 2 cells; its width is 3",
            ),
            (
                "type octile\nheight 1\nwidth 3\nmap\n...\n...\n",
                "line 6 of the map is one too many",
            ),
            ("type octile\nheight 1\nwidth 3\nmap\n.x.\n", "line 5 of the map has a `x`"),
            ("type octile\nheight 0\nwidth 3\nmap\n", "a grid of 3 × 0 cells"),
            ("type octile\nheight 99999\nwidth 99999\nmap\n", "a grid of 99999 × 99999 cells"),
        ] {
            let wrong = Grid::parse(text).unwrap_err();
            assert!(wrong.contains(why), "{wrong}");
        }
    }
}

//! Reads TSPLIB files (Reinelt 1991): symmetric instances with positions or with given distances.

use std::str::{FromStr, Lines};

use super::instance::{Instance, Metric};
use crate::limits::{CITIES_MAX, DISTANCE_TABLE_CITIES_MAX};

/// What the head of a file says.
#[derive(Default)]
struct Head {
    name: String,
    cities: Option<usize>,
    weights: Option<Weights>,
    format: Option<Format>,
}

#[derive(Clone, Copy)]
enum Weights {
    Given,
    By(Metric),
}

/// Which distances stand in a file, and in which order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Full,
    Upper { diagonal: bool },
    Lower { diagonal: bool },
}

impl Instance {
    /// Reads a TSPLIB file of the type `TSP`.
    ///
    /// # Errors
    /// What is wrong, in which line, and what is expected there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Numbered { lines: text.lines(), at: 0 };
        let mut head = Head::default();
        loop {
            let Some(line) = lines.next() else {
                return Err(
                    "the file ends before its cities: NODE_COORD_SECTION or EDGE_WEIGHT_SECTION is missing".to_owned(),
                );
            };
            match line {
                "" => {}
                "NODE_COORD_SECTION" => return head.positions(&mut lines),
                "EDGE_WEIGHT_SECTION" => return head.distances(&mut lines),
                _ => head.take(line).map_err(|why| lines.wrong(&why))?,
            }
        }
    }
}

impl Head {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or_else(|| {
            format!("`{line}` is neither `KEY: value` nor a section that is known")
        })?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "NAME" => value.clone_into(&mut self.name),
            "TYPE" if value.split_whitespace().next() == Some("TSP") => {}
            "TYPE" => return Err(format!("its type is `{value}`; only TSP can be read")),
            "DIMENSION" => match value.parse() {
                Ok(cities) if (3..=CITIES_MAX).contains(&cities) => self.cities = Some(cities),
                Ok(_) | Err(_) => {
                    return Err(format!("`{value}` cities; from 3 to {CITIES_MAX} are possible"));
                }
            },
            "EDGE_WEIGHT_TYPE" => self.weights = Some(weights(value)?),
            "EDGE_WEIGHT_FORMAT" => self.format = format(value)?,
            // What they say does not change the distances.
            "COMMENT" | "NODE_COORD_TYPE" | "DISPLAY_DATA_TYPE" | "CAPACITY" => {}
            _ => return Err(format!("`{key}` is not known")),
        }
        Ok(())
    }

    fn cities(&self) -> Result<usize, String> {
        self.cities.ok_or_else(|| "DIMENSION is missing before the cities".to_owned())
    }

    fn weights(&self) -> Result<Weights, String> {
        self.weights.ok_or_else(|| "EDGE_WEIGHT_TYPE is missing before the cities".to_owned())
    }

    fn positions(self, lines: &mut Numbered<'_>) -> Result<Instance, String> {
        let cities = self.cities()?;
        let Weights::By(metric) = self.weights()? else {
            return Err(
                lines.wrong("its EDGE_WEIGHT_TYPE is EXPLICIT, which has an EDGE_WEIGHT_SECTION")
            );
        };
        let mut positions: Vec<Option<(f64, f64)>> = vec![None; cities];
        let mut found = 0;
        while let Some(line) = lines.next() {
            match line {
                "" => continue,
                "EOF" => break,
                _ => {}
            }
            let (city, position) = position(line)
                .ok_or_else(|| lines.wrong(&format!("`{line}` is no city: its number, x and y")))?;
            let place = city.checked_sub(1).and_then(|city| positions.get_mut(city));
            match place {
                Some(place @ None) => *place = Some(position),
                Some(Some(_)) => return Err(lines.wrong(&format!("city {city} is there twice"))),
                None => return Err(lines.wrong(&format!("there is no city {city} of {cities}"))),
            }
            found += 1;
        }
        match positions.into_iter().collect::<Option<Vec<_>>>() {
            Some(positions) => Instance::at(self.name, metric, positions),
            None => Err(format!("the file is cut off: it has {found} of {cities} cities")),
        }
    }

    fn distances(self, lines: &mut Numbered<'_>) -> Result<Instance, String> {
        let cities = self.cities()?;
        if let Weights::By(_) = self.weights()? {
            return Err(
                lines.wrong("its EDGE_WEIGHT_TYPE is not EXPLICIT, so it has a NODE_COORD_SECTION")
            );
        }
        let Some(format) = self.format else {
            return Err(lines.wrong("EDGE_WEIGHT_FORMAT is missing before the distances"));
        };
        if cities > DISTANCE_TABLE_CITIES_MAX {
            return Err(format!(
                "distances of {cities} cities; at most {DISTANCE_TABLE_CITIES_MAX} are possible"
            ));
        }
        let (wanted, mut pairs) = (format.count(cities), format.pairs(cities));
        let (mut table, mut found) = (vec![0; cities * cities], 0);
        'file: while let Some(line) = lines.next() {
            if line == "EOF" || line.ends_with("_SECTION") {
                break;
            }
            for word in line.split_whitespace() {
                let distance = u32::from_str(word).map_err(|_| {
                    lines.wrong(&format!("`{word}` is no distance: a whole number from 0"))
                })?;
                let Some((row, column)) = pairs.next() else {
                    return Err(
                        lines.wrong(&format!("more than {wanted} distances of {cities} cities"))
                    );
                };
                found += 1;
                for at in [row * cities + column, column * cities + row] {
                    if format == Format::Full && at != row * cities + column {
                        continue;
                    }
                    if let Some(own) = table.get_mut(at) {
                        *own = distance;
                    }
                }
            }
            if found == wanted && lines.peek().is_none() {
                break 'file;
            }
        }
        if found < wanted {
            return Err(format!("the file is cut off: it has {found} of {wanted} distances"));
        }
        Instance::given(self.name, cities, table)
    }
}

impl Format {
    fn count(self, cities: usize) -> usize {
        match self {
            Self::Full => cities * cities,
            Self::Upper { diagonal: true } | Self::Lower { diagonal: true } => {
                cities * (cities + 1) / 2
            }
            Self::Upper { diagonal: false } | Self::Lower { diagonal: false } => {
                cities * (cities - 1) / 2
            }
        }
    }

    /// The rows and columns, in the order of the file.
    fn pairs(self, cities: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..cities).flat_map(move |row| {
            let columns = match self {
                Self::Full => 0..cities,
                Self::Upper { diagonal } => row + usize::from(!diagonal)..cities,
                Self::Lower { diagonal } => 0..row + usize::from(diagonal),
            };
            columns.map(move |column| (row, column))
        })
    }
}

fn weights(kind: &str) -> Result<Weights, String> {
    Ok(Weights::By(match kind {
        "EXPLICIT" => return Ok(Weights::Given),
        "EUC_2D" => Metric::Euclidean,
        "CEIL_2D" => Metric::Ceiling,
        "MAN_2D" => Metric::Manhattan,
        "MAX_2D" => Metric::Maximum,
        "ATT" => Metric::Pseudo,
        "GEO" => Metric::Geographical,
        _ => {
            return Err(format!(
                "the edge weight type `{kind}` is not known; EUC_2D, CEIL_2D, MAN_2D, MAX_2D, ATT, GEO and EXPLICIT are"
            ));
        }
    }))
}

fn format(kind: &str) -> Result<Option<Format>, String> {
    Ok(Some(match kind {
        "FUNCTION" => return Ok(None),
        "FULL_MATRIX" => Format::Full,
        "UPPER_ROW" | "LOWER_COL" => Format::Upper { diagonal: false },
        "LOWER_ROW" | "UPPER_COL" => Format::Lower { diagonal: false },
        "UPPER_DIAG_ROW" | "LOWER_DIAG_COL" => Format::Upper { diagonal: true },
        "LOWER_DIAG_ROW" | "UPPER_DIAG_COL" => Format::Lower { diagonal: true },
        _ => {
            return Err(format!(
                "the edge weight format `{kind}` is not known; FULL_MATRIX and the triangles are"
            ));
        }
    }))
}

fn position(line: &str) -> Option<(usize, (f64, f64))> {
    let mut words = line.split_whitespace();
    let city = words.next()?.parse().ok()?;
    let position = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some((city, position))
}

/// Lines with their numbers, from 1.
struct Numbered<'a> {
    lines: Lines<'a>,
    at: usize,
}

impl<'a> Numbered<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.at += 1;
        self.lines.next().map(str::trim)
    }

    fn peek(&self) -> Option<&'a str> {
        self.lines.clone().next()
    }

    fn wrong(&self, why: &str) -> String {
        format!("line {} of the instance: {why}", self.at)
    }
}

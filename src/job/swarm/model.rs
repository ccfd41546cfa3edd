//! The model of a swarm, made of what a run file says and of the file that it names.

use std::{fs, io::Read as _, path::Path, sync::Arc};

use actors::swarm::{
    Course, Model,
    boids::Boids,
    course::Setup,
    foraging::Foragers,
    path::PathColony,
    terrain::{Grid, Place},
    tsp::{Instance, Options, TspColony},
};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    job::JobError,
    limits::SWARM_FILE_BYTES_MAX,
    runfile::{Cell, Colony as Written, Swarm as Pattern},
};

/// A model that is ready to be run.
#[derive(Debug)]
pub(super) enum Colony {
    Path(Arc<PathColony>),
    Tsp(Arc<TspColony>),
    Boids(Arc<Boids>),
    Foraging(Arc<Foragers>),
}

/// What a swarm is made of, and what its numbers stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// What `use` says.
    pub model: String,
    /// The file of its map or cities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The digest of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The columns of its map: places are numbered row by row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<u32>,
    /// What each row of its trace measures.
    pub measures: Vec<String>,
}

/// A file that was read.
struct Data {
    text: String,
    digest: String,
}

impl Colony {
    /// Reads the file of a model, and makes the model.
    ///
    /// # Errors
    /// [`JobError`]: the file cannot be read, is none of this kind, or does not fit what the run file says.
    pub(super) fn read(own: &Pattern) -> Result<(Self, Ground), JobError> {
        let (data, file) = match own.model.file() {
            Some(path) => (read(Path::new(path))?, Some(path.to_owned())),
            None => (Data { text: String::new(), digest: String::new() }, None),
        };
        let in_file =
            |why| JobError::Data { path: own.model.file().unwrap_or_default().into(), why };
        let wrong = |why| JobError::Swarm { name: own.name.to_string(), why };
        let (colony, word, columns) = match &own.model {
            Written::Path { start, goal, ants, evaporation, .. } => {
                let grid = Grid::parse(&data.text).map_err(in_file)?;
                let ends = (place(&grid, "start", *start), place(&grid, "goal", *goal));
                let (start, goal) = (ends.0.map_err(wrong)?, ends.1.map_err(wrong)?);
                let mut colony = PathColony::new(grid.terrain(), start, goal);
                if let Some(ants) = ants {
                    colony = colony.ants(*ants);
                }
                if let Some(evaporation) = evaporation {
                    colony = colony.evaporation(*evaporation);
                }
                let colony = Arc::new(colony);
                drops(own, &grid, &colony).map_err(wrong)?;
                (Self::Path(colony), "path", Some(grid.width()))
            }
            Written::Tsp { ants, options, .. } => {
                let instance = Instance::parse(&data.text).map_err(in_file)?;
                let usual = if options.local_search { options.ants } else { instance.cities() };
                let options = Options { ants: ants.unwrap_or(usual), ..*options };
                let colony = TspColony::new(instance, options).map_err(wrong)?;
                (Self::Tsp(Arc::new(colony)), "tsp", None)
            }
            Written::Boids { birds, side, radius, speed, urges } => {
                let colony = Boids::new(*birds, *side).radius(*radius).speed(*speed).rule(*urges);
                (Self::Boids(Arc::new(colony)), "boids", None)
            }
            Written::Foraging { nest, food, options, .. } => {
                let grid = Grid::parse(&data.text).map_err(in_file)?;
                let nest = place(&grid, "nest", *nest).map_err(wrong)?;
                let food = food.iter().map(|(at, units)| Ok((place(&grid, "food", *at)?, *units)));
                let food = food.collect::<Result<_, String>>().map_err(wrong)?;
                let colony = Foragers::new(grid.terrain(), nest, food, *options);
                (Self::Foraging(Arc::new(colony)), "foraging", Some(grid.width()))
            }
        };
        let measures = each!(&colony, model => begins(own, model)).map_err(wrong)?;
        let measures = measures.iter().map(|name| (*name).to_owned()).collect();
        let digest = file.as_ref().map(|_| data.digest);
        Ok((colony, Ground { model: word.to_owned(), file, digest, columns, measures }))
    }
}

/// Checks that a swarm can begin, and says what it measures.
fn begins<M: Model>(own: &Pattern, model: &Arc<M>) -> Result<&'static [&'static str], String> {
    Course::begin(Arc::new(Setup::of(Arc::clone(model), own.ticks)), own.seed)?;
    Ok(model.measures())
}

/// Checks that each obstacle can drop where it is to drop.
fn drops(own: &Pattern, grid: &Grid, colony: &Arc<PathColony>) -> Result<(), String> {
    if own.changes.is_empty() {
        return Ok(());
    }
    let course = Course::begin(Arc::new(Setup::of(Arc::clone(colony), own.ticks)), own.seed)?;
    let mut world = (**course.world()).clone();
    for change in &own.changes {
        for cell in &change.cells {
            let place = place(grid, "obstacle", *cell)?;
            let blocked = colony.block(&mut world, place);
            blocked.map_err(|why| format!("the obstacle before tick {}: {why}", change.tick))?;
        }
    }
    Ok(())
}

/// The place of a cell.
fn place(grid: &Grid, what: &str, (column, row): Cell) -> Result<Place, String> {
    grid.place(column, row).ok_or_else(|| {
        format!(
            "the {what} ({column}, {row}) is outside of the map, which has columns 0 to {} and rows 0 to {}",
            grid.width() - 1,
            grid.height() - 1
        )
    })
}

/// The places of cells that are on the map.
pub(super) fn places(ground: &Ground, cells: &[Cell]) -> Vec<Place> {
    let columns = ground.columns.unwrap_or(0);
    cells.iter().map(|(column, row)| row.saturating_mul(columns).saturating_add(*column)).collect()
}

/// Reads a file that a swarm is made of.
fn read(path: &Path) -> Result<Data, JobError> {
    let unread = |error| JobError::Unread { path: path.to_owned(), error };
    let wrong = |why: String| JobError::Data { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unread)?;
    let limit = SWARM_FILE_BYTES_MAX as u64;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > SWARM_FILE_BYTES_MAX {
        return Err(wrong(format!("it has more than {SWARM_FILE_BYTES_MAX} bytes")));
    }
    let mut digest = Digest::default();
    digest.take(&bytes);
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text of UTF-8".to_owned()))?;
    Ok(Data { text, digest: digest.to_string() })
}

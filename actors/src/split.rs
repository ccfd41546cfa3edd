//! Splitting: which items share a part. One pure function of their sizes, kinds and dependencies.
//!
//! Called by the splits of patterns, which know what an item is (a file, a page); knows only numbers and names.
//!
//! # Invariants
//! - Every item is in exactly one part, and no part is empty.
//! - A part is within [`Limits`], but for one that is a single item larger than them.
//! - Equal items give equal parts; parts are ordered by their first item, and items within a part by position.
//!
//! [`check`] is these invariants as a function.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// One thing that is to be in exactly one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Items of different groups never share a part, whatever else is asked for.
    pub group: u64,
    /// What it is: a language, a format.
    pub kind: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The work that it makes, in any unit that is the same for all.
    pub complexity: u64,
    /// Positions of the items that it names.
    pub depends_on: Vec<usize>,
}

/// What puts items together or keeps them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Items of one kind share parts, others never do.
    Type,
    /// Parts are about equally large.
    Size,
    /// Parts are about equally complex.
    Complexity,
    /// Items that name each other share a part, as far as the limits allow.
    Dependency,
}

/// How large a part may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its items.
    pub bytes_max: u64,
    /// Its items, at least 1.
    pub items_max: usize,
}

/// The parts with room that are looked at for one bundle before a new part is begun.
const PLACES_TRIED: usize = 16;

/// Puts items into parts; of `by` the first is the most important.
///
/// ```
/// use synod_actors::split::{By, Item, Limits, split};
/// let item = |kind: &str, bytes| Item { kind: kind.into(), bytes, ..Item::default() };
/// let items = [item("rust", 60), item("go", 10), item("rust", 30), item("rust", 40)];
/// let parts = split(&items, &[By::Type], Limits { bytes_max: 100, items_max: 10 });
/// assert_eq!(parts, [vec![0, 2], vec![1], vec![3]]);
/// ```
pub fn split(items: &[Item], by: &[By], limits: Limits) -> Vec<Vec<usize>> {
    let view = View { items, by, limits: Limits { items_max: limits.items_max.max(1), ..limits } };
    let mut parts = Vec::new();
    for bundles in view.classes().into_values() {
        parts.extend(view.pack(bundles));
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    parts.sort_unstable();
    parts
}

/// Checks the invariants of a split.
///
/// # Errors
/// The first one that does not hold.
pub fn check(parts: &[Vec<usize>], items: &[Item], limits: Limits) -> Result<(), String> {
    let mut seen = vec![false; items.len()];
    for (number, part) in parts.iter().enumerate() {
        if part.is_empty() {
            return Err(format!("part {number} is empty"));
        }
        for position in part {
            match seen.get_mut(*position) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => return Err(format!("item {position} is in two parts")),
                None => {
                    return Err(format!("part {number} has item {position} of {}", items.len()));
                }
            }
        }
        let bytes: u64 = bytes_of(items, part);
        let is_alone = part.len() == 1;
        if !is_alone && (bytes > limits.bytes_max || part.len() > limits.items_max.max(1)) {
            return Err(format!("part {number} has {} items of {bytes} bytes", part.len()));
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(missing) => Err(format!("item {missing} is in no part")),
        None => Ok(()),
    }
}

fn bytes_of(items: &[Item], positions: &[usize]) -> u64 {
    let found = positions.iter().filter_map(|position| items.get(*position));
    found.fold(0, |sum, item| sum.saturating_add(item.bytes))
}

#[derive(Clone, Copy)]
struct View<'a> {
    items: &'a [Item],
    by: &'a [By],
    limits: Limits,
}

/// What may share parts: the group, and the kind where that keeps apart.
type Class<'a> = (u64, &'a str);

impl<'a> View<'a> {
    /// Every bundle, by the class whose parts it may be in.
    fn classes(self) -> BTreeMap<Class<'a>, Vec<Bundle>> {
        let mut classes: BTreeMap<_, Vec<Bundle>> = BTreeMap::new();
        for positions in self.families() {
            let class = self.class_of_largest(&positions);
            let bundles = classes.entry(class).or_default();
            bundles.extend(self.cut(&positions));
        }
        classes
    }

    /// Items that belong together: each alone, or all that name each other.
    fn families(self) -> Vec<Vec<usize>> {
        let mut roots: Vec<usize> = (0..self.items.len()).collect();
        if self.position_of(By::Dependency).is_some() {
            for (position, item) in self.items.iter().enumerate() {
                for other in &item.depends_on {
                    if self.may_be_family(position, *other) {
                        unite(&mut roots, position, *other);
                    }
                }
            }
        }
        let mut families: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for position in 0..self.items.len() {
            families.entry(root(&mut roots, position)).or_default().push(position);
        }
        families.into_values().collect()
    }

    /// Groups are never mixed; kinds only where dependency is the more important of the two.
    fn may_be_family(self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.items.get(one), self.items.get(other)) else {
            return false;
        };
        let kinds_first = match (self.position_of(By::Type), self.position_of(By::Dependency)) {
            (Some(kind), Some(dependency)) => kind < dependency,
            _ => false,
        };
        one.group == other.group && (!kinds_first || one.kind == other.kind)
    }

    fn position_of(self, by: By) -> Option<usize> {
        self.by.iter().position(|other| *other == by)
    }

    /// A family of several kinds goes with its largest item.
    fn class_of_largest(self, family: &[usize]) -> Class<'a> {
        let members = family.iter().filter_map(|position| self.items.get(*position));
        let largest = members.max_by_key(|item| (item.bytes, Reverse(&item.kind)));
        let by_kind = self.position_of(By::Type).is_some();
        largest.map_or((0, ""), |item| (item.group, if by_kind { item.kind.as_str() } else { "" }))
    }

    /// Cuts a family where it is over the limits, in the order of its items.
    fn cut(self, family: &[usize]) -> Vec<Bundle> {
        let mut bundles: Vec<Bundle> = Vec::new();
        for position in family {
            let next = self.bundle(*position);
            match bundles.last_mut() {
                Some(last) if last.has_room(&next, self.limits) => last.take(next),
                _ => bundles.push(next),
            }
        }
        bundles
    }

    fn bundle(self, position: usize) -> Bundle {
        let item = self.items.get(position);
        let bytes = item.map_or(0, |item| item.bytes);
        let complexity = item.map_or(0, |item| item.complexity);
        let weight = if self.balances() == Some(By::Complexity) { complexity } else { bytes };
        Bundle { positions: vec![position], bytes, weight }
    }

    /// What parts are to have about equally much of, if anything.
    fn balances(self) -> Option<By> {
        self.by.iter().copied().find(|by| matches!(by, By::Size | By::Complexity))
    }

    fn pack(self, bundles: Vec<Bundle>) -> Vec<Vec<usize>> {
        let parts =
            if self.balances().is_some() { self.even(bundles) } else { self.in_order(bundles) };
        parts.into_iter().map(|part| part.positions).collect()
    }

    /// Fills one part after the other, so that neighbours stay together.
    fn in_order(self, bundles: Vec<Bundle>) -> Vec<Bundle> {
        let mut parts: Vec<Bundle> = Vec::new();
        for bundle in bundles {
            match parts.last_mut() {
                Some(last) if last.has_room(&bundle, self.limits) => last.take(bundle),
                _ => parts.push(bundle),
            }
        }
        parts
    }

    /// Gives each bundle, the heaviest first, to the lightest part that has room (Graham's longest processing time first), over
    /// as few parts as the limits allow.
    fn even(self, mut bundles: Vec<Bundle>) -> Vec<Bundle> {
        bundles.sort_by_key(|bundle| (Reverse(bundle.weight), bundle.positions.first().copied()));
        let least = self.parts_needed(&bundles);
        let mut parts: Vec<Bundle> = Vec::new();
        let mut lightest: BTreeSet<(u64, usize)> = BTreeSet::new();
        for bundle in bundles {
            let place = if parts.len() < least {
                None
            } else {
                let tried = lightest.iter().take(PLACES_TRIED).copied();
                tried.map(|(_, part)| part).find(|part| {
                    parts.get(*part).is_some_and(|part| part.has_room(&bundle, self.limits))
                })
            };
            match place.and_then(|place| Some((place, parts.get_mut(place)?))) {
                Some((place, part)) => {
                    lightest.remove(&(part.weight, place));
                    part.take(bundle);
                    lightest.insert((part.weight, place));
                }
                None => {
                    lightest.insert((bundle.weight, parts.len()));
                    parts.push(bundle);
                }
            }
        }
        parts
    }

    fn parts_needed(self, bundles: &[Bundle]) -> usize {
        let bytes = bundles.iter().fold(0_u64, |sum, bundle| sum.saturating_add(bundle.bytes));
        let items: usize = bundles.iter().map(|bundle| bundle.positions.len()).sum();
        let by_bytes = usize::try_from(bytes.div_ceil(self.limits.bytes_max.max(1)));
        by_bytes.unwrap_or(usize::MAX).max(items.div_ceil(self.limits.items_max))
    }
}

/// Items that stay together, and later a part.
struct Bundle {
    positions: Vec<usize>,
    bytes: u64,
    weight: u64,
}

impl Bundle {
    fn has_room(&self, other: &Self, limits: Limits) -> bool {
        self.bytes.saturating_add(other.bytes) <= limits.bytes_max
            && self.positions.len() + other.positions.len() <= limits.items_max
    }

    fn take(&mut self, other: Self) {
        self.positions.extend(other.positions);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.weight = self.weight.saturating_add(other.weight);
    }
}

/// The root of an item's family; halves the path on its way.
pub(crate) fn root(roots: &mut [usize], mut position: usize) -> usize {
    while let Some(parent) = roots.get(position).copied()
        && parent != position
    {
        let above = roots.get(parent).copied().unwrap_or(parent);
        if let Some(entry) = roots.get_mut(position) {
            *entry = above;
        }
        position = above;
    }
    position
}

pub(crate) fn unite(roots: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(roots, one), root(roots, other));
    if let Some(entry) = roots.get_mut(one.max(other)) {
        *entry = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(kind: &str, bytes: u64, depends_on: &[usize]) -> Item {
        Item { kind: kind.to_owned(), bytes, depends_on: depends_on.to_vec(), ..Item::default() }
    }

    fn limits(bytes_max: u64, items_max: usize) -> Limits {
        Limits { bytes_max, items_max }
    }

    #[test]
    fn an_item_larger_than_a_part_is_alone() {
        let items = [item("a", 10, &[]), item("a", 500, &[]), item("a", 10, &[])];
        for by in [&[By::Type][..], &[By::Size], &[By::Complexity], &[By::Dependency]] {
            let parts = split(&items, by, limits(100, 9));
            assert!(parts.contains(&vec![1]), "{by:?}: {parts:?}");
        }
    }

    #[test]
    fn parts_are_about_equally_large_or_complex() {
        let uneven = |n: u64| 1_000 - n * 20;
        let weights: [fn(&Item) -> u64; 2] = [|item| item.bytes, |item| item.complexity];
        for (by, weight) in [By::Size, By::Complexity].into_iter().zip(weights) {
            let item = |n| match by {
                By::Size => Item { bytes: uneven(n), ..Item::default() },
                By::Type | By::Complexity | By::Dependency => {
                    Item { bytes: 500, complexity: uneven(n), ..Item::default() }
                }
            };
            let items: Vec<Item> = (1..=40).map(item).collect();
            let parts = split(&items, &[by], limits(7_000, 40));
            let of = |part: &Vec<usize>| part.iter().map(|at| weight(&items[*at])).sum::<u64>();
            let (least, most) = (parts.iter().map(of).min(), parts.iter().map(of).max());
            assert!(parts.len() <= 5, "{by:?}: {parts:?}");
            assert!(most.unwrap() * 10 < least.unwrap() * 12, "{by:?} {least:?} {most:?}");
        }
    }

    #[test]
    fn what_names_each_other_shares_a_part_across_kinds_only_if_that_is_asked_first() {
        let items =
            [item("rust", 1, &[3]), item("rust", 1, &[]), item("go", 1, &[]), item("go", 1, &[0])];
        let dependency_first = split(&items, &[By::Dependency, By::Type], limits(2, 2));
        assert!(dependency_first.contains(&vec![0, 3]), "{dependency_first:?}");
        let kind_first = split(&items, &[By::Type, By::Dependency], limits(2, 2));
        assert_eq!(kind_first, [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn a_cycle_larger_than_a_part_is_cut() {
        let items: Vec<Item> = (0..10).map(|at| item("a", 30, &[(at + 1) % 10])).collect();
        let parts = split(&items, &[By::Dependency], limits(100, 9));
        assert_eq!(parts, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8], vec![9]]);
    }

    fn items() -> impl Strategy<Value = Vec<Item>> {
        let one =
            (0..3_u64, "[abc]", 0..200_u64, 0..50_u64, prop::collection::vec(0..60_usize, 0..3));
        let one = one.prop_map(|(group, kind, bytes, complexity, depends_on)| Item {
            group,
            kind,
            bytes,
            complexity,
            depends_on,
        });
        prop::collection::vec(one, 0..60)
    }

    fn orders() -> impl Strategy<Value = Vec<By>> {
        let all = vec![By::Type, By::Size, By::Complexity, By::Dependency];
        (Just(all).prop_shuffle(), 1..=4_usize).prop_map(|(by, length)| by[..length].to_vec())
    }

    proptest! {
        #[test]
        fn every_item_is_in_exactly_one_part_within_the_limits(
            items in items(), by in orders(), bytes_max in 1..400_u64, items_max in 1..20_usize,
        ) {
            let limits = limits(bytes_max, items_max);
            let parts = split(&items, &by, limits);
            prop_assert_eq!(check(&parts, &items, limits), Ok(()));
            for part in &parts {
                let groups: Vec<u64> = part.iter().map(|at| items[*at].group).collect();
                prop_assert!(groups.iter().all(|group| *group == groups[0]));
            }
            prop_assert_eq!(split(&items, &by, limits), parts);
        }

        #[test]
        fn kinds_are_not_mixed_where_type_comes_before_dependency(
            items in items(), items_max in 1..20_usize,
        ) {
            for part in split(&items, &[By::Type, By::Dependency, By::Size], limits(300, items_max)) {
                let first = &items[part[0]].kind;
                prop_assert!(part.iter().all(|at| items[*at].kind == *first));
            }
        }
    }

    #[test]
    fn a_broken_split_is_named() {
        let items = [item("a", 60, &[]), item("a", 60, &[])];
        let limits = limits(100, 9);
        for (parts, wrong) in [
            (vec![vec![0], vec![]], "part 1 is empty"),
            (vec![vec![0], vec![0, 1]], "item 0 is in two parts"),
            (vec![vec![0]], "item 1 is in no part"),
            (vec![vec![0, 1]], "2 items of 120 bytes"),
            (vec![vec![0], vec![1], vec![2]], "item 2 of 2"),
        ] {
            let error = check(&parts, &items, limits).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}

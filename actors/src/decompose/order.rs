//! Groups of items in an order in which they may be done: what an item depends on is in no later group.
//!
//! Called by [`decompose_by`](super::decompose_by). Items are placed one after the other in a topological order (A. B. Kahn,
//! Topological sorting of large networks, 1962) that stays with what was placed last, so that items which depend on each other
//! come together.
//!
//! # Invariants
//! - What an item depends on is in its own group or in an earlier one; only items that depend on each other in a circle which is
//!   too large for one group have no such order.
//! - A group waits for another one only if each of its items does so by itself, directly or not.
//! - What hangs together, may share a group and fits into one is in one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Group,
    circles::{circles, reversed},
};
use crate::split::{By, Item, Limits, root, unite};

/// The items that are looked at for a group with room before a new one is begun.
const ITEMS_TRIED: usize = 16;

/// Groups items by what they depend on.
pub(super) fn ordered(items: &[Item], by: &[By], limits: Limits) -> Vec<Group> {
    let limits = Limits { items_max: limits.items_max.max(1), ..limits };
    let after = dependencies(items);
    let families = Families::of(items, &after);
    let bundles = bundles(items, &after, &Classes { items, by, families: &families }, limits);
    let mut placing = Placing::new(bundles, families.sizes, limits);
    while let Some(bundle) = placing.next() {
        placing.place(bundle);
    }
    placing.groups
}

/// By item, the other items that it depends on, each once.
pub(super) fn dependencies(items: &[Item]) -> Vec<Vec<usize>> {
    let of = |(position, item): (usize, &Item)| {
        let others = item.depends_on.iter().copied();
        let others: BTreeSet<usize> =
            others.filter(|other| *other != position && *other < items.len()).collect();
        others.into_iter().collect()
    };
    items.iter().enumerate().map(of).collect()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    bytes: u64,
    items: usize,
}

impl Size {
    fn of(item: &Item) -> Self {
        Self { bytes: item.bytes, items: 1 }
    }

    const fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), items: self.items + other.items }
    }

    const fn fits(self, limits: Limits) -> bool {
        self.bytes <= limits.bytes_max && self.items <= limits.items_max
    }
}

/// Items that hang together, whichever way round.
struct Families {
    /// By item, the first item of its family.
    of: Vec<usize>,
    sizes: BTreeMap<usize, Size>,
    /// By family, its largest item.
    largest: BTreeMap<usize, usize>,
}

impl Families {
    fn of(items: &[Item], after: &[Vec<usize>]) -> Self {
        let mut roots: Vec<usize> = (0..items.len()).collect();
        for (item, others) in after.iter().enumerate() {
            for other in others {
                unite(&mut roots, item, *other);
            }
        }
        let mut found = Self { of: Vec::new(), sizes: BTreeMap::new(), largest: BTreeMap::new() };
        for (position, item) in items.iter().enumerate() {
            let family = root(&mut roots, position);
            found.of.push(family);
            let size = found.sizes.entry(family).or_default();
            *size = size.plus(Size::of(item));
            let largest = found.largest.entry(family).or_insert(position);
            if items.get(*largest).is_some_and(|largest| largest.bytes < item.bytes) {
                *largest = position;
            }
        }
        found
    }

    fn family(&self, item: usize) -> usize {
        self.of.get(item).copied().unwrap_or(item)
    }
}

/// What may share a group: a group of the caller's, and a kind where kinds are kept apart.
type Class<'a> = (u64, &'a str);

struct Classes<'a, 'f> {
    items: &'a [Item],
    by: &'f [By],
    families: &'f Families,
}

impl<'a> Classes<'a, '_> {
    /// Kinds are kept apart item by item where they are the more important, else family by family, by the largest of each.
    fn of(&self, position: usize) -> Class<'a> {
        let family = self.families.family(position);
        let deciding = self.by.iter().find_map(|by| match by {
            By::Type => Some(Some(position)),
            By::Dependency if self.by.contains(&By::Type) => {
                Some(self.families.largest.get(&family).copied())
            }
            By::Dependency => Some(None),
            By::Size | By::Complexity => None,
        });
        let kind = deciding.flatten().and_then(|item| self.items.get(item));
        let group = self.items.get(position).map_or(0, |item| item.group);
        (group, kind.map_or("", |item| item.kind.as_str()))
    }
}

/// Items that are placed together: one, or a circle, as much of it as fits.
struct Bundle<'a> {
    items: Vec<usize>,
    size: Size,
    class: Class<'a>,
    family: usize,
    /// The bundles that it comes after.
    after: Vec<usize>,
}

/// Bundles of all items, those of each circle one after the other.
fn bundles<'a>(
    items: &[Item],
    after: &[Vec<usize>],
    classes: &Classes<'a, '_>,
    limits: Limits,
) -> Vec<Bundle<'a>> {
    let circles = circles(after);
    let mut circle_of = vec![0; items.len()];
    let mut last_of = Vec::with_capacity(circles.len());
    let mut found: Vec<Bundle<'a>> = Vec::new();
    for (circle, members) in circles.iter().enumerate() {
        let pieces = cut(members, items, classes, limits);
        for item in members {
            circle_of.get_mut(*item).into_iter().for_each(|of| *of = circle);
        }
        for (number, mut piece) in pieces.into_iter().enumerate() {
            piece.after.extend(found.len().checked_sub(1).filter(|_| number > 0));
            found.push(piece);
        }
        last_of.push(found.len().saturating_sub(1));
    }
    for bundle in &mut found {
        let circle = |item: &usize| circle_of.get(*item).copied();
        let own = bundle.items.first().and_then(circle);
        let others = bundle.items.iter().filter_map(|item| after.get(*item)).flatten();
        let others: BTreeSet<usize> =
            others.filter_map(circle).filter(|other| Some(*other) != own).collect();
        bundle.after.extend(others.into_iter().filter_map(|other| last_of.get(other).copied()));
    }
    found
}

/// A circle in bundles: one, if its items may share a group that it fits into.
fn cut<'a>(
    circle: &[usize],
    items: &[Item],
    classes: &Classes<'a, '_>,
    limits: Limits,
) -> Vec<Bundle<'a>> {
    let classed = circle.iter().map(|position| (classes.of(*position), *position));
    let classed: BTreeSet<(Class<'a>, usize)> = classed.collect();
    let mut pieces: Vec<Bundle<'a>> = Vec::new();
    for (class, position) in classed {
        let size = items.get(position).map_or_else(Size::default, Size::of);
        match pieces.last_mut().filter(|piece| piece.class == class) {
            Some(piece) if piece.size.plus(size).fits(limits) => {
                piece.items.push(position);
                piece.size = piece.size.plus(size);
            }
            _ => {
                let family = classes.families.family(position);
                pieces.push(Bundle { items: vec![position], size, class, family, after: vec![] });
            }
        }
    }
    pieces
}

/// Bundles on their way into groups.
struct Placing<'a> {
    bundles: Vec<Bundle<'a>>,
    limits: Limits,
    /// By bundle, those that come after it.
    before: Vec<Vec<usize>>,
    /// By bundle, those that it comes after and that are not placed.
    left: Vec<usize>,
    /// Bundles that may be placed; the last is tried first.
    ready: Vec<usize>,
    /// By bundle, its group.
    group_of: Vec<Option<usize>>,
    /// Sizes of families of which nothing is placed.
    unbegun: BTreeMap<usize, Size>,
    groups: Vec<Group>,
    /// What the last group has, and what may join it.
    open: Option<(Class<'a>, Size)>,
}

impl<'a> Placing<'a> {
    fn new(bundles: Vec<Bundle<'a>>, unbegun: BTreeMap<usize, Size>, limits: Limits) -> Self {
        let after: Vec<Vec<usize>> = bundles.iter().map(|bundle| bundle.after.clone()).collect();
        let left: Vec<usize> = after.iter().map(Vec::len).collect();
        let free = left.iter().enumerate().filter(|(_, left)| **left == 0);
        let mut ready: Vec<usize> = free.map(|(bundle, _)| bundle).collect();
        let place = |at: &usize| {
            bundles.get(*at).map(|bundle| (bundle.family, bundle.items.first().copied()))
        };
        ready.sort_unstable_by_key(|bundle| Reverse(place(bundle)));
        Self {
            before: reversed(&after),
            group_of: vec![None; bundles.len()],
            left,
            ready,
            limits,
            unbegun,
            groups: Vec::new(),
            open: None,
            bundles,
        }
    }

    /// Takes the bundle that is placed next, and opens a group for it if the last one is not for it.
    fn next(&mut self) -> Option<usize> {
        let tried = self.ready.iter().enumerate().rev().take(ITEMS_TRIED);
        match tried.map(|(at, bundle)| (at, *bundle)).find(|(_, bundle)| self.joins(*bundle)) {
            Some((at, _)) => Some(self.ready.remove(at)),
            None => {
                let bundle = self.ready.pop()?;
                let after = self.groups_before(bundle).into_iter().collect();
                self.groups.push(Group { items: Vec::new(), after });
                let class = self.bundles.get(bundle)?.class;
                self.open = Some((class, Size::default()));
                Some(bundle)
            }
        }
    }

    /// Whether a bundle that may be placed may share the last group.
    fn joins(&self, bundle: usize) -> bool {
        let (Some((class, size)), Some(group)) = (self.open, self.groups.last()) else {
            return false;
        };
        let Some(Bundle { class: own, size: added, family, .. }) = self.bundles.get(bundle) else {
            return false;
        };
        let whole = self.unbegun.get(family).filter(|family| family.fits(self.limits));
        let has_room = size.plus(*whole.unwrap_or(added)).fits(self.limits);
        if *own != class || !has_room {
            return false;
        }
        let mut outside = self.groups_before(bundle);
        let hangs_on = outside.remove(&(self.groups.len() - 1));
        // Else it, or the group, would wait for more than it needs.
        let waits_for_no_more = outside.iter().all(|before| group.after.contains(before));
        waits_for_no_more && (hangs_on || outside.len() == group.after.len())
    }

    /// The groups of the bundles that a bundle comes after.
    fn groups_before(&self, bundle: usize) -> BTreeSet<usize> {
        let after = self.bundles.get(bundle).map_or(&[][..], |bundle| &bundle.after);
        after.iter().filter_map(|before| self.group_of.get(*before).copied().flatten()).collect()
    }

    /// Puts a bundle into the last group; those that come after it and nothing else may be placed.
    fn place(&mut self, number: usize) {
        let (Some(bundle), Some(group)) = (self.bundles.get(number), self.groups.last_mut()) else {
            return;
        };
        group.items.extend(&bundle.items);
        self.unbegun.remove(&bundle.family);
        if let Some((_, size)) = &mut self.open {
            *size = size.plus(bundle.size);
        }
        if let Some(of) = self.group_of.get_mut(number) {
            *of = Some(self.groups.len() - 1);
        }
        let first = self.ready.len();
        for next in self.before.get(number).into_iter().flatten() {
            if let Some(left) = self.left.get_mut(*next) {
                *left -= 1;
                if *left == 0 {
                    self.ready.push(*next);
                }
            }
        }
        let place =
            |at: &usize| self.bundles.get(*at).and_then(|bundle| bundle.items.first()).copied();
        if let Some(new) = self.ready.get_mut(first..) {
            new.sort_unstable_by_key(|bundle| Reverse(place(bundle)));
        }
    }
}

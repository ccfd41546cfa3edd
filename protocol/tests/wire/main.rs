//! Tests of the wire format as a client sees it: golden frames, properties, the document.

#[cfg(test)]
mod document;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod strategies;

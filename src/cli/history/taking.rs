//! What each record of a review, a vote or a pipeline tells of its work.

use super::*;

impl History {
    pub(super) fn take_vote(&mut self, record: VoteEntry, names: &mut Names) {
        match record {
            VoteEntry::Vote(record) => {
                if let VoteRecord::Opened { opening, .. } = &record {
                    let voters = opening.electorate.voters().iter();
                    names.parts = voters.map(|voter| voter.id.clone()).collect();
                }
                if let VoteRecord::Cast { ballot, answer: Some(answer), .. } = &record {
                    let Answer { agent, attempt, slot, at, micros } = &**answer;
                    let (voter, agent) = (ballot.voter.clone(), agent.clone());
                    let work = names.ballot(voter, ballot.epoch, agent);
                    let (attempt, slot, at, micros) = (*attempt, Some(*slot), *at, *micros);
                    self.work.push(Work { attempt, slot, at, micros, ..work });
                }
                names.votes.push(record);
            }
            VoteEntry::Answered { voter, round, agent, attempt, slot, at, micros } => {
                let work = names.ballot(voter, round, agent);
                self.work.push(Work { attempt, slot: Some(slot), at, micros, ..work });
            }
            VoteEntry::FellBack { voter, round, agent, at, error, .. } => {
                let fall = Fall { agent, at, error: error.to_string() };
                names.left.entry((voter, round)).or_default().push(fall);
            }
            VoteEntry::Failed { voter, round, agent, attempts, at, error } => {
                let (work, error) = (names.ballot(voter, round, agent), Some(error.to_string()));
                self.work.push(Work { attempt: attempts, at, error, ..work });
            }
            VoteEntry::Began { .. } | VoteEntry::Spent { .. } | VoteEntry::Ended(_) => {}
        }
    }

    pub(super) fn take_document(
        &mut self,
        record: DocumentEntry,
        names: &mut Names,
    ) -> Result<(), String> {
        match &record {
            DocumentEntry::Began { at, name, stages, .. } => {
                (self.began, self.name) = (Some(*at), name.clone());
                names.stages.clone_from(stages);
            }
            DocumentEntry::Entered { name, .. } => names.parts.push(name.clone()),
            DocumentEntry::Passed {
                document, stage, agent, attempts, slot, at, micros, ..
            } => {
                let work = names.document(*document, *stage, *agent);
                let (attempt, slot, at, micros) = (*attempts, Some(*slot), *at, *micros);
                self.work.push(Work { attempt, slot, at, micros, ..work });
            }
            DocumentEntry::FellBack { document, stage, agent, at, error, .. } => {
                let agent = names.of_stage(*stage, *agent);
                let fall = Fall { agent, at: *at, error: error.to_string() };
                names.passed_on.entry(*document).or_default().push(fall);
            }
            DocumentEntry::Failed { document, stage, agent, attempts, at, error } => {
                let work = names.document(*document, *stage, agent.unwrap_or(u32::MAX));
                let (attempt, at, error) = (*attempts, *at, Some(error.to_string()));
                self.work.push(Work { attempt, at, error, ..work });
            }
            DocumentEntry::Dry { .. } | DocumentEntry::Spent { .. } | DocumentEntry::Ended(_) => {}
        }
        names.documents.get_or_insert_default().take(record)
    }

    pub(super) fn take(&mut self, record: Passed, names: &mut Names) {
        match record {
            Record::Began { at, name, agents, .. } => {
                self.began = Some(at);
                self.name = name;
                names.agents = agents;
            }
            Record::Split { pieces, from, .. } => {
                names.parts.truncate(usize::try_from(from).unwrap_or(usize::MAX));
                let name = |(number, piece): (usize, Piece<IgnoredValue>)| {
                    if piece.name.is_empty() { format!("part {number}") } else { piece.name }
                };
                let first = names.parts.len();
                names.parts.extend((first..).zip(pieces).map(name));
            }
            Record::Done { unit, part, agent, attempt, slot, at, micros, .. } => {
                let work = names.work(unit, part, agent);
                self.work.push(Work { attempt, slot: Some(slot), at, micros, ..work });
            }
            Record::FellBack { unit, agent, at, error, .. } => {
                let fall = Fall { agent: names.agent(agent), at, error: error.to_string() };
                names.falls.entry(unit).or_default().push(fall);
            }
            Record::Failed { unit, part, agent, attempts, at, error, .. } => {
                let error = Some(error.to_string());
                let work = names.work(unit, part, agent);
                self.work.push(Work { attempt: attempts, at, error, ..work });
            }
            Record::Ended(ended) => self.ended = Some(ended),
            Record::Spent { .. } => {}
        }
    }
}

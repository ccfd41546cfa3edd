//! Denying: what no living slot can meet, and what is not patient while all that could meet it rest, is told so and not kept.

use super::*;

impl Roster {
    /// Until when every slot that can meet `need` rests, or the first of them does; none if one does not, or there is none.
    fn rests_until(&self, need: &Need) -> Option<Moment> {
        let until = self.able(need).map(|(_, entry)| match entry.health {
            Health::Resting { until, .. } => Some(until),
            Health::Well | Health::Probed(_) => None,
        });
        until.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    pub(super) fn is_kept(&self, demand: &Demand) -> bool {
        let Demand { need, patient, .. } = demand;
        self.able(need).next().is_some() && (*patient || self.rests_until(need).is_none())
    }

    pub(super) fn deny_unmeetable(&mut self, cx: &mut Cx<Self>) {
        let waiting =
            std::mem::take(&mut self.demands).into_iter().chain(std::mem::take(&mut self.spare));
        let (kept, denied): (Vec<_>, Vec<_>) = waiting.partition(|demand| self.is_kept(demand));
        (self.spare, self.demands) = kept.into_iter().partition(|demand| demand.spare);
        for demand in denied {
            self.deny(&demand, cx);
        }
    }

    pub(super) fn deny(&self, demand: &Demand, cx: &mut Cx<Self>) {
        let names: Vec<&str> = demand.need.agents.iter().map(|agent| &*agent.name).collect();
        let wanted = [names.join(" or "), demand.need.capabilities.join(", ")].join(" ");
        let (wanted, until) = (wanted.trim(), self.rests_until(&demand.need));
        let why = match until {
            Some(_) => format!("the circuit breaker of every instance of `{wanted}` is open"),
            None => format!("no living agent slot for `{wanted}` among {}", self.slots.len()),
        };
        self.tell(demand.owner, Grant::Denied { demand: demand.id, why, until }, cx);
    }
}

//! The distance: who is alive, who owns what, how bytes travel between nodes. Nothing of it is built yet.

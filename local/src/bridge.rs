//! The bridge as `make dev` sees it: the door in front of its functions ([`front`]), what they print ([`log`]), and what
//! becomes of each request ([`rows`]), for the page's pane and the terminal ([`terminal`]).

pub(crate) mod builds;
pub(crate) mod front;
pub(crate) mod log;
pub(crate) mod rows;
pub(crate) mod terminal;

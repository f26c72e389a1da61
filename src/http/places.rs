//! Who has a place at a listener, and who gives it up for a newcomer. Pure.
//!
//! A place is never refused. An address that has as many as it may gives up its own oldest; where
//! all places are taken, the address with the most does. So a flood from one address costs the
//! others nothing, and one address alone always has its newest connections.

use std::net::{IpAddr, Ipv6Addr};

use crate::http::{Closed, Limits};

/// The places, the oldest first. `H` is what a connection is ended by.
#[derive(Debug)]
pub(super) struct Places<H> {
    limits: Limits,
    taken: Vec<(Option<IpAddr>, H)>,
}

impl<H> Places<H> {
    /// All of them free.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Vec::new() }
    }

    /// Takes the place away that a newcomer from `address` needs, if it needs one.
    pub(super) fn make_room(&mut self, address: Option<IpAddr>) -> Option<(H, Closed)> {
        let own = origin(address);
        let (from, why) = if self.held(own) >= self.limits.per_address.max(1) {
            (own, Closed::Address)
        } else if self.taken.len() >= self.limits.connections.max(1) {
            let most = self.taken.iter().map(|(from, _)| *from).max_by_key(|from| self.held(*from));
            (most?, Closed::Full)
        } else {
            return None;
        };
        let oldest = self.taken.iter().position(|(other, _)| *other == from)?;
        Some((self.taken.remove(oldest).1, why))
    }

    /// A newcomer takes its place.
    pub(super) fn enter(&mut self, address: Option<IpAddr>, handle: H) {
        self.taken.push((origin(address), handle));
    }

    /// A connection has ended.
    pub(super) fn leave(&mut self, is: impl Fn(&H) -> bool) {
        self.taken.retain(|(_, handle)| !is(handle));
    }

    fn held(&self, from: Option<IpAddr>) -> usize {
        self.taken.iter().filter(|(other, _)| *other == from).count()
    }
}

/// What counts as one address. A host of IPv6 has a /64 to choose from.
fn origin(address: Option<IpAddr>) -> Option<IpAddr> {
    let IpAddr::V6(address) = address?.to_canonical() else {
        return address.map(|it| it.to_canonical());
    };
    let [a, b, c, d, ..] = address.segments();
    Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: usize, per_address: usize) -> Places<u32> {
        Places::new(Limits::port(connections, per_address))
    }

    /// Lets one in; which one had to go for it, and why.
    fn come(places: &mut Places<u32>, from: &str, handle: u32) -> Option<(u32, Closed)> {
        let from = Some(from.parse().unwrap());
        let left = places.make_room(from);
        places.enter(from, handle);
        left
    }

    #[test]
    fn an_address_with_too_many_gives_up_its_own_oldest() {
        let mut places = places(10, 2);
        assert_eq!(come(&mut places, "10.0.0.1", 1), None);
        assert_eq!(come(&mut places, "10.0.0.2", 2), None);
        assert_eq!(come(&mut places, "10.0.0.2", 3), None);
        assert_eq!(come(&mut places, "10.0.0.2", 4), Some((2, Closed::Address)));
        assert_eq!(come(&mut places, "10.0.0.2", 5), Some((3, Closed::Address)));
        places.leave(|handle| *handle == 4);
        assert_eq!(come(&mut places, "10.0.0.2", 6), None);
    }

    #[test]
    fn where_all_places_are_taken_the_address_with_the_most_gives_one_up() {
        let mut places = places(4, 3);
        for (from, handle) in [("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.2", 3), ("10.0.0.2", 4)] {
            assert_eq!(come(&mut places, from, handle), None);
        }
        assert_eq!(come(&mut places, "10.0.0.3", 5), Some((2, Closed::Full)));
        assert_eq!(come(&mut places, "10.0.0.4", 6), Some((3, Closed::Full)));
    }

    #[test]
    fn a_host_has_one_address_however_many_it_uses() {
        let mut places = places(10, 1);
        assert_eq!(come(&mut places, "2001:db8::1", 1), None);
        assert_eq!(come(&mut places, "2001:db8::ffff:1", 2), Some((1, Closed::Address)));
        assert_eq!(come(&mut places, "2001:db8:0:1::1", 3), None);
        assert_eq!(come(&mut places, "10.0.0.1", 4), None);
        assert_eq!(come(&mut places, "::ffff:10.0.0.1", 5), Some((4, Closed::Address)));
    }

    #[test]
    fn a_socket_without_addresses_counts_as_one() {
        let mut places = places(10, 1);
        assert!(places.make_room(None).is_none());
        places.enter(None, 1);
        assert_eq!(places.make_room(None), Some((1, Closed::Address)));
    }
}

//! A cart that travels in the cookie: `cart=1x2.3x1` is two of product 1 and one of product 3. Whatever a client sends
//! is read as far as it makes sense; nothing of it is kept here.

use http::{HeaderMap, header};

/// No cart holds more lines or pieces of one product than this.
const MOST: u32 = 99;

/// Products and how many of each, every product once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cart(Vec<(u32, u32)>);

impl Cart {
    /// The cart in the request's cookie; empty without one.
    pub(super) fn of(headers: &HeaderMap) -> Cart {
        let mut cart = Cart::default();
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix("cart="))
            .flat_map(|text| text.split('.'))
            .filter_map(|line| line.split_once('x'))
            .filter_map(|(id, quantity)| Some((id.parse().ok()?, quantity.parse().ok()?)))
            .for_each(|(id, quantity)| cart.add(id, quantity));
        cart
    }

    /// Puts in so many more of a product.
    pub(super) fn add(&mut self, id: u32, more: u32) {
        if let Some((_, quantity)) = self.0.iter_mut().find(|(there, _)| *there == id) {
            *quantity = quantity.saturating_add(more).min(MOST);
        } else if more > 0 && self.0.len() < MOST as usize {
            self.0.push((id, more.min(MOST)));
        }
    }

    /// Each product with its quantity.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().copied()
    }

    /// How many of a product.
    pub(super) fn quantity(&self, id: u32) -> u32 {
        self.lines()
            .find(|(there, _)| *there == id)
            .map_or(0, |(_, quantity)| quantity)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The cookie that brings it back.
    pub(super) fn cookie(&self) -> String {
        let lines: Vec<String> = self.lines().map(|(id, n)| format!("{id}x{n}")).collect();
        format!("cart={}; Path=/; HttpOnly; SameSite=Lax", lines.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_is_what_makes_sense_in_the_cookie() {
        for (name, cookie, expected) in [
            ("none", "", &[][..]),
            ("another cookie", "theme=dark", &[]),
            ("two lines", "a=b; cart=1x2.3x1", &[(1, 2), (3, 1)]),
            ("the same twice", "cart=1x2.1x3", &[(1, 5)]),
            ("too many", "cart=1x4000000000.1x4000000000", &[(1, 99)]),
            ("none of one", "cart=1x0.2x1", &[(2, 1)]),
            ("nonsense", "cart=x.1.<b>x2.-1x1.2x1", &[(2, 1)]),
        ] {
            let headers = HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())]);
            assert_eq!(Cart::of(&headers).0, expected, "{name}");
        }
    }

    #[test]
    fn a_cart_comes_back_from_its_cookie() {
        let cart = Cart(vec![(1, 2), (3, 1)]);
        let headers = HeaderMap::from_iter([(header::COOKIE, cart.cookie().parse().unwrap())]);
        assert_eq!(Cart::of(&headers), cart);
    }
}

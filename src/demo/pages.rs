//! The shop's pages: plain HTML, readable through `curl` and in a browser. Whatever is put in is escaped.

use std::fmt::{self, Write};
use std::time::Duration;

use axum::response::Html;

use crate::demo::cart::Cart;
use crate::demo::shop::Product;

/// What it took to make a page; it stands at the foot of each, so that a copy is seen to be one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making {
    pub(super) number: u64,
    pub(super) work: Duration,
}

/// Why an order was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    Nothing,
    NoSuchProduct,
    OnlyLeft(Product),
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}\
    td,th{padding:.2rem 1rem .2rem 0;text-align:left}footer{margin-top:2rem;color:#767676}";

pub(super) fn list(products: &[Product], making: Making) -> Html<String> {
    let mut rows = String::new();
    for Product {
        id,
        name,
        cents,
        stock,
        ..
    } in products
    {
        let (name, price) = (Escaped(name), Price(*cents));
        push(
            &mut rows,
            format_args!(
                "<tr><td><a href=\"/products/{id}\">{name}</a></td><td>{price}</td><td>{stock} in stock</td></tr>\n"
            ),
        );
    }
    page(
        "Products",
        format_args!("<table>\n{rows}</table>"),
        Some(making),
    )
}

pub(super) fn product(product: &Product, making: Making) -> Html<String> {
    let Product {
        id,
        name,
        about,
        cents,
        stock,
    } = product;
    let (about, price) = (Escaped(about), Price(*cents));
    let form = |action, label| {
        format!(
            "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"product\" value=\"{id}\">\
             <button>{label}</button></form>"
        )
    };
    let order = form("/orders", "Order one now");
    let cart = form("/cart", "Put one in the cart");
    page(
        name,
        format_args!("<p>{about}</p>\n<p>{price}</p>\n<p>{stock} in stock</p>\n{order}\n{cart}"),
        Some(making),
    )
}

pub(super) fn cart(cart: &Cart, products: &[Product], making: Making) -> Html<String> {
    let mut rows = String::new();
    for Product { id, name, .. } in products {
        let quantity = cart.quantity(*id);
        if quantity > 0 {
            let name = Escaped(name);
            push(
                &mut rows,
                format_args!("<tr><td>{name}</td><td>{quantity}</td></tr>\n"),
            );
        }
    }
    if rows.is_empty() {
        return page(
            "Your cart",
            format_args!("<p>It is empty.</p>"),
            Some(making),
        );
    }
    page(
        "Your cart",
        format_args!(
            "<table>\n{rows}</table>\n<form method=\"post\" action=\"/orders\"><button>Order all of it</button></form>"
        ),
        Some(making),
    )
}

pub(super) fn receipt(number: u32) -> Html<String> {
    page(
        "Thank you",
        format_args!("<p>Order no. {number} is on its way, and the stock has changed.</p>"),
        None,
    )
}

pub(super) fn refused(why: &Refused) -> Html<String> {
    let title = "Not ordered";
    match why {
        Refused::Nothing => page(title, format_args!("<p>The order is empty.</p>"), None),
        Refused::NoSuchProduct => {
            page(title, format_args!("<p>We have no such product.</p>"), None)
        }
        Refused::OnlyLeft(Product { name, stock, .. }) => {
            let name = Escaped(name);
            page(
                title,
                format_args!("<p>{name}: only {stock} left.</p>"),
                None,
            )
        }
    }
}

pub(super) fn not_found() -> Html<String> {
    page(
        "Not found",
        format_args!("<p>There is no such page.</p>"),
        None,
    )
}

fn page(title: &str, content: fmt::Arguments<'_>, making: Option<Making>) -> Html<String> {
    let title = Escaped(title);
    let mut html = String::new();
    push(
        &mut html,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\n\
             <nav><a href=\"/products\">Products</a> · <a href=\"/cart\">Cart</a></nav>\n<h1>{title}</h1>\n{content}\n"
        ),
    );
    if let Some(Making { number, work }) = making {
        push(
            &mut html,
            format_args!(
                "<footer>Page no. {number} that the shop has made; it took {work:?}.</footer>\n"
            ),
        );
    }
    Html(html)
}

fn push(text: &mut String, more: fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("writing to a String does not fail");
}

/// Text in which nothing is taken for markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

/// Cents as an amount.
struct Price(u32);

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "€ {}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_put_in_is_taken_for_markup() {
        let Html(html) = page("<b>\"&'", format_args!(""), None);
        assert!(
            html.contains("<h1>&lt;b&gt;&quot;&amp;&#39;</h1>"),
            "{html}"
        );
    }
}

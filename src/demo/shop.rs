//! The shop of the demo: an app as slow as real ones are, that says by headers what its pages depend on and what its
//! orders change. It decides nothing about caching beyond those headers and does not know who is in front of it.
//!
//! | page | tells the cache |
//! |---|---|
//! | `GET /products` | `Cache-Tag: products`, fresh for ten minutes |
//! | `GET /products/{id}` | `Cache-Tag: product:<id>`, fresh for ten minutes |
//! | `GET /cart`, `POST /cart` | private; the cart itself travels in a cookie |
//! | `POST /orders` | `Cache-Tag-Increment: product:<id>, products` once the stock has changed |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, http};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::demo::cart::Cart;
use crate::demo::pages;

/// Tells this kind of cache alone how long a page is fresh. Browsers get `no-cache`, so that every click is seen here.
const FRESH: (&str, &str) = ("tagalong-cache-control", "max-age=600");
const ASK_AGAIN: (&str, &str) = ("cache-control", "no-cache");
const PRIVATE: (&str, &str) = ("cache-control", "private, no-store");

/// What the shop sells.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) cents: u32,
    pub(super) stock: u32,
}

/// The shop's whole state: what is left, and what has happened.
#[derive(Debug)]
struct Books {
    products: Vec<Product>,
    orders: u32,
    renderings: u64,
}

#[derive(Clone, Debug)]
struct Shop {
    work: Duration,
    books: Arc<Mutex<Books>>,
}

/// The shop as a service; each of its pages costs `work` to make.
pub fn router(work: Duration) -> Router {
    let product = |id, name, about, cents| Product {
        id,
        name,
        about,
        cents,
        stock: 100,
    };
    let books = Books {
        products: vec![
            product(1, "Teapot", "Short and stout. Will not brew coffee.", 2_400),
            product(2, "Mug", "Holds whatever the teapot lets go of.", 900),
            product(3, "Biscuits", "Twelve of them, stale after a week.", 350),
        ],
        orders: 0,
        renderings: 0,
    };
    Router::new()
        .route("/", get(|| async { Redirect::to("/products") }))
        .route("/products", get(list))
        .route("/products/{id}", get(product_page))
        .route("/cart", get(cart).post(put_in_cart))
        .route("/orders", post(order))
        .route("/orders/{number}", get(receipt))
        .fallback(|| async { not_found() })
        .with_state(Shop {
            work,
            books: Arc::new(Mutex::new(books)),
        })
}

impl Shop {
    /// Reads or changes the books; nothing waits meanwhile.
    fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the books as they are now, then takes its time over the page, as apps do.
    async fn read<T>(&self, look: impl FnOnce(&Books) -> T) -> (T, pages::Making) {
        let (seen, number) = self.books(|books| {
            books.renderings += 1;
            (look(books), books.renderings)
        });
        tokio::time::sleep(self.work).await;
        let work = self.work;
        (seen, pages::Making { number, work })
    }
}

impl Books {
    fn product(&self, id: u32) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }

    /// Takes the wanted goods off the shelf, all of them or none.
    fn order(&mut self, wanted: &Cart) -> Result<u32, pages::Refused> {
        if wanted.is_empty() {
            return Err(pages::Refused::Nothing);
        }
        for (id, quantity) in wanted.lines() {
            let product = self.product(id).ok_or(pages::Refused::NoSuchProduct)?;
            if product.stock < quantity {
                return Err(pages::Refused::OnlyLeft(product.clone()));
            }
        }
        for product in &mut self.products {
            product.stock -= wanted.quantity(product.id);
        }
        self.orders += 1;
        Ok(self.orders)
    }
}

async fn list(State(shop): State<Shop>) -> Response {
    let (products, making) = shop.read(|books| books.products.clone()).await;
    let page = pages::list(&products, making);
    ([FRESH, ASK_AGAIN, ("cache-tag", "products")], page).into_response()
}

async fn product_page(State(shop): State<Shop>, Path(id): Path<String>) -> Response {
    let id = id.parse().unwrap_or(0);
    let (product, making) = shop.read(|books| books.product(id).cloned()).await;
    let Some(product) = product else {
        return not_found();
    };
    let tag = [("cache-tag", format!("product:{id}"))];
    ([FRESH, ASK_AGAIN], tag, pages::product(&product, making)).into_response()
}

async fn cart(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let cart = Cart::of(&headers);
    let (products, making) = shop.read(|books| books.products.clone()).await;
    ([PRIVATE], pages::cart(&cart, &products, making)).into_response()
}

/// A line of the cart, or a whole order: `product=1&quantity=2`.
#[derive(Debug, Deserialize)]
struct Wish {
    product: Option<u32>,
    quantity: Option<u32>,
}

async fn put_in_cart(headers: HeaderMap, Form(wish): Form<Wish>) -> Response {
    let mut cart = Cart::of(&headers);
    cart.add(wish.product.unwrap_or(0), wish.quantity.unwrap_or(1));
    let cookie = [(header::SET_COOKIE, cart.cookie())];
    (cookie, Redirect::to("/cart")).into_response()
}

/// Orders the product that the form names, or else what is in the cart.
async fn order(State(shop): State<Shop>, headers: HeaderMap, Form(wish): Form<Wish>) -> Response {
    let mut wanted = Cart::default();
    match wish.product {
        Some(id) => wanted.add(id, wish.quantity.unwrap_or(1)),
        None => wanted = Cart::of(&headers),
    }
    match shop.books(|books| books.order(&wanted)) {
        Err(refused) => (StatusCode::CONFLICT, [PRIVATE], pages::refused(&refused)).into_response(),
        Ok(number) => {
            let mut changed: Vec<String> = wanted
                .lines()
                .map(|(id, _)| format!("product:{id}"))
                .collect();
            changed.push("products".into());
            let changed = [("cache-tag-increment", changed.join(", "))];
            let emptied = wish
                .product
                .is_none()
                .then_some([(header::SET_COOKIE, Cart::default().cookie())]);
            let to_receipt = Redirect::to(&format!("/orders/{number}"));
            match emptied {
                Some(cookie) => (changed, cookie, to_receipt).into_response(),
                None => (changed, to_receipt).into_response(),
            }
        }
    }
}

async fn receipt(State(shop): State<Shop>, Path(number): Path<String>) -> Response {
    let number = number.parse().unwrap_or(0);
    if number == 0 || number > shop.books(|books| books.orders) {
        return not_found();
    }
    ([PRIVATE], pages::receipt(number)).into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [PRIVATE], pages::not_found()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// The whole answer to `line` (method and target), a cookie and a form.
    async fn ask(shop: &Router, line: &str, cookie: &str, form: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let server = tokio::spawn(axum::serve(listener, shop.clone()).into_future());
        let request = format!(
            "{line} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncookie: {cookie}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer
    }

    fn shop() -> Router {
        router(Duration::ZERO)
    }

    /// Every text of `parts` is in `text`.
    fn has(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[tokio::test]
    async fn pages_name_what_they_depend_on() {
        let shop = shop();
        let list = ask(&shop, "GET /products", "", "").await;
        has(&list, &["200 OK", "cache-tag: products\r\n", "max-age=600"]);
        let page = ask(&shop, "GET /products/2", "", "").await;
        has(&page, &["200 OK", "cache-tag: product:2\r\n", "Mug"]);
    }

    #[tokio::test]
    async fn an_order_changes_the_stock_and_says_so() {
        let shop = shop();
        let order = ask(&shop, "POST /orders", "", "product=1&quantity=3").await;
        has(
            &order,
            &[
                "303 See Other",
                "cache-tag-increment: product:1, products\r\n",
                "location: /orders/1\r\n",
            ],
        );
        has(
            &ask(&shop, "GET /products/1", "", "").await,
            &["97 in stock"],
        );
        has(&ask(&shop, "GET /orders/1", "", "").await, &["200 OK"]);
    }

    #[tokio::test]
    async fn what_is_in_the_cart_is_private_and_can_be_ordered() {
        let shop = shop();
        let put = ask(&shop, "POST /cart", "cart=2x1", "product=1").await;
        has(&put, &["set-cookie: cart=2x1.1x1;"]);
        let cart = ask(&shop, "GET /cart", "cart=2x1.1x1", "").await;
        has(&cart, &["private", "Teapot", "Mug"]);
        let order = ask(&shop, "POST /orders", "cart=2x1.1x1", "").await;
        has(
            &order,
            &[
                "cache-tag-increment: product:2, product:1, products\r\n",
                "set-cookie: cart=;",
            ],
        );
    }

    #[tokio::test]
    async fn what_cannot_be_ordered_changes_nothing() {
        for (name, form, status) in [
            ("no such product", "product=9", "409 Conflict"),
            ("nothing", "", "409 Conflict"),
            ("none of it", "product=1&quantity=0", "409 Conflict"),
            ("a word", "product=teapot", "422 Unprocessable"),
            ("negative", "product=1&quantity=-1", "422 Unprocessable"),
        ] {
            let shop = shop();
            let order = ask(&shop, "POST /orders", "", form).await;
            assert!(order.contains(status), "{name}: {order}");
            assert!(!order.contains("cache-tag-increment"), "{name}: {order}");
            has(
                &ask(&shop, "GET /products/1", "", "").await,
                &["100 in stock"],
            );
        }
    }

    #[tokio::test]
    async fn more_than_is_left_is_refused() {
        let shop = shop();
        ask(&shop, "POST /orders", "", "product=1&quantity=99").await;
        let order = ask(&shop, "POST /orders", "", "product=1&quantity=2").await;
        has(&order, &["409 Conflict", "only 1 left"]);
    }

    #[tokio::test]
    async fn unknown_pages_are_not_found() {
        let shop = shop();
        for target in ["/nowhere", "/products/9", "/products/x", "/orders/1"] {
            let answer = ask(&shop, &format!("GET {target}"), "", "").await;
            has(&answer, &["404 Not Found"]);
        }
    }
}

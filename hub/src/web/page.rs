//! The page: the files of `hub/page/`, compiled in, so that it works without a network and without a build.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;

use crate::hub::Hub;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files by their addresses.
macro_rules! files {
    ($($address:literal $kind:ident $file:literal)*) => {
        [$(($address, $kind, include_str!(concat!("../../page/", $file)))),*]
    };
}

/// Adresses, types and contents.
const FILES: &[(&str, &str, &str)] = &files! {
    "/" HTML "index.html"
    "/page.css" CSS "page.css"
    "/page.js" SCRIPT "page.js"
    "/api.js" SCRIPT "api.js"
    "/app.js" SCRIPT "app.js"
    "/device.js" SCRIPT "device.js"
    "/dom.js" SCRIPT "dom.js"
    "/echo.js" SCRIPT "echo.js"
    "/guide.js" SCRIPT "guide.js"
    "/json-view.js" SCRIPT "json-view.js"
    "/mailbox.js" SCRIPT "mailbox.js"
    "/printer-picture.js" SCRIPT "printer-picture.js"
    "/shadow.js" SCRIPT "shadow.js"
    "/speech.js" SCRIPT "speech.js"
    "/dialog.js" SCRIPT "dialog.js"
    "/users.js" SCRIPT "users.js"
    "/sign-in" HTML "sign-in.html"
    "/sign-in.js" SCRIPT "sign-in.js"
};

/// Where Amazon signs owners in, there is nothing to simulate.
const IN_USE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>onething hub</title>\
<h1>This hub is in use</h1><p>Amazon's Alexa service calls it at <code>/alexa</code>. The page with the simulated Echo is there in \
trying mode only: start a hub without <code>--lwa-client-id</code>, with a data folder of its own.</p>";

pub(super) fn router() -> Router<Arc<Hub>> {
    FILES.iter().fold(Router::new(), |router, &(address, kind, content)| {
        router.route(address, get(move || std::future::ready(([(CONTENT_TYPE, kind)], content))))
    })
}

pub(super) async fn in_use() -> Response {
    ([(CONTENT_TYPE, HTML)], IN_USE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let mut there: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        there.sort();
        let name = |address: &str| match address {
            "/" => "index.html".to_owned(),
            "/sign-in" => "sign-in.html".to_owned(),
            file => file[1..].to_owned(),
        };
        let mut served: Vec<String> = FILES.iter().map(|(address, _, _)| name(address)).collect();
        served.sort();
        assert_eq!(served, there);
    }

    #[test]
    fn what_a_file_of_the_page_asks_for_is_of_the_page() {
        for (address, _, content) in FILES {
            for outside in ["https://", "//cdn", "@import"] {
                assert!(!content.contains(outside), "{address} has {outside}");
            }
        }
    }
}

//! The page: the files of `hub/page/`, compiled into the binary, so that the page needs no network and no build step.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;

use crate::hub::Hub;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Builds a list of files with their paths.
macro_rules! files {
    ($($address:literal $kind:ident $file:literal)*) => {
        [$(($address, $kind, include_str!(concat!("../../page/", $file)))),*]
    };
}

/// The files of the page in trying mode: path, content type and content.
const FILES: &[(&str, &str, &str)] = &files! {
    "/" HTML "index.html"
    "/page.css" CSS "page.css"
    "/printer.css" CSS "printer.css"
    "/small-page.css" CSS "small-page.css"
    "/page.js" SCRIPT "page.js"
    "/api.js" SCRIPT "api.js"
    "/app.js" SCRIPT "app.js"
    "/device.js" SCRIPT "device.js"
    "/device-facts.js" SCRIPT "device-facts.js"
    "/device-view.js" SCRIPT "device-view.js"
    "/pending.js" SCRIPT "pending.js"
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

/// The files of the page outside the trying mode, where nothing is simulated.
const IN_USE: &[(&str, &str, &str)] = &files! {
    "/" HTML "in-use.html"
    "/page.css" CSS "page.css"
    "/small-page.css" CSS "small-page.css"
};

/// The page of a hub in trying mode.
pub(super) fn router() -> Router<Arc<Hub>> {
    serve(FILES)
}

/// The page of a hub outside the trying mode.
pub(super) fn in_use() -> Router<Arc<Hub>> {
    serve(IN_USE)
}

fn serve(files: &'static [(&str, &str, &str)]) -> Router<Arc<Hub>> {
    files.iter().fold(Router::new(), |router, &(address, kind, content)| {
        router.route(address, get(move || std::future::ready(([(CONTENT_TYPE, kind)], content))))
    })
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
        let file = |(address, _, content): &(&str, &str, &str)| match *address {
            "/" if content == &IN_USE[0].2 => "in-use.html".to_owned(),
            "/" => "index.html".to_owned(),
            "/sign-in" => "sign-in.html".to_owned(),
            file => file[1..].to_owned(),
        };
        let mut served: Vec<String> = FILES.iter().chain(IN_USE).map(file).collect();
        served.sort();
        served.dedup();
        assert_eq!(served, there);
    }

    #[test]
    fn the_page_loads_no_files_from_other_sites() {
        for (address, _, content) in FILES.iter().chain(IN_USE) {
            for outside in ["https://", "//cdn", "@import"] {
                assert!(!content.contains(outside), "{address} has {outside}");
            }
        }
    }
}
